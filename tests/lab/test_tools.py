"""Each tool, by the pointer and by the keyboard: what it does is what the scene's verbs do."""

from __future__ import annotations

import numpy as np
from playwright.sync_api import expect

from tests.lab.view import PaintView

# Where the fake painter has nothing at seed 3, and where its first factor lies.
EMPTY_ROW = 9
FIRST_FACTOR = (12, 5)
ROW = f"[({EMPTY_ROW}, col) for col in range(5, 11)]"


def drag_with(view: PaintView, keys: str, patches: list[tuple[float, float]]) -> None:
    for key in keys.split("+"):
        view.page.keyboard.down(key)
    view.drag(patches)
    for key in keys.split("+"):
        view.page.keyboard.up(key)


def select(view: PaintView, first: tuple[int, int], last: tuple[int, int]) -> None:
    view.use("rect")
    view.drag([first, last])
    expect(view.part("deselect")).to_be_visible()


def test_what_is_below_the_settings_stays_where_it_is_whatever_the_tool(view: PaintView) -> None:
    palette, places = view.part("factor-0"), set()
    for tool in ("paint", "erase", "fill", "move", "rect", "lasso", "gain"):
        view.use(tool)
        places.add(palette.evaluate("element => Math.round(element.getBoundingClientRect().top)"))
    assert len(places) == 1


def test_opacity_and_a_soft_edge_let_through_what_was_there(view: PaintView) -> None:
    view.pick(0)
    view.use("paint", size=1)
    view.part("brush-opacity").fill("0.5")

    view.drag([(EMPTY_ROW, 5), (EMPTY_ROW, 10)])

    assert view.differences_from(f"before.paint(0, {ROW}, opacity=0.5)") == []
    view.part("undo").click()
    view.settle()
    view.part("brush-size").fill("3")
    view.part("brush-opacity").fill("1")
    view.part("soft").check()

    view.drag([(EMPTY_ROW, 8)])

    view.settle()
    shares = view.notebook.ask(f"widget.scene.strengths[{EMPTY_ROW}, 5:12, 0].tolist()")
    np.testing.assert_allclose(shares, [0, 0, 1, 1, 1, 0, 0], atol=1e-6)
    corner = view.notebook.ask(f"widget.scene.strengths[{EMPTY_ROW - 1}, 7, 0].item()")
    assert 0.5 < corner < 0.7


def test_with_shift_a_stroke_is_a_straight_line(view: PaintView) -> None:
    view.pick(0)
    view.use("paint", size=1)

    drag_with(view, "Shift", [(EMPTY_ROW, 5), (4, 7), (EMPTY_ROW, 10)])

    assert view.differences_from(f"before.paint(0, {ROW})") == []


def test_with_alt_and_shift_a_stroke_is_a_box(view: PaintView) -> None:
    view.pick(1)
    view.use("paint", size=1)

    drag_with(view, "Shift+Alt", [(8, 7), (6, 5)])

    box = "[(row, col) for row in range(6, 9) for col in range(5, 8)]"
    assert view.differences_from(f"before.paint(1, {box})") == []


def test_a_rectangle_restricts_the_brush_until_it_is_let_go(view: PaintView) -> None:
    view.pick(0)
    select(view, (EMPTY_ROW, 7), (EMPTY_ROW, 8))
    view.use("paint", size=1)

    view.drag([(EMPTY_ROW, 5), (EMPTY_ROW, 10)])

    assert view.differences_from(f"before.paint(0, [({EMPTY_ROW}, 7), ({EMPTY_ROW}, 8)])") == []
    view.part("grid").focus()
    view.page.keyboard.press("Escape")
    expect(view.part("deselect")).to_be_hidden()


def test_a_selection_can_be_moved_scaled_and_erased(view: PaintView) -> None:
    row, col = FIRST_FACTOR
    patches = f"[(r, c) for r in range({row}, {row + 2}) for c in range({col - 1}, {col + 2})]"
    select(view, (row, col - 1), (row + 1, col + 1))
    view.use("move")

    view.drag([(row, col), (row - 4, col + 1)])

    moved = f"before.move(None, -4, 1, {patches})"
    assert view.differences_from(moved) == []
    there = patches.replace(f"range({row}, {row + 2})", f"range({row - 4}, {row - 2})").replace(
        f"range({col - 1}, {col + 2})", f"range({col}, {col + 3})"
    )
    view.pick(0)
    view.part("grid").focus()
    view.page.keyboard.press("+")
    scaled = f"{moved}.scale(0, 1.1, {there})"
    assert view.differences_from(scaled) == []
    view.page.keyboard.press("Delete")
    assert view.differences_from(f"{scaled}.erase({there}, heal=True)") == []


