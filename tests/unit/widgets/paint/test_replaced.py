"""A picture that takes the place of a painting says so, as long as undo brings the painting back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint.history import History, State
from ember_widgets.widgets.paint.widget import PaintWidget
from tests.unit.scene.scenes import make_scene
from tests.unit.widgets.paint.paint_bench import SOON_S, Browser


def told(browser: Browser) -> tuple[bool, bool]:
    """Whether there is a painting, and whether one has just been replaced."""
    state: dict[str, Any] = browser.state()
    return state["edited"], state["replaced"]


def draw(widget: PaintWidget, browser: Browser, seed: int) -> None:
    browser.ask("analyze", prompt="", style="", seed=str(seed), n_steps=1, n_factors=3)
    widget.wait(SOON_S)


def test_a_new_picture_says_that_it_replaced_a_painting_until_undo_or_a_stroke(
    widget: PaintWidget, browser: Browser, scene: Scene
) -> None:
    browser.ask("hello")
    assert told(browser) == (False, False)
    draw(widget, browser, 4)
    assert told(browser) == (False, False), "nothing was painted"
    painting = widget.scene.scale(0, 0.5)
    browser.edit(painting)
    assert told(browser) == (True, False)
    draw(widget, browser, 5)
    assert told(browser) == (False, True)
    browser.ask("hello", client="page")
    assert told(browser) == (False, True)
    widget.undo()
    assert widget.scene == painting
    assert told(browser) == (True, False)
    widget.redo()
    assert told(browser) == (False, True)
    browser.edit(widget.scene.scale(0, 0.25))
    assert told(browser) == (True, False)
    draw(widget, browser, 6)
    draw(widget, browser, 7)
    assert told(browser) == (False, False), "the second of two new pictures replaces no painting"


def test_scenes_from_python_and_files_count_too(
    widget: PaintWidget, browser: Browser, scene: Scene, tmp_path: Path
) -> None:
    painting = scene.scale(0, 0.5)
    widget.scene = painting
    assert told(browser) == (True, False)
    widget.scene = painting.scale(1, 0.5)
    assert told(browser) == (True, False), "the painting went on"
    widget.scene = scene
    assert told(browser) == (False, True), "it was thrown away"
    widget.undo()
    widget.scene = painting.replace(seed=scene.seed + 1)
    assert told(browser) == (True, True), "another painting took its place"
    widget.undo()
    scene.scale(0, 0.25).save(tmp_path / "other.json")
    browser.seq += 1
    browser.say(
        {"type": "open", "client": browser.client, "seq": browser.seq},
        [(tmp_path / "other.json").read_bytes()],
    )
    assert told(browser) == (True, True)


def test_a_painting_is_what_only_its_painter_can_make_again(scene: Scene) -> None:
    n_factors = scene.n_factors
    blank = scene.replace(strengths=np.zeros_like(scene.strengths), remainder=np.zeros_like(scene.remainder))
    assert not State.of(scene).is_edited
    assert not State.of(blank).is_edited
    assert not State.of(scene.rename(0, "a name").recolor(0, "#123456")).is_edited
    for edited in (
        scene.paint(0, [(1, 1)]),
        scene.erase([(1, 1)]),
        blank.paint(0, [(1, 1)]),
        scene.add_factor({1: 1.0}),
        scene.set_weight(0, 1, 0.5),
    ):
        assert State.of(edited).is_edited
    assert State(scene, np.full(n_factors, 0.5, np.float32)).is_edited


@pytest.mark.parametrize("replaces", [False, True])
def test_the_history_knows_only_what_undo_brings_back(replaces: bool) -> None:
    scene = make_scene()
    history = History(State.of(scene))
    history.commit(State.of(scene.scale(0, 0.5)))
    history.commit(State.of(scene.replace(seed=99)), replaces=replaces)
    assert history.has_replaced_painting is replaces
    history.keep(2, "another picture")
    history.go(0)
    history.commit(State.of(scene.scale(0, 0.25)))
    history.go(2)  # the painting it replaced is forgotten
    assert not history.has_replaced_painting
