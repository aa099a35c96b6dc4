"""The bar of steps below each factor: when in the picture's steps the factor acts."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from tests.lab.test_access import violations
from tests.lab.view import PaintView

LAYERED = "before.replace(n_steps=4)"
ROW = "[(9, col) for col in range(5, 11)]"


@pytest.fixture
def of_four(view: PaintView) -> PaintView:
    """A picture of four steps; the one before has one step, and no bar."""
    expect(view.part("steps-0")).to_have_count(0)
    view.notebook.tell(f"widget.scene = {LAYERED}")
    expect(view.part("steps-0")).to_be_visible()
    view.settle()
    return view


def drag_over(view: PaintView, bar: Locator, first: int, last: int) -> None:
    """From the middle of one of four cells to the middle of another."""
    box = bar.bounding_box()
    assert box
    across = [box["x"] + box["width"] * (cell + 0.5) / 4 for cell in (first, last)]
    middle = box["y"] + box["height"] / 2
    view.page.mouse.move(across[0], middle)
    view.page.mouse.down()
    view.page.mouse.move(across[1], middle, steps=3)
    view.page.mouse.up()


def test_a_drag_over_cells_chooses_steps(of_four: PaintView) -> None:
    view = of_four
    bar = view.part("steps-2")
    expect(bar).to_have_attribute("data-value", "all")

    drag_over(view, bar, 3, 2)

    expect(bar).to_have_attribute("data-value", "2-4")
    expect(view.part("first-step-2")).to_have_attribute("aria-valuetext", "Acts at sampling steps 3–4 of 4")
    view.settle()
    assert view.notebook.ask(f"widget.scene == {LAYERED}.set_steps(2, (2, 4))")

    # A stroke with it leaves the other factors, which act at other steps too.
    view.pick(2)
    view.use("paint", size=1)
    view.drag([(9, 5), (9, 10)])
    view.settle()
    assert view.differences_from(f"{LAYERED}.set_steps(2, (2, 4)).paint(2, {ROW})") == []
    assert view.notebook.ask(
        "(widget.scene.strengths[9, 5:11, :2] == before.strengths[9, 5:11, :2]).all().item()"
    )
    program = view.notebook.ask("widget.to_python()")
    assert "scene.set_steps(factor='lion', steps=(2, 4))" in program
    assert "scene.paint(factor=" in program

    # A click on one cell is one step; on the only one that is on, it is all of them again.
    drag_over(view, bar, 3, 3)
    expect(bar).to_have_attribute("data-value", "3-4")
    drag_over(view, bar, 3, 3)
    expect(bar).to_have_attribute("data-value", "all")
    view.settle()
    assert view.notebook.ask("widget.scene.factor_steps is None")

    for steps in ("3-4", "2-4", "2-4", "all"):
        view.part("undo").click()
        expect(bar).to_have_attribute("data-value", steps)
    view.settle()
    assert view.notebook.ask(f"widget.scene == {LAYERED}")


SELECTED = "root => getSelection().selectAllChildren(root)"


def test_no_drag_is_lost_to_the_browsers_own_while_text_is_selected(of_four: PaintView) -> None:
    view = of_four
    bar = view.part("steps-2")
    for first, last, value in ((3, 2, "2-4"), (0, 1, "0-2"), (1, 3, "1-4"), (2, 0, "0-3"), (1, 2, "1-3")):
        view.root.evaluate(SELECTED)
        drag_over(view, bar, first, last)
        expect(bar).to_have_attribute("data-value", value)
        expect(bar).to_be_visible()
        view.settle()
    view.part("compare-split").click()
    view.root.evaluate(SELECTED)
    # The words on buttons are never selected, those of a message are.
    assert "Unedited" not in view.page.evaluate("() => String(getSelection())")
    view.drag([(8, 7.5), (8, 3.5)])
    assert abs(float(view.part("split").input_value()) - 0.25) < 0.02
    view.use("paint", size=1)
    view.root.evaluate(SELECTED)
    view.drag([(9, 9), (9, 12)])
    view.settle()
    painted = "(widget.scene.strengths != before.strengths).any(axis=-1)"
    assert view.notebook.ask(f"{painted}.sum().item()") == 4


def test_steps_are_chosen_by_keyboard_alone(of_four: PaintView) -> None:
    view, keyboard = of_four, of_four.page.keyboard
    view.part("factor-1").focus()
    keyboard.press("Enter")
    keyboard.press("Tab")
    expect(view.part("strength-1")).to_be_focused()
    keyboard.press("Tab")
    expect(view.part("first-step-1")).to_be_focused()
    for _ in range(2):
        keyboard.press("ArrowRight")
    keyboard.press("Tab")
    expect(view.part("last-step-1")).to_be_focused()
    keyboard.press("ArrowLeft")

    expect(view.part("steps-1")).to_have_attribute("data-value", "2-3")
    view.settle()
    assert view.notebook.ask(f"widget.scene == {LAYERED}.set_steps(1, (2, 3))")
    expect(view.part("last-step-1")).to_be_focused()
    assert violations(view) == []

    keyboard.press("End")
    keyboard.press("Shift+Tab")
    keyboard.press("Home")
    expect(view.part("steps-1")).to_have_attribute("data-value", "all")
    view.settle()
    assert view.notebook.ask(f"widget.scene == {LAYERED}")
    keyboard.press("Control+z")
    expect(view.part("steps-1")).to_have_attribute("data-value", "2-4")


def test_with_fewer_steps_the_row_says_that_the_factor_does_nothing(of_four: PaintView) -> None:
    view = of_four
    view.notebook.tell(f"widget.scene = {LAYERED}.set_steps(1, (2, 4)).replace(n_steps=2)")
    expect(view.part("steps-1")).to_contain_text("at no step here")
    expect(view.part("steps-1")).to_have_attribute(
        "title",
        "Acts at none of this picture’s 2 sampling steps; only what you paint or change with it. "
        "Early steps compose, late ones draw details",
    )
    view.settle()
    assert view.notebook.ask("widget.scene.factor_steps[1] == (2, 4)")
    assert view.cut_off() == []