def test_a_lasso_selects_what_it_goes_around(view: PaintView) -> None:
    view.pick(2)
    view.use("lasso")
    view.drag([(6, 6), (6, 9), (9, 9), (9, 6), (7, 6)])

    view.use("paint")
    view.part("area-everything").click()

    box = "[(row, col) for row in range(6, 10) for col in range(6, 10)]"
    assert view.differences_from(f"before.paint(2, {box})") == []


def test_fill_paints_the_connected_area_under_the_pointer(view: PaintView) -> None:
    view.pick(1)
    view.use("fill")

    view.drag([FIRST_FACTOR])

    assert view.differences_from("before.paint(1, before.strengths[..., 0] > 0)") == []
    assert view.notebook.ask("int((before.strengths[..., 0] > 0).sum())") > 8


def test_the_eyedropper_picks_the_strongest_factor_and_so_does_a_click_with_alt(view: PaintView) -> None:
    view.pick(2)
    view.use("pick")
    view.drag([FIRST_FACTOR])
    expect(view.part("factor-0")).to_have_attribute("aria-pressed", "true")
    view.pick(2)
    view.use("paint")

    drag_with(view, "Alt", [FIRST_FACTOR])

    expect(view.part("factor-0")).to_have_attribute("aria-pressed", "true")
    assert view.differences_from("before") == []


def test_gain_makes_a_factor_stronger_where_it_passes(view: PaintView) -> None:
    row, col = FIRST_FACTOR
    view.pick(0)
    view.use("gain", size=1)
    view.part("brush-gain").fill("1.5")

    view.drag([(row, col), (row, col + 1), (row, col)])

    assert view.differences_from(f"before.scale(0, 1.5, [({row}, {col}), ({row}, {col + 1})])") == []


def test_areas_are_painted_at_a_click(view: PaintView) -> None:
    view.pick(3)
    view.use("paint")

    view.part("area-floor").click()

    assert view.differences_from("before.paint(3, 'floor')") == []
    view.use("erase")
    view.part("heal").uncheck()
    view.part("area-left").click()
    assert view.differences_from("before.paint(3, 'floor').erase('left')") == []


def test_a_locked_factor_stays_whatever_is_painted_over_it(view: PaintView) -> None:
    view.pick(0)
    view.part("grid").focus()
    view.page.keyboard.press("k")
    view.pick(1)
    view.use("paint")

    view.part("area-everything").click()

    view.settle()
    assert view.notebook.ask("bool((widget.scene.strengths[..., 0] == before.strengths[..., 0]).all())")
    assert view.notebook.ask("bool((widget.scene.strengths[..., 1] == 1).all())")
    view.pick(0)
    view.drag([(EMPTY_ROW, 5)])
    view.settle()
    assert view.notebook.ask(f"widget.scene.strengths[{EMPTY_ROW}, 5, 0].item()") == 0


def test_every_tool_works_from_the_keyboard(view: PaintView) -> None:
    view.pick(0)
    view.use("paint", size=1)
    view.part("grid").focus()
    press = view.page.keyboard.press
    press("ArrowDown")  # the cursor starts at (8, 7)
    press("Shift+Enter")
    for _ in range(3):
        press("ArrowRight")
    press("Enter")

    line = "[(9, col) for col in range(7, 11)]"
    assert view.differences_from(f"before.paint(0, {line})") == []
    press("r")
    press("Space")
    press("ArrowLeft")
    press("Space")
    press("e")
    press("Delete")
    assert view.differences_from(f"before.paint(0, {line}).erase([(9, 9), (9, 10)], heal=True)") == []


def test_the_sheet_of_keys_opens_and_closes(view: PaintView) -> None:
    view.part("grid").focus()
    view.page.keyboard.press("?")
    expect(view.part("keys")).to_contain_text("Eyedropper")
    view.page.keyboard.press("Escape")
    expect(view.part("keys")).to_be_hidden()
