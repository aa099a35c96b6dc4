"""How the widgets of a notebook's cells were left, for those that the cells make when they are run again.

A cell is known by its id, which JupyterLab, Notebook and VS Code send with what they run. Elsewhere a widget
begins as any new one.
"""

from __future__ import annotations

from typing import Any

from IPython.core.getipython import get_ipython

Place = tuple[str, int]
"""The id of a cell, and which of its widgets it is."""

_left: dict[Place, dict[str, Any]] = {}
_made: dict[str, tuple[str, int]] = {}


def place() -> Place | None:
    """The place of a widget that is made now; None if it is not a cell that makes it."""
    get_parent = getattr(get_ipython(), "get_parent", None)
    request = get_parent() if get_parent is not None else {}
    cell = request.get("metadata", {}).get("cellId")
    run = request.get("header", {}).get("msg_id")
    if not isinstance(cell, str) or not isinstance(run, str):
        return None
    last, n = _made.get(cell, ("", 0))
    n = n + 1 if run == last else 0
    _made[cell] = run, n
    return cell, n


def left(at: Place | None) -> dict[str, Any]:
    """How the last widget at this place was left; empty if there was none."""
    known = None if at is None else _left.get(at)
    return {**known, "again": True} if known else {}


def note(at: Place | None, how: dict[str, Any]) -> None:
    """Note how the widget at this place is left now."""
    if at is not None and not how.get("again"):
        _left[at] = how
