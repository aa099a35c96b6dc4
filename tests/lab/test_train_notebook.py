"""The notebook about training in JupyterLab, with a short training: a new dictionary is painted with."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.lab.notebook import Notebook
from tests.lab.server import REPOSITORY, LabServer
from tests.lab.view import PaintView

NAME = "06_train.ipynb"
# What takes long, and what stands in its place here: 20 steps teach little, and show all the same.
SHORTER = {
    "n_patches = 400_000": "n_patches = 20_480",
    "prompts[:60]": "prompts[:6]",
    "n_pictures=8, n_features=8": "n_pictures=2, n_features=2",
}


def shortened(text: str) -> str:
    """The notebook with less of everything that takes long."""
    for part, shorter in SHORTER.items():
        assert text.count(part) == 1, part
        text = text.replace(part, shorter)
    return text


def test_a_dictionary_is_trained_and_painted_with(page: Page, server: LabServer, screenshots: Path) -> None:
    text = (REPOSITORY / "notebooks" / NAME).read_text("utf-8")
    (server.notebooks / NAME).write_text(shortened(text), "utf-8")
    notebook = Notebook(page, server.address(NAME))
    notebook.run_all()

    assert notebook.ask("[run.is_finished, run.history[-1].n_patches]") == [True, 20_480]
    assert notebook.ask("run.history[-1].fvu < run.history[0].fvu")
    assert notebook.ask("bool((ember.load_sae('my-sae').W_dec == mine.saes[run.sae.site].W_dec).all())")
    notebook.scroll_to_cell("painter.train_sae(")
    page.screenshot(path=screenshots / "06-training.png")
    notebook.scroll_to_cell("run.plot()")
    curve = page.locator(".jp-CodeCell", has_text="run.plot()").locator(".jp-OutputArea-output img")
    expect(curve).to_be_visible()
    page.screenshot(path=screenshots / "06-curve.png")

    notebook.scroll_to_cell("PaintWidget(mine")
    view = PaintView(notebook)
    view.settle()
    before, factor = view.picture(), notebook.ask("scene.n_factors - other.n_factors")
    assert notebook.ask("widget.scene == scene")
    view.pick(factor)
    view.use("paint", size=5)
    view.drag([(3, 3), (3, 12)])
    view.settle()
    page.screenshot(path=screenshots / "06-painted.png")
    assert notebook.ask(f"float(widget.scene.strengths[2:5, 4:12, {factor}].min())") > 0.9
    changes = view.patch_changes(before)
    assert changes[1:6, 3:13].mean() > 3 * changes[11:].mean() > 0
    assert notebook.ask("widget.last_error is None")
    server.stop_kernel(NAME)
