"""Close widgets together with the widgets they hold, so that none stays registered with ipywidgets."""

from __future__ import annotations

from typing import Any

import ipywidgets

# Not every trait that holds a widget: all canvases share one manager, which must stay.
HELD = ("children", "layout", "style", "_canvases")


def close_tree(*widgets: Any) -> None:
    """Close widgets, their children, and the layouts and styles of all of them."""
    waiting = list(widgets)
    while waiting:
        widget = waiting.pop()
        for name in HELD:
            held = getattr(widget, name, ())
            waiting.extend(held if isinstance(held, (list, tuple)) else [held])
        if isinstance(widget, ipywidgets.Widget):
            widget.close()
