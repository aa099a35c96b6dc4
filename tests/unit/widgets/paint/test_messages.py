"""What a browser may say to a PaintWidget, rightly and wrongly, and what it hears."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ember_widgets.model.backbone import Cut
from ember_widgets.painter.prompt_notes import PromptNotes
from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint import messages
from ember_widgets.widgets.paint.widget import PaintWidget
from tests.unit.scene.scenes import make_scene
from tests.unit.widgets.paint.paint_bench import SOON_S, Browser, FakePainter, FullPainter

STATIC = Path(__file__).parents[4] / "ember_widgets" / "widgets" / "static"


@pytest.fixture
def scene() -> Scene:
    return make_scene(5)


# Opening


def test_a_page_that_opens_hears_all_there_is(browser: Browser, scene: Scene) -> None:
    browser.ask("hello")

    state = browser.state()
    assert all(len(state.pop(name)) == 5 for name in ("icons", "features"))
    assert len(state.pop("run")) == 16
    assert state == {
        "type": "state",
        "why": "hello",
        "client": "page",
        "revision": 0,
        "prompt": "a lion in a meadow",
        "style": "",
        "seed": "3",
        "n_steps": 1,
        "n_factors": 5,
        "n_found": 5,
        "most_steps": 4,
        "sites": [],
        "site_names": [],
        "factor_steps": [],
        "names": list(scene.names),
        "colors": list(scene.colors),
        "gains": [1.0] * 5,
        "seen": scene.base_strengths.max(axis=(0, 1)).tolist(),
        "analysed": [True] * 5,
        "first_thing": 0,
        "can_undo": False,
        "can_redo": False,
        "edited": False,
        "replaced": False,
        "steps": [[0, "step 0", ""]],
        "step": 0,
        "film_from": [],
        "seeds": [["4", "seed 4 of 0"], ["5", "seed 5 of 0"], ["6", "seed 6 of 0"], ["7", "seed 7 of 0"]],
        "capabilities": [],
        "rows": 16,
        "cols": 16,
        "ids": [0, 1, 2, 3, 4],
    }
    strengths, remainder = browser.maps()
    np.testing.assert_array_equal(strengths, scene.strengths)
    np.testing.assert_array_equal(remainder, scene.remainder)


def test_a_page_that_is_reloaded_finds_sliders_and_history_where_they_were(
    widget: PaintWidget, browser: Browser, scene: Scene
) -> None:
    browser.edit(scene, [1, 0.5, 1, 2, 1])
    widget.wait(SOON_S)

    reloaded = Browser(widget, "reloaded")
    reloaded.ask("hello")

    assert reloaded.state()["gains"] == [1, 0.5, 1, 2, 1]
    assert reloaded.state()["can_undo"]
    np.testing.assert_array_equal(reloaded.maps()[0], scene.strengths)


def test_a_page_that_opens_after_a_fault_hears_of_it(
    widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    painter.fault = OSError("out of paint")
    browser.edit(scene.scale(0, 0.5))
    with pytest.raises(RuntimeError):
        widget.wait(SOON_S)
    reloaded = Browser(widget, "reloaded")
    reloaded.ask("hello")
    assert reloaded.of("error")[-1]["message"] == "OSError: out of paint"


def test_a_factor_added_in_python_counts_as_seen_up_to_its_own_typical_strength(
    widget: PaintWidget, browser: Browser, scene: Scene
) -> None:
    widget.scene = scene.add_factor({3: 1.0})
    assert browser.state()["seen"][-1] == 1.0


def test_a_ping_is_answered_while_a_picture_is_drawn(
    widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    painter.hold()
    browser.edit(scene)
    assert painter.entered.wait(SOON_S)
    browser.say({"type": "ping", "client": "page"})
    assert browser.of("status")[-1] == {"type": "status", "busy": True, "task": "render"}


def test_the_second_part_of_the_front_end_comes_while_a_picture_is_drawn(
    widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    painter.hold()
    browser.edit(scene)
    assert painter.entered.wait(SOON_S)
    browser.ask("panels")
    (answer,) = browser.of("panels")
    assert answer["client"] == "page"
    assert answer["source"] == (STATIC / "panels.js").read_text(encoding="utf-8")
    # A notebook saves the widget's traits.
    assert answer["source"] not in str(widget.get_state())


# Editing


def test_an_edit_is_the_scene_at_once_and_is_drawn(
    widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    painted = scene.paint(0, [(1, 2)], 2.0)
    seq = browser.edit(painted)

    assert widget.scene == painted
    widget.wait(SOON_S)
    assert painter.rendered[-1] == painted
    message, image = browser.frames()[-1]
    assert (message["client"], message["seq"], message["kind"]) == ("page", seq, "final")
    assert (message["width"], message["height"]) == (16, 16)
    assert message["ms"] >= 0
    assert image.format == "PNG"
    assert image.getpixel((2, 1)) == (200, 0, 0)


def test_while_the_hand_moves_frames_are_jpeg_and_the_last_is_lossless(
    widget: PaintWidget, browser: Browser, scene: Scene
) -> None:
    seq = browser.edit(scene.scale(0, 0.5), commit=False)
    widget.wait(SOON_S)

    (preview, jpeg), (final, png) = browser.frames()
    assert (preview["kind"], jpeg.format, preview["seq"], preview["client"]) == (
        "preview",
        "JPEG",
        seq,
        "page",
    )
    assert (final["kind"], png.format, final["client"]) == ("final", "PNG", "")
    assert browser.of("status")[-1]["busy"] is False


def test_the_settled_picture_is_the_image_trait(widget: PaintWidget, browser: Browser, scene: Scene) -> None:
    before = widget.image
    browser.edit(scene.scale(0, 0.5))
    widget.wait(SOON_S)
    assert widget.image != before
    assert browser.heard[browser.kinds().index("frame")][1] == [widget.image]


def test_sliders_multiply_what_is_painted(widget: PaintWidget, browser: Browser, scene: Scene) -> None:
    browser.edit(scene, [0.5, 1, 1, 1, 0])
    expected = scene.scale(0, 0.5).scale(4, 0)
    assert widget.scene == expected


def test_an_edit_that_changes_nothing_leaves_the_scene_exactly_equal(
    widget: PaintWidget, browser: Browser, scene: Scene
) -> None:
    browser.edit(scene)
    assert widget.scene == scene
    assert not widget.undo()


def test_every_edit_is_answered_and_only_the_newest_is_drawn(
    widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    painter.hold()
    painter.calls.clear()
    for i in range(6):
        browser.edit(scene.scale(0, i / 10), commit=False)
        assert painter.entered.wait(SOON_S)
    painter.gate.set()
    widget.wait(SOON_S)

    assert painter.rendered == [scene.scale(0, 0.0), scene.scale(0, 0.5)]
    answered = {m["seq"] for m in [*browser.of("ack"), *browser.of("frame")] if m["client"] == "page"}
    assert answered == {1, 2, 3, 4, 5, 6}


def test_the_handler_does_not_wait_for_the_painter(
    widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    painter.hold()
    for i in range(50):
        browser.edit(scene.scale(0, i / 10), commit=False)
    assert widget.scene == scene.scale(0, 4.9)  # reached although no picture is there yet


def test_one_stroke_is_one_step_of_the_history(widget: PaintWidget, browser: Browser, scene: Scene) -> None:
    for i in range(5):
        browser.edit(scene.scale(0, i / 10), commit=False)
    browser.edit(scene.scale(0, 0.5), commit=True)
    assert browser.state()["can_undo"]
    assert widget.undo()
    assert widget.scene == scene
    assert not widget.undo()


def test_undo_in_the_middle_of_a_stroke_goes_back_to_where_it_began(
    widget: PaintWidget, browser: Browser, scene: Scene
) -> None:
    browser.edit(scene.scale(0, 0.5), commit=True)
    browser.edit(scene.scale(0, 0.2), commit=False)
    browser.ask("undo")
    assert widget.scene == scene.scale(0, 0.5)


def test_undo_brings_sliders_back_to_where_they_stood(
    widget: PaintWidget, browser: Browser, scene: Scene
) -> None:
    browser.edit(scene, [0.5, 1, 1, 1, 1])
    browser.ask("undo")
    assert browser.state()["gains"] == [1] * 5
    browser.ask("redo")
    assert browser.state()["gains"] == [0.5, 1, 1, 1, 1]


def test_an_undo_with_nothing_to_undo_is_answered(browser: Browser) -> None:
    seq = browser.ask("undo")
    assert browser.of("ack") == [{"type": "ack", "client": "page", "seq": seq}]


def test_the_history_is_limited(widget: PaintWidget, browser: Browser, scene: Scene) -> None:
    for i in range(130):
        browser.edit(scene.scale(0, 1 + i / 10))
    steps = 0
    while widget.undo():
        steps += 1
    assert steps == 100


def test_an_edit_of_a_scene_that_is_gone_is_refused_and_answered_with_the_one_that_is(
    widget: PaintWidget, browser: Browser, scene: Scene
) -> None:
    browser.ask("hello")
    new = scene.scale(1, 0.5)
    widget.scene = new
    seq = browser.edit(scene.scale(0, 0), revision=0)

    assert widget.scene is new
    assert widget.last_error is None
    assert browser.state()["why"] == "refused"
    assert browser.state()["client"] == "page"
    np.testing.assert_array_equal(browser.maps()[0], new.strengths)
    assert {"type": "ack", "client": "page", "seq": seq} in browser.of("ack")


PALETTE_EDITS: dict[str, dict[str, Any]] = {
    "rename": {"factor": 2, "name": "sea"},
    "recolor": {"factor": 2, "color": "#123456"},
    "set_weight": {"factor": 2, "feature": 1, "weight": 0.5},
    "reset_weights": {"factor": 2},
    "set_steps": {"factor": 2, "steps": [0, 1]},
}


@pytest.mark.parametrize("verb", PALETTE_EDITS)
def test_strokes_that_arrive_before_the_answer_to_a_palette_edit_are_painted(
    verb: str, widget: PaintWidget, browser: Browser, scene: Scene
) -> None:
    browser.ask("hello")
    browser.ask("palette", revision=0, commit=True, verb=verb, arguments=PALETTE_EDITS[verb])
    changed = widget.scene
    painted = scene
    for patch in ((1, 1), (2, 2), (3, 3)):
        painted = painted.paint(0, [patch], 2.0)
        browser.edit(painted, revision=0)
    browser.edit(painted.scale(1, 0.5), revision=0, commit=False)
    assert [state["why"] for state in browser.of("state")] == ["hello", "scene", "edit", "edit", "edit"]
    widget.wait(SOON_S)
    painted = painted.scale(1, 0.5)
    assert widget.scene == changed.replace(strengths=painted.strengths, remainder=painted.remainder)
    assert browser.state()["revision"] == 1


def test_strokes_of_another_list_of_factors_or_after_undo_are_refused(
    widget: PaintWidget, browser: Browser, scene: Scene
) -> None:
    browser.ask("hello")
    browser.edit(scene.scale(0, 0.5))

    def palette(verb: str, **arguments: Any) -> Callable[[], object]:
        def ask() -> object:
            revision = browser.state()["revision"]
            return browser.ask("palette", revision=revision, commit=True, verb=verb, arguments=arguments)

        return ask

    changes: dict[str, Callable[[], object]] = {
        "undo": lambda: browser.ask("undo"),
        "go": lambda: browser.ask("go", step=0),
        "reorder": palette("reorder", order=[2, 0, 1, 4, 3]),
        "duplicate": palette("duplicate", factor=0),
        "remove": palette("remove", factor=5),
        "add": palette("add_factor", features={"1": 1.0}, name="more"),
    }
    for name, change in changes.items():
        before = browser.state()["revision"]
        change()
        palette("rename", factor=0, name=f"after {name}")()  # which leaves open what is outdated
        now = widget.scene
        browser.edit(now.scale(0, 0.1), revision=before)
        assert browser.state()["why"] == "refused", name
        assert widget.scene is now
        assert browser.state()["revision"] == before + 2


def test_a_revision_that_is_yet_to_come_is_refused(
    widget: PaintWidget, browser: Browser, scene: Scene
) -> None:
    browser.ask("hello")
    browser.edit(scene.scale(0, 0.5), revision=1)
    assert browser.state()["why"] == "refused"
    assert widget.scene is scene


def test_a_committed_edit_is_told_to_the_other_pages(browser: Browser, scene: Scene) -> None:
    painted = scene.paint(1, [(0, 0)])
    browser.edit(painted, commit=False)
    assert browser.of("state") == []
    browser.edit(painted, commit=True)
    assert (browser.state()["why"], browser.state()["client"]) == ("edit", "page")
    np.testing.assert_array_equal(browser.maps()[0], painted.strengths)


# A new scene


def test_a_prompt_draws_a_new_scene(widget: PaintWidget, browser: Browser, painter: FakePainter) -> None:
    seq = browser.ask("analyze", prompt="a boat", seed="9223372036854775807", n_steps=2, n_factors=3)
    assert browser.of("status")[-1]["task"] == "draw"
    widget.wait(SOON_S)

    assert ("analyze", ("a boat", 2**63 - 1, 2, 3)) in painter.calls
    assert widget.scene.prompt == "a boat"
    assert browser.state()["seed"] == "9223372036854775807"
    assert browser.state()["revision"] == 1
    assert browser.frames()[-1][0]["seq"] == seq


def test_an_analysis_that_fails_keeps_the_scene_and_can_be_tried_again(
    widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    painter.fault = OSError("out of paint")
    seq = browser.ask("analyze", prompt="a boat", seed=1, n_steps=1, n_factors=3)
    with pytest.raises(RuntimeError):
        widget.wait(SOON_S)
    assert widget.scene is scene
    error = browser.of("error")[-1]
    assert (error["message"], error["seq"], error["client"]) == ("OSError: out of paint", seq, "page")

    painter.fault = None
    browser.ask("retry")
    widget.wait(SOON_S)
    assert widget.scene.prompt == "a boat"


def test_an_edit_during_an_analysis_does_not_push_it_out(
    widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    painter.hold()
    browser.edit(scene.scale(0, 0.9))
    assert painter.entered.wait(SOON_S)
    browser.ask("analyze", prompt="a boat", seed=1, n_steps=1, n_factors=3)
    seq = browser.edit(scene.scale(0, 0.5), revision=0)
    painter.gate.set()
    widget.wait(SOON_S)
    assert widget.scene.prompt == "a boat"
    assert {"type": "ack", "client": "page", "seq": seq} in browser.of("ack")


@pytest.mark.parametrize("fails", [False, True])
def test_a_palette_edit_or_a_paste_during_an_analysis_changes_the_scene_and_does_not_push_it_out(
    fails: bool, widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    browser.ask("hello")
    browser.ask("copy", patches=[17])
    painter.hold()
    browser.ask("analyze", prompt="a lion", seed=9, n_steps=1, n_factors=3)
    assert painter.entered.wait(SOON_S)
    rename = {"verb": "rename", "arguments": {"factor": 0, "name": "sea"}}
    seq = browser.ask("palette", revision=0, commit=True, **rename)
    assert {"type": "ack", "client": "page", "seq": seq} in browser.of("ack")
    assert widget.scene == scene.rename(0, "sea")
    browser.ask("paste", revision=1)
    before = widget.scene
    assert before != scene.rename(0, "sea")
    assert browser.of("status")[-1]["task"] == "draw"
    painter.fault = OSError("out of paint") if fails else None
    painter.gate.set()
    if fails:
        with pytest.raises(RuntimeError):
            widget.wait(SOON_S)
        assert widget.scene == before
        painter.fault = None
        browser.ask("retry")
    widget.wait(SOON_S)
    assert (widget.scene.prompt, widget.scene.seed) == ("a lion", 9)
    assert browser.of("status")[-1]["task"] == ""
    widget.undo()
    assert widget.scene == before


def test_a_palette_edit_while_a_variation_is_made_is_in_the_variation(scene: Scene) -> None:
    painter = FullPainter()
    widget = PaintWidget(painter, scene)
    browser = Browser(widget)
    painter.hold()
    browser.ask("vary", verb="reseed", value=9)
    assert painter.entered.wait(SOON_S)
    rename = {"verb": "rename", "arguments": {"factor": 0, "name": "sea"}}
    browser.ask("palette", revision=0, commit=True, **rename)
    painter.gate.set()
    widget.wait(SOON_S)
    assert (widget.scene.seed, widget.scene.names[0]) == (9, "sea")
    widget.close()


def test_of_two_new_scenes_that_are_requested_the_newer_one_counts(
    widget: PaintWidget, browser: Browser, painter: FakePainter
) -> None:
    painter.hold()
    browser.ask("analyze", prompt="a boat", seed=1, n_steps=1, n_factors=3)
    assert painter.entered.wait(SOON_S)
    browser.ask("analyze", prompt="a lion", seed=1, n_steps=1, n_factors=3)
    painter.gate.set()
    widget.wait(SOON_S)
    assert widget.scene.prompt == "a lion"


@pytest.mark.parametrize("commit", [False, True])
def test_what_was_painted_during_an_analysis_that_fails_is_drawn(
    commit: bool, widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    browser.ask("hello")
    painter.hold()
    painter.fault = OSError("out of paint")
    analyze = painter.analyze

    def fails_once(*given: Any, **more: Any) -> Scene:
        try:
            return analyze(*given, **more)
        finally:
            painter.fault = None

    painter.analyze = fails_once  # type: ignore[method-assign]
    browser.ask("analyze", prompt="a boat", seed=1, n_steps=1, n_factors=3)
    assert painter.entered.wait(SOON_S)
    painted = scene.paint(0, [(1, 1)], 2.0)
    browser.edit(painted, [1.0, 0.5, 1.0, 1.0, 1.0], commit=commit)
    painter.gate.set()
    with pytest.raises(RuntimeError, match="out of paint"):  # the new scene could not be made
        widget.wait(SOON_S)
    shown = painted.scale(1, 0.5)
    assert widget.scene == shown
    assert painter.rendered[-1] == shown
    assert Scene.from_bytes(widget.image) == shown
    # The picture takes the error away in the browser, so it comes once more.
    assert browser.kinds().index("frame") < len(browser.kinds()) - 1 - browser.kinds()[::-1].index("error")
    assert browser.of("error")[-1]["message"] == "OSError: out of paint"
    assert browser.of("error")[-1]["retry"]
    browser.ask("export", form="png", factor=0)
    assert widget._open.idle.wait(SOON_S)
    assert len(browser.of("file")) == 1

    browser.ask("retry")
    widget.wait(SOON_S)
    assert widget.scene.prompt == "a boat"
    assert widget.last_error is None


def test_a_retry_during_an_analysis_does_not_push_it_out(
    widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    painter.hold()
    browser.edit(scene.scale(0, 0.9))
    assert painter.entered.wait(SOON_S)
    browser.ask("analyze", prompt="a boat", seed=1, n_steps=1, n_factors=5)
    seq = browser.ask("retry")
    painter.gate.set()
    widget.wait(SOON_S)
    assert widget.scene.prompt == "a boat"
    assert {"type": "ack", "client": "page", "seq": seq} in browser.of("ack")
    # And painting goes on.
    painted = widget.scene.scale(0, 0.5)
    browser.edit(painted)
    widget.wait(SOON_S)
    assert painter.rendered[-1] == painted


# Faults


def test_an_error_about_memory_says_what_to_do_and_holds_none(
    widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[weakref.ref[Any]] = []

    def render(_: Scene) -> Image.Image:
        large = np.zeros(1000)
        held.append(weakref.ref(large))
        raise MemoryError

    monkeypatch.setattr(painter, "render", render)
    browser.edit(scene.paint(0, [(1, 2)]))
    with pytest.raises(RuntimeError):
        widget.wait(SOON_S)
    assert browser.of("error")[-1]["message"] == (
        "MemoryError: there was not enough memory; close other notebooks, or choose a smaller model or dtype"
    )
    assert held[0]() is None


def test_a_fault_while_rendering_reaches_the_browser_and_loses_nothing(
    widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    painter.fault = RuntimeError("CUDA error\nout of memory")
    painted = scene.paint(0, [(1, 2)])
    seq = browser.edit(painted)
    with pytest.raises(RuntimeError):
        widget.wait(SOON_S)

    error = browser.of("error")[-1]
    assert error["message"] == "RuntimeError: out of memory"
    assert (error["client"], error["seq"]) == ("page", seq)
    assert "Traceback" in error["traceback"]
    assert "CUDA error" in error["traceback"]
    assert widget.last_error is painter.fault
    assert widget.scene == painted
    assert {"type": "ack", "client": "page", "seq": seq} in browser.of("ack")
    assert browser.of("status")[-1]["busy"] is False

    painter.fault = None
    browser.ask("retry")
    widget.wait(SOON_S)
    assert browser.frames()[-1][0]["kind"] == "final"
    assert painter.rendered[-1] == painted
    assert widget.last_error is None


def good(scene: Scene) -> dict[str, Any]:
    return {"type": "edit", "client": "page", "seq": 1, "revision": 0, "gains": [1.0] * 5, "commit": True}


ANALYZE = {
    "type": "analyze",
    "client": "page",
    "seq": 1,
    "prompt": "",
    "seed": 0,
    "n_steps": 1,
    "n_factors": 5,
}
KINDS = ", ".join(messages.REQUESTS)
PALETTE = {"type": "palette", "client": "page", "seq": 1, "revision": 0, "commit": True}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "message None is not an object; send {type: ...}"),
        ([1, 2], "message [1, 2] is not an object; send {type: ...}"),
        ({}, f"message type None is unknown; send one of {KINDS}"),
        ({"type": "paint"}, f"message type 'paint' is unknown; send one of {KINDS}"),
        ({"type": ["edit"]}, f"message type ['edit'] is unknown; send one of {KINDS}"),
        ({"type": "hello", "seq": 1}, "hello: client=None is not a text of 1 to 64 characters"),
        ({"type": "ping", "client": ""}, "ping: client='' is not a text of 1 to 64 characters"),
        ({"type": "undo", "client": "page", "seq": -1}, "undo: seq=-1 is not a whole number 0..2**53"),
        ({"type": "redo", "client": "page", "seq": True}, "redo: seq=True is not a whole number 0..2**53"),
        ({"type": "retry", "client": "page", "seq": 1.5}, "retry: seq=1.5 is not a whole number 0..2**53"),
        (ANALYZE | {"prompt": 5}, "analyze: prompt=5 is not text; give a str"),
        (ANALYZE | {"prompt": None}, "analyze: prompt is missing"),
        (
            ANALYZE | {"seed": "three"},
            "analyze: seed='three' is not a whole number; give an int 0..9223372036854775807",
        ),
        (
            ANALYZE | {"seed": "9223372036854775808"},
            "analyze: seed=9223372036854775808 is outside 0..9223372036854775807; "
            "the same seed gives the same picture",
        ),
        (
            ANALYZE | {"n_steps": 0},
            "analyze: n_steps=0 is outside 1..4; "
            "the model is made for 1 to 4 steps (1 is the fastest to edit)",
        ),
        (
            PALETTE | {"verb": "render", "arguments": {}},
            "palette: verb='render' is unknown; choose one of rename, recolor, duplicate, remove, reorder, "
            "set_weight, reset_weights, add_factor, add_concept, restyle, borrow, set_steps",
        ),
        (
            PALETTE | {"verb": "rename", "arguments": {"factor": 0}},
            "palette: rename: arguments={'factor': 0} do not fit; give factor, name",
        ),
        (
            PALETTE | {"verb": "reorder", "arguments": {"order": 3}},
            "palette: order=3 is not a list of factors",
        ),
        (
            PALETTE | {"verb": "remove", "arguments": {"factor": 5}},
            "factor=5, but this scene has 5 factors; choose 0..4 or one of "
            "'sky', 'lion', 'meadow', 'tree', 'sun'",
        ),
        (
            PALETTE | {"verb": "rename", "arguments": {"factor": 0, "name": "lion"}},
            "names holds 'lion' twice; factors are picked by name, so all must differ",
        ),
        (
            PALETTE | {"verb": "add_factor", "arguments": {"features": {"8": 1}, "name": None}},
            "feature=8 is outside 0..7; the SAE has 8 features",
        ),
        (
            {"type": "search", "client": "page", "seq": 1, "text": 5},
            "search: text=5 is not a text of up to 200 characters",
        ),
        (
            {"type": "icons", "client": "page", "seq": 1, "keys": "all"},
            "icons: keys='all' is not a list of texts",
        ),
        (
            {"type": "export", "client": "page", "seq": 1, "form": "exe"},
            "export: form='exe' is unknown; choose one of png, json, py, sweep, gif, webp, mp4",
        ),
        ({"type": "go", "client": "page", "seq": 1}, "go: step=None is not a whole number 0..2**53"),
        (
            ANALYZE | {"n_factors": 300},
            "analyze: n_factors=300, but an image has 256 patches; choose 1..256 (3..8 reads best)",
        ),
    ],
)
def test_a_bad_message_is_one_clear_error(
    content: Any, message: str, widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    check_refused(content, None, message, widget, browser, painter, scene)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"commit": 1}, "edit: commit=1 is neither true nor false"),
        ({"revision": "0"}, "edit: revision='0' is not a whole number 0..2**53"),
        ({"gains": None}, "edit: gains=None is not a list of numbers"),
        ({"gains": [1.0] * 3}, "edit: gains has 3 numbers, but the scene has 5 factors"),
        ({"gains": [1, 1, 1, 1, "1"]}, "edit: gains holds '1'; give finite numbers, 1 = as painted"),
        ({"gains": [1, 1, 1, 1, float("nan")]}, "edit: gains holds nan; give finite numbers, 1 = as painted"),
        ({"gains": [1, 1, 1, 1, 1e30]}, "edit: gains holds 1e+30; give finite numbers, 1 = as painted"),
        ({"gains": [1, 1, 1, 1, 10**400]}, None),
    ],
)
def test_a_bad_field_of_an_edit_is_one_clear_error(
    change: dict[str, Any],
    message: str | None,
    widget: PaintWidget,
    browser: Browser,
    painter: FakePainter,
    scene: Scene,
) -> None:
    buffers = [scene.strengths.tobytes(), scene.remainder.tobytes()]
    check_refused(good(scene) | change, buffers, message, widget, browser, painter, scene)


def spoiled(array: np.ndarray[Any, Any], spot: tuple[int, ...], value: float) -> bytes:
    array = array.copy()
    array[spot] = value
    return array.tobytes()


@pytest.mark.parametrize(
    ("buffers", "message"),
    [
        (lambda s, r: [], "edit: no buffers came, but 2 are needed: strengths and remainder"),
        (lambda s, r: [s.tobytes()], "edit: 1 buffer came, but 2 are needed: strengths and remainder"),
        (
            lambda s, r: [s.tobytes()[:100], r.tobytes()],
            "edit: strengths buffer has 100 bytes, but 16×16×5 float32 need 5120",
        ),
        (
            lambda s, r: [s.tobytes(), r.tobytes() + b"\0"],
            "edit: remainder buffer has 1025 bytes, but 16×16 float32 need 1024",
        ),
        (
            lambda s, r: [spoiled(s, (3, 4, 0), np.nan), r.tobytes()],
            "edit: strengths holds nan at (3, 4, 0); only finite numbers can be painted",
        ),
        (
            lambda s, r: [s.tobytes(), spoiled(r, (0, 15), np.inf)],
            "edit: remainder holds inf at (0, 15); only finite numbers can be painted",
        ),
        (lambda s, r: [s.tobytes(), spoiled(r, (0, 0), 1.5)], "edit: remainder has values outside 0..1"),
        (lambda s, r: [s.tobytes(), spoiled(r, (0, 0), -0.5)], "edit: remainder has values outside 0..1"),
    ],
)
def test_bad_buffers_are_one_clear_error(
    buffers: Any, message: str, widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    given = buffers(scene.strengths, scene.remainder)
    check_refused(good(scene), given, message, widget, browser, painter, scene)


def test_sliders_that_make_strengths_overflow_are_refused(
    widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    buffers = [spoiled(scene.strengths, (0, 0, 0), 3e38), scene.remainder.tobytes()]
    content = good(scene) | {"gains": [1e6, 1, 1, 1, 1]}
    message = "strengths holds inf at (0, 0, 0); give finite numbers only"
    check_refused(content, buffers, message, widget, browser, painter, scene)


def check_refused(
    content: Any,
    buffers: list[bytes] | None,
    message: str | None,
    widget: PaintWidget,
    browser: Browser,
    painter: FakePainter,
    scene: Scene,
) -> None:
    calls = len(painter.calls)

    browser.say(content, buffers)

    assert widget.scene is scene
    assert not widget.undo()
    assert len(painter.calls) == calls
    (error,) = browser.of("error")
    if message is not None:
        assert error["message"] == message
        assert str(widget.last_error) == message
    # A message that says from whom it is gets its place in the window back.
    address = (content.get("client"), repr(content.get("seq"))) if isinstance(content, dict) else None
    if address == ("page", "1"):
        assert {"type": "ack", "client": "page", "seq": 1} in browser.of("ack")
    # And painting goes on.
    painted = scene.paint(0, [(1, 2)])
    browser.edit(painted)
    assert widget.scene == painted


def test_what_was_sent_may_be_overwritten_afterwards(
    widget: PaintWidget, browser: Browser, scene: Scene
) -> None:
    buffers = [bytearray(scene.strengths.tobytes()), bytearray(scene.remainder.tobytes())]
    browser.say(good(scene), buffers)
    for buffer in buffers:
        buffer[:] = bytes(len(buffer))
    assert widget.scene == scene


# Threads


def test_messages_and_python_from_many_threads_leave_a_consistent_widget(
    widget: PaintWidget, browser: Browser, scene: Scene
) -> None:
    browser.ask("hello")
    faults: list[BaseException] = []

    def run(act: Any) -> None:
        try:
            for i in range(40):
                act(i)
        except BaseException as fault:
            faults.append(fault)

    def edit(i: int) -> None:
        strengths = scene.scale(0, i / 40).strengths
        browser.say(
            good(scene) | {"seq": i, "revision": browser.state()["revision"], "commit": i % 3 == 0},
            [strengths.tobytes(), scene.remainder.tobytes()],
        )

    def assign(i: int) -> None:
        widget.scene = scene.scale(1, i / 40)

    acts = [
        edit,
        edit,
        assign,
        lambda i: widget.undo(),
        lambda i: widget.analyze(seed=i),
        lambda i: widget.scene,
    ]
    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON_S)
    widget.wait(SOON_S)

    assert faults == []
    assert widget.last_error is None
    assert browser.state()["revision"] == max(state["revision"] for state in browser.of("state"))
    browser.ask("hello")
    np.testing.assert_array_equal(
        browser.maps()[0] * np.float32(browser.state()["gains"]), widget.scene.strengths
    )
    assert widget.seed == widget.scene.seed
    assert browser.of("status")[-1]["busy"] is False


# What the model does not read of a prompt


class NotingPainter(FakePainter):
    """Knows two words, and reads three words of a text."""

    known_words = ("pine", "snow")

    def prompt_notes(self, prompt: str, style: str | None = None) -> PromptNotes:
        self._begin("prompt_notes", (prompt, style))
        text = prompt if style is None else style
        return PromptNotes.of(text, self.known_words, Cut(3, 4) if "long" in text else None)


def test_a_page_hears_what_the_model_does_not_read(scene: Scene) -> None:
    painter = NotingPainter()
    widget = PaintWidget(painter, scene)
    try:
        browser = Browser(widget)
        browser.ask("hello")
        assert browser.state()["capabilities"] == ["prompt_notes"]
        browser.ask("notes", prompt="a pine", style="long pine")
        widget._open.idle.wait(SOON_S)
        told = browser.of("notes")[-1]
        assert (told["prompt"], told["style"]) == (
            "not known here: a",
            "not known here: long; only the first 3 tokens count: everything after “long” is ignored",
        )
        assert told["words"] == ["pine", "snow"]
        browser.ask("notes", prompt="snow", style="")
        widget._open.idle.wait(SOON_S)
        told = browser.of("notes")[-1]
        assert (told["prompt"], told["style"], told["words"]) == ("", "", [])
        painter.fault = ValueError("no tokenizer")
        browser.ask("notes", prompt="snow", style="")
        widget._open.idle.wait(SOON_S)
        assert browser.of("error")[-1]["message"] == "No tokenizer"
    finally:
        widget.close()


def test_a_painter_that_reads_everything_has_nothing_to_say(widget: PaintWidget, browser: Browser) -> None:
    browser.ask("notes", prompt="a zebra", style="")
    widget._open.idle.wait(SOON_S)
    told = browser.of("notes")[-1]
    assert (told["prompt"], told["style"], told["words"]) == ("", "", [])
