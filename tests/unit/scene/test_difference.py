"""Where a scene is edited, and how far its picture follows there and elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ember_widgets.scene.difference import (
    edited_patches,
    patch_change,
    pixel_change,
    unedited,
)
from ember_widgets.scene.grid import Grid
from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint.widget import PaintWidget
from tests.unit.scene.scenes import make_scene
from tests.unit.widgets.paint.paint_bench import Browser, FakePainter
from tests.unit.widgets.paint.test_files import answer

PATCH = [(3, 4)]
HERE = np.zeros((16, 16), bool)
HERE[3, 4] = True


def nowhere(scene: Scene) -> np.ndarray:
    return np.zeros((16, 16), bool)


def first_factor(scene: Scene) -> np.ndarray:
    return scene.strengths[..., 0] > 0.01


EDITS: dict[str, tuple[Callable[[Scene], Scene], Callable[[Scene], np.ndarray]]] = {
    "nothing": (lambda s: s, nowhere),
    "names and colours": (lambda s: s.rename(0, "x").recolor(0, "#123456"), nowhere),
    "another order": (lambda s: s.reorder([2, 0, 1]), nowhere),
    "a stroke": (lambda s: s.paint(0, PATCH, 5), lambda s: HERE),
    "more of it": (lambda s: s.paint(0, PATCH, 0.5, mode="add"), lambda s: HERE),
    "erased": (lambda s: s.erase(PATCH), lambda s: HERE),
    "weaker everywhere": (lambda s: s.scale(0, 0.5), first_factor),
    "other weights": (lambda s: s.set_weight(0, 0, 3.0), first_factor),
    "removed": (lambda s: s.remove(0), first_factor),
    "a copy, unpainted": (lambda s: s.duplicate(0).erase("everything", 3), nowhere),
    "a new factor": (lambda s: s.add_factor({1: 1.0}), nowhere),
}


@pytest.mark.parametrize("name", EDITS)
def test_edited_is_where_something_is_not_as_analysed(name: str) -> None:
    edit, expected = EDITS[name]
    scene = make_scene()
    assert np.array_equal(edited_patches(edit(scene)), expected(scene))


def test_the_largest_strengths_are_edited_without_a_warning() -> None:
    largest = np.full((16, 16, 3), np.finfo(np.float32).max)
    scene = make_scene(strengths=largest, base_strengths=largest)
    assert edited_patches(scene.scale("lion", -1)).all()
    assert not edited_patches(scene).any()


def test_what_was_removed_is_in_the_last_map() -> None:
    scene = make_scene()
    before = unedited(scene.remove(0))
    np.testing.assert_array_equal(before[..., :2], scene.strengths[..., 1:])
    np.testing.assert_array_equal(before[..., 2], np.abs(scene.strengths[..., 0]))


def test_pixels_are_compared_inside_and_beyond_a_rim_of_one_patch() -> None:
    before = np.full((64, 64, 3), 100, np.uint8)
    after = before.copy()
    after[12:16, 16:20] = 140  # the patch
    after[8:12, 16:20] = 0  # the rim
    after[60:, 60:] = 103  # a patch far away
    inside, beyond = pixel_change(before, after, HERE) or (0, 0)
    assert inside == pytest.approx(40)
    assert beyond == pytest.approx(3 / (256 - 9))
    assert pixel_change(before, after, np.zeros((16, 16), bool)) is None
    assert pixel_change(before, after, np.ones((16, 16), bool)) is None


def test_pixels_are_compared_on_a_grid_that_is_not_square() -> None:
    before = np.zeros((36, 80, 3), np.uint8)
    after = before.copy()
    after[6:12, 20:24] = 30  # patch (2, 5) of 12 x 20, each 3 x 4 pixels; and (3, 5)
    edited = Grid(12, 20).mask([(2, 5), (3, 5)])
    assert pixel_change(before, after, edited) == (30, 0)


def test_pixels_are_compared_where_patches_are_of_different_sizes() -> None:
    before = np.zeros((16, 25, 3), np.uint8)
    after = before.copy()
    after[6:9, 7:10] = 30  # patch (2, 2) of 5 x 8: rows 0, 3, 6, 9, 12 and columns 0, 3, 6, 9, ... begin
    edited = Grid(5, 8).mask([(2, 2)])
    assert pixel_change(before, after, edited) == (20, 0)
    few = np.full((3, 3, 3), 7, np.uint8)
    assert pixel_change(few, np.zeros_like(few), HERE) == (7, 7)
    np.testing.assert_allclose(patch_change(few, np.zeros_like(few), (16, 16)), 7 / 255)


def test_a_copy_that_comes_first_is_not_taken_for_the_analysed_factor() -> None:
    scene = make_scene()
    copied = scene.duplicate("sky").reorder(["sky 2", "lion", "meadow", "sky"])
    assert not edited_patches(copied).any()
    assert copied.original() == scene
    assert copied.original().factor_ids == (0, 1, 2)


def test_edits_are_found_on_other_grids() -> None:
    scene = make_scene(grid=Grid(12, 20))
    edited = edited_patches(scene.erase([(11, 19)]))
    assert edited.shape == (12, 20)
    assert np.argwhere(edited).tolist() == [[11, 19]]


def test_the_browser_is_told_once_it_asked_for_the_unedited_picture() -> None:
    scene = make_scene()
    widget = PaintWidget(FakePainter(), scene)
    browser = Browser(widget)
    painted = scene.paint(0, PATCH, 2, mode="add")
    browser.edit(painted)
    widget.wait(10)
    assert [frame["change"] for frame in browser.of("frame")] == [None] * len(browser.of("frame"))
    browser.ask("original")
    message, _ = answer(browser, "original")
    pictures = [np.asarray(widget.painter.render(s)) for s in (scene, painted)]  # type: ignore[union-attr]
    assert message["change"] == pixel_change(pictures[0], pictures[1], edited_patches(painted))
    assert message["change"][0] > 0
    browser.edit(scene.paint(0, PATCH, 1, mode="add"))
    widget.wait(10)
    last = browser.of("frame")[-1]
    assert last["kind"] == "final"
    assert 0 < last["change"][0] <= message["change"][0]
    browser.ask("analyze", prompt="another", seed="9", n_steps=1, n_factors=3)
    widget.wait(10)
    assert browser.of("frame")[-1]["change"] is None
    widget.close()


def test_the_change_of_a_patch_is_a_mean_of_pixels_and_colours() -> None:
    before = np.zeros((6, 10, 3), np.uint8)
    after = before.copy()
    after[0, 0] = 255, 0, 0
    after[:, 9] = 2
    change = patch_change(before, after, (2, 5))
    assert change[0, 0] == pytest.approx(1 / (3 * 2 * 3))
    assert change[:, 4] == pytest.approx(1 / 255)
    assert np.count_nonzero(change) == 3
    assert np.count_nonzero(patch_change(before, after, (2, 5), rounding=2)) == 1
    uneven = patch_change(before, np.full_like(before, 255), (4, 3))
    np.testing.assert_allclose(uneven, 1)
