"""A widget is seen before its painter is there, and goes on with it."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.lab.conftest import OpenNotebook
from tests.lab.view import PaintView

CELLS = [
    """import threading

import ember_widgets as ember
from tests.lab.fake_painter import FakePainter

may_open, fault = threading.Event(), []


def open_painter():
    may_open.wait(60)
    if fault:
        raise fault.pop()
    return FakePainter()


widget = ember.PaintWidget(open_painter, prompt="a meadow", seed=3)
widget""",
]


def test_a_widget_waits_for_its_painter(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(CELLS)
    view = PaintView(notebook)
    expect(view.root).to_be_visible()
    expect(view.root).to_contain_text("Waiting for the picture")
    expect(view.part("status")).to_have_text("Opening the model")
    expect(view.part("draw")).to_be_disabled()
    notebook.tell("fault.append(OSError('no such model')); may_open.set()")
    expect(view.part("error")).to_contain_text("OSError: no such model")
    view.part("retry").click()
    expect(view.part("factor-4")).to_be_visible()
    expect(view.part("error")).to_have_count(0)
    view.settle()
    view.use("paint", size=1)
    view.drag([(0, 0)])
    view.settle()
    assert notebook.ask("widget.scene.strengths[0, 0, 0].item()") == 1
    assert notebook.ask("widget.scene.seed") == 3
