"""The first notebook in JupyterLab, as `make demo` opens it: every cell runs, and then it is painted in."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from playwright.sync_api import Page

from tests.lab.notebook import Notebook
from tests.lab.server import REPOSITORY, LabServer
from tests.lab.view import PaintView

NAME = "01_paint.ipynb"


def test_the_first_notebook_runs_and_its_widget_is_painted_in(
    page: Page, server: LabServer, screenshots: Path
) -> None:
    shutil.copyfile(REPOSITORY / "notebooks" / NAME, server.notebooks / NAME)
    notebook = Notebook(page, server.address(NAME))
    notebook.run_all()
    notebook.scroll_to_cell("PaintWidget(")
    view = PaintView(notebook)
    view.settle()
    picture = view.picture()
    notebook.tell("shown = widget.scene")
    view.pick(0)
    view.use("paint", size=3)

    view.drag([(4, 4), (4, 11)])
    view.settle()

    page.screenshot(path=screenshots / "first-notebook.png")
    assert view.notebook.ask("bool((widget.scene.strengths != shown.strengths).any())")
    assert np.mean(view.patch_changes(picture)[3:6, 4:12]) > 5
    server.stop_kernel(NAME)
