"""What the hand does in the browser is what the verbs do in Python, and the picture follows where it was."""

from __future__ import annotations

import numpy as np
from playwright.sync_api import expect

from tests.lab.view import PaintView

# Where the fake painter has nothing at seed 3, and where its first factor lies.
EMPTY_ROW = 9
FIRST_FACTOR = (12, 5)


def test_a_stroke_paints_strengths_in_the_kernel_and_changes_the_picture_only_there(view: PaintView) -> None:
    picture = view.picture()
    view.pick(0)
    view.use("paint", size=1)

    view.drag([(EMPTY_ROW, 5), (EMPTY_ROW, 10)])

    assert view.differences_from(f"before.paint(0, [({EMPTY_ROW}, col) for col in range(5, 11)])") == []
    changes = view.patch_changes(picture)
    painted = np.zeros((16, 16), bool)
    painted[EMPTY_ROW, 5:11] = True
    assert changes[painted].min() > 20
    assert changes[~painted].max() == 0


def test_a_fast_stroke_has_no_gaps(view: PaintView) -> None:
    view.pick(1)
    view.use("paint", size=1)
    view.page.mouse.move(*view.point((EMPTY_ROW, 2)))
    view.page.mouse.down()
    view.page.mouse.move(*view.point((EMPTY_ROW, 13)))  # one single move event
    view.page.mouse.up()

    assert view.differences_from(f"before.paint(1, [({EMPTY_ROW}, col) for col in range(2, 14)])") == []


def test_brush_strength_is_the_strength_painted(view: PaintView) -> None:
    view.pick(2)
    view.use("paint", size=1)
    view.part("brush-strength").fill("1.5")

    view.drag([(EMPTY_ROW, 8)])

    assert view.differences_from(f"before.paint(2, [({EMPTY_ROW}, 8)], 1.5)") == []


def test_nothing_is_painted_after_the_pointer_was_released_outside_the_grid(view: PaintView) -> None:
    view.pick(0)
    view.use("paint", size=1)
    view.drag([(EMPTY_ROW, 13), (EMPTY_ROW, 15), (EMPTY_ROW, 17)])

    view.page.mouse.move(*view.point((4, 8)), steps=4)
    view.page.mouse.move(*view.point((10, 8)), steps=4)

    assert view.differences_from(f"before.paint(0, [({EMPTY_ROW}, col) for col in range(13, 16)])") == []


def test_the_eraser_takes_away_what_is_there(view: PaintView) -> None:
    row, col = FIRST_FACTOR
    picture = view.picture()
    view.pick(0)
    view.use("erase", size=1)

    view.drag([(row, col), (row, col + 1)])

    view.settle()
    erased = np.zeros((16, 16), bool)
    erased[row, col : col + 2] = True
    assert view.notebook.ask(f"widget.scene.strengths[{row}, {col}:{col + 2}, 0].max().item()") == 0
    assert view.notebook.ask(f"widget.scene.remainder[{row}, {col}:{col + 2}].max().item()") == 0
    changes = view.patch_changes(picture)
    assert changes[erased].min() > 20
    assert changes[~erased].max() == 0


def test_dragging_a_region_moves_its_factor(view: PaintView) -> None:
    picture = view.picture()
    row, col = FIRST_FACTOR
    view.pick(0)
    view.use("move")

    view.drag([(row, col), (row - 5, col + 2)])

    assert view.differences_from("before.move(0, -5, 2)") == []
    assert view.notebook.ask("bool(before.strengths[..., 0].max() > 0)")
    changes = view.patch_changes(picture)
    assert changes[row, col] > 20
    assert changes[row - 5, col + 2] > 20


def test_a_strength_slider_scales_its_factor(view: PaintView) -> None:
    picture = view.picture()

    view.part("strength-0").fill("0")

    assert view.differences_from("before.scale(0, 0)") == []
    changes = view.patch_changes(picture)
    assert changes[FIRST_FACTOR] > 20
    assert changes[EMPTY_ROW].max() == 0


def test_a_slider_set_to_nothing_keeps_the_strengths_for_when_it_is_set_back(view: PaintView) -> None:
    view.part("strength-0").fill("0")
    view.settle()

    view.part("strength-0").fill("1")

    assert view.differences_from("before") == []


def test_undo_and_redo_go_through_the_strokes(view: PaintView) -> None:
    expect(view.part("undo")).to_be_disabled()
    expect(view.part("redo")).to_be_disabled()
    picture = view.picture()
    view.pick(0)
    view.use("paint", size=1)
    view.drag([(EMPTY_ROW, 5), (EMPTY_ROW, 6)])
    view.settle()
    view.drag([(EMPTY_ROW, 9), (EMPTY_ROW, 10)])
    view.settle()
    first = f"before.paint(0, [({EMPTY_ROW}, 5), ({EMPTY_ROW}, 6)])"
    both = f"{first}.paint(0, [({EMPTY_ROW}, 9), ({EMPTY_ROW}, 10)])"
    assert view.differences_from(both) == []

    view.part("undo").click()
    assert view.differences_from(first) == []
    view.part("undo").click()
    assert view.differences_from("before") == []
    assert view.patch_changes(picture).max() == 0
    expect(view.part("undo")).to_be_disabled()

    view.part("redo").click()
    view.settle()
    view.part("redo").click()
    assert view.differences_from(both) == []
    expect(view.part("redo")).to_be_disabled()


def test_keys_work_on_the_grid_and_do_not_reach_the_notebook(view: PaintView) -> None:
    cells = view.page.locator(".jp-Notebook .jp-Cell").count()
    view.pick(0)
    view.use("paint", size=1)
    view.part("grid").focus()

    view.page.keyboard.press("e")
    expect(view.part("tool-erase")).to_have_attribute("aria-pressed", "true")
    view.page.keyboard.press("b")
    expect(view.part("tool-paint")).to_have_attribute("aria-pressed", "true")
    view.page.keyboard.press("2")
    expect(view.part("factor-1")).to_have_attribute("aria-pressed", "true")
    view.page.keyboard.press("ArrowDown")
    view.page.keyboard.press("Space")
    view.settle()

    assert view.notebook.ask("int((widget.scene.strengths[..., 1] != before.strengths[..., 1]).sum())") == 1
    view.page.keyboard.press("Control+z")
    assert view.differences_from("before") == []
    assert view.page.locator(".jp-Notebook .jp-Cell").count() == cells
