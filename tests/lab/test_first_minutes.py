"""What a newcomer meets first: a thing to paint with, a hint, and fields that say what is wrong with them."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import expect

from tests.lab.conftest import OpenNotebook
from tests.lab.view import PaintView

EMBEDDED = [
    """import ember_widgets as ember

painter = ember.Painter.embedded()
widget = ember.PaintWidget(painter, prompt="a lion in a meadow", seed=30, n_factors=8)
widget"""
]
REFUSING = [
    """import threading

import ember_widgets as ember
from tests.lab.fake_painter import FakePainter


class Refusing(FakePainter):
    def refit(self, scene, n_factors):
        raise ValueError(f"{n_factors} factors are too many today")


may_open = threading.Event()


def open_painter():
    may_open.wait(60)
    return Refusing()


widget = ember.PaintWidget(open_painter, prompt="a meadow", seed=3)
widget"""
]


def test_a_thing_is_picked_and_a_hint_stays_until_the_first_stroke(
    open_notebook: OpenNotebook, screenshots: Path
) -> None:
    view = PaintView(open_notebook(EMBEDDED))
    view.settle()
    expect(view.part("factor-2")).to_have_attribute("aria-pressed", "true")
    tip, grid = view.part("tip"), view.part("grid")
    expect(tip).to_contain_text("Click or drag to paint lion")
    expect(grid).to_have_attribute("aria-description", "Click or drag to paint lion")
    expect(tip.locator("i")).not_to_be_visible()
    view.part("overlay-toggle").press("Enter")
    grid.focus()
    expect(tip.locator("i")).to_be_visible()  # for whoever uses the keyboard
    view.page.keyboard.press("e")
    expect(tip).to_contain_text("Drag to erase")
    view.page.keyboard.press("b")
    view.root.screenshot(path=screenshots / "first-hint.png")

    # Another prompt has other things, and was not painted in either.
    view.part("prompt").fill("a castle and a zebra at night")
    view.part("prompt").press("Enter")
    expect(tip).to_contain_text("Click or drag to paint castle")
    assert view.notebook.ask("widget.scene.names[widget.selected_factor]") == "castle"
    view.pick(0)
    view.settle()
    assert view.notebook.ask("widget.selected_factor") == 0

    # It is not in the way: the pointer paints through it.
    box = tip.bounding_box()
    assert box is not None
    view.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(tip).to_have_count(0)
    view.settle()
    view.part("undo").click()
    view.settle()
    view.notebook.save()
    view.notebook.reload()
    view.settle()
    expect(tip).to_have_count(0)
    expect(view.part("factor-0")).to_have_attribute("aria-pressed", "true")


def test_what_the_model_does_not_read_of_the_texts_is_said_below_them(
    open_notebook: OpenNotebook, screenshots: Path
) -> None:
    view = PaintView(open_notebook(EMBEDDED))
    view.settle()
    expect(view.part("n-factors")).to_have_value("8")
    expect(view.part("n-factors-note")).to_have_text("3 of 8")
    prompt, note = view.part("prompt"), view.part("prompt-note")
    expect(note).to_be_empty()
    prompt.fill("a zebra on grass")
    expect(note).to_contain_text("not known here: zebra")
    expect(prompt).to_have_attribute("aria-describedby", str(note.get_attribute("id")))
    known = note.locator("p")
    expect(known).not_to_be_visible()
    note.locator("summary").press("Enter")
    expect(known).to_contain_text("castle, castles, cat, cats, city")
    view.root.screenshot(path=screenshots / "first-unknown-words.png")
    prompt.fill("a cat and a dog " * 8)
    expect(note).to_have_text("only the first 30 tokens count: everything after “and a dog” is ignored")
    prompt.fill("a cat on grass")
    expect(note).to_be_empty()
    view.part("style").fill("as an oil painting")
    expect(view.part("style-note")).to_contain_text("not known here: oil, painting")
    assert view.cut_off() == []


def test_a_wrong_value_is_said_in_place_and_the_last_right_one_stays_in_force(view: PaintView) -> None:
    seed, note = view.part("seed"), view.part("seed-note")
    for wrong in ("-1", "1e3", "abc", "9223372036854775808", ""):
        seed.fill(wrong)
        expect(note).to_have_text("Digits only, below 2⁶³")
        expect(seed).to_have_attribute("aria-invalid", "true")
        expect(seed).to_have_attribute("aria-describedby", str(note.get_attribute("id")))
        seed.press("Enter")  # draws nothing
        expect(seed).to_have_value(wrong)
        seed.press("Escape" if wrong == "abc" else "Tab")
        expect(seed).to_have_value("3")
        expect(seed).to_have_attribute("aria-invalid", "false")
        expect(note).to_be_empty()
    seed.fill("007")
    seed.blur()
    expect(seed).to_have_value("7")
    for name, last, said in (("steps", "1", "1 to 4"), ("n-factors", "5", "1 to 16")):
        field = view.part(name)
        for wrong in ("0", "300", "1e3", "1.5", "-2", ""):
            field.fill(wrong)
            expect(view.part(f"{name}-note")).to_have_text(said)
            field.press("Enter")
            field.blur()
            expect(field).to_have_value(last)
    view.settle()
    assert view.notebook.ask("widget.scene == before")


def test_a_click_in_the_middle_of_the_seed_types_there_and_holds_nothing(view: PaintView) -> None:
    seed = view.part("seed")
    seed.scroll_into_view_if_needed()
    box = seed.bounding_box()
    assert box
    view.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(seed).to_be_focused()
    expect(view.part("hold-seed")).to_have_attribute("aria-pressed", "false")


def test_a_seed_that_nobody_chose_is_not_in_force(view: PaintView) -> None:
    seed, note = view.part("seed"), view.part("seed-note")
    for typed, ends in (("7x", "Tab"), ("45.7", "Tab"), ("12a", "Escape")):
        seed.focus()
        seed.press("Control+a")
        seed.press_sequentially(typed)
        expect(note).to_have_text("Digits only, below 2⁶³")
        seed.press("Enter")  # draws nothing
        seed.press(ends)
        expect(seed).to_have_value("3")
        expect(note).to_be_empty()
    steps = view.part("steps")
    steps.press("Control+a")
    steps.press_sequentially("3000")
    steps.press("Tab")
    expect(steps).to_have_value("1")
    seed.press("Control+a")
    seed.press_sequentially("45.")
    seed.press("Backspace")
    expect(note).to_be_empty()
    expect(view.part("draw")).to_have_attribute("title", re.compile("the next seed is used"))
    view.part("hold-seed").click()
    expect(view.part("draw")).to_have_attribute("title", re.compile("The seed is held"))
    seed.press("Enter")
    view.settle()
    assert view.notebook.ask("widget.scene.seed") == 45


def test_a_stroke_that_changes_nothing_says_why(view: PaintView, screenshots: Path) -> None:
    name = view.notebook.ask("widget.scene.names[0]")
    view.pick(0)
    view.part("strength-0").fill("0")
    view.settle()
    view.use("paint", size=2)
    view.drag([(8, 8), (8, 10)])
    expect(view.part("said")).to_have_text(f"{name}’s slider is at 0")
    view.root.screenshot(path=screenshots / "said.png")
    expect(view.part("said")).to_be_empty(timeout=20_000)  # it goes away by itself
    view.part("strength-0").fill("1")
    view.drag([(8, 8), (8, 10)])
    view.settle()
    expect(view.part("said")).to_be_empty()


def test_the_name_of_another_step_is_refused_in_place(view: PaintView) -> None:
    keep = view.part("keep")
    view.drag([(8, 8)])
    view.settle()
    keep.fill("the best")
    keep.press("Enter")
    expect(view.part("step-1").locator("small")).to_have_text("the best")
    view.drag([(2, 2)])
    view.settle()
    for wrong, said in (("the best", "Another step has this name"), ("x" * 61, "Up to 60 characters")):
        keep.fill(wrong)
        expect(view.part("keep-note")).to_have_text(said)
        keep.press("Enter")
        keep.blur()
        expect(keep).to_have_value("")
    assert view.notebook.ask("list(widget.kept)") == ["the best"]


def test_the_form_is_blank_until_there_is_a_scene_and_what_the_kernel_refuses_does_not_stay(
    open_notebook: OpenNotebook, screenshots: Path
) -> None:
    view = PaintView(open_notebook(REFUSING))
    for name in ("prompt", "seed", "steps", "n-factors"):
        expect(view.part(name)).to_be_disabled()
        expect(view.part(name)).to_have_value("")
    view.root.screenshot(path=screenshots / "first-opening.png")
    view.notebook.tell("may_open.set()")
    expect(view.part("prompt")).to_have_value("a meadow")
    view.settle()
    field = view.part("n-factors")
    field.fill("9")
    field.press("Enter")
    expect(view.part("error")).to_contain_text("9 factors are too many today")
    expect(field).to_have_value("5")
