"""A saved notebook shows what was painted last, and keeping it up to date is not noticed in the page."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import Page, expect

from ember_widgets import Scene
from tests.lab.conftest import FAKE_CELLS, OpenNotebook
from tests.lab.inspector import CELLS, InspectorView
from tests.lab.notebook import LIMIT_MS
from tests.lab.server import LabServer
from tests.lab.test_frontends import ask, paint_the_lion
from tests.lab.view import PaintView

# Notes when the widget is moved or made anew, and what is seen of other outputs of its cell.
WATCH = """selector => {
  const widget = document.querySelector(selector), outputs = widget.closest('.jp-OutputArea');
  window._watched = {widget, moved: [], seen: []};
  new MutationObserver(changes => {
    for (const {addedNodes, removedNodes} of changes) {
      for (const node of [...addedNodes, ...removedNodes]) {
        const concerned = node.contains?.(widget) || node.matches?.('.jp-OutputArea-child');
        if (concerned) window._watched.moved.push(node.className);
      }
    }
  }).observe(outputs, {childList: true, subtree: true});
  const look = () => {
    const all = [...outputs.querySelectorAll('.jp-OutputArea-child')];
    const others = all.filter(child => !child.contains(widget));
    window._watched.n = others.length;
    window._watched.seen.push(...others.map(child => child.clientHeight).filter(height => height > 0));
    requestAnimationFrame(look);
  };
  look();
}"""
WATCHED = """() => {
  const {widget, moved, n, seen} = window._watched;
  return {connected: widget.isConnected, moved, n, seen};
}"""
UNNOTICED = {"connected": True, "moved": [], "n": 1, "seen": []}


def pictures(server: LabServer, name: str, cell: int) -> list[bytes]:
    """The pictures in a cell's outputs, in the notebook as it was saved."""
    saved: dict[str, Any] = json.loads((server.notebooks / name).read_text())
    found = [output.get("data", {}).get("image/png") for output in saved["cells"][cell]["outputs"]]
    return [base64.b64decode(png) for png in found if png]


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Of the notebook that `open_notebook` opens."""
    return "".join(letter if letter.isalnum() else "-" for letter in request.node.name) + ".ipynb"


def test_it_shows_what_was_painted_last(open_notebook: OpenNotebook, server: LabServer, name: str) -> None:
    notebook = open_notebook(FAKE_CELLS)
    view = PaintView(notebook)
    view.settle()
    first = notebook.ask("__import__('base64').b64encode(widget.image).decode()")
    notebook.page.evaluate(WATCH, "[data-testid=ember-paint]")

    view.drag([(4, 4), (4, 9)])
    view.settle()
    notebook.page.wait_for_timeout(2500)
    watched = notebook.page.evaluate(WATCHED)
    notebook.save()

    last = notebook.ask("__import__('base64').b64encode(widget.image).decode()")
    assert last != first
    (saved,) = pictures(server, name, 1)
    assert saved == base64.b64decode(last)
    path = server.notebooks / "last.png"
    path.write_bytes(saved)
    assert Scene.load(path) == Scene.load(path)
    assert notebook.ask("widget.scene == ember.Scene.load('last.png')")
    assert watched == UNNOTICED

    # Exported
    page, _ = HTMLExporter().from_filename(str(server.notebooks / name))  # type: ignore[no-untyped-call]
    assert last[:2000] in page.replace("\n", "")
    assert "PaintWidget object at" not in page


def test_the_inspectors_too(open_notebook: OpenNotebook, server: LabServer, name: str) -> None:
    notebook = open_notebook(CELLS)
    view = InspectorView(notebook)
    view.settle()
    notebook.page.evaluate(WATCH, ".ember-inspect")

    notebook.tell("inspector.scene = scene.scale(0, 4)")
    view.settle()
    notebook.page.wait_for_timeout(2500)
    watched = notebook.page.evaluate(WATCHED)
    notebook.save()

    (saved,) = pictures(server, name, 1)
    assert saved == base64.b64decode(
        notebook.ask("__import__('base64').b64encode(inspector._last_picture()).decode()")
    )
    assert watched == UNNOTICED


def test_notebook_7_too(server: LabServer, page: Page) -> None:
    pytest.importorskip("notebook")
    name = server.write_notebook("saved-notebook-7.ipynb", FAKE_CELLS)
    page.goto(f"{server.base}/notebooks/{name}?token={server.token}", wait_until="domcontentloaded")
    page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=LIMIT_MS)
    expect(page.locator(".jp-Notebook-ExecutionIndicator")).to_have_attribute(
        "data-status", "idle", timeout=LIMIT_MS
    )
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.get_by_test_id("ember-paint").wait_for(timeout=LIMIT_MS)
    page.wait_for_timeout(2000)
    page.evaluate(WATCH, "[data-testid=ember-paint]")
    paint_the_lion(page)
    page.wait_for_timeout(2500)
    watched = page.evaluate(WATCHED)
    page.keyboard.press("Control+s")
    page.wait_for_timeout(1500)

    (saved,) = pictures(server, name, 1)
    assert saved == base64.b64decode(
        ask(server, name, "__import__('base64').b64encode(widget.image).decode()")
    )
    assert watched == UNNOTICED
    server.stop_kernel(name)
