"""The atlas in JupyterLab: what is found or selected is in view, and the title counts what is in view."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.lab.conftest import OpenNotebook
from tests.lab.notebook import LIMIT_MS, Notebook
from tests.lab.server import LabServer

CELLS = [
    "import ember_widgets as ember\npainter = ember.Painter.embedded()",
    "atlas = ember.FeatureAtlas(painter, method='pca')\natlas",
    "atlas.select(atlas.search('cat'))",
]
SELECTED = (0xE4, 0x57, 0x2E)


def view_of(notebook: Notebook) -> list[float]:
    sides: list[float] = notebook.ask("list(vars(atlas._scatter._view.now).values())")
    return sides


def n_selected(page: Page) -> int:
    """How many pixels of the map have the colour of selected dots."""
    pixels = np.asarray(Image.open(io.BytesIO(page.locator(".ember-map").screenshot())).convert("RGB"))
    return int((np.abs(pixels.astype(int) - SELECTED).max(-1) < 12).sum())


def at_rest(page: Page) -> None:
    """Wait until the map does not move any more."""
    page.wait_for_timeout(1500)
    before = b""
    for _ in range(60):
        page.wait_for_timeout(500)
        now = page.locator(".ember-map").screenshot()
        if now == before:
            return
        before = now
    raise AssertionError("the map still moves after 30 seconds")


def test_the_view_follows_what_is_found_or_selected(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(CELLS)
    page = notebook.page
    notebook.scroll_to_cell("FeatureAtlas")
    panel = page.get_by_test_id("ember-atlas")
    title, search = panel.get_by_test_id("title"), panel.get_by_test_id("search")
    cats = notebook.ask("list(atlas.selected)")
    page.wait_for_function("() => document.querySelector('.ember-map canvas')", timeout=LIMIT_MS)
    at_rest(page)

    # After all cells have run the cats are seen among all others.
    expect(title).to_have_text(f"{len(cats)} features selected")
    n_live = notebook.ask("int(atlas._passing.sum())")
    everywhere = "atlas._scatter.in_view([int(f) for f in __import__('numpy').flatnonzero(atlas._passing)])"
    assert notebook.ask(everywhere) == n_live
    assert n_selected(page) > 30

    # A look from near: the title says how much of it is in view.
    panel.get_by_test_id("clear").click()
    expect(title).to_have_text(f"All {n_live} features", timeout=LIMIT_MS)
    panel.get_by_test_id(f"tile-{cats[0]}").click()
    panel.get_by_test_id("show").click()
    expect(title).to_contain_text(f" of {n_live} in view", timeout=LIMIT_MS)
    at_rest(page)
    assert notebook.ask(everywhere) == int(title.inner_text().split()[0])
    near = view_of(notebook)
    farthest, at = notebook.ask(
        "(lambda f: [f, 'like ' + str(f)])(int(max(__import__('numpy').flatnonzero(atlas._passing),"
        f" key=lambda f: abs(atlas.map.positions[f] - atlas.map.positions[{cats[0]}]).max())))"
    )

    # Found in view: it stays. Found elsewhere: it goes there, no nearer than it was.
    search.fill(str(cats[0]))
    expect(title).to_contain_text("found", timeout=LIMIT_MS)
    assert view_of(notebook) == pytest.approx(near)
    search.fill(str(farthest))
    expect(title).to_contain_text("found", timeout=LIMIT_MS)
    at_rest(page)
    there = view_of(notebook)
    assert notebook.ask(f"atlas._scatter.in_view([{farthest}])") == 1
    assert there[2] - there[0] == pytest.approx(near[2] - near[0], rel=0.05)
    assert n_selected(page) > 10
    search.fill(at)
    expect(title).to_contain_text("found", timeout=LIMIT_MS)
    at_rest(page)
    assert notebook.ask("atlas._scatter.in_view(atlas.selected)") == notebook.ask("len(atlas.selected)")

    # Nothing is searched any more: the view that was moved for it goes back.
    search.fill("nothing of the kind")
    expect(title).to_have_text("Nothing found", timeout=LIMIT_MS)
    panel.get_by_role("button", name="Clear search").click()
    expect(search).to_have_value("")
    expect(title).to_have_text(f"All {n_live} features", timeout=LIMIT_MS)


def test_the_view_stays_where_the_user_put_it_also_after_a_reload(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(CELLS[:2])
    page = notebook.page
    notebook.scroll_to_cell("FeatureAtlas")
    panel = page.get_by_test_id("ember-atlas")
    title = panel.get_by_test_id("title")
    page.wait_for_function("() => document.querySelector('.ember-map canvas')", timeout=LIMIT_MS)
    at_rest(page)
    n_live = notebook.ask("int(atlas._passing.sum())")
    box = page.locator(".ember-map canvas").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 3, box["y"] + 200)
    page.mouse.move(box["x"] + box["width"] / 3 + 5, box["y"] + 205)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    expect(title).to_contain_text(f" of {n_live} in view", timeout=LIMIT_MS)
    page.wait_for_timeout(2000)
    seen, mine = title.inner_text(), view_of(notebook)
    notebook.save()
    notebook.reload()
    notebook.scroll_to_cell("FeatureAtlas")
    page.wait_for_function("() => document.querySelector('.ember-map canvas')", timeout=LIMIT_MS)
    at_rest(page)
    expect(title).to_have_text(seen)
    assert view_of(notebook) == pytest.approx(mine, abs=0.02)
    whole_map = panel.get_by_role("button", name="Whole map", exact=True)
    whole_map.click()
    expect(title).to_have_text(f"All {n_live} features", timeout=LIMIT_MS)
    expect(whole_map).to_be_focused()


def test_it_fits_a_narrow_page_and_a_finger(browser: Browser, server: LabServer, screenshots: Path) -> None:
    cells = [
        CELLS[0],
        "scene = painter.analyze('a cat in the snow', seed=38, n_steps=2)\n"
        "inspector = ember.PatchInspector(painter, scene)\ninspector",
        CELLS[1],
        "inspector.selected_feature = int(inspector.inspection.codes[8, 8].argmax())\natlas.feature = None",
    ]
    name = server.write_notebook("narrow.ipynb", cells)
    options = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with browser.new_context(**options, color_scheme="light") as context:  # type: ignore[arg-type]
        page = context.new_page()
        notebook = Notebook(page, server.address(name))
        page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
        notebook.run_all()
        for cell, selector in (("PatchInspector", ".ember-inspect"), ("FeatureAtlas", "section.ember-atlas")):
            notebook.scroll_to_cell(cell)
            root = page.locator(selector).first
            root.wait_for(timeout=LIMIT_MS)
            page.wait_for_timeout(2000)
            for theme in ("Dark", "Light"):
                page.emulate_media(color_scheme="dark" if theme == "Dark" else "light")
                page.evaluate(
                    "name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})",
                    f"JupyterLab {theme}",
                )
                page.wait_for_timeout(1000)
                root.screenshot(path=screenshots / f"narrow-{theme.lower()}-{cell}.png")
            assert root.evaluate("root => root.scrollWidth - root.clientWidth") <= 0
            outside = """root => {
              const right = root.closest('.jp-OutputArea').getBoundingClientRect().right;
              const parts = [...root.querySelectorAll('button, select, input, canvas')];
              const sticksOut = e => e.offsetParent && e.getBoundingClientRect().right > right + 1;
              return parts.filter(sticksOut).map(e => e.outerHTML);
            }"""
            assert root.evaluate(outside) == []
            small = """root => [...root.querySelectorAll('button, select, input')].filter(e => e.offsetParent)
              .filter(e => e.getBoundingClientRect().height < 40).map(e => e.textContent)"""
            assert root.evaluate(small) == []
    server.stop_kernel(name)


def test_a_browser_without_webgl_is_told_that_there_is_no_map(
    open_notebook: OpenNotebook, page: Page
) -> None:
    page.add_init_script(
        """const get = HTMLCanvasElement.prototype.getContext;
        HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
          return kind.startsWith('webgl') ? null : get.call(this, kind, ...rest);
        };"""
    )
    notebook = open_notebook(CELLS)
    notebook.scroll_to_cell("FeatureAtlas")
    panel = notebook.page.get_by_test_id("ember-atlas")
    expect(panel.get_by_test_id("no-webgl")).to_contain_text("The map needs WebGL")
    panel.get_by_test_id("search").fill("lion")
    expect(panel.get_by_test_id("title")).to_contain_text("found")
