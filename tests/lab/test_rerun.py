"""A cell that is run again and again in a real JupyterLab, and what the kernel keeps of its widgets."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import expect

from tests.lab.conftest import OpenNotebook
from tests.lab.notebook import Notebook
from tests.lab.view import PaintView

N_RUNS = 10
LIMIT_S = 60.0

CELLS = [
    """import gc, threading, weakref
import ember_widgets as ember
from ember_widgets.widgets.shared import views
from tests.lab.fake_painter import FakePainter

views.REST_S = 0.5
painters = globals().get("painters", [])
run = globals().get("run", -1) + 1

def opens():
    painter = FakePainter(delay_ms=0)
    painters.append(weakref.ref(painter))
    return painter

def alive():
    gc.collect()
    return [i for i, painter in enumerate(painters) if painter() is not None]

def threads():
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("ember-"))

before = FakePainter().analyze("a meadow", seed=3, n_factors=5)""",
    """widget = ember.PaintWidget({painter}, before)
widget.scene = before.paint(0, [(7, run)])
widget.wait()
widget""",
]
FIRST = "Out[min(n for n, output in Out.items() if isinstance(output, ember.PaintWidget))]"


def soon(notebook: Notebook, expression: str, condition: Callable[[Any], bool]) -> None:
    end = time.monotonic() + LIMIT_S
    while not condition(found := notebook.ask(expression)):
        assert time.monotonic() < end, found
        time.sleep(0.2)


def run_often(open_notebook: OpenNotebook, painter: str) -> Notebook:
    """Run the cells several times; afterwards only the last widget has a painter, and no thread is left."""
    notebook = open_notebook([CELLS[0], CELLS[1].format(painter=painter)])
    for _ in range(N_RUNS - 1):
        notebook.run_all()
        PaintView(notebook).settle()
    soon(notebook, "alive()", lambda found: found == [N_RUNS - 1])
    soon(notebook, "threads()", lambda found: found == [])
    return notebook


def test_the_first_of_many_widgets_is_shown_again_and_painted_on(open_notebook: OpenNotebook) -> None:
    notebook = run_often(open_notebook, "opens")
    # A page that is loaded anew loads all widgets of the kernel: that alone wakes none.
    notebook.save()
    notebook.reload()
    view = PaintView(notebook)
    view.settle()
    assert view.differences_from(f"before.paint(0, [(7, {N_RUNS - 1})])") == []
    assert notebook.ask("alive()") == [N_RUNS - 1]

    notebook.add_and_run_cell(f"widget = {FIRST}\nwidget")
    view = PaintView(notebook, 1)
    view.settle()
    soon(notebook, "alive()", lambda found: found == [N_RUNS - 1, N_RUNS])
    picture = view.picture()
    view.pick(0)
    view.use("paint", size=1)
    view.drag([(9, 9)])
    assert view.differences_from("before.paint(0, [(7, 0)]).paint(0, [(9, 9)])") == []
    assert view.patch_changes(picture)[9, 9] > 20


def test_a_widget_whose_painter_is_gone_says_what_to_do(open_notebook: OpenNotebook) -> None:
    notebook = run_often(open_notebook, "opens()")
    notebook.add_and_run_cell(f"widget = {FIRST}\nwidget")
    view = PaintView(notebook, 1)
    expect(view.part("error")).to_contain_text("make a new widget with PaintWidget(painter, widget.scene)")
    notebook.add_and_run_cell("widget = ember.PaintWidget(opens(), widget.scene)\nwidget")
    view = PaintView(notebook, 2)
    view.settle()
    assert view.differences_from("before.paint(0, [(7, 0)])") == []
