"""Steps of the history, files in and out, the unedited picture, and what was done as Python."""

from __future__ import annotations

import io
import time
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ember_widgets.scene.grid import Grid
from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint.widget import PaintWidget
from tests.unit.scene.scenes import make_scene
from tests.unit.widgets.paint.paint_bench import SOON_S, Browser, FakePainter


@pytest.fixture
def browser(browser: Browser) -> Browser:
    browser.ask("hello")
    return browser


def answer(browser: Browser, kind: str) -> tuple[dict[str, Any], bytes]:
    """The first message of a kind and its buffer, as soon as it is there."""
    end = time.monotonic() + SOON_S
    while time.monotonic() < end:
        for message, buffers in list(browser.heard):
            if message["type"] == kind:
                return message, buffers[0] if buffers else b""
        time.sleep(0.01)
    raise TimeoutError(kind)


def test_every_step_has_a_number_of_its_own_and_can_be_gone_to(
    widget: PaintWidget, browser: Browser, scene: Scene
) -> None:
    first, second = scene.scale(0, 0.5), scene.scale(0, 0.25)
    browser.edit(first)
    browser.edit(second)
    assert [step for step, *_ in browser.state()["steps"]] == [0, 1, 2]

    browser.ask("go", step=1)
    assert widget.scene == first
    assert (browser.state()["step"], browser.state()["can_redo"]) == (1, True)

    third = scene.scale(0, 0.75)
    browser.edit(third)
    assert [step for step, *_ in browser.state()["steps"]] == [0, 1, 3]
    browser.edit(scene)
    assert [step for step, *_ in browser.state()["steps"]] == [0, 1, 3, 4]
    browser.ask("go", step=0)
    assert widget.scene == scene
    widget.redo()
    assert widget.scene == first


def test_a_step_that_is_gone_is_nowhere_to_go(widget: PaintWidget, browser: Browser, scene: Scene) -> None:
    seq = browser.ask("go", step=9)
    assert browser.of("ack")[-1]["seq"] == seq
    assert widget.scene == scene


def test_a_step_shows_the_picture_that_was_drawn_of_it(
    widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    browser.edit(scene.scale(0, 0.5))
    widget.wait(SOON_S)
    count = len(painter.rendered)
    (_, key, _) = browser.state()["steps"][1]
    browser.ask("icons", keys=[key])
    assert answer(browser, "icon")[0]["key"] == key
    assert len(painter.rendered) == count

    browser.heard.clear()
    browser.ask("icons", keys=["step 0"])  # drawn before anyone kept it
    assert answer(browser, "icon")[0]["key"] == "step 0"
    assert painter.rendered[-1] == scene


def test_a_step_that_is_asked_for_while_it_is_drawn_is_drawn_once(
    widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    painter.hold()
    browser.edit(scene.scale(0, 0.5))
    assert painter.entered.wait(SOON_S)
    count = len(painter.rendered)
    browser.ask("icons", keys=[browser.state()["steps"][1][1]])
    painter.gate.set()
    answer(browser, "icon")
    assert len(painter.rendered) == count


def test_the_unedited_picture_is_drawn_from_what_was_analysed(
    browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    browser.edit(scene.paint(0, "everything", 2.0))
    seq = browser.ask("original")
    message, data = answer(browser, "original")
    assert (message["client"], message["seq"]) == ("page", seq)
    wanted = np.asarray(painter.render(scene))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), wanted)


def test_an_exported_picture_holds_the_scene_as_it_is_drawn(
    widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    browser.edit(scene, [0.5, 1, 1])
    browser.ask("export", form="png")
    message, data = answer(browser, "file")
    assert (message["name"], message["mime"]) == ("a-lion-in-a-meadow-3.png", "image/png")
    assert Scene.from_bytes(data) == scene.scale(0, 0.5)
    wanted = np.asarray(painter.render(scene.scale(0, 0.5)))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), wanted)


def test_an_exported_file_and_picture_can_be_opened(
    widget: PaintWidget, browser: Browser, scene: Scene
) -> None:
    other = scene.paint(1, "left").rename(0, "heaven")
    for data in (other.to_bytes(), other.to_bytes(Image.new("RGB", (4, 4)))):
        widget.scene = scene
        browser.seq += 1
        browser.say({"type": "open", "client": "page", "seq": browser.seq}, [data])
        assert widget.scene == other
        widget.undo()
        assert widget.scene == scene


