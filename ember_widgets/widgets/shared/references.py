"""Whether anybody still refers to a widget, besides those who refer to every widget.

ipywidgets registers every widget for good, and IPython keeps every output. So Python never frees a widget
that was shown, and only counting says whether a variable, a list or another object still refers to it.
"""

from __future__ import annotations

import re
import sys
import weakref
from typing import Any

from ipywidgets import Box
from ipywidgets.widgets.widget import _instances

# The names that IPython itself gives to outputs: _, __, ___ and _12.
_OUTPUT = re.compile(r"_{1,3}|_\d+")


def is_referred(widget: weakref.ref[Any], own: int = 0) -> bool:
    """Whether anybody refers to a widget, besides its own parts, the registry, outputs, and unused boxes.

    Whoever is not known is counted: a mistake keeps a widget that could be released, not the other way round.

    Args:
        widget: the widget; a strong reference here would be counted.
        own: how many references its own parts hold.
    """
    known = own + _n_known(widget())
    return sys.getrefcount(widget()) - 1 > known  # one is the argument itself


def _n_known(widget: Any) -> int:
    if widget is None or widget.comm is None:
        return 0
    callback = getattr(widget.comm, "_msg_callback", None)
    boxes = [
        weakref.ref(box) for box in list(_instances.values()) if isinstance(box, Box) and _holds(box, widget)
    ]
    return (
        (_instances.get(widget.model_id) is widget)
        + (getattr(callback, "__self__", None) is widget)
        + _n_outputs(widget)
        + sum(not is_referred(box) for box in boxes)
    )


def _holds(box: Box, widget: object) -> bool:
    return any(child is widget for child in box.children)


def _n_outputs(widget: object) -> int:
    """How often IPython refers to a widget because it was the result of a cell."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None:
        return 0
    hook = shell.displayhook
    found = [
        *shell.user_ns.get("_oh", {}).values(),
        *(getattr(hook, name, None) for name in ("_", "__", "___")),
    ]
    for names in (shell.user_ns, shell.user_ns_hidden):
        found += [value for name, value in list(names.items()) if _OUTPUT.fullmatch(name)]
    results = {id(r): r for r in (shell.last_execution_result, getattr(hook, "exec_result", None))}
    found += [getattr(result, "result", None) for result in results.values()]
    return sum(output is widget for output in found)
