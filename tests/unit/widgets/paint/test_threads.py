"""Whatever is raised in the background, the widget says it, answers, and painting goes on."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from ipywidgets.widgets.widget import _instances
from PIL import Image

from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint.widget import PaintWidget
from tests.unit.widgets.paint.paint_bench import SOON_S, Browser, FakePainter

EXITS = [SystemExit(3), KeyboardInterrupt(), GeneratorExit()]


def paint_again(widget: PaintWidget, browser: Browser, scene: Scene) -> None:
    """Painting goes on: the next edit is drawn, and the error is gone."""
    last = browser.edit(scene.scale(0, 0.25))
    widget.wait(SOON_S)
    assert widget.last_error is None
    assert browser.frames()[-1][0]["kind"] == "final"
    assert any(frame["seq"] == last for frame, _ in browser.frames())


@pytest.mark.parametrize("fault", EXITS, ids=repr)
def test_a_render_that_would_end_the_program_is_an_error_of_the_widget(
    fault: BaseException, widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    painter.fault = fault  # type: ignore[assignment]
    seq = browser.edit(scene.scale(0, 0.5))
    with pytest.raises(RuntimeError, match=f"could not be drawn: .*{type(fault).__name__}"):
        widget.wait(SOON_S)
    assert type(fault).__name__ in str(widget.last_error)
    assert type(fault).__name__ in browser.of("error")[-1]["message"]
    assert browser.of("ack")[-1]["seq"] == seq
    assert browser.of("status")[-1]["busy"] is False
    painter.fault = None
    paint_again(widget, browser, scene)


@pytest.mark.parametrize("commit", [False, True])
def test_a_picture_that_cannot_be_encoded_is_an_error_of_the_widget(
    commit: bool, widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    render = painter.render
    painter.render = lambda scene: Image.new("RGB", (0, 0))  # type: ignore[method-assign]
    seq = browser.edit(scene.scale(0, 0.5), commit=commit)
    with pytest.raises(RuntimeError, match="the picture could not be drawn: "):
        widget.wait(SOON_S)
    assert widget.last_error is not None
    assert browser.of("error")
    assert browser.of("ack")[-1]["seq"] == seq
    painter.render = render  # type: ignore[method-assign]
    paint_again(widget, browser, scene)


class Unencodable(Image.Image):
    """A picture that can be sent as a preview, but not in the end."""

    def save(self, fp: Any, format: Any = None, **params: Any) -> None:
        if format == "PNG":
            raise MemoryError("no room for a PNG")
        super().save(fp, format, **params)


def test_a_last_picture_that_cannot_be_encoded_is_an_error_of_the_widget(
    widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    render = painter.render

    def drawn(scene: Scene) -> Image.Image:
        picture = render(scene)
        picture.__class__ = Unencodable
        return picture

    painter.render = drawn  # type: ignore[method-assign]
    browser.edit(scene.scale(0, 0.5), commit=False)
    with pytest.raises(RuntimeError, match="could not be drawn: MemoryError: no room for a PNG"):
        widget.wait(SOON_S)
    assert browser.of("status")[-1]["busy"] is False
    painter.render = render  # type: ignore[method-assign]
    paint_again(widget, browser, scene)


@pytest.mark.parametrize("fault", [OSError("closed"), *EXITS], ids=repr)
def test_a_message_that_cannot_be_sent_keeps_nothing_waiting(
    fault: BaseException, widget: PaintWidget, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(content: object, buffers: object = None) -> None:
        raise fault

    with monkeypatch.context() as patched:
        patched.setattr(widget, "send", fail)
        widget.scene = scene.scale(0, 0.5)
        widget.wait(SOON_S)
    heard: list[Any] = []
    monkeypatch.setattr(widget, "send", lambda content, buffers=None: heard.append(content["type"]))
    widget.scene = scene
    widget.wait(SOON_S)
    assert "frame" in heard


@pytest.mark.parametrize("fault", EXITS, ids=repr)
def test_a_request_that_would_end_the_program_is_answered(
    fault: BaseException, widget: PaintWidget, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **more: object) -> None:
        raise fault

    monkeypatch.setattr(widget._open.queries, "search", fail)
    seq = browser.ask("search", text="tree")
    assert type(fault).__name__ in browser.of("error")[-1]["message"]
    assert browser.of("ack")[-1]["seq"] == seq


@pytest.mark.parametrize("fault", EXITS, ids=repr)
def test_a_widget_whose_painter_exits_while_it_is_opened_is_not_busy(fault: BaseException) -> None:
    faults = [fault]

    def opens() -> FakePainter:
        if faults:
            raise faults.pop()
        return FakePainter()

    widget = PaintWidget(opens)
    with pytest.raises(RuntimeError, match=f"the painter could not be opened: {type(fault).__name__}"):
        widget.wait(SOON_S)
    assert not widget.busy
    assert type(fault).__name__ in str(widget.last_error)
    say(widget, "retry")
    widget.wait(SOON_S)
    assert widget.scene.n_factors == 5
    widget.close()


def test_an_observer_that_fails_while_the_painter_is_opened_keeps_no_page_blank(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go, heard = threading.Event(), list[dict[str, Any]]()

    def opens() -> FakePainter:
        assert go.wait(SOON_S)
        return FakePainter()

    def fail(change: object) -> None:
        raise SystemExit(f"observer of {change['name']}")  # type: ignore[index]

    widget = PaintWidget(opens)
    monkeypatch.setattr(widget, "send", lambda content, buffers=None: heard.append(content))
    widget.observe(fail, ["image", "scene", "n_factors"])
    say(widget, "hello")
    go.set()
    widget.wait(SOON_S)
    assert widget._opener is not None
    assert widget._opener._worker.wait(SOON_S)
    kinds = [message["type"] for message in heard]
    assert kinds.index("frame") > kinds.index("state")
    assert "observer of image" in str(widget.last_error)
    widget.close()


def test_a_closed_widget_says_so_where_it_is_shown(widget: PaintWidget) -> None:
    widget.close()
    assert widget._repr_mimebundle_() == (
        {
            "text/plain": "This PaintWidget is closed; make a new one: PaintWidget(painter, widget.scene)",
        },
        {},
    )


def test_a_closed_widget_leaves_no_widget(painter: FakePainter, scene: Scene) -> None:
    before = set(_instances)
    PaintWidget(painter, scene).close()
    assert set(_instances) == before


def say(widget: PaintWidget, kind: str) -> None:
    content = {"type": kind, "client": "page", "seq": 1}
    widget._handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})
