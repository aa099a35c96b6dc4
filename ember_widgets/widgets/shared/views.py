"""Counts the views of a widget in all browser pages, so that one that nobody sees can release what is large.

A page says how many views it shows when one opens or closes. A page that is closed or reloaded says nothing
any more. So as soon as a page has no view left, all pages are asked again, and only those that answer count.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable

from ember_widgets.util.worker import Worker

REST_S = 5.0
"""How long there must be no view."""
MOST_S = 600.0
"""It is asked again later and later, at least so often."""

_worker = Worker("ember-views")


class Views:
    """How many views there are.

    Args:
        ask: asks all pages to say how many views they show.
        rest: called in a thread when there was no view for a while; False to be asked again later.
    """

    def __init__(self, ask: Callable[[], None], rest: Callable[[], bool]) -> None:
        self._ask = ask
        self._rest = rest
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}

    def count(self, client: str, n: int) -> None:
        """Note how many views a page shows."""
        with self._lock:
            if n:
                self._counts[client] = n
                return
            self._counts.clear()
        self._ask()
        self._check_later(REST_S)

    def _check_later(self, after_s: float) -> None:
        views = weakref.ref(self)  # the worker must not keep a widget alive
        _worker.put(str(id(self)), lambda: _check(views, after_s), after_s=after_s)

    def _check(self, waited_s: float) -> None:
        with self._lock:
            if self._counts:
                return
        if not self._rest():
            self._check_later(min(2 * waited_s, MOST_S))


def _check(views: weakref.ref[Views], waited_s: float) -> None:
    if (counted := views()) is not None:
        counted._check(waited_s)
