"""A worker that always takes the newest job and drops older ones.

A stroke makes jobs faster than a picture can be drawn. `submit` never waits; the worker takes the newest job,
and what was submitted in between is dropped. When nothing new has come for a moment, it settles: then there
is time for what only the last picture needs (a lossless copy, a saved state).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from ember_widgets.util.worker import Worker

Job = TypeVar("Job")

LINGER_S = 5.0
"""How long the thread outlives a row of jobs: the next stroke need not start another one."""


class LatestWins(Generic[Job]):
    """One worker, one slot.

    Args:
        work: called in the worker's thread with each job taken.
        settle: called there once after the last job in a row; None = nothing to do then.
        on_error: called there with what escaped from ``work`` or ``settle``; see ``Worker``.
        on_drop: called with each job that a newer one replaced, in the thread that submitted the newer one.
        settle_after_s: how long nothing new must come before a row is over, in seconds.
        name: of the thread.

    Example:
        >>> seen = []
        >>> worker = LatestWins(seen.append)
        >>> worker.submit("picture")
        >>> worker.wait(timeout=5), seen
        (True, ['picture'])
        >>> worker.close()
    """

    def __init__(
        self,
        work: Callable[[Job], None],
        *,
        settle: Callable[[], None] | None = None,
        on_error: Callable[[BaseException], None] | None = None,
        on_drop: Callable[[Job], None] | None = None,
        settle_after_s: float = 0.15,
        name: str = "ember-worker",
    ) -> None:
        self._work: Callable[[Job], None] | None = work
        self._settle = settle
        self._on_drop = on_drop
        self._settle_after_s = settle_after_s
        self._lock = threading.Lock()
        self._slot: list[Job] = []
        self._worker = Worker(name, on_error=on_error, linger_s=LINGER_S)

    @property
    def busy(self) -> bool:
        """Whether a job waits, runs, or has yet to settle."""
        return self._worker.busy

    @property
    def waiting(self) -> bool:
        """Whether a newer job is in the slot; a long job may look at this."""
        with self._lock:
            return bool(self._slot)

    def submit(self, job: Job) -> None:
        """Put a job into the slot and return at once; one that waits there is dropped. Closed: no effect."""
        with self._lock:
            if self._worker.closed:
                return
            dropped, self._slot = self._slot, [job]
            self._worker.put("job", self._take)
            on_drop = self._on_drop
        if on_drop is not None:
            for old in dropped:
                on_drop(old)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until everything submitted so far is done and settled; see ``Worker.wait``."""
        return self._worker.wait(timeout)

    def close(self) -> None:
        """Stop after the running job, forget the waiting one, and release every callback."""
        with self._lock:
            self._worker.close()
            self._slot = []
            self._work = self._settle = self._on_drop = None

    def _take(self) -> None:
        with self._lock:
            work, jobs, self._slot = self._work, self._slot, []
        try:
            if work is not None:
                for job in jobs:
                    work(job)
        finally:
            self._worker.put("settle", self._settled, after_s=self._settle_after_s)

    def _settled(self) -> None:
        with self._lock:
            # A job that has come meanwhile settles by itself.
            settle = None if self._slot else self._settle
        if settle is not None:
            settle()
