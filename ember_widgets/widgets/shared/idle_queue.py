"""Things to do while the painter has nothing more urgent to do: thumbnails, files, the unedited picture."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ember_widgets.widgets.shared.latest_wins import Renderer

PATIENCE_S = 1.0


class Aside:
    """Does one thing after another in a thread of its own, each when the painter is idle.

    Args:
        wait: blocks until the painter is idle, at most so many seconds; False if it is not.
        on_error: called in the thread with what went wrong.
    """

    def __init__(self, wait: Callable[[float], bool], on_error: Callable[[BaseException], None]) -> None:
        self._wait = wait
        self._on_error = on_error
        self._lock = threading.Lock()
        self._wanted: dict[str, Callable[[], None]] = {}
        self._renderer: Renderer[None] = Renderer(self._work, settle_after_s=0, name="ember-aside")

    def want(self, key: str, task: Callable[[], None]) -> None:
        """Have something done; a task that is waiting under the same key is dropped for it."""
        with self._lock:
            self._wanted[key] = task
        self._renderer.submit(None)

    def close(self) -> None:
        """Do no more, and forget what was wanted."""
        with self._lock:
            self._wanted.clear()
        self._renderer.close()

    def _work(self, _: None) -> None:
        while True:
            idle = self._wait(PATIENCE_S)
            with self._lock:
                if not self._wanted:
                    return
                if not idle:
                    continue
                task = self._wanted.pop(next(iter(self._wanted)))
            try:
                task()
            except Exception as fault:
                self._on_error(fault)
            del task  # it holds a painter
