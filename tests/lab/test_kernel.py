"""Browser and kernel together: changes from Python, new scenes, saved notebooks. See also test_faults."""

from __future__ import annotations

import nbformat
import numpy as np
from playwright.sync_api import expect

from tests.lab.server import LabServer
from tests.lab.view import PaintView


def test_a_change_from_python_shows_in_the_widget(view: PaintView) -> None:
    picture = view.picture()

    view.notebook.tell("widget.scene = before.paint('sky', [(7, 8)]).rename('lion', 'a cat')")
    expect(view.part("factor-2")).to_contain_text("a cat")
    view.settle()

    changes = view.patch_changes(picture)
    assert changes[7, 8] > 20
    assert np.count_nonzero(changes) == 1
    view.part("undo").click()
    assert view.differences_from("before") == []
    assert view.patch_changes(picture).max() == 0


def test_a_stroke_goes_on_from_what_python_changed(view: PaintView) -> None:
    view.notebook.tell("widget.scene = before.paint(0, [(7, 8)])")
    view.settle()
    view.pick(1)
    view.use("paint", size=1)

    view.drag([(8, 8)])

    assert view.differences_from("before.paint(0, [(7, 8)]).paint(1, [(8, 8)])") == []


def test_a_prompt_draws_a_new_scene(view: PaintView) -> None:
    picture = view.picture()

    view.part("prompt").fill("a lion at night")
    view.part("seed").fill("11")
    view.part("n-factors").fill("4")
    view.part("draw").click()
    expect(view.part("factor-4")).to_have_count(0)
    view.settle()

    assert view.notebook.ask("[widget.scene.prompt, widget.scene.seed]") == ["a lion at night", 11]
    assert view.differences_from("painter.analyze('a lion at night', seed=11, n_factors=4)") == []
    assert view.patch_changes(picture).max() > 20
    view.part("undo").click()
    assert view.differences_from("before") == []
    expect(view.part("prompt")).to_have_value("a meadow")


def test_a_saved_notebook_holds_the_picture_for_those_who_have_no_kernel(
    view: PaintView, server: LabServer
) -> None:
    view.notebook.save()

    saved = nbformat.read(server.notebooks / "test_kernel.ipynb", as_version=4)  # type: ignore[no-untyped-call]

    _, output = saved.cells[1].outputs  # see ember_widgets/widgets/shared/saved_picture.py
    assert output.data["image/png"].startswith("iVBOR")
