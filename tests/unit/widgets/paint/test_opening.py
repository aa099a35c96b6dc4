"""A widget whose painter is still being opened: it is there, says so, and goes on when the painter comes."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from ember_widgets.widgets.paint.parts import Picture
from ember_widgets.widgets.paint.widget import PaintWidget
from tests.unit.scene.scenes import make_scene
from tests.unit.widgets.paint.paint_bench import SOON_S, FakePainter


class Shop:
    """Gives painters, once it is open."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.fault: Exception | None = None
        self.painter = FakePainter()

    def __call__(self) -> FakePainter:
        assert self.open.wait(SOON_S)
        if self.fault is not None:
            raise self.fault
        return self.painter


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    shop.open.set()


class Page:
    """A browser page: what it says reaches the widget, what it hears is noted."""

    def __init__(self, widget: PaintWidget, monkeypatch: pytest.MonkeyPatch) -> None:
        self.widget = widget
        self.heard: list[dict[str, Any]] = []
        monkeypatch.setattr(widget, "send", lambda content, buffers=None: self.heard.append(content))

    def say(self, kind: str, **content: Any) -> None:
        message = {"type": kind, "client": "page", "seq": 1, **content}
        self.widget._handle_msg(
            {"content": {"data": {"method": "custom", "content": message}}, "buffers": []}
        )

    def kinds(self) -> list[str]:
        return [message["type"] for message in list(self.heard)]


def is_busy(widget: PaintWidget) -> bool:
    return widget.busy


def soon(condition: Any) -> None:
    end = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_it_is_there_before_its_painter_is(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    widget = PaintWidget(shop, prompt="a boat", seed=9)
    page = Page(widget, monkeypatch)
    assert is_busy(widget)
    assert widget.image == b""
    assert "image/png" not in widget._repr_mimebundle_()[0]
    page.say("hello")
    page.say("ping")
    assert page.heard == 2 * [{"type": "status", "busy": True, "task": "draw"}]
    page.say("panels")
    panels, _ = page.heard[2:]
    assert (panels["type"], panels["client"]) == ("panels", "page")
    seen: list[object] = []
    widget.observe(lambda change: seen.append(change["new"]), "scene")
    shop.open.set()
    assert widget.scene.prompt == "a boat"
    widget.wait(SOON_S)
    assert (widget.prompt, widget.seed, widget.painter) == ("a boat", 9, shop.painter)
    assert widget.image.startswith(b"\x89PNG")
    soon(lambda: page.kinds()[-1] == "frame")
    assert page.kinds()[4:] == ["status", "state", "frame"]
    assert page.heard[5]["client"] == "page"
    soon(lambda: seen == [widget.scene])
    widget.scene = widget.scene.scale(0, 0.5)
    widget.wait(SOON_S)
    assert not is_busy(widget)
    widget.close()


def test_a_scene_that_is_there_is_shown_when_the_painter_comes(shop: Shop) -> None:
    scene = make_scene()
    widget = PaintWidget(shop, scene)
    shop.open.set()
    assert widget.scene is scene
    assert Picture(widget).scene is scene
    widget.close()


def test_a_painter_that_cannot_be_opened_says_why_and_is_tried_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget = PaintWidget(shop)
    page = Page(widget, monkeypatch)
    shop.fault = OSError("no such model")
    shop.open.set()
    with pytest.raises(RuntimeError, match="the painter could not be opened: OSError: no such model"):
        widget.wait(SOON_S)
    assert widget.last_error is shop.fault
    assert not is_busy(widget)
    page.say("hello")
    error = page.heard[-1]
    assert (error["type"], error["message"]) == ("error", "OSError: no such model")
    assert "Traceback" in error["traceback"]
    shop.fault = None
    page.say("retry")
    widget.wait(SOON_S)
    assert widget.scene.n_factors == 5
    soon(lambda: widget.last_error is None)
    soon(lambda: page.kinds()[-1] == "frame")
    widget.close()


def test_python_tries_again_to_open_a_painter(shop: Shop) -> None:
    widget = PaintWidget(shop)
    shop.fault = OSError("no such model")
    shop.open.set()
    with pytest.raises(RuntimeError, match="no such model"):
        widget.wait(SOON_S)
    shop.fault = None
    widget.retry()
    widget.wait(SOON_S)
    assert widget.painter is shop.painter
    widget.close()


def test_what_opens_no_painter_is_refused() -> None:
    widget = PaintWidget(lambda: "a painter")  # type: ignore[arg-type,return-value]
    with pytest.raises(RuntimeError, match="painter='a painter' has no analyze\\(\\); give a Painter"):
        widget.wait(SOON_S)
    with pytest.raises(TypeError, match="has no analyze\\(\\)"):
        PaintWidget(int)  # type: ignore[arg-type]


def test_waiting_has_an_end(shop: Shop) -> None:
    widget = PaintWidget(shop)
    with pytest.raises(TimeoutError, match=r"the painter was not opened after 0\.01 s; wait longer"):
        widget.wait(0.01)
    shop.open.set()
    widget.wait(SOON_S)
    widget.close()


def test_a_widget_closed_meanwhile_lets_go_of_what_comes(shop: Shop) -> None:
    widget = PaintWidget(shop)
    widget.close()
    shop.open.set()
    with pytest.raises(RuntimeError, match="the painter could not be opened: the widget was closed"):
        _ = widget.scene
    painter, shop.painter = weakref.ref(shop.painter), FakePainter()
    gc.collect()
    assert painter() is None
