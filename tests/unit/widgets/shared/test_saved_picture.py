"""Displaying a widget puts its picture into the notebook, and replaces it there once it has settled."""

from __future__ import annotations

import base64
import gc
import sys
import weakref
from types import ModuleType
from typing import Any

import pytest

from ember_widgets.widgets.shared import saved_picture
from ember_widgets.widgets.shared.saved_picture import NO_WIDGET, VIEW, SavedPicture

LIVE = {VIEW: {"model_id": "12"}, "text/plain": "<A widget at 0x7f>"}


class Widget:
    def __init__(self, png: bytes) -> None:
        self.png = png
        self.saved = SavedPicture(self.picture)

    def picture(self) -> bytes:
        return self.png

    def display(self) -> None:
        png = {"image/png": base64.b64encode(self.png).decode()} if self.png else {}
        self.saved.display(({**LIVE, **png}, {"of": "anywidget"}))


Sent = list[tuple[Any, Any, "str | None", bool]]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """What is published: data, metadata, display id, and whether it replaces what has this id."""
    sent: Sent = []

    def publish(data: Any, metadata: Any, *, display_id: str | None = None, update: bool = False) -> None:
        sent.append((data, metadata, display_id, update))

    monkeypatch.setattr(saved_picture, "_publish", publish)
    monkeypatch.setattr(saved_picture, "SETTLED_S", 0.02)
    return sent


def settle() -> None:
    assert saved_picture._worker.wait(10)


def test_the_picture_is_an_output_of_its_own_that_no_widget_is_shown_in(sent: Sent) -> None:
    widget = Widget(b"first")
    widget.display()

    (live, metadata, no_id, _), (hidden, _, display_id, update) = sent
    assert (live, metadata, no_id) == ({**LIVE, "text/plain": ""}, {"of": "anywidget"}, None)
    assert hidden == {VIEW: NO_WIDGET, "image/png": base64.b64encode(b"first").decode()}
    assert display_id
    assert not update


def test_it_is_replaced_once_it_has_settled(sent: Sent) -> None:
    widget = Widget(b"first")
    widget.display()
    for png in (b"second", b"third"):
        widget.png = png
        widget.saved.changed()
    settle()

    ((data, _, display_id, update),) = sent[2:]
    assert data == {VIEW: NO_WIDGET, "image/png": base64.b64encode(b"third").decode()}
    assert (display_id, update) == (sent[1][2], True)
    widget.saved.changed()  # it is as it was
    settle()
    assert len(sent) == 3


def test_a_picture_that_is_not_there_yet_comes_later(sent: Sent) -> None:
    widget = Widget(b"")
    widget.display()
    widget.saved.changed()
    settle()
    assert [data for data, *_ in sent[1:]] == [{VIEW: NO_WIDGET}]

    widget.png = b"first"
    widget.saved.changed()
    settle()
    assert "image/png" in sent[-1][0]


def test_what_was_never_displayed_is_not_sent(sent: Sent) -> None:
    widget = Widget(b"first")
    widget.saved.changed()
    settle()
    assert sent == []


def test_it_does_not_keep_the_widget_alive(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_picture, "SETTLED_S", 0.3)
    widget = Widget(b"first")
    widget.display()
    widget.png = b"second"
    widget.saved.changed()
    alive = weakref.ref(widget)
    del widget
    gc.collect()

    assert alive() is None
    settle()
    assert len(sent) == 2


def test_where_such_a_view_is_not_known_all_is_one_output(
    sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    widget = Widget(b"first")
    widget.display()

    ((data, metadata, display_id, _),) = sent
    assert data == {**LIVE, "image/png": base64.b64encode(b"first").decode()}
    assert (metadata, display_id) == ({"of": "anywidget"}, None)


def test_a_closed_widget_is_displayed_as_its_message(sent: Sent) -> None:
    widget = Widget(b"first")
    widget.saved.display(({"text/plain": "closed"}, {}))
    assert sent == [({"text/plain": "closed"}, {}, None, False)]
