"""The picture of a widget in a saved or exported notebook: what it showed last, not when its cell ran.

A notebook keeps the outputs of a cell, and not the state of a widget. The front end cannot replace an
output without making a new view of its widget, which would flicker and lose the focus. So the picture is an
output of its own, below the widget's. Where widgets run it is hidden, because it claims to be a view of no
widget; and it is replaced there whenever the widget's picture has settled. A page that was loaded again
does not know this output any more: there the picture stays as it is until the widget is displayed again.
"""

from __future__ import annotations

import base64
import sys
import uuid
import weakref
from collections.abc import Callable
from typing import Any

from ipywidgets import Widget

from ember_widgets.util.worker import Worker
from ember_widgets.widgets.shared.closed import closed_bundle

SETTLED_S = 1.0
"""How long the picture must stay the same before it is sent."""

VIEW = "application/vnd.jupyter.widget-view+json"
NO_WIDGET = {"version_major": 2, "version_minor": 0, "model_id": ""}

_worker = Worker("ember-saved-pictures")


class SavedPicture:
    """Displays a widget so that a saved notebook shows its last picture.

    Args:
        picture: a method of the widget that draws the picture as PNG; b"" = there is none yet. It is called
            in a thread, and does not keep the widget alive.
    """

    def __init__(self, picture: Callable[[], bytes]) -> None:
        self._picture = weakref.WeakMethod(picture)
        self._id = f"ember-{uuid.uuid4().hex}"
        self._sent: bytes | None = None

    def bundle(self, widget: Widget, made: Callable[..., Any], again: str, **kwargs: Any) -> Any:
        """What a widget shows, with its picture; of a closed one, a message.

        Args:
            widget: the widget.
            made: the ``_repr_mimebundle_`` of ipywidgets.
            again: the call that makes a new one.
            kwargs: passed to ``made``.
        """
        if closed := closed_bundle(widget, again):
            return closed
        bundle, draw = made(**kwargs), self._picture()
        png = draw() if bundle is not None and draw is not None else b""
        if png:
            # Notebooks do not keep a widget's state by default; with this a saved one shows the picture.
            data = bundle[0] if isinstance(bundle, tuple) else bundle
            data["image/png"] = base64.b64encode(png).decode("ascii")
        return bundle

    def display(self, bundle: Any) -> None:
        """Display what ``_repr_mimebundle_`` made; None = nothing."""
        if bundle is None:
            return
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        # Not in Colab, whose own code for widgets does not know such a view.
        if VIEW not in data or "google.colab" in sys.modules:
            _publish(data, metadata)
            return
        self._sent = base64.b64decode(data.get("image/png", ""))
        # Without a text, viewers would complain about this output; its own is a Python address.
        _publish(
            {**{mime: content for mime, content in data.items() if mime != "image/png"}, "text/plain": ""},
            metadata,
        )
        _publish(_hidden(self._sent), {}, display_id=self._id)

    def changed(self) -> None:
        """Note that the picture has changed; returns at once."""
        if self._sent is not None:
            shown = weakref.ref(self)
            _worker.put(self._id, lambda: _send(shown), after_s=SETTLED_S)

    def _update(self) -> None:
        draw = self._picture()
        if draw is None:
            return
        png = draw()
        if png and png != self._sent:
            self._sent = png
            _publish(_hidden(png), {}, display_id=self._id, update=True)


def _send(saved: weakref.ref[SavedPicture]) -> None:
    if (picture := saved()) is not None:
        picture._update()


def _hidden(png: bytes) -> dict[str, Any]:
    image = {"image/png": base64.b64encode(png).decode("ascii")} if png else {}
    return {VIEW: NO_WIDGET, **image}


def _publish(data: Any, metadata: Any, *, display_id: str | None = None, update: bool = False) -> None:
    from IPython.display import publish_display_data

    transient = {"display_id": display_id} if display_id else None
    publish_display_data(data=data, metadata=metadata, transient=transient, update=update)  # type: ignore[no-untyped-call]
