"""Keys typed in a widget do not act on the notebook: no cell is deleted, cut or added, no dialog opens."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.lab.conftest import FAKE_CELLS, OpenNotebook
from tests.lab.inspector import CELLS as INSPECTOR_CELLS
from tests.lab.inspector import InspectorView
from tests.lab.notebook import LIMIT_MS
from tests.lab.server import LabServer
from tests.lab.view import PaintView

ATLAS_CELLS = [
    """import ember_widgets as ember

atlas = ember.FeatureAtlas(ember.Painter.embedded())
atlas""",
]
# In command mode: delete, cut, add above and below, undo, restart, Markdown, heading, copy, paste, merge.
SEQUENCES = ("dd", "x", "a", "b", "z", "00", "m", "1", "c", "v", "Shift+M")

CELLS = """() => window.jupyterapp.shell.currentWidget.content.widgets.map(
  cell => [cell.model.type, cell.model.sharedModel.getSource()])"""

# The same for Notebook 7, which does not offer its application to the page.
CELLS_SHOWN = """() => [...document.querySelectorAll('.jp-Notebook .jp-Cell')].map(
  cell => [cell.classList.contains('jp-CodeCell'), cell.querySelector('.cm-content')?.innerText])"""


def give_focus(element: Locator) -> None:
    """Focus it and see that it stays: on a busy machine the notebook takes its own time to follow a click."""
    for _ in range(20):
        element.focus()
        element.page.wait_for_timeout(20)
        if element.evaluate("element => element.ownerDocument.activeElement === element"):
            return
    expect(element).to_be_focused()


def assert_untouched(page: Page, focused: Locator, cells: str = CELLS) -> None:
    """Type every sequence with the focus on an element of a widget: the notebook stays as it was.

    JupyterLab does not listen while a text field has the focus, so the widget must not keep what is typed.
    """
    is_text = focused.evaluate("element => element.matches('input[type=text], input[type=search]')")
    if is_text:
        focused.fill("")
    # As a user has it: the widget's cell is the active one, in command mode.
    page.locator(".jp-Notebook .jp-InputPrompt").last.click()
    before = page.evaluate(cells)
    for sequence in SEQUENCES:
        give_focus(focused)  # keys that go elsewhere would prove nothing
        if "+" in sequence:
            page.keyboard.press(sequence)
        else:
            page.keyboard.type(sequence)
        page.wait_for_timeout(50)  # a command would run a little later
        # Compared every time, because "z" brings back what "x" has cut.
        assert page.evaluate(cells) == before, sequence
        expect(page.locator(".jp-Dialog")).to_have_count(0)
    if is_text:
        expect(focused).to_have_value("".join(SEQUENCES).replace("Shift+", ""))
    page.wait_for_timeout(300)
    assert page.evaluate(cells) == before
    expect(page.locator(".jp-Dialog")).to_have_count(0)


@pytest.mark.parametrize("part", ["grid", "factor-1", "strength-1", "tool-erase", "prompt", "undo", "root"])
def test_keys_in_the_paint_widget_leave_the_notebook_alone(view: PaintView, part: str) -> None:
    focused = view.root if part == "root" else view.part(part)
    if part == "undo":  # there is nothing to undo
        expect(focused).to_be_disabled()
    focused.scroll_into_view_if_needed()
    assert_untouched(view.page, focused)


def test_saving_and_running_are_left_to_jupyterlab(fresh_view: PaintView) -> None:
    page = fresh_view.page
    count = "() => window.jupyterapp.shell.currentWidget.content.activeCell.model.executionCount"
    fresh_view.notebook.scroll_to_cell("PaintWidget")
    before = page.evaluate(count)
    page.evaluate("() => { window.jupyterapp.shell.currentWidget.context.model.dirty = true; }")
    fresh_view.part("grid").focus()
    page.keyboard.press("Control+s")
    page.wait_for_function(
        "() => !window.jupyterapp.shell.currentWidget.context.model.dirty", timeout=LIMIT_MS
    )
    fresh_view.part("grid").focus()
    page.keyboard.press("Control+Enter")
    page.wait_for_function(f"before => ({count})() > before", arg=before, timeout=LIMIT_MS)


def test_keys_in_the_inspector_leave_the_notebook_alone(open_notebook: OpenNotebook) -> None:
    view = InspectorView(open_notebook(INSPECTOR_CELLS))
    view.settle()
    for focused in (view.canvas, view.root.locator("button").first, view.root.locator("input").first):
        assert_untouched(view.page, focused)


def test_keys_in_the_atlas_leave_the_notebook_alone(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(ATLAS_CELLS)
    panel = notebook.page.get_by_test_id("ember-atlas")
    panel.wait_for(timeout=LIMIT_MS)
    canvas = notebook.page.locator(".ember-atlas canvas").first
    canvas.evaluate("canvas => { canvas.tabIndex = 0; }")
    for focused in (panel.locator("input").first, panel.locator("button").first, canvas):
        assert_untouched(notebook.page, focused)


def test_keys_leave_notebook_7_alone(page: Page, server: LabServer) -> None:
    name = server.write_notebook("keys-in-notebook-7.ipynb", FAKE_CELLS)
    page.goto(f"{server.base}/notebooks/{name}?token={server.token}", wait_until="domcontentloaded")
    page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=LIMIT_MS)
    expect(page.locator(".jp-Notebook-ExecutionIndicator")).to_have_attribute(
        "data-status", "idle", timeout=LIMIT_MS
    )
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    root = page.get_by_test_id("ember-paint")
    root.wait_for(timeout=LIMIT_MS)
    expect(root).to_have_attribute("data-kind", "final", timeout=LIMIT_MS)
    for part in ("grid", "tool-erase", "factor-1", "strength-1"):
        assert_untouched(page, root.get_by_test_id(part), CELLS_SHOWN)
    server.stop_kernel(name)
