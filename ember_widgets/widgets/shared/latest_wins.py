"""The latest-wins worker: it always takes the newest job and drops older ones.

A stroke makes jobs faster than a picture can be drawn. `submit` never waits; one daemon thread takes
the newest job, and what was submitted in between is dropped. When nothing new has come for a moment, it
settles: then there is time for what only the last picture needs (a lossless copy, a saved state).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Job = TypeVar("Job")

_log = logging.getLogger(__name__)


class LatestWins(Generic[Job]):
    """One daemon thread, one slot.

    Args:
        work: called in the thread with each job taken. It handles its own errors; one that escapes ends
            neither the thread nor ``wait``, and is given to ``on_error``.
        settle: called in the thread once after the last job in a row; None = nothing to do then.
        on_error: called in the thread with what escaped from ``work`` or ``settle``. What it raises itself is
            logged: nothing ends the thread but ``close``.
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
        self._on_error = on_error
        self._on_drop = on_drop
        self._settle_after_s = settle_after_s
        self._name = name
        self._changed = threading.Condition()
        self._slot: list[Job] = []
        self._running = False
        self._settled = True
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether a job waits, runs, or has yet to settle."""
        with self._changed:
            return not self._settled

    @property
    def waiting(self) -> bool:
        """Whether a newer job is in the slot; a long job may look at this."""
        with self._changed:
            return bool(self._slot)

    def submit(self, job: Job) -> None:
        """Put a job into the slot and return at once; one that waits there is dropped. Closed: no effect."""
        with self._changed:
            if self._closed:
                return
            dropped, self._slot = self._slot, [job]
            self._settled = False
            if self._thread is None:
                # Started with the first job: a widget that is only looked at costs no thread.
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify_all()
            on_drop = self._on_drop
        if on_drop is not None:
            for old in dropped:
                on_drop(old)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until everything submitted so far is done and settled.

        Args:
            timeout: seconds; None = as long as it takes.

        Returns:
            False if the time ran out first.

        Raises:
            RuntimeError: called from ``work`` or ``settle``, where it would wait for itself.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError("wait() was called from the worker itself, which would wait forever")
        with self._changed:
            return self._changed.wait_for(lambda: self._settled, timeout)

    def close(self) -> None:
        """Stop after the running job, forget the waiting one, and release every callback."""
        with self._changed:
            self._closed = True
            self._slot = []
            if not self._running:
                self._settled = True
            self._work = self._settle = self._on_error = self._on_drop = None
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                task = self._next()
                if task is None:
                    self._settled = True
                    self._changed.notify_all()
                    return
                self._running = True
                on_error = self._on_error
            try:
                task()
            except BaseException as fault:
                try:
                    if on_error is not None:
                        on_error(fault)
                except BaseException:
                    _log.exception("an error could not be reported")
            del task, on_error  # they hold a job and their owner
            with self._changed:
                self._running = False

    def _next(self) -> Callable[[], None] | None:
        """What to do next: the newest job, else to settle, else wait; None when closed. Holds the lock."""
        deadline = time.monotonic() + self._settle_after_s
        while not self._closed:
            if self._slot and (work := self._work) is not None:
                job = self._slot.pop()
                return lambda: work(job)
            if self._settled:
                self._changed.wait()
                deadline = time.monotonic() + self._settle_after_s
            elif (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            else:
                return self._settling
        return None

    def _settling(self) -> None:
        with self._changed:
            settle = self._settle
        try:
            if settle is not None:
                settle()
        finally:
            with self._changed:
                if not self._slot:
                    self._settled = True
                    self._changed.notify_all()
