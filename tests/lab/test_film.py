"""The film of steps below the picture, the divider of the split view, and files that are no scenes."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.lab.view import PaintView


def paint_three(view: PaintView) -> None:
    view.use("paint", size=1)
    for col in (1, 5, 9):
        view.drag([(2, col)])
        view.settle()


def test_a_step_is_deleted_after_a_second_press_by_mouse_and_by_keys(view: PaintView) -> None:
    paint_three(view)
    view.part("step-1").click()
    view.settle()
    delete = view.part("step-delete")
    delete.click()
    expect(delete).to_have_text("Delete it?")
    view.part("grid").focus()
    expect(delete).to_have_text("")
    expect(view.part("step-3")).to_have_count(1)
    delete.click()
    delete.click()
    expect(view.part("step-3")).to_have_count(0)
    assert view.differences_from("before") == []
    delete.focus()
    view.page.keyboard.press("Enter")
    view.page.keyboard.press("Enter")
    expect(view.part("step-2")).to_have_count(0)
    view.settle()
    expect(delete).to_be_focused()
    view.part("redo").click()
    assert view.notebook.ask("widget.scene == before") is False


@pytest.mark.parametrize("width", [None, 390, 260])
@pytest.mark.parametrize("button", ["step-delete", "steps-clear"])
def test_a_button_that_asks_moves_nothing_to_another_line(
    view: PaintView, button: str, width: int | None
) -> None:
    view.root.evaluate("(root, width) => { root.style.width = width ? `${width}px` : ''; }", width)
    paint_three(view)
    tops = """root => ['step-3', 'film-make', 'step-delete', 'steps-clear']
      .map(name => root.querySelector(`[data-testid=${name}]`).getBoundingClientRect().top)"""
    view.part(button).scroll_into_view_if_needed()  # a click would, and that moves all
    before = view.root.evaluate(tops)
    view.part(button).click()
    expect(view.part(button)).to_contain_text("?")
    assert view.root.evaluate(tops) == pytest.approx(before, abs=1)
    expect(view.part("step-3")).to_be_in_viewport(ratio=0.5)
    assert view.cut_off() == []


def test_the_film_is_cleared_but_for_named_steps_and_the_focus_goes_to_the_grid(view: PaintView) -> None:
    paint_three(view)
    view.part("step-1").click()
    view.settle()
    view.part("keep").fill("the first")
    view.part("keep").press("Enter")
    view.part("step-3").click()
    view.settle()
    view.part("steps-clear").focus()
    view.page.keyboard.press("Enter")
    expect(view.part("steps-clear")).to_have_text("Delete the others?")
    view.page.keyboard.press("Enter")
    expect(view.part("step-2")).to_have_count(0)
    expect(view.part("step-0")).to_contain_text("the first")
    view.part("step-0").click()
    view.settle()
    view.part("keep").fill("")
    view.part("keep").press("Enter")
    view.part("steps-clear").focus()
    view.page.keyboard.press("Enter")
    view.page.keyboard.press("Enter")
    expect(view.part("step-0")).to_have_count(0)
    expect(view.part("grid")).to_be_focused()


def test_the_divider_is_dragged_with_the_pointer_and_moved_with_the_arrow_keys(view: PaintView) -> None:
    view.part("compare-split").click()
    divider = view.part("split")
    view.drag([(8, 7.5), (8, 3.5)])
    assert abs(float(divider.input_value()) - 0.25) < 0.02
    assert view.notebook.ask("widget.scene == before"), "it painted"
    view.page.keyboard.press("ArrowRight")
    assert abs(float(divider.input_value()) - 0.26) < 0.02
    # Beside it one paints.
    view.use("paint", size=1)
    view.drag([(8, 12)])
    assert view.differences_from("before.paint(widget.selected_factor, [(8, 12)])") == []


def test_a_file_that_is_no_scene_is_said_without_a_retry(view: PaintView, tmp_path: Path) -> None:
    (tmp_path / "letter.json").write_text("Dear Sir or Madam")
    with view.page.expect_file_chooser() as chooser:
        view.part("open").click()
    chooser.value.set_files(tmp_path / "letter.json")
    error = view.part("error")
    expect(error).to_contain_text("This file cannot be opened")
    expect(view.part("retry")).to_have_count(0)
    view.part("error-close").click()
    expect(error).to_have_count(0)


@pytest.mark.parametrize("width", [1280, 1024, 700])
def test_nothing_scrolls_sideways_however_large_the_picture(view: PaintView, width: int) -> None:
    paint_three(view)
    view.part("compare-split").click()
    view.part("zoom").fill("1024")
    view.page.set_viewport_size({"width": width, "height": 800})
    try:
        # What is measured by observers of sizes is drawn in the frame after.
        view.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        wide = view.root.evaluate(
            """root => {
              const wide = [];
              for (let at = root; at; at = at.parentElement)
                if (at.scrollWidth > at.clientWidth + 1 && getComputedStyle(at).overflowX !== 'visible')
                  wide.push(at.className + ' ' + at.scrollWidth + ' > ' + at.clientWidth);
              return wide;
            }"""
        )
        assert wide == []
        assert view.cut_off() == []
    finally:
        view.page.set_viewport_size({"width": 1280, "height": 900})
