"""The wheel scrolls the notebook, also over our canvases; the atlas's map zooms only when asked to."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.lab.browser import new_context
from tests.lab.notebook import LIMIT_MS, Notebook
from tests.lab.server import LabServer

CELLS = [
    """import ember_widgets as ember
painter = ember.Painter.embedded()
scene = painter.analyze("a cat in a green field", seed=38)""",
    "brush = ember.PaintWidget(painter, scene)\nbrush",
    "inspector = ember.PatchInspector(painter, scene)\ninspector",
    "atlas = ember.FeatureAtlas(painter, method='pca')\natlas",
    "'room below'",
    "'more room below'",
]
SCROLLED = "() => document.querySelector('.jp-WindowedPanel-outer').scrollTop"


@pytest.fixture(scope="module")
def notebook(browser: Browser, server: LabServer) -> Iterator[Notebook]:
    name = server.write_notebook("wheel.ipynb", CELLS)
    with new_context(browser) as context:
        page = context.new_page()
        page.set_viewport_size({"width": 1280, "height": 760})
        notebook = Notebook(page, server.address(name))
        notebook.run_all()
        yield notebook
    server.stop_kernel(name)


def point_at(notebook: Notebook, cell: str, selector: str) -> Locator:
    """Bring a canvas into view and put the pointer on it."""
    notebook.scroll_to_cell(cell)
    canvas = notebook.page.locator(selector).first
    canvas.wait_for(timeout=LIMIT_MS)
    notebook.page.wait_for_timeout(1000)
    box = canvas.bounding_box()
    assert box is not None
    notebook.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + min(box["height"] / 2, 250))
    return canvas


def scrolled_by(notebook: Notebook, turn: Callable[[], None]) -> float:
    """How far the notebook scrolls meanwhile."""
    before: float = notebook.page.evaluate(SCROLLED)
    turn()
    notebook.page.wait_for_timeout(500)
    after: float = notebook.page.evaluate(SCROLLED)
    return after - before


@pytest.mark.parametrize(
    ("cell", "selector"),
    [
        ("brush = ", "[data-testid=grid]"),
        ("inspector = ", "canvas.ember-canvas"),
        ("inspector = ", "canvas.ember-clickable"),
        ("atlas = ", ".ember-map canvas"),
    ],
)
def test_the_wheel_scrolls_the_notebook_over_every_canvas(
    notebook: Notebook, cell: str, selector: str
) -> None:
    point_at(notebook, cell, selector)

    assert scrolled_by(notebook, lambda: notebook.page.mouse.wheel(0, 120)) == 120
    assert scrolled_by(notebook, lambda: notebook.page.mouse.wheel(0, -60)) == -60


def test_the_inspector_still_hears_the_pointer_after_scrolling(notebook: Notebook) -> None:
    canvas = point_at(notebook, "inspector = ", "canvas.ember-canvas")
    assert scrolled_by(notebook, lambda: notebook.page.mouse.wheel(0, 40)) == 40
    box = canvas.bounding_box()
    assert box is not None
    notebook.page.mouse.click(box["x"] + box["width"] * 8.5 / 16, box["y"] + box["height"] * 9.5 / 16)
    expect(notebook.page.locator(".ember-inspect .ember-head b")).to_have_text("Patch (9, 8)")
    assert notebook.ask("inspector.patch") == [9, 8]


def test_the_map_zooms_with_ctrl_or_after_a_click_until_the_pointer_leaves(notebook: Notebook) -> None:
    page = notebook.page
    title = page.get_by_test_id("ember-atlas").get_by_test_id("title")
    point_at(notebook, "atlas = ", ".ember-map canvas")
    page.get_by_test_id("whole-map").click()
    point_at(notebook, "atlas = ", ".ember-map canvas")
    expect(title).to_contain_text("All", timeout=LIMIT_MS)

    def zoom_in() -> None:
        page.mouse.wheel(0, -200)

    hint = page.locator(".ember-map[data-hint]")
    assert scrolled_by(notebook, lambda: page.mouse.wheel(0, 30)) == 30
    expect(hint).to_have_count(1)
    expect(hint).to_have_count(0)
    expect(title).to_contain_text("All")

    page.keyboard.down("Control")
    assert scrolled_by(notebook, zoom_in) == 0
    page.keyboard.up("Control")
    expect(title).to_contain_text("in view", timeout=LIMIT_MS)
    page.get_by_test_id("whole-map").click()
    expect(title).to_contain_text("All", timeout=LIMIT_MS)

    point_at(notebook, "atlas = ", ".ember-map canvas")
    page.mouse.down()
    page.mouse.up()
    assert scrolled_by(notebook, zoom_in) == 0
    expect(title).to_contain_text("in view", timeout=LIMIT_MS)
    seen = title.inner_text()
    page.mouse.move(5, 5)
    point_at(notebook, "atlas = ", ".ember-map canvas")
    assert scrolled_by(notebook, lambda: page.mouse.wheel(0, 30)) == 30
    assert title.inner_text() == seen
