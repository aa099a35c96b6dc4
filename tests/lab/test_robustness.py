"""The edit on other seeds, with the model that ships: one click after a stroke, by mouse and by keyboard."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.lab.browser import new_context
from tests.lab.notebook import Notebook
from tests.lab.server import LabServer
from tests.lab.view import PaintView

CELLS = [
    "import ember_widgets as ember\n\npainter = ember.Painter.embedded()",
    """before = painter.analyze("a lion in a meadow", seed=3)
before = before.borrow(painter.analyze("a castle on a hill", seed=3), "castle")
widget = ember.PaintWidget(painter, before)
widget""",
]
CASTLE = 3
SLOW_MS = 60_000


@pytest.fixture(scope="module")
def shared_view(browser: Browser, server: LabServer) -> Iterator[PaintView]:
    with new_context(browser) as context:
        name = server.write_notebook("robustness.ipynb", CELLS)
        notebook = Notebook(context.new_page(), server.address(name))
        notebook.run_all()
        yield PaintView(notebook)
    server.stop_kernel(name)


@pytest.fixture
def view(shared_view: PaintView) -> PaintView:
    shared_view.notebook.tell("widget.scene = before")
    shared_view.settle()
    shared_view.pick(CASTLE)
    shared_view.use("paint", size=3)
    return shared_view


def paint(view: PaintView) -> None:
    view.drag([(10, 7), (10, 9), (12, 9), (12, 7)])
    view.settle()


def test_one_click_after_a_stroke_tries_it_on_eight_seeds(view: PaintView) -> None:
    paint(view)
    view.part("robustness").click()
    trial = view.part("trial")
    expect(trial).to_be_in_viewport()
    expect(trial).to_have_attribute("data-state", "done", timeout=SLOW_MS)
    expect(trial.locator("img")).to_have_count(1 + 2 * 8)
    result = view.notebook.ask("(r := painter.robustness(widget.scene)).summary")
    said, meaning = result.split("\n")
    assert said.startswith("Changed in 8 of 8 seeds. The edited patches changed ")
    expect(view.part("trial-text")).to_have_text(said)
    expect(trial).to_contain_text(meaning)
    assert view.root.evaluate("root => root.scrollWidth - root.clientWidth") == 0
    assert view.cut_off() == []

    view.part("trial-6").click()
    view.settle()
    assert view.notebook.ask("widget.scene == r.scenes[2]")
    expect(trial).to_have_attribute("data-state", "done")  # it is the same edit
    view.part("undo").click()
    view.settle()
    expect(trial).to_have_attribute("data-state", "outdated")
    expect(view.part("trial-text")).to_contain_text("The painting has changed since.")
    view.part("trial-again").click()
    expect(trial).to_have_attribute("data-state", "done", timeout=SLOW_MS)
    view.part("trial-close").click()
    expect(trial).to_have_count(0)


def test_a_stroke_meanwhile_is_drawn_at_once_and_ends_it(view: PaintView) -> None:
    paint(view)
    view.part("robustness").click()
    expect(view.part("trial").locator("li button").first).to_be_visible(timeout=SLOW_MS)
    view.drag([(3, 3), (3, 5)])
    view.settle()
    expect(view.part("trial")).to_have_attribute("data-state", "outdated")
    n_seeds = view.part("trial").locator("li button").count()
    assert n_seeds < 8
    view.page.wait_for_timeout(2000)
    assert view.part("trial").locator("li button").count() == n_seeds
    view.part("trial-close").click()


def test_it_needs_only_the_keyboard(view: PaintView) -> None:
    view.part("grid").focus()
    for key in ("Space", "ArrowDown", "Space"):
        view.page.keyboard.press(key)
    view.settle()
    button = view.part("robustness")
    button.focus()
    view.page.keyboard.press("Enter")
    expect(view.part("trial")).to_have_attribute("data-state", "done", timeout=SLOW_MS)
    view.page.keyboard.press("Tab")
    view.part("trial-5").focus()
    view.page.keyboard.press("Enter")
    view.settle()
    assert view.notebook.ask("widget.scene.seed") == 5
    assert "edit_only=True" in view.notebook.ask("widget.to_python()")
    view.page.keyboard.press("Escape")
    expect(view.part("trial")).to_have_count(0)
    # A step of the film could be deleted right above.
    expect(button).to_be_focused()
    view.part("seeds").focus()
    view.page.keyboard.press("Enter")
    view.root.locator(".e-seeds button").first.focus()
    view.page.keyboard.press("Escape")
    expect(view.root.locator(".e-seeds")).to_have_count(0)
    expect(view.part("seeds")).to_be_focused()


def test_a_picture_without_an_edit_says_that_there_is_none(view: PaintView) -> None:
    view.part("robustness").click()
    expect(view.part("trial-text")).to_contain_text("Nothing is painted in this scene")
    view.part("trial-close").click()
