"""What a button opens is in view and has the focus, what goes away hands it on, and keys always work."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.lab.conftest import FAKE_CELLS, OpenNotebook
from tests.lab.view import PaintView

FOCUSED = "() => document.activeElement?.dataset.testid ?? document.activeElement?.tagName"
# In the window, and not covered by anything of the notebook.
IN_VIEW = """element => {
  const { left, right, top, bottom } = element.getBoundingClientRect();
  const at = document.elementFromPoint((left + right) / 2, top + 2);
  const end = document.elementFromPoint((left + right) / 2, bottom - 2);
  const root = element.closest('.ember-paint');
  return top >= 0 && bottom <= innerHeight && root.contains(at) && root.contains(end);
}"""
SOURCES = """() => window.jupyterapp.shell.currentWidget.content.widgets.map(
  cell => [cell.model.type, cell.model.sharedModel.getSource()])"""


@pytest.fixture
def low_view(view: PaintView) -> PaintView:
    """A widget in a window that is lower than the widget."""
    view.page.set_viewport_size({"width": 1280, "height": 600})
    return view


def in_view(part: Locator) -> bool:
    part.wait_for()
    part.page.wait_for_timeout(100)
    seen: bool = part.evaluate(IN_VIEW)
    return seen


def to_the_bottom(part: Locator) -> Locator:
    """Scroll until a button is at the lower edge of the window: what it opens below itself is out of view."""
    part.evaluate("element => element.scrollIntoView({ block: 'end' })")
    return part


def focused(view: PaintView) -> str:
    """The test id of the element that has the focus, or its tag."""
    name: str = view.page.evaluate(FOCUSED)
    return name


def paint(view: PaintView) -> None:
    view.use("paint", size=1)
    view.drag([(1, 1)])
    view.settle()


@pytest.mark.parametrize(
    ("opener", "sheet", "first"),
    [("help", "keys", "dt"), ("python", "program", "textarea"), ("sweep", "sheet", "img")],
)
def test_a_sheet_opens_in_view_takes_the_focus_and_gives_it_back(
    low_view: PaintView, opener: str, sheet: str, first: str
) -> None:
    view = low_view
    if opener == "sweep":
        view.part("more-4").click()
    button = to_the_bottom(view.part(opener))
    button.click()
    dialog = view.root.get_by_role("dialog")
    expect(dialog).to_be_focused()
    assert dialog.get_attribute("aria-label")
    assert in_view(view.part(f"{sheet}-close"))
    assert in_view(dialog.locator("dl > div").first if first == "dt" else view.part(f"{sheet}-close"))
    view.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()
    assert in_view(button)
    view.page.keyboard.press("Enter")
    expect(dialog).to_be_focused()
    expect(dialog).to_have_css("outline-style", "none")
    view.page.keyboard.press("Tab")
    expect(view.part(f"{sheet}-close")).to_be_focused()
    view.page.keyboard.press("Enter")
    expect(button).to_be_focused()


def test_a_drawer_and_the_seeds_open_in_view(low_view: PaintView) -> None:
    to_the_bottom(low_view.part("seeds")).click()
    assert in_view(low_view.part("seed-7"))
    to_the_bottom(low_view.part("more-4")).click()
    assert in_view(low_view.part("drawer"))
    assert in_view(low_view.part("more-4"))


def test_what_opens_by_itself_does_not_scroll_the_notebook(low_view: PaintView) -> None:
    low_view.part("more-4").click()
    low_view.notebook.scroll_to_cell("FakePainter")
    low_view.page.locator(".jp-CodeCell .cm-content").first.click()
    before = low_view.page.evaluate(
        "() => document.querySelector('.ember-paint').getBoundingClientRect().top"
    )
    low_view.notebook.tell("widget.scene = before.scale(0, 0.5); widget.scene = before")
    expect(low_view.part("replaced")).to_have_count(1)
    now = low_view.page.evaluate("() => document.querySelector('.ember-paint').getBoundingClientRect().top")
    assert abs(now - before) < 2
    assert low_view.page.evaluate("() => document.activeElement.matches('.cm-content')")


# What is pressed, by keyboard; a dot separates what is opened first.
PRESSED = [
    *("undo", "redo", "dice", "next-seed", "draw", "record", "seeds.seed-6"),
    *(
        "rect.deselect",
        "more-4.remove",
        "more-4.up",
        "more-4.down",
        "more-0.remove-0",
        "more-0.sweep.sheet-close",
    ),
    *("fetch.source-close", "fault.retry", "replaced.replaced-undo"),
]


@pytest.mark.parametrize("path", PRESSED)
def test_the_focus_stays_in_the_widget_whatever_happens_to_the_button(view: PaintView, path: str) -> None:
    *before, last = path.split(".")
    if not before or before[0] in ("seeds", "replaced"):
        paint(view)
    if last == "redo":
        view.part("undo").click()
        view.settle()
    for name in before:
        if name == "rect":
            view.use("rect")
            view.drag([(2, 2), (5, 5)])
        elif name == "fetch":
            view.part("search-palette").fill("a pyramid")
            view.part("fetch").click()
            expect(view.part("borrow-lion")).to_be_visible()
        elif name == "fault":
            view.notebook.tell("painter.fault = 'no light'")
            view.part("strength-0").fill("0.5")
            expect(view.part("error")).to_be_visible()
            view.notebook.tell("painter.fault = ''")
        elif name == "replaced":
            view.part("dice").click()
            view.settle()
        else:
            view.part(name).click()
    view.part(last).focus()
    expect(view.part(last)).to_be_focused()
    view.page.keyboard.press("Enter")
    view.page.wait_for_timeout(300)
    view.settle()
    view.page.wait_for_timeout(300)
    assert view.root.evaluate("root => root.contains(document.activeElement)"), focused(view)
    # Whatever has it now is no text field, so that keys are keys.
    view.page.keyboard.press("e")
    expect(view.part("tool-erase")).to_have_attribute("aria-pressed", "true")


def test_a_field_that_waits_for_the_kernel_keeps_the_focus(view: PaintView) -> None:
    view.notebook.tell("painter.delay_ms = 500")
    view.part("n-factors").fill("3")
    view.page.keyboard.press("Enter")
    expect(view.part("factor-3")).to_have_count(0)
    view.settle()
    expect(view.part("n-factors")).to_be_focused()


def test_a_deleted_row_hands_the_focus_to_its_neighbour(view: PaintView) -> None:
    for factor, heir in ((4, "more-3"), (1, "factor-1")):
        view.part(f"more-{factor}").click()
        view.part("remove").focus()
        view.page.keyboard.press("Enter")
        expect(view.part(heir)).to_be_focused()


CLICKED = {
    "between the controls": ".e-panel .e-options",
    "a word": ".e-brush .e-name >> nth=0",
    "the hint": ".e-hint",
    "the edge": ".e-card",
    "the status": "[data-testid=status]",
    "the picture": "[data-testid=grid]",
    "a slider": "[data-testid=strength-3]",
    "a swatch": "[data-testid=icon-3]",
    "a check box": "[data-testid=soft]",
    "a colour": "[data-testid=color]",
}


@pytest.mark.parametrize("place", CLICKED)
def test_keys_work_after_any_click_in_the_widget(view: PaintView, place: str) -> None:
    page = view.page
    before = page.evaluate(SOURCES)
    view.part("more-2").click()
    # The notebook has the focus, in command mode.
    page.locator(".jp-CodeCell .jp-InputPrompt").last.click()
    spot = view.root.locator(CLICKED[place])
    spot.scroll_into_view_if_needed()
    spot.click(position={"x": 3, "y": 3})
    if place == "a colour":
        page.wait_for_timeout(500)  # its dialog is the browser's own: nothing says when it is open, or closed
        page.keyboard.press("Escape")
        page.wait_for_timeout(500)
    page.keyboard.press("2")
    expect(view.part("factor-1")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("e")
    expect(view.part("tool-erase")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("b")
    expect(view.part("tool-paint")).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(300)
    assert page.evaluate(SOURCES) == before


def test_a_click_between_the_controls_does_not_scroll(low_view: PaintView) -> None:
    low_view.part("help").scroll_into_view_if_needed()
    top = "root => root.getBoundingClientRect().top"
    before = low_view.root.evaluate(top)
    low_view.part("status").click()
    low_view.page.wait_for_timeout(200)
    assert low_view.root.evaluate(top) == before


def test_the_notebooks_keys_work_outside_the_widget(open_notebook: OpenNotebook) -> None:
    view = PaintView(open_notebook(FAKE_CELLS))
    view.settle()
    page = view.page
    n_cells = len(page.evaluate(SOURCES))
    view.part("status").click()
    page.keyboard.press("b")
    expect(view.part("tool-paint")).to_have_attribute("aria-pressed", "true")
    page.locator(".jp-CodeCell .jp-InputPrompt").last.click()
    page.wait_for_function("() => !document.activeElement.closest('.ember-paint')")
    page.keyboard.press("b")
    page.wait_for_function(f"n => ({SOURCES})().length === n", arg=n_cells + 1)


def test_two_dice_became_two_things_and_say_what_they_do(view: PaintView) -> None:
    icon = "button => button.querySelector('path').getAttribute('d')"
    assert view.part("dice").evaluate(icon) != view.part("seeds").evaluate(icon)
    loses = "replaces your painting"
    for name in ("dice", "next-seed", "draw", "open"):
        assert loses not in (view.part(name).get_attribute("title") or "")
    paint(view)
    for name in ("dice", "next-seed", "draw", "open"):
        assert loses in (view.part(name).get_attribute("title") or "")
    assert loses not in (view.part("seeds").get_attribute("title") or "")


@pytest.mark.parametrize("how", ["dice", "next-seed", "draw", "prompt", "open", "python"])
def test_what_replaces_a_painting_offers_to_bring_it_back(
    low_view: PaintView, how: str, tmp_path: Path
) -> None:
    view = low_view
    paint(view)
    painting = "before.paint(0, [(1, 1)])"
    assert view.notebook.ask(f"widget.scene == {painting}")
    if how == "prompt":
        view.part("prompt").fill("a lake")
        view.part("prompt").press("Enter")
    elif how == "open":
        view.notebook.tell(f"painter.analyze('a lake').save({str(tmp_path / 'other.json')!r})")
        with view.page.expect_file_chooser() as chooser:
            view.part("open").click()
        chooser.value.set_files(tmp_path / "other.json")
    elif how == "python":
        view.notebook.tell("widget.scene = painter.analyze('a lake')")
    else:
        view.part(how).focus()
        view.page.keyboard.press("Enter")
    expect(view.part("replaced")).to_be_visible()
    view.settle()
    if how != "python":
        assert in_view(view.part("replaced"))
    view.part("replaced-undo").focus()
    view.page.keyboard.press("Enter")
    expect(view.part("replaced")).to_have_count(0)
    view.settle()
    assert view.notebook.ask(f"widget.scene == {painting}")
    view.page.keyboard.press("Control+Shift+Z")
    expect(view.part("replaced")).to_be_visible()
    view.drag([(3, 3)])
    expect(view.part("replaced")).to_have_count(0)
