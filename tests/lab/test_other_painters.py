"""Other models and painters in the widget: 24×24 patches, and a painter that only analyses and renders."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.lab.conftest import OpenNotebook
from tests.lab.view import PaintView

# A tiny SDXL with random weights whose pictures have 768 pixels, so that its site works on 24×24 patches.
CELLS_24 = [
    """import tempfile
from pathlib import Path

import transformers

import ember_widgets as ember

transformers.logging.set_verbosity_error()
from tests.pipeline import tiny

folder = Path(tempfile.mkdtemp())
painter = ember.Painter(tiny.pipeline(folder, sample_size=96), tiny.sae(), name="tiny 768")""",
    """before = painter.analyze("a meadow", seed=3, n_factors=4)
widget = ember.PaintWidget(painter, before)
widget""",
]
# Nothing but the two methods that every painter has.
CELLS_PLAIN = [
    """import ember_widgets as ember
from tests.lab.fake_painter import FakePainter

class Plain:
    def __init__(self):
        self._fake = FakePainter()
    def analyze(self, prompt="", *, seed=0, n_steps=1, n_factors=5):
        return self._fake.analyze(prompt, seed=seed, n_steps=n_steps, n_factors=n_factors)
    def render(self, scene):
        return self._fake.render(scene)""",
    """before = Plain().analyze("a meadow", seed=3, n_factors=5)
widget = ember.PaintWidget(Plain(), before)
widget""",
]


@pytest.fixture
def view_24(open_notebook: OpenNotebook) -> PaintView:
    view = PaintView(open_notebook(CELLS_24))
    view.grid = (24, 24)
    view.settle()
    return view


def test_a_model_of_24_by_24_patches_is_painted_with_the_mouse_and_from_python(
    view_24: PaintView, screenshots: Path
) -> None:
    view = view_24
    assert view.notebook.ask("before.strengths.shape[:2]") == [24, 24]
    picture = view.picture()
    view.pick(1)
    view.use("paint", size=1)
    view.drag([(20, 17), (20, 22)])
    view.root.screenshot(path=screenshots / "grid-24.png")

    stroke = "[(20, col) for col in range(17, 23)]"
    assert view.differences_from(f"before.paint(1, {stroke})") == []
    assert view.patch_changes(picture)[20, 17:23].mean() > 0

    view.notebook.tell("widget.scene = before.paint(2, [(23, 23)]).move(None, -1, 0, [(23, 23)])")
    assert view.differences_from("before.paint(2, [(23, 23)]).move(None, -1, 0, [(23, 23)])") == []


def test_a_scene_of_24_by_24_patches_is_saved_and_loaded(view_24: PaintView) -> None:
    view = view_24
    view.pick(0)
    view.use("paint", size=1)
    view.drag([(0, 23)])
    view.settle()
    view.notebook.tell("widget.scene.save(folder / 'wide.json')")
    view.notebook.tell("widget.scene.save(folder / 'wide.png', painter.render(widget.scene))")
    assert view.notebook.ask("ember.Scene.load(folder / 'wide.json') == widget.scene")
    assert view.notebook.ask("ember.Scene.load(folder / 'wide.png') == widget.scene")


def test_the_keyboard_reaches_the_last_row_of_24(view_24: PaintView) -> None:
    view = view_24
    view.pick(1)
    view.use("paint", size=1)
    view.part("grid").focus()
    for _ in range(30):
        view.page.keyboard.press("ArrowDown")
    view.page.keyboard.press("Enter")
    view.settle()
    changed = "(widget.scene.strengths != before.strengths).any(axis=(1, 2)).nonzero()[0].tolist()"
    assert view.notebook.ask(changed) == [23]


def test_a_painter_with_two_methods_paints(open_notebook: OpenNotebook, screenshots: Path) -> None:
    view = PaintView(open_notebook(CELLS_PLAIN))
    view.settle()
    view.pick(2)
    view.use("paint", size=1)
    view.drag([(1, 1), (1, 4)])
    assert view.differences_from("before.paint(2, [(1, col) for col in range(1, 5)])") == []
    view.root.screenshot(path=screenshots / "two-methods.png")
    # What this painter cannot do is not offered.
    for part in ("style", "seeds", "sweep"):
        expect(view.part(part)).to_have_count(0)
    view.part("prompt").fill("a lake")
    view.part("prompt").press("Enter")
    view.settle()
    assert view.notebook.ask("widget.scene.prompt") == "a lake"
    assert view.notebook.ask("widget.last_error is None")


# A picture of "plain" has two factors, however many are asked for.
CELLS_FEWER = [
    """import ember_widgets as ember
from tests.lab.fake_painter import FakePainter

class PlainPictures(FakePainter):
    def analyze(self, prompt="", *, seed=0, n_steps=1, n_factors=5, style=""):
        n_factors = 2 if prompt == "plain" else n_factors
        return super().analyze(prompt, seed=seed, n_steps=n_steps, n_factors=n_factors, style=style)""",
    """widget = ember.PaintWidget(PlainPictures(), prompt="a meadow", n_factors=4)
widget""",
]


def test_the_number_of_factors_asked_for_stays(open_notebook: OpenNotebook, screenshots: Path) -> None:
    view = PaintView(open_notebook(CELLS_FEWER))
    view.settle()
    expect(view.part("n-found")).to_have_count(0)

    def draw(prompt: str) -> None:
        view.part("prompt").fill(prompt)
        view.part("prompt").press("Enter")
        view.settle()

    draw("plain")
    assert view.notebook.ask("widget.scene.n_factors") == 2
    expect(view.part("n-factors")).to_have_value("4")
    expect(view.part("n-found")).to_have_text("2 of 4")
    said = "You asked for 4 factors; this picture has only 2"
    expect(view.part("n-found")).to_have_attribute("aria-label", said)
    expect(view.root.locator(f"[title^='{said}. ']")).to_contain_text("Factors")
    view.root.screenshot(path=screenshots / "fewer-factors.png")
    draw("a lion and a house")
    assert view.notebook.ask("widget.scene.n_factors") == 4
    expect(view.part("n-found")).to_have_count(0)
