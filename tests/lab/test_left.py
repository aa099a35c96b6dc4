"""Tool, brush, picked factor and open drawer are as the user left them."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.lab.conftest import FAKE_CELLS, OpenNotebook
from tests.lab.notebook import Notebook
from tests.lab.view import PaintView


def leave(view: PaintView) -> None:
    view.use("gain", size=5)
    view.part("brush-gain").fill("1.5")
    view.pick(3)
    view.part("more-1").click()
    expect(view.part("drawer")).to_be_visible()
    view.settle()


def check(notebook: Notebook) -> PaintView:
    view = PaintView(notebook)
    view.settle()
    expect(view.part("tool-gain")).to_have_attribute("aria-pressed", "true")
    expect(view.part("brush-size")).to_have_value("5")
    expect(view.part("brush-gain")).to_have_value("1.5")
    expect(view.part("factor-3")).to_have_attribute("aria-pressed", "true")
    expect(view.part("more-1")).to_have_attribute("aria-expanded", "true")
    assert notebook.ask("widget.selected_factor") == 3
    return view


def test_they_survive_a_reload_of_the_page_and_another_run_of_the_cell(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(FAKE_CELLS)
    view = PaintView(notebook)
    view.settle()
    leave(view)
    notebook.save()
    notebook.reload()
    check(notebook)
    notebook.tell("old = widget")
    notebook.run_all()
    check(notebook)
    assert notebook.ask("widget is not old")
    # Another scene may have other factors: what has no namesake is as in any new widget.
    notebook.add_and_run_cell("other = ember.PaintWidget(painter, before)\nother")
    other = PaintView(notebook, 1)
    other.settle()
    expect(other.part("tool-paint")).to_have_attribute("aria-pressed", "true")
    expect(other.part("drawer")).to_have_count(0)
