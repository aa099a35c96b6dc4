"""The first notebook in JupyterLab, as `make demo` opens it: every cell runs, and then it is painted in."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, expect

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
    # Nothing is chosen: what is picked is a thing, and the brush is as large as it.
    expect(view.part("factor-2")).to_have_attribute("aria-pressed", "true")
    expect(view.part("tip")).to_have_text("Click or drag to paint pine · arrow keys, Space")

    view.drag([(12, 4)])
    view.settle()

    expect(view.part("tip")).to_have_count(0)
    page.mouse.move(0, 0)
    page.screenshot(path=screenshots / "first-notebook.png")
    assert view.notebook.ask("[widget.selected_factor, widget.scene.names[2]]") == [2, "pine"]
    assert view.notebook.ask("bool((widget.scene.strengths != shown.strengths).any())")
    assert np.mean(view.patch_changes(picture)[10:14, 2:6]) > 20
    # What comes is a tree like the one that is there, and sun and sky stay as they were.
    assert np.mean(view.patch_changes(picture)[:7]) < 2
    before, after = (
        (shown[..., 1] > shown[..., [0, 2]].max(axis=-1) + 40).sum() for shown in (picture, view.picture())
    )
    assert after > 1.7 * before
    server.stop_kernel(NAME)
