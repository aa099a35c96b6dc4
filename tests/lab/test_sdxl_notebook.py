"""The notebook about SDXL-Turbo in JupyterLab, without GPU and weights: it says so and goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import Page

from tests.lab.notebook import Notebook
from tests.lab.server import REPOSITORY, LabServer
from tests.lab.view import PaintView

NAME = "05_sdxl_turbo.ipynb"


def test_the_notebook_guards_itself_and_goes_on_with_the_embedded_model(
    page: Page, server: LabServer, screenshots: Path
) -> None:
    shutil.copyfile(REPOSITORY / "notebooks" / NAME, server.notebooks / NAME)
    notebook = Notebook(page, server.address(NAME))
    notebook.run_all()

    assert notebook.ask("real") is False
    assert notebook.ask("bool(why_not)")
    assert notebook.ask("list(mine.image.shape)") == [4, 64, 64]
    page.screenshot(path=screenshots / "sdxl-notebook-top.png")
    notebook.scroll_to_cell("PaintWidget(")
    view = PaintView(notebook)
    view.settle()
    page.screenshot(path=screenshots / "sdxl-notebook-widget.png")
    notebook.scroll_to_cell("photograph =")
    page.screenshot(path=screenshots / "sdxl-notebook-photograph.png")
    notebook.scroll_to_cell("save_sae")
    page.screenshot(path=screenshots / "sdxl-notebook-end.png")
    server.stop_kernel(NAME)
