"""What a closed widget shows: a message. ipywidgets would show nothing that says what happened."""

from __future__ import annotations

from typing import Any

import ipywidgets


def end(widget: ipywidgets.Widget, *, owns_layout: bool) -> None:
    """The last step of a widget's ``close``: its layout is closed too, unless it is the user's.

    ipywidgets puts None in the place of a closed widget's ``_repr_mimebundle_``; here it is put back, so that
    the widget can say that it is closed.
    """
    widget.__dict__.pop("_repr_mimebundle_", None)
    if owns_layout:
        widget.layout.close()


def closed_bundle(widget: ipywidgets.Widget, again: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """What a closed widget shows; None if it is open.

    Args:
        widget: the widget.
        again: the call that makes a new one.
    """
    if widget.comm is not None:
        return None
    text = f"This {type(widget).__name__} is closed; make a new one: {again}"
    return {"text/plain": text}, {}
