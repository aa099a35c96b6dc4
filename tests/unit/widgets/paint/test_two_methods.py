"""A painter with nothing but `analyze` and `render` works; what it does not offer is one error."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint.messages import REQUESTS
from ember_widgets.widgets.paint.queries import MIME
from ember_widgets.widgets.paint.widget import PaintWidget
from tests.unit.scene.scenes import make_scene
from tests.unit.widgets.paint.paint_bench import SOON_S, Browser


class TwoMethods:
    """The least that is a painter."""

    def analyze(self, prompt: str = "", *, seed: int = 0, n_steps: int = 1, n_factors: int = 5) -> Scene:
        return make_scene(n_factors, prompt=prompt, seed=seed, n_steps=n_steps)

    def render(self, scene: Scene) -> Image.Image:
        return Image.fromarray((50 * scene.strengths[..., :3]).clip(0, 255).astype(np.uint8)).resize((32, 32))


@pytest.fixture
def widget() -> Iterator[PaintWidget]:
    widget = PaintWidget(TwoMethods(), make_scene())
    yield widget
    widget.close()


@pytest.fixture
def browser(widget: PaintWidget) -> Browser:
    browser = Browser(widget)
    browser.ask("hello")
    return browser


def settle(widget: PaintWidget) -> None:
    session = widget._open
    session.worker.wait(SOON_S)
    session.idle.wait(SOON_S)


SCENE = make_scene()
BORROWED: dict[str, Any] = {"prompt": "a boat", "file": ""}
OFFERED: list[tuple[str, dict[str, Any], list[bytes], str]] = [
    ("hello", {}, [], "state"),
    ("ping", {}, [], "status"),
    ("edit", {"revision": 0, "gains": [1, 1, 1], "commit": True}, [], "frame"),
    ("analyze", {"prompt": "a boat", "style": "", "seed": "4", "n_steps": 1, "n_factors": 3}, [], "frame"),
    ("undo", {}, [], "ack"),
    ("redo", {}, [], "ack"),
    ("go", {"step": 0}, [], "frame"),
    ("retry", {}, [], "frame"),
    ("palette", {"verb": "rename", "arguments": {"factor": 0, "name": "x"}}, [], "frame"),
    ("palette", {"verb": "add_factor", "arguments": {"features": {"2": 1}, "name": None}}, [], "frame"),
    ("palette", {"verb": "restyle", "arguments": {"style": ""}}, [], "frame"),
    ("search", {"text": "3", "site": ""}, [], "found"),
    ("icons", {"keys": ["feature 3", "step 0"]}, [], "icon"),
    ("original", {}, [], "original"),
    ("top", {"factor": 1}, [], "top"),
    *(("export", {"form": form, "factor": 0}, [], "file") for form in MIME if form != "sweep"),
    ("film", {"step": 0, "form": "webp"}, [], "file"),
    ("stop_film", {}, [], "ack"),
    ("open", {}, [SCENE.to_bytes()], "frame"),
    ("borrow_source", BORROWED, [], "borrow_source"),
    ("views", {"n": 0}, [], "views"),
    ("panels", {}, [], "panels"),
    ("keep", {"step": 0, "name": "mine"}, [], "ack"),
    ("forget", {"step": None}, [], "ack"),
    ("notes", {"prompt": "a zebra", "style": ""}, [], "notes"),
    ("copy", {"patches": [3]}, [], "notice"),
    ("paste", {"revision": 0}, [], "notice"),
    ("share", {"title": "mine"}, [], "notice"),
]
NOT_OFFERED: list[tuple[str, dict[str, Any], str]] = [
    ("vary", {"verb": "refit", "value": 4}, "This painter has no refit(); ember.Painter has"),
    ("vary", {"verb": "reseed", "value": "4"}, "This painter has no reseed(); ember.Painter has"),
    ("vary", {"verb": "reseed_edit", "value": "4"}, "This painter has no robustness(); ember.Painter has"),
    ("robustness", {"on": True}, "This painter has no robustness(); ember.Painter has"),
    ("export", {"form": "sweep", "factor": 0}, "This painter has no sweep(); ember.Painter has"),
    (
        "palette",
        {"verb": "restyle", "arguments": {"style": "in sepia"}},
        "This painter has no styles; ember.Painter has",
    ),
    (
        "analyze",
        {"prompt": "x", "style": "in sepia", "seed": "4", "n_steps": 1, "n_factors": 3},
        "This painter has no styles; ember.Painter has",
    ),
]


def ask(browser: Browser, kind: str, content: dict[str, Any], buffers: list[bytes] | None = None) -> None:
    """Send a request, with what every request of its type has."""
    if kind == "edit":
        buffers = [SCENE.strengths.tobytes(), SCENE.remainder.tobytes()]
    if kind == "palette":
        content = {"revision": browser.state()["revision"], "commit": True, **content}
    if kind == "top":
        content = {"revision": browser.state()["revision"], **content}
    browser.seq += 1
    browser.say({"type": kind, "client": "page", "seq": browser.seq, **content}, buffers)


def test_every_request_is_tried() -> None:
    assert {kind for kind, *_ in [*OFFERED, *NOT_OFFERED]} == set(REQUESTS)


@pytest.mark.parametrize(
    ("kind", "content", "buffers", "answer"), OFFERED, ids=[f"{kind}-{c}"[:40] for kind, c, *_ in OFFERED]
)
def test_what_needs_no_more_works(
    kind: str,
    content: dict[str, Any],
    buffers: list[bytes],
    answer: str,
    widget: PaintWidget,
    browser: Browser,
) -> None:
    browser.heard.clear()
    ask(browser, "hello", {})
    ask(browser, kind, content, buffers)
    settle(widget)
    assert browser.of("error") == []
    assert browser.of(answer)


@pytest.mark.parametrize(
    ("kind", "content", "message"), NOT_OFFERED, ids=[f"{kind}-{c}"[:40] for kind, c, _ in NOT_OFFERED]
)
def test_what_it_does_not_offer_is_one_clear_error(
    kind: str, content: dict[str, Any], message: str, widget: PaintWidget, browser: Browser
) -> None:
    before = widget.scene
    ask(browser, kind, content)
    settle(widget)
    assert [error["message"] for error in browser.of("error")] == [message]
    assert widget.scene is before
    assert browser.state()["capabilities"] == []


def test_it_needs_no_labels_icons_or_guidance(widget: PaintWidget, browser: Browser) -> None:
    widget.scene = make_scene(guidance=5.0)
    widget.analyze("a boat")
    widget.wait(SOON_S)
    assert widget.scene.prompt == "a boat"
    assert all(part["label"] == "" for factor in browser.state()["features"] for part in factor)
    end = time.monotonic() + SOON_S
    browser.ask("icons", keys=browser.state()["icons"])
    while len(browser.of("icon")) < 3 and time.monotonic() < end:
        time.sleep(0.01)
    assert len(browser.of("icon")) == 3
