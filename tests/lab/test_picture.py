"""Below the picture: comparing, the film, files in and out, Python."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import expect

from ember_widgets import Scene
from tests.lab.view import PaintView

EMPTY_ROW = 9
STROKE = f"before.paint(0, [({EMPTY_ROW}, 5), ({EMPTY_ROW}, 6)])"

# How opaque the grid is in the middle of each patch.
ALPHA = """grid => {
  const patch = grid.width / 16;
  const middle = at => Math.floor((at + 0.5) * patch);
  const pixels = grid.getContext('2d').getImageData(0, 0, grid.width, grid.width);
  return Array.from({ length: 256 }, (_, p) => pixels.data[
    4 * (middle(Math.floor(p / 16)) * grid.width + middle(p % 16)) + 3]);
}"""


def paint(view: PaintView) -> None:
    view.pick(0)
    view.use("paint", size=1)
    view.drag([(EMPTY_ROW, 5), (EMPTY_ROW, 6)])
    view.settle()


def wait_for_picture(view: PaintView, wanted: NDArray[np.int16]) -> None:
    """The unedited picture is drawn when the painter is idle, so it takes a moment."""
    for _ in range(100):
        if np.array_equal(view.picture(), wanted):
            return
        view.page.wait_for_timeout(50)
    np.testing.assert_array_equal(view.picture(), wanted)


def test_the_unedited_picture_shows_as_long_as_it_is_held(view: PaintView) -> None:
    before = view.picture()
    paint(view)
    painted = view.picture()
    assert view.patch_changes(before).max() > 20

    view.part("unedited").hover()
    view.page.mouse.down()
    wait_for_picture(view, before)
    view.page.mouse.up()
    wait_for_picture(view, painted)
    view.part("grid").focus()
    view.page.keyboard.down("c")
    wait_for_picture(view, before)
    view.page.keyboard.up("c")
    wait_for_picture(view, painted)


def test_split_shows_both_and_difference_what_changed(view: PaintView) -> None:
    before = view.picture()
    paint(view)
    painted = view.picture()
    width = before.shape[1]

    view.part("compare-split").click()
    view.part("split").fill("0.25")
    at = width // 4
    halves = np.concatenate(
        [before[:, : at - 1], np.full_like(before[:, :2], 255), painted[:, at + 1 :]], axis=1
    )
    wait_for_picture(view, halves)
    view.part("compare-difference").click()
    wait_for_picture(view, np.minimum(255, 4 * np.abs(painted - before)))
    change = re.compile(r"Change of 255: \d+\.\d in the edit, 0\.00 beyond; locality 0\.000")
    expect(view.part("tag")).to_have_text(change)
    view.part("compare-now").click()
    wait_for_picture(view, painted)
    expect(view.part("tag")).to_have_count(0)


def test_the_difference_tints_only_what_was_edited(view: PaintView) -> None:
    def tinted() -> list[list[int]]:
        """The patches that the overlay covers."""
        view.page.mouse.move(0, 0)
        view.settle()
        alpha: NDArray[np.uint8] = np.array(view.part("grid").evaluate(ALPHA), np.uint8)
        patches: list[list[int]] = np.argwhere(alpha.reshape(16, 16) > 0).tolist()
        return patches

    paint(view)
    assert len(tinted()) > 30
    view.part("compare-difference").click()
    assert tinted() == [[EMPTY_ROW, col] for col in (5, 6)]
    view.part("strength-1").fill("0.5")
    expect(view.part("tag")).to_contain_text("in the edit")
    assert len(tinted()) > 10


def test_a_step_with_a_name_stays(view: PaintView) -> None:
    paint(view)
    name = view.part("keep")
    name.fill("the best")
    name.press("Enter")
    expect(view.part("step-1").locator("small")).to_have_text("the best")
    view.part("undo").click()
    expect(name).to_have_value("")
    view.settle()
    view.drag([(EMPTY_ROW, 9)])
    view.settle()
    expect(view.part("step-2")).to_have_attribute("aria-current", "step")
    assert view.notebook.ask("list(widget.kept)") == ["the best"]
    assert view.notebook.ask(f"widget.kept['the best'] == {STROKE}")

    view.part("step-1").click()
    expect(name).to_have_value("the best")
    assert view.differences_from(STROKE) == []
    name.fill("")
    name.blur()
    expect(view.part("step-1").locator("small")).to_have_count(0)
    assert view.notebook.ask("widget.kept") == {}


def test_every_stroke_is_a_step_of_the_film(view: PaintView) -> None:
    expect(view.part("step-0")).to_have_count(0)
    paint(view)
    view.drag([(EMPTY_ROW, 9)])
    expect(view.part("step-2")).to_have_attribute("aria-current", "step")
    view.settle()
    expect(view.part("step-1").locator("img")).to_be_visible()

    view.part("step-1").click()

    assert view.differences_from(STROKE) == []
    expect(view.part("step-1")).to_have_attribute("aria-current", "step")
    expect(view.part("step-2")).to_be_visible()
    view.part("step-0").click()
    assert view.differences_from("before") == []


def test_a_picture_is_saved_with_its_scene_and_opened_again(view: PaintView, tmp_path: Path) -> None:
    paint(view)
    with view.page.expect_download() as download:
        view.part("save").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    assert path.name == "a-meadow-3.png"
    assert Scene.load(path).strengths[EMPTY_ROW, 5:8, 0].tolist() == [1, 1, 0]

    view.part("undo").click()
    assert view.differences_from("before") == []
    with view.page.expect_file_chooser() as chooser:
        view.part("open").click()
    chooser.value.set_files(path)
    expect(view.part("step-2")).to_have_count(0)
    expect(view.part("step-1")).to_have_attribute("aria-current", "step")
    assert view.differences_from(STROKE) == []


def test_a_scene_that_is_dropped_on_the_widget_is_opened(view: PaintView) -> None:
    view.notebook.tell(f"_dropped = ({STROKE}).to_bytes().decode()")
    text = view.notebook.ask("_dropped")
    transfer = view.page.evaluate_handle(
        """text => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([text], 'scene.json'));
          return transfer;
        }""",
        text,
    )
    view.root.dispatch_event("drop", {"dataTransfer": transfer})
    expect(view.part("step-1")).to_be_visible()

    assert view.differences_from(STROKE) == []


def test_a_file_that_is_no_scene_says_so(view: PaintView) -> None:
    with view.page.expect_file_chooser() as chooser:
        view.part("open").click()
    chooser.value.set_files({"name": "notes.txt", "mimeType": "text/plain", "buffer": b"hello"})

    expect(view.part("error")).to_contain_text("This file cannot be opened: it is not JSON")
    assert view.differences_from("before") == []


def test_what_was_done_is_python_that_runs(view: PaintView) -> None:
    paint(view)
    view.use("move")
    view.drag([(12, 5), (10, 7)])
    view.part("strength-1").fill("0.5")
    view.settle()

    view.part("python").click()
    program = view.part("program").input_value()

    assert (
        f"scene.paint(factor='sky', strength=1, opacity=1.0, mode='over', patches=[({EMPTY_ROW}, 5)"
        in program
    )
    assert "scene.move(factor='sky'" in program
    view.notebook.tell(f"exec({program!r})")
    assert view.differences_from("scene") == []
    view.part("program-close").click()
    expect(view.part("program")).to_be_hidden()
    view.part("python").click()
    view.part("program").focus()
    view.page.keyboard.press("Escape")
    expect(view.part("program")).to_be_hidden()


def test_the_next_seed_draws_another_scene_and_a_held_one_stays(view: PaintView) -> None:
    view.part("next-seed").click()
    expect(view.part("seed")).to_have_value("4")
    view.settle()
    assert view.notebook.ask("widget.scene.seed") == 4
    view.part("hold-seed").click()
    view.part("prompt").fill("a lion")
    view.part("prompt").press("Enter")  # as good as the button
    expect(view.part("prompt")).to_have_value("a lion")
    view.settle()
    assert view.notebook.ask("[widget.scene.prompt, widget.scene.seed]") == ["a lion", 4]
    expect(view.part("next-seed")).to_be_disabled()
    view.part("draw").click()
    view.settle()
    assert view.notebook.ask("widget.scene.seed") == 4
