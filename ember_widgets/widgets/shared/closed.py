"""What a closed widget shows: a message. ipywidgets would show nothing that says what happened."""

from __future__ import annotations

from typing import Any

import ipywidgets


def closed_bundle(widget: ipywidgets.Widget, again: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """What a closed widget shows; None if it is open.

    ipywidgets puts None in the place of a closed widget's ``_repr_mimebundle_``; ``close`` has to remove it.

    Args:
        widget: the widget.
        again: the call that makes a new one.
    """
    if widget.comm is not None:
        return None
    text = f"This {type(widget).__name__} is closed; make a new one: {again}"
    return {"text/plain": text}, {}
