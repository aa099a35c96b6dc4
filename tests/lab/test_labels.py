"""Labels with scores, and labelling from the atlas, as a person sees and uses them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.lab.browser import new_context
from tests.lab.notebook import LIMIT_MS, Notebook
from tests.lab.server import LabServer
from tests.lab.view import PaintView

CELLS = [
    """import tempfile
from pathlib import Path
import ember_widgets as ember
from tests.unit.widgets.atlas.atlas_bench import (
    Client, LabellingPainter, N, SAE_NAME, SITE, label, make_collection)
from tests.unit.widgets.paint.paint_bench import make_bank

folder = Path(tempfile.mkdtemp())
painter = LabellingPainter({11: "the server refused", 12: label("a wheel of a cart", 0.5, 0.6, "part")})
for feature in (8, 10):
    painter.label([feature])
painter.labels.set(7, "my cat")
painter.labels.add({2: "a mane", 5: "a paw"})
painter.concepts = make_bank(N, SITE, SAE_NAME)
pictures = make_collection(folder / "pictures")""",
    """atlas = ember.FeatureAtlas(
    painter, pictures, client=Client(), method="pca", cache=folder, height=700)
atlas""",
    """widget = ember.PaintWidget(painter, painter.analyze("a meadow", n_factors=3))
widget""",
]


@pytest.fixture(scope="module")
def notebook(browser: Browser, server: LabServer) -> Iterator[Notebook]:
    name = server.write_notebook("labels.ipynb", CELLS)
    with new_context(browser) as context:
        notebook = Notebook(context.new_page(), server.address(name))
        notebook.run_all()
        yield notebook
    server.stop_kernel(name)


def in_theme(page: Page, theme: str) -> None:
    page.emulate_media(color_scheme="dark" if theme == "Dark" else "light")
    page.evaluate(
        "name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})",
        f"JupyterLab {theme}",
    )
    page.wait_for_timeout(700)


def test_features_are_labelled_from_the_atlas(notebook: Notebook, screenshots: Path) -> None:
    page = notebook.page
    notebook.scroll_to_cell("FeatureAtlas")
    panel = page.get_by_test_id("ember-atlas")
    batch, text = panel.get_by_test_id("batch"), panel.get_by_test_id("batch-text")

    def shot(name: str) -> None:
        panel.screenshot(path=screenshots / f"labels-{name}.png")

    expect(panel.get_by_test_id("title")).to_be_visible(timeout=LIMIT_MS)

    notebook.tell("atlas.select([11, 12, 14, 22])")
    forecast = panel.get_by_test_id("forecast")
    expect(forecast).to_have_text("Label 4 features")
    shot("offered")
    forecast.focus()
    page.keyboard.press("Enter")
    expect(text).to_have_text(
        "4 features: 12 calls to a-judge, 196 pictures, about 40 s, about 16,240 tokens."
    )
    # The button is gone, the focus is not; and it lies on nothing that another Enter would start.
    expect(batch).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_timeout(200)
    assert notebook.ask("len(painter.asked)") == 2
    shot("forecast")
    panel.get_by_test_id("dismiss").click()
    expect(forecast).to_be_visible()

    forecast.click()
    notebook.tell("painter.each_s = 1.2")
    page.keyboard.press("Tab")
    expect(panel.get_by_test_id("start_labels")).to_be_focused()
    page.keyboard.press("Enter")
    expect(panel.get_by_test_id("batch-fault")).to_have_text("Feature 11: the server refused")
    expect(panel.get_by_test_id("tile-12")).to_contain_text("a wheel of a cart")
    shot("running")
    expect(panel.get_by_test_id("tile-22")).to_contain_text("no label")
    panel.get_by_test_id("stop_labels").click()
    expect(text).to_contain_text("All answers are kept.")
    shot("stopped")
    panel.get_by_test_id("dismiss").click()

    panel.get_by_test_id("tile-12").click()
    card = panel.get_by_test_id("card")
    expect(card).to_contain_text("labelled by a-judge, 2026-11-29")
    expect(card).to_contain_text("5 of 10 (24–76 %)")
    shot("card")
    in_theme(page, "Dark")
    shot("card-dark")
    in_theme(page, "Light")

    panel.get_by_test_id("clear").click()
    panel.get_by_test_id("filter-trusted").click()
    trusted = "sorted(int(f) for f in __import__('numpy').flatnonzero(atlas._all.trusted))"
    wanted = notebook.ask(trusted)
    expect(panel.get_by_test_id("filter-trusted")).to_contain_text(str(len(wanted)))
    expect(panel.get_by_test_id(f"tile-{wanted[0]}")).to_contain_text("✓")
    expect(panel.get_by_test_id("tile-12")).to_have_count(0)
    panel.get_by_test_id("color-by").select_option("score")
    expect(panel.get_by_test_id("legend")).to_contain_text("always right")
    shot("trusted")
    panel.get_by_test_id("filter-trusted").click()
    panel.get_by_test_id("category").select_option("category:part")
    expect(panel.get_by_test_id("title")).to_have_text("All 1 feature")
    panel.get_by_test_id("category").select_option("")


def test_a_label_says_in_the_palette_how_well_it_stands_up(notebook: Notebook, screenshots: Path) -> None:
    notebook.scroll_to_cell("PaintWidget")
    view = PaintView(notebook)
    view.settle()
    notebook.tell("widget.scene = widget.scene.add_factor({8: 1.0, 12: 0.5, 7: 0.4, 30: 0.2}, name='things')")
    view.part("more-3").click()
    drawer = view.part("drawer")
    expect(drawer).to_contain_text("painting shows it: 9 of 10")
    expect(drawer).to_contain_text("labelled by you")
    drawer.screenshot(path=screenshots / "labels-drawer.png")
    view.part("search-palette").fill("thing")
    found = view.part("found-8")
    expect(found).to_contain_text("painting shows it: 9 of 10")
    assert "labelled by a-judge, 2026-11-29" in (found.get_attribute("title") or "")
    view.part("found").screenshot(path=screenshots / "labels-found.png")
    assert view.cut_off() == []


def test_concepts_are_found_in_atlas_and_palette(notebook: Notebook, screenshots: Path) -> None:
    page = notebook.page
    notebook.scroll_to_cell("FeatureAtlas")
    panel = page.get_by_test_id("ember-atlas")
    panel.get_by_test_id("search").fill("")
    panel.get_by_test_id("concepts").locator("summary").click()
    expect(panel.get_by_test_id("concept-lion")).to_be_visible()
    panel.screenshot(path=screenshots / "labels-concepts.png")
    panel.get_by_test_id("search").fill("lio")
    expect(panel.get_by_test_id("title")).to_have_text("No feature found")
    panel.get_by_test_id("concept-lion").click()
    expect(panel.get_by_test_id("title")).to_have_text("Concept “lion”: 3 features")
    expect(panel.get_by_test_id("concept-lion")).to_have_attribute("aria-pressed", "true")
    assert notebook.ask("list(atlas.selected)") == [2, 5, 1]
    panel.screenshot(path=screenshots / "labels-concept.png")

    notebook.scroll_to_cell("PaintWidget")
    view = PaintView(notebook)
    notebook.tell("widget.scene = before = painter.analyze('a meadow', n_factors=2)")
    view.settle()
    field = view.part("search-palette")
    field.fill("lion")
    found = view.part("found-concept-lion")
    expect(found).to_contain_text("a mane, a paw, #1")
    expect(found).to_contain_text("concept")
    expect(found.locator("img")).to_be_visible()
    view.part("found").screenshot(path=screenshots / "labels-found-concept.png")
    field.press("Enter")
    expect(view.part("factor-2")).to_contain_text("lion")
    view.settle()
    assert notebook.ask("widget.scene == before.add_factor(painter.concepts['lion'])")
    assert "painter.concepts['lion']" in notebook.ask("widget.to_python()")
    view.part("more-2").click()
    view.part("search-drawer").fill("lion")  # a concept is no part of a factor
    expect(view.part("found")).to_contain_text("No feature found")


def test_labels_fit_a_narrow_page_and_a_finger(notebook: Notebook, screenshots: Path) -> None:
    page = notebook.page
    notebook.tell("atlas.select([8, 22, 12]); painter.each_s = 0; atlas._batch.ask([22, 24])")
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser = page.context.new_cdp_session(page)
    browser.send("Emulation.setDeviceMetricsOverride", phone)
    browser.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
    assert page.evaluate("() => matchMedia('(pointer: coarse)').matches")
    notebook.scroll_to_cell("FeatureAtlas")
    panel = page.get_by_test_id("ember-atlas")
    expect(panel.get_by_test_id("start_labels")).to_be_visible(timeout=LIMIT_MS)
    for theme in ("Dark", "Light"):
        in_theme(page, theme)
        notebook.scroll_to_cell("FeatureAtlas")
        panel.get_by_test_id("start_labels").scroll_into_view_if_needed()
        panel.screenshot(path=screenshots / f"labels-narrow-{theme.lower()}.png")
    assert panel.evaluate("root => root.scrollWidth - root.clientWidth") <= 0
    small = """root => [...root.querySelectorAll('button, select, input, summary')]
      .filter(e => e.offsetParent && e.getBoundingClientRect().height < 40).map(e => e.textContent)"""
    assert panel.evaluate(small) == []
