"""Where the map's view goes, and when it stays."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ember_widgets.widgets.atlas import map_view
from ember_widgets.widgets.atlas.map_view import WHOLE, MapView, Rectangle


def at(*places: tuple[float, float]) -> NDArray[np.float32]:
    return np.array(places, np.float32).reshape(-1, 2)


class Page:
    """Shows what it is sent: wider than that, as a page's map is."""

    def __init__(self) -> None:
        self.sent: list[Rectangle] = []
        self.view = MapView(self.sent.append)

    def show(self, part: Rectangle, *, shape: float = 4 / 3) -> None:
        width, height = part.size
        wide, high = max(width, height * shape), max(height, width / shape)
        x, y = part.middle
        self.view.seen([x - wide / 2, x + wide / 2], [y - high / 2, y + high / 2])

    def follow(self) -> None:
        self.show(self.sent[-1])


@pytest.fixture
def page() -> Page:
    return Page()


def test_it_stays_while_everything_is_in_view(page: Page) -> None:
    page.view.bring(at((0.9, 0.9), (-1, -1)))
    page.show(Rectangle(0, 0, 0.5, 0.5))
    page.view.bring(at((0.1, 0.1), (0.4, 0.4)))
    page.view.bring(at())

    assert page.sent == []


def test_it_moves_without_zooming_if_that_is_enough(page: Page) -> None:
    page.show(Rectangle(-1, -1, 0, 0), shape=1)

    page.view.bring(at((0.5, 0.6)))

    (part,) = page.sent
    assert part.size == pytest.approx((1, 1))
    assert part.middle == pytest.approx((0.5, 0.6))


def test_it_zooms_out_as_far_as_needed(page: Page) -> None:
    page.show(Rectangle(0, 0, 0.2, 0.2))
    places = at((-0.9, -0.5), (0.9, 0.5))

    page.view.bring(places)

    (part,) = page.sent
    assert part.holds(places).all()
    assert not WHOLE.holds(places * 2).any()
    assert part.size[1] < 1.5


def test_a_place_out_of_view_counts_as_soon_as_it_is_on_its_way(page: Page) -> None:
    page.show(Rectangle(0, 0, 0.2, 0.2))
    page.view.bring(at((0.9, 0.9)))

    assert page.view.now.holds(at((0.9, 0.9))).all()
    page.show(Rectangle(0.3, 0.3, 0.5, 0.5))  # in between
    assert page.view.now.holds(at((0.9, 0.9))).all()


@pytest.mark.parametrize("is_there", [True, False])
def test_what_the_user_does_as_soon_as_it_is_there_counts(page: Page, is_there: bool) -> None:
    page.show(WHOLE if is_there else Rectangle(0, 0, 0.2, 0.2))
    page.view.show_all()
    page.follow()

    page.show(Rectangle(0, 0, 0.1, 0.1))

    assert not page.view.now.holds(at((0.9, 0.9))).any()
    assert not page.view.was_sent


def test_what_the_user_did_is_told_from_where_it_was_sent(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_view, "MOVING_S", 0)
    told = [page.view.was_sent]
    page.show(Rectangle(0, 0, 0.2, 0.2))
    page.view.bring(at((0.9, 0.9)))
    page.follow()
    told.append(page.view.was_sent)

    page.show(Rectangle(0.5, 0.5, 0.6, 0.6))

    told.append(page.view.was_sent)
    assert told == [False, True, False]


def test_a_page_that_missed_it_is_told_again_until_it_shows_it(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.view.close_up(at((0.5, 0.5)))
    page.show(WHOLE)  # it has only just begun
    page.view.again()
    assert page.sent == [page.sent[0]] * 2
    page.follow()
    page.view.again()
    assert len(page.sent) == 2


def test_a_page_loaded_anew_shows_what_was_shown(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(map_view, "MOVING_S", 0)
    page.show(Rectangle(0, 0, 0.5, 0.5), shape=1)
    page.view.made_anew()
    page.show(WHOLE)
    page.view.again()

    assert page.sent == [Rectangle(0, 0, 0.5, 0.5)]
    page.follow()
    page.show(Rectangle(0.1, 0, 0.2, 0.1))  # by the user, before it is asked again
    page.view.again()
    assert len(page.sent) == 1


def test_a_narrow_page_shows_the_whole_width_at_first(page: Page) -> None:
    page.view.seen([-0.5, 0.5], [-1.05, 1.05])

    assert page.sent == [WHOLE]


@pytest.mark.parametrize("bad", [None, [], [1], [1, 2, 3], [2, 1], ["a", "b"], [0, float("nan")], {}])
def test_a_range_that_is_none_is_refused(page: Page, bad: object) -> None:
    with pytest.raises(ValueError, match="is not a range"):
        page.view.seen(bad, [0, 1])
    with pytest.raises(ValueError, match="is not a range"):
        page.view.seen([0, 1], bad)
    assert page.view.now == WHOLE
