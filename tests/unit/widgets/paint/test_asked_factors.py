"""The number of factors that a user asks for stays, also over a picture that has fewer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint.widget import PaintWidget
from tests.unit.scene.scenes import make_scene
from tests.unit.widgets.paint.paint_bench import SOON_S, Browser, FakePainter


class PlainPictures(FakePainter):
    """A picture of "plain" has two factors, however many are asked for."""

    def analyze(self, prompt: str = "", *, seed: int = 0, n_steps: int = 1, n_factors: int = 5) -> Scene:
        scene = super().analyze(prompt, seed=seed, n_steps=n_steps, n_factors=n_factors)
        return make_scene(2, prompt=prompt, seed=seed) if prompt == "plain" else scene

    def refit(self, scene: Scene, n_factors: int) -> Scene:
        self._begin("refit", n_factors)
        return make_scene(2, prompt=scene.prompt, seed=scene.seed)


@pytest.fixture
def painter() -> PlainPictures:
    return PlainPictures()


@pytest.fixture
def widget(painter: PlainPictures) -> Iterator[PaintWidget]:
    widget = PaintWidget(painter, prompt="a meadow", n_factors=4)
    yield widget
    painter.gate.set()
    widget.close()


def numbers(browser: Browser) -> tuple[int, int]:
    """How many factors the form asks for, and how many the picture has."""
    state = browser.state()
    return state["n_factors"], state["n_found"]


def test_a_plain_picture_shows_both_numbers_and_the_next_gets_all(
    widget: PaintWidget, browser: Browser, painter: PlainPictures
) -> None:
    browser.ask("analyze", prompt="plain", style="", seed="1", n_steps=1, n_factors=4)
    widget.wait(SOON_S)
    assert numbers(browser) == (4, 2)
    assert widget.n_factors == 2
    widget.analyze(prompt="a lion and a house")
    widget.wait(SOON_S)
    assert ("analyze", ("a lion and a house", 1, 1, 4)) in painter.calls
    assert numbers(browser) == (4, 4)


def test_strokes_and_undo_keep_what_was_asked_for(widget: PaintWidget, browser: Browser) -> None:
    widget.analyze(prompt="plain", n_factors=6)
    widget.wait(SOON_S)
    widget.add_feature(1)
    widget.wait(SOON_S)
    assert numbers(browser) == (6, 2)
    browser.ask("undo")
    browser.ask("undo")
    widget.wait(SOON_S)
    assert numbers(browser) == (4, 4)


def test_a_refit_that_finds_fewer_says_so(widget: PaintWidget, browser: Browser) -> None:
    widget.refit(7)
    widget.wait(SOON_S)
    assert numbers(browser) == (7, 2)


def test_a_scene_from_python_does_not_shrink_the_number(widget: PaintWidget, browser: Browser) -> None:
    widget.scene = make_scene(2)
    assert numbers(browser) == (4, 2)
    widget.scene = make_scene(7)
    assert numbers(browser) == (7, 7)
