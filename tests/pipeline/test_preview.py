"""While the hand moves: one step, and no work on what nobody wants to see any more."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

from ember_widgets import Painter, Scene
from ember_widgets.util.cancelled import Cancelled


@pytest.fixture(scope="module")
def scene(painter: Painter) -> Scene:
    return painter.analyze("a lion in a meadow", seed=3, n_steps=4).scale(0, 1.3)


def same(painter: Painter, one: Scene, other: Scene) -> bool:
    return np.array_equal(np.asarray(painter.render(one, preview=True)), np.asarray(painter.render(other)))


def test_a_preview_is_drawn_in_one_step(painter: Painter, scene: Scene) -> None:
    assert same(painter, scene, scene.replace(n_steps=1))
    assert not same(painter, scene, scene)


def test_a_preview_has_all_steps_where_edits_begin_later(painter: Painter, scene: Scene) -> None:
    later = scene.replace(edit_steps=(1, 4))
    assert same(painter, later, later)
    assert same(painter, scene.replace(edit_steps=(0, 2)), scene.replace(n_steps=1))


def test_a_preview_of_one_step_is_the_picture(painter: Painter, scene: Scene) -> None:
    single = scene.replace(n_steps=1)
    assert same(painter, single, single)


def test_says_where_a_preview_is_worth_it(painter: Painter, scene: Scene) -> None:
    assert painter.previews(scene)
    assert not painter.previews(scene.replace(n_steps=1))
    assert not painter.previews(scene.replace(edit_steps=(1, 4)))


def after(n: int) -> tuple[Callable[[], bool], list[int]]:
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(len(asked))
        return len(asked) > n

    return cancelled, asked


@pytest.mark.parametrize("n", [0, 1, 3, 4])
def test_cancelled_work_ends_between_steps(painter: Painter, scene: Scene, n: int) -> None:
    """Before each of four steps, and before decoding."""
    cancelled, asked = after(n)
    with pytest.raises(Cancelled):
        painter.render(scene, cancelled=cancelled)
    assert len(asked) == n + 1


def test_work_that_is_wanted_is_asked_about_and_done(painter: Painter, scene: Scene) -> None:
    cancelled, asked = after(99)
    picture = painter.render(scene, cancelled=cancelled)
    assert len(asked) == 5
    assert np.array_equal(np.asarray(picture), np.asarray(painter.render(scene)))


def test_a_painter_whose_work_was_dropped_paints_on(painter: Painter, scene: Scene) -> None:
    before = np.asarray(painter.render(scene))
    with pytest.raises(Cancelled):
        painter.render(scene, cancelled=after(2)[0])
    drawn: list[np.ndarray] = []
    other = threading.Thread(target=lambda: drawn.append(np.asarray(painter.render(scene))))
    other.start()  # in another thread: the lock was let go of
    other.join(60)
    assert np.array_equal(drawn[0], before)