@pytest.mark.parametrize(
    ("buffers", "message"),
    [
        ([], "open: no buffers came, but 1 is needed: the file"),
        (
            [b"hello"],
            "This file cannot be opened: it is not JSON, or cut off; give a file written by scene.save",
        ),
    ],
)
def test_a_file_that_is_no_scene_says_so_and_changes_nothing(
    buffers: list[bytes], message: str, widget: PaintWidget, browser: Browser, scene: Scene
) -> None:
    browser.say({"type": "open", "client": "page", "seq": 5}, buffers)
    assert browser.of("error")[-1]["message"] == message
    assert browser.of("ack")[-1]["seq"] == 5
    assert widget.scene is scene


def test_without_a_picture_none_is_exported_but_the_scene_is(
    browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    painter.fault = OSError("out of paint")
    browser.edit(scene.scale(0, 0.5))
    answer(browser, "error")
    browser.heard.clear()
    browser.ask("export", form="png")
    assert answer(browser, "error")[0]["message"] == (
        "RuntimeError: there is no picture to export (OSError: out of paint); "
        "export the scene without it, as .json"
    )
    browser.ask("export", form="json")
    assert Scene.from_bytes(answer(browser, "file")[1]) == scene.scale(0, 0.5)


# Python


def call(verb: str, shares: Any, **arguments: Any) -> dict[str, Any]:
    flat = np.asarray(shares, np.float64).ravel().tolist()
    return {"verb": verb, "shares": flat, **arguments}


def program(browser: Browser) -> str:
    browser.heard[:] = [heard for heard in browser.heard if heard[0]["type"] != "file"]
    browser.ask("export", form="py")
    return answer(browser, "file")[1].decode()


def run(text: str, painter: FakePainter) -> Scene:
    names: dict[str, Any] = {"painter": painter}
    exec(text, names)
    scene = names["scene"]
    assert isinstance(scene, Scene)
    return scene


def soft() -> np.ndarray[Any, Any]:
    shares = np.zeros((16, 16))
    shares[3, 3], shares[3, 4] = 1, 0.5
    return shares


HERE = np.zeros((16, 16), bool)
HERE[4:6, 7] = True


def test_strokes_are_the_verbs_that_they_were(widget: PaintWidget, browser: Browser, scene: Scene) -> None:
    steps = [
        (
            scene.paint(1, "floor", 0.7),
            call("paint", Grid().areas["floor"], factor=1, strength=0.7, opacity=1, mode="over"),
        ),
        (
            scene.paint(1, "floor", 0.7).move("sky", 1, -2, HERE),
            call("move", HERE, factor=0, d_row=1, d_col=-2, heal=True),
        ),
    ]
    for painted, what in steps:
        browser.edit(painted, call=what)
    change = {"factor": 1, "name": "cat"}
    revision = browser.state()["revision"]
    browser.ask("palette", revision=revision, commit=True, verb="rename", arguments=change)
    last = steps[-1][0].rename(1, "cat")
    browser.edit(last, [1, 0.5, 1])

    assert program(browser) == widget.to_python()
    assert widget.to_python().splitlines()[2:] == [
        "scene = painter.analyze('a lion in a meadow', seed=3, n_steps=1, n_factors=3)",
        "scene = scene.replace(names=('sky', 'lion', 'meadow'))",
        "scene = scene.paint(factor='lion', strength=0.7, opacity=1.0, mode='over', patches='floor')",
        "scene = scene.move(factor='sky', d_row=1, d_col=-2, heal=True, patches=[(4, 7), (5, 7)])",
        "scene = scene.rename(factor='lion', name='cat')",
        "scene = scene.scale('cat', 0.5)",
        "painter.render(scene)",
    ]


def test_the_program_makes_the_very_scene(
    widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    painted = scene.paint(2, soft() > 0, 1.5, opacity=soft())
    browser.edit(painted, call=call("paint", soft(), factor=2, strength=1.5, opacity=1, mode="over"))
    erased = painted.erase(HERE, heal=True)
    browser.edit(erased, call=call("erase", HERE, factor=None, heal=True))
    browser.edit(erased.scale(0, 1.25, HERE), call=call("scale", HERE, factor=0, gain=1.25))

    text = program(browser)

    assert "array(" not in text
    made = run(text, painter)
    np.testing.assert_allclose(made.strengths, widget.scene.strengths, atol=1e-6)
    np.testing.assert_allclose(made.remainder, widget.scene.remainder, atol=1e-6)


@pytest.mark.parametrize(
    "what",
    [
        None,
        "paint",
        {"verb": "paint"},
        {"verb": "save", "shares": [1] * 256, "path": "/tmp/x"},
        call("paint", [1] * 256, factor=0, strength=9, opacity=1, mode="over"),
        call("paint", [1] * 256, factor=7, strength=1, opacity=1, mode="over"),
        call("paint", [1] * 256, factor=0, strength="1", opacity=1, mode="import os"),
        call("paint", [1] * 256, factor=0, strength=1, opacity="all", mode="over"),
        call("move", [1] * 3, factor=0, d_row=1, d_col=1, heal=True),
    ],
    ids=[
        "none",
        "text",
        "no arguments",
        "no call",
        "another strength",
        "no factor",
        "no numbers",
        "no opacity",
        "3 patches",
    ],
)
def test_where_the_verb_is_not_what_came_out_the_program_holds_the_result(
    what: Any, widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    browser.edit(scene.paint(0, "left", 0.3), call=what)
    text = program(browser)
    assert "array(" in text
    made = run(text, painter)
    assert made == widget.scene


def test_a_pens_stroke_is_one_call_with_the_opacity_of_each_patch(
    widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    shares = np.zeros((16, 16))
    shares[3] = np.linspace(0.1, 1, 16)
    painted = scene.paint(2, shares > 0, 1.5, opacity=shares)
    browser.edit(painted, call=call("paint", shares, factor=2, strength=1.5, opacity=1, mode="over"))
    text = program(browser)
    assert text.count("scene.paint(") == 1
    np.testing.assert_allclose(run(text, painter).strengths, painted.strengths, atol=1e-6)


def test_a_scene_of_one_factor_can_be_told_too(painter: FakePainter) -> None:
    scene = make_scene(1)
    widget = PaintWidget(painter, scene)
    Browser(widget).edit(scene.paint(0, "left", 0.3))
    assert run(widget.to_python(), painter) == widget.scene
    widget.close()


def test_a_scene_that_was_painted_before_is_in_the_program(
    widget: PaintWidget, browser: Browser, scene: Scene
) -> None:
    widget.scene = begun = scene.paint(0, "left").add_factor({1: 1})
    browser.edit(
        begun.paint(1, "floor"),
        call=call("paint", Grid().areas["floor"], factor=1, strength=1, opacity=1, mode="over"),
    )
    assert widget.to_python().count("scene.paint(") == 1
    assert run(widget.to_python(), FakePainter()) == widget.scene


def test_undone_strokes_are_not_in_the_program(widget: PaintWidget, browser: Browser, scene: Scene) -> None:
    before = program(browser)
    browser.edit(scene.paint(0, "left"))
    widget.undo()
    assert program(browser) == before


@pytest.mark.parametrize(
    ("kind", "fields", "answer"),
    [
        ("original", {}, "original"),
        ("top", {"factor": 0, "revision": 0}, "top"),
        ("export", {"form": "py"}, "file"),
        ("borrow_source", {"prompt": "a boat", "file": ""}, "borrow_source"),
    ],
)
def test_two_pages_that_ask_for_the_same_while_a_picture_is_drawn_both_get_it(
    kind: str,
    fields: dict[str, Any],
    answer: str,
    widget: PaintWidget,
    browser: Browser,
    painter: FakePainter,
    scene: Scene,
) -> None:
    painter.hold()
    browser.edit(scene.scale(0, 0.5))
    assert painter.entered.wait(SOON_S)
    for client in ("page", "other"):
        browser.say({"type": kind, "client": client, "seq": 50, **fields})
    painter.gate.set()
    widget._open.idle.wait(SOON_S)
    assert [message["client"] for message in browser.of(answer)] == ["page", "other"]
