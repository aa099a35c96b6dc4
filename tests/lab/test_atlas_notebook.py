"""The atlas in JupyterLab, in its own notebook: searched, selected in by pointer, and painted from."""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.lab.notebook import Notebook
from tests.lab.server import REPOSITORY, LabServer
from tests.lab.view import PaintView

NAME = "04_atlas.ipynb"
SOON_MS = 60_000


def test_the_atlas_is_searched_selected_in_and_painted_from(
    page: Page, server: LabServer, screenshots: Path
) -> None:
    shutil.copyfile(REPOSITORY / "notebooks" / NAME, server.notebooks / NAME)
    page.set_viewport_size({"width": 1440, "height": 1100})
    notebook = Notebook(page, server.address(NAME))
    notebook.run_all()
    notebook.scroll_to_cell("FeatureAtlas(painter")
    panel = page.get_by_test_id("ember-atlas")
    expect(panel.get_by_test_id("title")).to_contain_text("features selected", timeout=SOON_MS)
    cats = notebook.ask("painter.labels.search('cat')")
    assert notebook.ask("list(atlas.selected)") == cats
    assert panel.get_by_test_id("title").inner_text() == f"{len(cats)} features selected"
    # The map shows all of them, and so it has not moved: there are others around them.
    page.wait_for_timeout(1500)
    assert notebook.ask("atlas._scatter.in_view(np.flatnonzero(atlas._passing))") == notebook.ask(
        "int(atlas._passing.sum())"
    )
    page.screenshot(path=screenshots / "atlas-light.png")

    # Search, by keyboard
    panel.get_by_test_id("search").fill("castle")
    expect(panel.get_by_test_id("title")).to_have_text("1 found", timeout=SOON_MS)
    castle = notebook.ask("painter.labels.search('castle')[0]")
    assert notebook.ask("list(atlas.selected)") == [castle]
    panel.get_by_test_id("search").fill("no such thing")
    expect(panel.get_by_test_id("title")).to_have_text("Nothing found", timeout=SOON_MS)
    assert notebook.ask("list(atlas.selected)") == []
    panel.get_by_test_id("search").fill("")
    expect(panel.get_by_test_id("title")).to_contain_text("All", timeout=SOON_MS)

    # Select in the map, by pointer
    page.get_by_title("Reset View").click()
    page.get_by_title("Activate lasso selection").click()
    canvas = page.locator(".jp-OutputArea canvas").first
    box = canvas.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 180, y - 180)
    page.mouse.down()
    for dx, dy in ((180, -180), (180, 180), (-180, 180), (-180, -120)):  # not back: a click
        page.mouse.move(x + dx, y + dy, steps=12)
    page.mouse.up()
    expect(panel.get_by_test_id("clear")).to_be_visible(timeout=SOON_MS)
    selected = notebook.ask("list(atlas.selected)")
    assert 1 < len(selected) < notebook.ask("int((~atlas._all.dead).sum())")
    inside = notebook.ask(
        "[bool((abs(atlas.map.positions[f]) < 0.95).all() and atlas._passing[f]) for f in atlas.selected]"
    )
    assert all(inside)
    page.get_by_title("Activate pan & zoom").click()
    page.screenshot(path=screenshots / "atlas-lasso.png")
    panel.get_by_test_id("clear").click()
    expect(panel.get_by_test_id("title")).to_contain_text("All", timeout=SOON_MS)
    assert notebook.ask("list(atlas.selected)") == []

    # Filters and colours
    panel.get_by_test_id("filter-labelled").click()
    expect(panel.get_by_test_id("filter-labelled")).to_have_attribute("aria-pressed", "true")
    panel.get_by_test_id("color-by").select_option("source")
    expect(panel.get_by_test_id("legend")).to_contain_text("precision and recall", timeout=SOON_MS)
    assert notebook.ask("sorted(t['feature'] for t in atlas._panel.tiles)") == notebook.ask(
        "sorted(f for f in painter.labels if not atlas._all.dead[f])"
    )

    # One feature: its card, its own label, its relatives, its brush
    notebook.ask("atlas.select([])")
    panel.get_by_test_id(f"tile-{castle}").click()
    card = panel.get_by_test_id("card")
    expect(card).to_contain_text(f"#{castle}", timeout=SOON_MS)
    expect(card.get_by_test_id("pictures").locator("img").first).to_be_visible()
    card.get_by_test_id("label").fill("a <b>fort</b>")
    card.get_by_test_id("label").press("Enter")
    expect(panel.get_by_test_id(f"tile-{castle}")).to_contain_text("a <b>fort</b>", timeout=SOON_MS)
    assert notebook.ask(f"painter.labels.entry({castle}).source") == "you"
    page.screenshot(path=screenshots / "atlas-card.png")
    before = notebook.ask("widget.scene.n_factors")
    card.get_by_test_id("brush").click()
    expect(panel.get_by_test_id("notice")).to_contain_text("is your brush now", timeout=SOON_MS)
    assert notebook.ask(
        f"[widget.scene.n_factors, widget.scene.weights(widget.scene.n_factors - 1)[{castle}]]"
    ) == [before + 1, 1.0]
    card.get_by_test_id("like").click()
    expect(panel.get_by_test_id("search")).to_have_value(f"like {castle}", timeout=SOON_MS)
    assert notebook.ask("atlas.selected[0]") == castle
    assert notebook.ask("atlas.last_error is None")

    # And it is painted with
    notebook.scroll_to_cell("atlas.brush(")
    view = PaintView(notebook)
    view.settle()
    view.pick(before)
    view.use("paint", size=5)
    view.drag([(4, 4), (4, 6)])
    view.settle()
    assert notebook.ask(f"float(widget.scene.strengths[3:6, 4:7, {before}].min())") > 0.9
    page.screenshot(path=screenshots / "atlas-painted.png")

    # A page that is loaded again shows the same
    notebook.save()
    notebook.reload()
    notebook.scroll_to_cell("FeatureAtlas(painter")
    expect(panel.get_by_test_id("search")).to_have_value(f"like {castle}", timeout=SOON_MS)
    expect(panel.get_by_test_id("card")).to_contain_text(f"#{castle}")
    server.stop_kernel(NAME)
