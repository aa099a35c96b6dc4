"""A queue of tasks for when the painter is idle: thumbnails, files, the unedited picture."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from ember_widgets.widgets.shared.latest_wins import LatestWins

PATIENCE_S = 1.0

_log = logging.getLogger(__name__)


class IdleQueue:
    """Runs tasks one after the other in a thread of its own, each when the painter is idle.

    Args:
        wait: blocks until the painter is idle, at most so many seconds; False if it is not.
        on_error: called in the thread with what a task raised. The next task follows in any case.

    Example:
        >>> done = []
        >>> queue = IdleQueue(wait=lambda timeout_s: True, on_error=print)
        >>> queue.put("greet", lambda: done.append("hello"))
        >>> queue.join(timeout=5), done
        (True, ['hello'])
        >>> queue.close()
    """

    def __init__(self, wait: Callable[[float], bool], on_error: Callable[[BaseException], None]) -> None:
        self._wait = wait
        self._on_error = on_error
        self._lock = threading.Lock()
        self._tasks: dict[str, Callable[[], None]] = {}
        self._worker: LatestWins[None] = LatestWins(self._work, settle_after_s=0, name="ember-idle")

    def put(self, key: str, task: Callable[[], None]) -> None:
        """Add a task; one that waits under the same key is replaced."""
        with self._lock:
            self._tasks[key] = task
        self._worker.submit(None)

    def join(self, timeout: float | None = None) -> bool:
        """Block until all tasks are done; False if the time (in seconds) ran out first."""
        return self._worker.wait(timeout)

    def close(self) -> None:
        """Stop after the running task, and forget the others."""
        with self._lock:
            self._tasks.clear()
        self._worker.close()

    def _work(self, _: None) -> None:
        while True:
            idle = self._wait(PATIENCE_S)
            with self._lock:
                if not self._tasks:
                    return
                if not idle:
                    continue
                task = self._tasks.pop(next(iter(self._tasks)))
            try:
                task()
            except BaseException as fault:  # SystemExit too: the other tasks still wait
                self._report(fault)
            del task  # it holds a painter

    def _report(self, fault: BaseException) -> None:
        try:
            self._on_error(fault)
        except BaseException:
            _log.exception("an error could not be reported")
