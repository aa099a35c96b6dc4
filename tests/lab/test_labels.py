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
from tests.unit.widgets.atlas.atlas_bench import Client, LabellingPainter, label, make_collection

folder = Path(tempfile.mkdtemp())
painter = LabellingPainter({11: "the server refused", 12: label("a wheel of a cart", 0.5, 0.6, "part")})
for feature in (8, 10):
    painter.label([feature])
painter.labels.set(7, "my cat")
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
    shot = lambda name: panel.screenshot(path=screenshots / f"labels-{name}.png")  # noqa: E731
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
    expect(card).to_contain_text("5 of 10 (95 % interval 24–76 %, chance 50 %)")
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
