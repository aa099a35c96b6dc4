"""What a closed widget shows: a message. ipywidgets would show nothing that says what happened."""

from __future__ import annotations

from typing import Any

import ipywidgets


def close_display(widget: ipywidgets.Widget) -> None:
    """Give a closed widget its ``_repr_mimebundle_`` back, in whose place ipywidgets puts None."""
    vars(widget).pop("_repr_mimebundle_", None)


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
