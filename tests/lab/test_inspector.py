"""PatchInspector in JupyterLab: what the pointer does arrives in Python, and what Python does is seen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from tests.lab.browser import new_context
from tests.lab.inspector import CELLS, InspectorView
from tests.lab.notebook import Notebook
from tests.lab.server import LabServer
from tests.lab.test_screenshots import CONTRAST


@pytest.fixture(scope="module")
def notebook(browser: Browser, server: LabServer) -> Iterator[Notebook]:
    name = server.write_notebook("inspector.ipynb", CELLS)
    with new_context(browser) as context:
        yield Notebook(context.new_page(), server.address(name))
    server.stop_kernel(name)


@pytest.fixture
def view(notebook: Notebook) -> InspectorView:
    """A new inspector of a new scene; page and kernel are shared within the module."""
    notebook.page.mouse.move(0, 0)
    notebook.run_all()
    view = InspectorView(notebook)
    view.settle()
    return view


LAYERS = ("picture", "count", "strongest", "factors", "unexplained_by_factors", "similarity", "feature")


def patch_changes(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Mean absolute change per patch, (16, 16)."""
    change = np.abs(after[..., :3].astype(float) - before[..., :3]).mean(-1)
    means: np.ndarray = change.reshape(16, 32, 16, 32).mean((1, 3))
    return means


def test_pointing_at_a_patch_shows_its_features(view: InspectorView) -> None:
    picture = view.pixels()

    view.hover(4, 9)
    view.settle()

    assert view.ask("inspector.hovered") == [4, 9]
    features = view.ask("[int(f) for f in inspector.inspection.codes[4, 9].argsort()[::-1][:3]]")
    assert view.ask("list(inspector.features)") == features
    numbers = [int(n) for n in re.findall(r"#(\d+)", view.text())]
    assert numbers == features
    changes = patch_changes(picture, view.pixels())
    assert changes[4, 9] > 5
    assert np.delete(changes.ravel(), 4 * 16 + 9).max() == 0
    view.page.mouse.move(*view.point(4, -2))
    view.says("No patch yet")
    assert view.ask("inspector.hovered") is None


def test_clicks_pin_compare_and_pick_a_feature(view: InspectorView) -> None:
    view.click(3, 5)
    view.hover_free(10, 10)
    view.says("Patch (3, 5)")
    assert view.ask("inspector.patch") == [3, 5]

    view.page.keyboard.down("Shift")
    expect(view.root.get_by_role("button", name="Compare")).to_have_class(re.compile("mod-active"))
    view.click(8, 8)
    view.page.keyboard.up("Shift")
    view.says("Patch (3, 5) against (8, 8)")
    assert view.ask("[inspector.patch, inspector.compared]") == [[3, 5], [8, 8]]

    picture = view.pixels()
    view.click_row(0)
    expect(view.card).to_be_visible()
    view.settle()
    feature = view.ask("inspector.selected_feature")
    assert feature == view.ask("inspector.features[0]")
    assert view.ask("inspector.layer") == "feature"
    on = np.array(view.ask(f"(inspector.inspection.codes[..., {feature}] > 0).tolist()"))
    changes = patch_changes(picture, view.pixels())
    assert changes[on].mean() > changes[~on].mean()

    view.button("Use as brush")
    expect(view.root.locator(".ember-said")).to_contain_text("is your brush now")
    assert view.ask("list(brush.scene.weights(brush.scene.n_factors - 1))") == [feature]
    view.button("Close")
    expect(view.card).to_be_hidden()
    assert view.ask("[inspector.selected_feature, inspector.layer]") == [None, "picture"]


def test_dragging_takes_a_regions_mean(view: InspectorView) -> None:
    view.page.mouse.move(*view.point(3, 4))
    view.page.mouse.down()
    view.page.mouse.move(*view.point(6, 9), steps=6)
    view.page.mouse.up()

    view.says("24 patches")
    assert view.ask("inspector.region") == [3, 4, 6, 9]
    assert view.ask("inspector.patch") is None


@pytest.mark.parametrize(
    "name",
    ["Feature count", "Strongest", "Factors", "Missed by SAE", "Missed by factors", "Similar"],
)
def test_every_layer_is_a_button_and_changes_the_picture(view: InspectorView, name: str) -> None:
    view.click(3, 5)
    view.page.mouse.move(0, 0)
    view.settle()
    picture = view.pixels()

    view.button(name)
    view.settle()

    assert (patch_changes(picture, view.pixels()) > 5).mean() > 0.8
    assert view.ask("inspector.layer") != "picture"
    assert view.ask("inspector.last_error") is None
    view.button("Picture")
    view.settle()
    np.testing.assert_array_equal(view.pixels(), picture)


def test_keys_move_pin_and_leave(view: InspectorView) -> None:
    view.click(3, 5)
    view.page.keyboard.press("Escape")
    view.page.keyboard.press("ArrowDown")
    view.page.keyboard.press("ArrowRight")
    view.page.keyboard.press("Enter")
    view.says("Patch (4, 6)")
    assert view.ask("inspector.patch") == [4, 6]
    view.page.keyboard.press("1")
    expect(view.card).to_be_visible()
    rows = view.root.locator("canvas.ember-clickable")
    view.page.keyboard.press("Tab")
    expect(rows).to_be_focused()
    view.page.keyboard.press("Shift+Tab")
    expect(view.canvas).to_be_focused()
    view.page.keyboard.press("Shift+Tab")
    expect(view.root.locator(".widget-toggle-buttons button").last).to_be_focused()
    for _ in range(3):
        view.page.keyboard.press("Tab")
    view.page.keyboard.type("lion")
    view.page.keyboard.press("Enter")
    expect(view.card).to_contain_text("lion")
    assert view.ask("inspector.selected_feature") == 1


