"""Browser and kernel together: reloads, several views, changes from Python, faults, a restarted kernel."""

from __future__ import annotations

import nbformat
import numpy as np
from playwright.sync_api import expect

from tests.lab.server import LabServer
from tests.lab.view import PaintView

# Shown once the kernel has not answered for a while, asked twice.
GONE_LIMIT_MS = 20_000


def test_after_a_reload_of_the_page_what_was_painted_is_still_there(fresh_view: PaintView) -> None:
    fresh_view.pick(0)
    fresh_view.use("paint", size=1)
    fresh_view.drag([(7, 5), (7, 10)])
    fresh_view.part("strength-1").fill("0.5")
    fresh_view.settle()
    picture = fresh_view.picture()
    fresh_view.notebook.save()

    fresh_view.notebook.reload()

    scene = "before.paint(0, [(7, col) for col in range(5, 11)]).scale(1, 0.5)"
    assert fresh_view.differences_from(scene) == []
    assert fresh_view.patch_changes(picture).max() == 0
    assert fresh_view.part("strength-1").input_value() == "0.5"
    # It is not only shown again: it goes on.
    fresh_view.pick(0)
    fresh_view.use("paint", size=1)
    fresh_view.drag([(8, 8)])
    assert fresh_view.differences_from(f"{scene}.paint(0, [(8, 8)])") == []


def test_two_views_of_one_widget_agree(fresh_view: PaintView) -> None:
    fresh_view.notebook.add_and_run_cell("widget")
    other = PaintView(fresh_view.notebook, 1)
    other.settle()
    picture = other.picture()

    fresh_view.pick(0)
    fresh_view.use("paint", size=1)
    fresh_view.drag([(7, 5), (7, 10)])
    fresh_view.settle()
    other.settle()

    np.testing.assert_array_equal(fresh_view.picture(), other.picture())
    assert other.patch_changes(picture)[7, 5:11].min() > 20
    other.part("strength-0").fill("0")
    other.settle()
    fresh_view.settle()
    assert fresh_view.part("strength-0").input_value() == "0"
    np.testing.assert_array_equal(fresh_view.picture(), other.picture())
    assert (
        fresh_view.differences_from("before.paint(0, [(7, col) for col in range(5, 11)]).scale(0, 0)") == []
    )


def test_two_pages_on_one_kernel_agree(fresh_view: PaintView) -> None:
    fresh_view.notebook.save()
    other = PaintView(fresh_view.notebook.in_another_page())
    other.settle()
    picture = other.picture()

    fresh_view.pick(0)
    fresh_view.use("paint", size=1)
    fresh_view.drag([(7, 5), (7, 10)])
    fresh_view.part("strength-1").fill("0.5")
    fresh_view.settle()
    expect(other.part("strength-1")).to_have_value("0.5")
    other.settle()

    assert other.patch_changes(picture)[7, 5:11].min() > 20
    np.testing.assert_array_equal(fresh_view.picture(), other.picture())


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


def test_a_failing_painter_shows_its_error_and_loses_nothing(view: PaintView) -> None:
    view.notebook.tell("painter.fault = 'out of paint'")
    view.pick(0)
    view.use("paint", size=1)

    view.drag([(7, 5), (7, 6)])

    expect(view.part("error")).to_contain_text("out of paint")
    assert "out of paint" in view.notebook.ask("str(widget.last_error)")
    assert view.notebook.ask("widget.scene.strengths[7, 5:7, 0].tolist()") == [1, 1]
    view.notebook.tell("painter.fault = ''")
    view.part("retry").click()
    expect(view.part("error")).to_be_hidden()
    assert view.differences_from("before.paint(0, [(7, 5), (7, 6)])") == []


def test_after_a_kernel_restart_the_widget_says_so_and_keeps_its_picture(fresh_view: PaintView) -> None:
    picture = fresh_view.picture()

    fresh_view.notebook.restart_kernel()
    fresh_view.pick(0)
    fresh_view.drag([(7, 5), (7, 6)])

    expect(fresh_view.part("lost")).to_contain_text("Kernel gone", timeout=GONE_LIMIT_MS)
    expect(fresh_view.part("lost")).to_contain_text("Re-run the cell")
    assert fresh_view.patch_changes(picture).max() == 0


def test_a_saved_notebook_holds_the_picture_for_those_who_have_no_kernel(
    view: PaintView, server: LabServer
) -> None:
    view.notebook.save()

    saved = nbformat.read(server.notebooks / "test_kernel.ipynb", as_version=4)  # type: ignore[no-untyped-call]

    (output,) = saved.cells[1].outputs
    assert output.data["image/png"].startswith("iVBOR")
