"""The tutorials in JupyterLab: every cell runs, and every widget in them answers to the pointer."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.lab.inspector import InspectorView
from tests.lab.notebook import Notebook
from tests.lab.server import REPOSITORY, LabServer
from tests.lab.view import PaintView


@contextmanager
def tutorial(name: str, page: Page, server: LabServer) -> Iterator[Notebook]:
    """The notebook, run from top to bottom; a cell that complains is a failure."""
    shutil.copyfile(REPOSITORY / "notebooks" / name, server.notebooks / name)
    notebook = Notebook(page, server.address(name))
    notebook.run_all()
    yield notebook
    server.stop_kernel(name)


def inspect(notebook: Notebook, name: str) -> InspectorView:
    """The inspector called `name`, brought into view; in the kernel `inspector` is that one too."""
    notebook.scroll_to_cell(f"{name} = ember.PatchInspector")
    notebook.tell(f"inspector = {name}")
    view = InspectorView(notebook, within=f"{name} = ember.PatchInspector")
    view.settle()
    return view


def point_and_pick(view: InspectorView, row: int, col: int) -> None:
    """Hover over one patch, pin another, pick its strongest feature, and take a region's mean."""
    view.notebook.tell("inspector.patch = inspector.region = inspector.selected_feature = None")
    view.hover(row, col)
    assert view.ask("inspector.hovered") == [row, col]
    view.click(row, col + 1)
    view.says(f"Patch ({row}, {col + 1})")
    view.click_row(0)
    expect(view.card).to_be_visible()
    assert view.ask("inspector.selected_feature == inspector.features[0]")
    view.page.mouse.move(*view.point(2, 2))
    view.page.mouse.down()
    view.page.mouse.move(*view.point(4, 5), steps=4)
    view.page.mouse.up()
    view.says("12 patches")
    assert view.ask("inspector.last_error") is None


def paint(notebook: Notebook) -> None:
    """A stroke with the first factor, where it changes something."""
    notebook.scroll_to_cell("brush = ember.PaintWidget")
    notebook.tell("shown = brush.scene")
    view = PaintView(notebook)
    view.settle()
    view.pick(0)
    view.use("paint", size=3)
    view.drag([(13, 2), (13, 6)])
    view.settle()
    assert notebook.ask("bool((brush.scene.strengths != shown.strengths).any())")


def test_the_notebook_about_patches(page: Page, server: LabServer, screenshots: Path) -> None:
    with tutorial("02_inspect.ipynb", page, server) as notebook:
        view = inspect(notebook, "inspector")
        point_and_pick(view, 10, 6)
        page.screenshot(path=screenshots / "02-inspector.png")
        view = inspect(notebook, "downstream")
        page.screenshot(path=screenshots / "02-downstream.png")
        view.root.get_by_label("Step").select_option("1 of 2")
        view.settle()
        assert view.ask("[inspector.step, inspector.layer]") == [0, "change"]
        paint(notebook)
        page.screenshot(path=screenshots / "02-painted.png")
        view = inspect(notebook, "follower")
        assert view.ask("follower.scene == brush.scene")
        point_and_pick(view, 13, 4)
        view.button("Use as brush")
        expect(view.root.locator(".ember-said")).to_contain_text("is your brush now")
        page.screenshot(path=screenshots / "02-follower.png")
        assert view.ask("brush.scene.n_factors") == view.ask("shown.n_factors") + 1


def test_the_notebook_about_factors(page: Page, server: LabServer, screenshots: Path) -> None:
    with tutorial("03_factors.ipynb", page, server) as notebook:
        notebook.scroll_to_cell("take_apart")
        prompt = page.locator(".widget-interact input[type=text]")
        prompt.fill("a ship on the sea")
        prompt.press("Enter")
        notebook.tell("assert controls.kwargs['prompt'] == 'a ship on the sea'")
        expect(page.locator(".widget-interact .jp-OutputArea-output img")).to_be_visible()
        page.screenshot(path=screenshots / "03-controls.png")
        paint(notebook)
        page.screenshot(path=screenshots / "03-painted.png")
        view = inspect(notebook, "inspector")
        assert view.ask("[inspector.layer, inspector.scene == brush.scene]") == ["factors", True]
        point_and_pick(view, 13, 3)
        page.screenshot(path=screenshots / "03-inspector.png")
