"""A painter whose model is on a server: what the widget says and does when the connection breaks."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from ember_widgets.painter.protocol import Connection
from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint.widget import PaintWidget
from tests.unit.scene.scenes import make_scene
from tests.unit.widgets.paint.paint_bench import SOON_S, Browser, FakePainter

GALLERY = "https://host:8777/gallery"


class ServedPainter(FakePainter):
    """Its connection is whatever the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.connection: Connection = "connected"
        self.listeners: list[Callable[[Connection], None]] = []
        self.shared: list[tuple[Scene, str]] = []

    def on_connection(self, listener: Callable[[Connection], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def share(self, scene: Scene, title: str = "") -> str:
        self._begin("share", title)
        self.shared.append((scene, title))
        return GALLERY

    def turn(self, state: Connection) -> None:
        self.connection = state
        for listener in list(self.listeners):
            listener(state)


class Page:
    def __init__(self) -> None:
        self.painter = ServedPainter()
        self.widget = PaintWidget(self.painter, make_scene())
        self.browser = Browser(self.widget)
        self.browser.ask("hello")
        self.widget.wait(SOON_S)

    def paint(self, amount: float) -> None:
        """A whole stroke, sent as the browser does; what came of it is not waited for."""
        state, browser = self.browser.state(), self.browser
        strengths = np.full((16, 16, len(state["names"])), amount, np.float32)
        browser.seq += 1
        content = {"revision": state["revision"], "gains": state["gains"], "commit": True}
        browser.say(
            {"type": "edit", "client": "page", "seq": browser.seq, **content},
            [strengths.tobytes(), np.ones((16, 16), np.float32).tobytes()],
        )

    def settle(self) -> None:
        session = self.widget._open
        assert session.worker.wait(SOON_S)
        assert session.idle.wait(SOON_S)

    def states(self) -> list[Any]:
        return [message["state"] for message in self.browser.of("connection")]


@pytest.fixture
def page() -> Iterator[Page]:
    page = Page()
    yield page
    page.painter.gate.set()
    page.widget.close()


def test_a_page_is_told_how_the_connection_is_and_of_every_change(page: Page) -> None:
    page.painter.turn("reconnecting")
    page.painter.turn("connected")
    assert page.states() == ["connected", "reconnecting", "connected"]


def test_a_painter_in_this_process_has_no_connection() -> None:
    widget = PaintWidget(FakePainter(), make_scene())
    browser = Browser(widget)
    browser.ask("hello")
    assert browser.of("connection") == []
    widget.close()


def test_strokes_are_taken_while_a_picture_hangs_in_a_broken_connection(page: Page) -> None:
    page.painter.hold()
    page.paint(0.2)
    assert page.painter.entered.wait(SOON_S)
    first = page.browser.seq

    def acks() -> list[int]:
        return [message["seq"] for message in page.browser.of("ack")]

    assert first not in acks()
    page.painter.turn("reconnecting")
    assert first in acks()  # so that the browser sends what it paints next
    for amount in (0.4, 0.6, 0.8):
        page.paint(amount)
        assert page.browser.seq in acks()
    assert page.widget.scene.strengths[0, 0, 0] == np.float32(0.8)
    page.painter.gate.set()
    page.painter.turn("connected")
    page.settle()
    assert page.painter.rendered[-1] == page.widget.scene
    assert len(page.painter.rendered) < 5  # those in between are not drawn


def test_what_failed_is_drawn_as_soon_as_the_server_is_back(page: Page) -> None:
    page.painter.fault = ConnectionError("no connection to https://host:8777 for 60 s")
    page.painter.turn("reconnecting")
    page.paint(0.7)
    page.settle()
    error = page.browser.of("error")[-1]
    assert "no connection to https://host:8777" in error["message"]
    assert error["retry"]
    page.painter.fault = None
    n = len(page.browser.of("frame"))
    page.painter.turn("connected")
    page.settle()
    assert len(page.browser.of("frame")) > n
    assert page.painter.rendered[-1] == page.widget.scene
    assert page.widget.last_error is None


def test_another_fault_is_not_tried_again_by_itself(page: Page) -> None:
    page.painter.fault = ValueError("this scene was made with another SAE")
    page.paint(0.7)
    page.settle()
    n = len(page.painter.calls)
    page.painter.turn("reconnecting")
    page.painter.turn("connected")
    page.settle()
    assert len(page.painter.calls) == n


def test_what_is_drawn_when_idle_does_not_complain_that_the_server_is_away(page: Page) -> None:
    page.painter.turn("reconnecting")
    page.painter.fault = ConnectionError("no connection")
    page.browser.ask("original")
    page.settle()
    assert page.browser.of("error") == []


def test_a_painter_does_not_keep_a_closed_widget() -> None:
    page = Page()
    session = weakref.ref(page.widget._open)
    page.widget.close()
    assert page.painter.listeners == []
    painter, page = page.painter, None  # type: ignore[assignment]
    gc.collect()
    assert session() is None
    painter.turn("reconnecting")


class TestSharing:
    def test_from_the_browser(self, page: Page) -> None:
        page.browser.ask("share", title="Löwe <b>")
        page.settle()
        assert page.painter.shared == [(page.widget.scene, "Löwe <b>")]
        notice = page.browser.of("notice")[-1]
        assert (notice["text"], notice["link"]) == ("Shared: the picture is in the gallery.", GALLERY)

    def test_from_python(self, page: Page) -> None:
        assert page.widget.share("a lion") == GALLERY
        assert page.painter.shared == [(page.widget.scene, "a lion")]

    def test_what_went_wrong_is_said(self, page: Page) -> None:
        page.painter.fault = ValueError("title has 300 characters; give at most 80")
        page.browser.ask("share", title="x")
        page.settle()
        expected = "Not shared: title has 300 characters; give at most 80."
        assert page.browser.of("notice")[-1]["text"] == expected

    def test_without_a_gallery(self) -> None:
        widget = PaintWidget(FakePainter(), make_scene())
        with pytest.raises(TypeError, match="no gallery"):
            widget.share()
        widget.close()
