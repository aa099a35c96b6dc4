"""Copy and paste between two widgets of a notebook: by mouse, and by keyboard alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.lab.browser import new_context
from tests.lab.notebook import Notebook
from tests.lab.server import LabServer
from tests.lab.view import PaintView

CELLS = [
    """import ember_widgets as ember
from tests.lab.fake_painter import FakePainter

painter = FakePainter()
before, other = painter.analyze("a meadow", seed=3), painter.analyze("a field", seed=4)
other = other.erase("everything").remove(0)

def at(scene, patches):
    return scene.strengths[tuple(zip(*patches))]""",
    "widget = ember.PaintWidget(painter, before)\nwidget",
    "target = ember.PaintWidget(painter, other)\ntarget",
]
# Where the fake painter's first factor lies at seed 3.
FIRST_FACTOR = (12, 5)
PATCHES = "[(r, c) for r in (12, 13) for c in (4, 5, 6)]"
CELL_TEXTS = """() => window.jupyterapp.shell.currentWidget.content.widgets.map(
  cell => cell.model.sharedModel.getSource())"""


@pytest.fixture(scope="module")
def shared_notebook(browser: Browser, server: LabServer) -> Iterator[Notebook]:
    with new_context(browser) as context:
        name = server.write_notebook("clipboard.ipynb", CELLS)
        yield Notebook(context.new_page(), server.address(name))
    server.stop_kernel(name)


@pytest.fixture
def views(shared_notebook: Notebook) -> tuple[PaintView, PaintView]:
    shared_notebook.run_all()
    views = PaintView(shared_notebook, 0), PaintView(shared_notebook, 1)
    for view in views:
        view.root.scroll_into_view_if_needed()
        view.settle()
    return views


def says(view: PaintView, text: str) -> None:
    expect(view.part("notice")).to_contain_text(text)


def pasted(view: PaintView, wanted: str) -> bool:
    view.settle()
    found = view.notebook.ask(f"target.scene == {wanted}")
    return bool(found)


def test_a_selection_is_copied_and_pasted_by_mouse_and_then_moved(views: tuple[PaintView, PaintView]) -> None:
    source, target = views
    row, col = FIRST_FACTOR
    source.use("rect")
    source.drag([(row, col - 1), (row + 1, col + 1)])
    source.part("copy-patches").click()
    says(source, "Copied 6 patches of ")

    target.use("rect")
    target.part("paste-patches").click()

    says(target, "Pasted 6 patches of ")
    wanted = f"other.apply(before.copy_patches({PATCHES}))"
    assert pasted(target, wanted)
    expect(target.part("deselect")).to_be_visible()
    expect(target.part("tool-move")).to_have_attribute("aria-pressed", "true")

    target.drag([(row, col), (row - 5, col + 2)])  # what was under it is there again
    target.settle()
    there = "[(r, c) for r in (7, 8) for c in (6, 7, 8)]"
    moved = f"(at(target.scene, {there}) == at({wanted}, {PATCHES})).all().item()"
    assert target.notebook.ask(moved)
    assert target.notebook.ask(f"abs(at(target.scene, {PATCHES})).max().item()") == 0
    target.part("undo").click()
    assert pasted(target, wanted)
    target.part("undo").click()
    assert pasted(target, "other")


def test_a_selection_is_copied_and_pasted_by_keyboard_alone(views: tuple[PaintView, PaintView]) -> None:
    source, target = views
    press = source.page.keyboard.press
    cells = source.page.evaluate(CELL_TEXTS)
    source.part("grid").focus()
    press("r")
    for key in ("Space", "ArrowRight", "ArrowDown", "Space"):  # from the middle: rows 8 to 9, columns 7 to 8
        press(key)
    press("Control+c")
    says(source, "Copied 4 patches")

    target.part("grid").focus()
    press("Control+v")

    says(target, "Pasted 4 patches")
    patches = "[(r, c) for r in (8, 9) for c in (7, 8)]"
    assert pasted(target, f"other.apply(before.copy_patches({patches}))")
    for key in ("Space", "ArrowUp", "ArrowUp", "Space"):
        press(key)
    target.settle()
    assert target.notebook.ask(f"abs(at(target.scene, {patches})).max().item()") == 0
    press("Control+z")
    press("Control+z")
    assert pasted(target, "other")
    assert source.page.evaluate(CELL_TEXTS) == cells


def test_in_the_same_picture_the_paste_lies_beside_and_says_so_on_the_picture(
    views: tuple[PaintView, PaintView],
) -> None:
    source, _ = views
    row, col = FIRST_FACTOR
    source.use("rect")
    source.drag([(row, col - 1), (row + 1, col + 1)])
    source.page.keyboard.press("Control+c")
    expect(source.part("said")).to_contain_text("Copied 6 patches of ")
    source.page.keyboard.press("Control+v")
    said = source.part("said")
    expect(said).to_contain_text("Drag it.")
    assert source.part("grid").bounding_box() is not None
    source.settle()
    there = "[(r, c) for r in (12, 13) for c in (7, 8, 9)]"
    same = f"(at(widget.scene, {there}) == at(before, {PATCHES})).all().item()"
    assert source.notebook.ask(same)
    assert source.notebook.ask(f"(at(widget.scene, {PATCHES}) == at(before, {PATCHES})).all().item()")
    assert source.cut_off() == []
    source.drag([(row, col + 3), (row - 5, col + 3)])
    expect(said).to_be_empty()


def test_without_a_selection_all_edits_are_copied(views: tuple[PaintView, PaintView]) -> None:
    source, target = views
    source.part("grid").focus()
    source.page.keyboard.press("Control+c")
    says(source, "there is nothing to copy")
    source.pick(1)
    source.use("paint", size=1)
    source.drag([(3, 3), (3, 6)])
    source.settle()
    source.page.keyboard.press("Control+c")
    says(source, "Copied this painting's edits (paints ")

    target.part("grid").focus()
    target.page.keyboard.press("Control+v")

    says(target, "Pasted this painting's edits")
    assert pasted(target, "other.apply(widget.scene - widget.scene.original())")


def test_a_notice_has_its_button_beside_its_text(views: tuple[PaintView, PaintView]) -> None:
    source, _ = views
    source.use("rect")
    source.drag([(3, 3), (4, 4)])
    source.part("copy-patches").click()
    says(source, "Copied 4 patches")
    text = source.part("notice").locator("p").bounding_box()
    button = source.part("notice-close").bounding_box()
    assert text is not None
    assert button is not None
    assert button["x"] >= text["x"] + text["width"]
    assert abs(button["y"] + button["height"] / 2 - text["y"] - text["height"] / 2) < 3
    source.part("notice-close").click()


def test_text_is_copied_and_pasted_as_everywhere(views: tuple[PaintView, PaintView]) -> None:
    source, target = views
    prompt = source.part("prompt")
    prompt.fill("a lighthouse")
    prompt.press("Control+a")
    prompt.press("Control+c")
    expect(source.part("notice")).to_be_hidden()
    target.part("prompt").fill("")
    target.part("prompt").press("Control+v")
    expect(target.part("prompt")).to_have_value("a lighthouse")
    expect(target.part("notice")).to_be_hidden()
