"""Notes when each edit passes through the kernel, for `tests.benchmarks.latency --stages`.

The widget's own code is called as it is. A module, because a long cell would push the widget off the screen.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

from ember_widgets.widgets.paint import messages, session
from ember_widgets.widgets.shared.pictures import Picture

notes: list[tuple[str, int, float]] = []
"""(what, the edit's `seq`, when: ms since 1970)."""

_drawn = 0


def _noted(owner: Any, name: str, before: str, after: str, seq: Callable[..., int]) -> None:
    function = getattr(owner, name)

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        which = seq(*args)
        notes.append((before, which, 1000 * time.time()))
        try:
            return function(*args, **kwargs)
        finally:
            notes.append((after, which, 1000 * time.time()))

    setattr(owner, name, wrapped)


def _of_job(_: Any, job: session.Job, *rest: Any) -> int:
    global _drawn
    _drawn = job.sender.seq
    return _drawn


def _of_drawn(*_: Any) -> int:
    return _drawn


_noted(messages, "receive", "received", "handled", lambda _, content, buffers: int(content.get("seq", 0)))
_noted(session.Session, "_work", "begun", "done", _of_job)
_noted(session, "rendered", "rendering", "rendered", _of_drawn)
_noted(Picture, "encoded", "encoding", "encoded", _of_drawn)
_noted(session.Session, "_show", "sending", "sent", _of_drawn)