def test_its_canvases_have_names_and_the_browsers_keys_are_the_browsers(view: InspectorView) -> None:
    expect(view.root.get_by_role("application", name="Picture")).to_have_count(1)
    expect(view.root.get_by_role("application", name="Features of the patch")).to_have_count(1)
    view.click(3, 5)
    view.page.keyboard.press("Control+ArrowDown")
    view.page.keyboard.press("ArrowRight")
    view.page.keyboard.press("Enter")
    view.says("Patch (3, 6)")


def test_a_finger_scrolls_over_the_list_and_taps_a_feature(browser: Browser, server: LabServer) -> None:
    name = server.write_notebook("finger.ipynb", [*CELLS, *["'room below'"] * 9])
    with browser.new_context(viewport={"width": 390, "height": 640}, has_touch=True) as context:
        notebook = Notebook(context.new_page(), server.address(name))
        notebook.page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
        notebook.run_all()
        view = InspectorView(notebook)
        view.click(3, 5)
        view.says("Patch (3, 5)")
        rows = view.root.locator("canvas.ember-clickable")

        def first_row() -> tuple[float, float]:
            box = rows.bounding_box()
            assert box is not None
            return box["x"] + 60, box["y"] + 16

        rows.scroll_into_view_if_needed()
        x, y = first_row()
        session = context.new_cdp_session(notebook.page)
        for kind, moved in (("touchStart", 0), *(("touchMove", by) for by in range(10, 100, 10))):
            points = [{"x": x, "y": y - moved}]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
            notebook.page.wait_for_timeout(30)
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        assert first_row()[1] < y - 40
        view.settle()
        assert view.ask("inspector.selected_feature") is None
        notebook.page.touchscreen.tap(*first_row())
        expect(view.card).to_be_visible()
    server.stop_kernel(name)


def test_what_python_sets_is_seen_an_edit_and_a_later_step_too(view: InspectorView) -> None:
    view.notebook.tell("inspector.patch = (5, 5)\ninspector.scene = scene.scale(0, 4)")
    view.says("Patch (5, 5)")
    expect(view.list).to_contain_text("unedited")
    view.button("Changed")
    view.root.get_by_label("Step").select_option("2 of 2")
    view.settle()
    assert view.ask("[inspector.layer, inspector.step]") == ["change", 1]


def test_a_page_loaded_anew_shows_the_same_at_the_same_size(view: InspectorView) -> None:
    view.click(3, 5)
    view.button("Factors")
    view.page.mouse.move(0, 0)
    view.settle()
    picture, text, box = view.pixels(), view.text(), view.canvas.bounding_box()
    view.notebook.save()

    view.notebook.reload()
    again = InspectorView(view.notebook)
    again.says("Patch (3, 5)")
    again.page.wait_for_function(
        "canvas => canvas.getContext('2d').getImageData(256, 256, 1, 1).data[3] === 255",
        arg=again.canvas.element_handle(),
    )
    again.settle()

    np.testing.assert_array_equal(again.pixels(), picture)
    assert again.text() == text
    again_box = again.canvas.bounding_box()
    assert box is not None
    assert again_box is not None
    assert (box["width"], box["height"]) == (again_box["width"], again_box["height"]) == (400, 400)


def test_it_is_legible_in_both_themes_and_fits(
    browser: Browser, server: LabServer, screenshots: Path
) -> None:
    cells = [
        "import ember_widgets as ember\npainter = ember.Painter.embedded()",
        """scene = painter.analyze("a cat and a sun in the snow by night", seed=38)
brush = ember.PaintWidget(painter, scene)
inspector = ember.PatchInspector(painter, scene, brush=brush)
inspector""",
    ]
    with new_context(browser) as context:
        name = server.write_notebook("legible.ipynb", cells)
        notebook = Notebook(context.new_page(), server.address(name))
        notebook.run_all()
        view = InspectorView(notebook)
        view.settle()
        view.root.screenshot(path=screenshots / "inspector-light-new.png")
        row, col = view.ask(
            "[int(i) for i in __import__('numpy').argwhere("
            "inspector.inspection.counts == inspector.inspection.counts.max())[0]]"
        )
        view.click(row, col)
        view.says(f"Patch ({row}, {col})")
        view.click_row(0)
        expect(view.rows.locator("img")).to_have_count(min(10, view.rows.count()), timeout=60_000)
        view.page.mouse.move(0, 0)
        for theme in ("light", "dark"):
            view.page.emulate_media(color_scheme=theme)
            view.page.evaluate(
                "name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})",
                f"JupyterLab {theme.title()}",
            )
            expect(view.page.locator("body")).to_have_attribute(
                "data-jp-theme-light", "true" if theme == "light" else "false"
            )
            for layer in (
                "picture",
                "count",
                "strongest",
                "factors",
                "unexplained_by_factors",
                "similarity",
                "feature",
            ):
                view.notebook.tell(f"inspector.layer = {layer!r}")
                view.settle()
                view.root.screenshot(path=screenshots / f"inspector-{theme}-{layer}.png")
            contrasts = [(t, c) for t, c in view.root.evaluate(CONTRAST) if not t.startswith(".ember")]
            assert len(contrasts) > 15
            assert [(text, contrast) for text, contrast in contrasts if contrast < 3] == []
            assert view.root.evaluate("root => root.scrollWidth - root.clientWidth") <= 0
        view.notebook.tell("inspector.scene = scene.erase('left')\ninspector.layer = 'change'")
        view.settle()
        view.page.screenshot(path=screenshots / "inspector-dark-edited.png")
        server.stop_kernel(name)
