"""The widget with the model that ships: from the first cell to a picture painted by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from tests.lab.browser import new_context
from tests.lab.notebook import Notebook
from tests.lab.server import LabServer
from tests.lab.view import PaintView

CELLS = [
    "import ember_widgets as ember\n\npainter = ember.Painter.embedded()",
    'before = painter.analyze("a meadow", seed=3)\nwidget = ember.PaintWidget(painter, before)\nwidget',
]


@pytest.fixture(scope="module")
def shared_view(browser: Browser, server: LabServer) -> Iterator[PaintView]:
    # Loading the model takes seconds, so these tests share a kernel and put the scene back before each.
    with new_context(browser) as context:
        name = server.write_notebook("embedded.ipynb", CELLS)
        notebook = Notebook(context.new_page(), server.address(name))
        notebook.run_all()
        yield PaintView(notebook)
    server.stop_kernel(name)


@pytest.fixture
def view(shared_view: PaintView) -> PaintView:
    shared_view.notebook.tell("widget.scene = before")
    shared_view.settle()
    return shared_view


def test_a_stroke_changes_the_picture_where_it_was_painted(view: PaintView, screenshots: Path) -> None:
    # What is strongest at the top is painted at the bottom, where it is news.
    top_heavy = view.notebook.ask("before.strengths[:8].sum((0, 1)).argmax().item()")
    painted = np.zeros((16, 16), bool)
    painted[10:13, 5:10] = True
    picture = view.picture()
    view.pick(top_heavy)
    view.use("paint", size=1)

    for row in (10, 11, 12):
        view.drag([(row, 5), (row, 9)])

    patches = "[(row, col) for row in range(10, 13) for col in range(5, 10)]"
    assert view.differences_from(f"before.paint({top_heavy}, {patches})") == []
    changes = view.patch_changes(picture)
    far = np.ones((16, 16), bool)
    far[8:15, 3:12] = False
    view.root.screenshot(path=screenshots / "embedded-painted.png")
    assert changes[painted].mean() > 8
    assert changes[painted].mean() > 5 * changes[far].mean()


def test_the_picture_shown_is_the_picture_that_the_painter_renders(view: PaintView) -> None:
    view.pick(0)
    view.use("paint", size=3)
    view.drag([(4, 4), (9, 9)])
    view.settle()

    rendered = np.array(
        view.notebook.ask("__import__('numpy').asarray(painter.render(widget.scene)).tolist()")
    )

    np.testing.assert_array_equal(view.picture(), rendered)


def test_undo_brings_back_the_very_same_picture(view: PaintView) -> None:
    picture = view.picture()
    view.pick(0)
    view.use("paint", size=4)
    view.drag([(7, 4), (7, 11)])
    view.settle()
    assert view.patch_changes(picture).max() > 8

    view.part("undo").click()

    assert view.differences_from("before") == []
    np.testing.assert_array_equal(view.picture(), picture)


def test_a_prompt_draws_another_scene(view: PaintView) -> None:
    picture = view.picture()

    view.part("prompt").fill("a lion")
    view.part("draw").click()
    expect(view.root).to_have_attribute("data-busy", "true")
    view.settle()

    assert view.notebook.ask("widget.scene.prompt") == "a lion"
    assert view.patch_changes(picture).mean() > 3


def test_after_a_reload_of_the_page_the_painted_picture_is_still_there(view: PaintView) -> None:
    view.pick(0)
    view.use("paint", size=2)
    view.drag([(9, 3), (9, 12)])
    view.settle()
    picture = view.picture()
    view.notebook.tell("painted = widget.scene")
    view.notebook.save()

    view.notebook.reload()

    assert view.differences_from("painted") == []
    np.testing.assert_array_equal(view.picture(), picture)
