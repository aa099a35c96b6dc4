"""A thread that does tasks one after the other. Nothing that a task raises ends it.

Drawing pictures, drawing icons, opening a painter and arranging a map are all done by workers of this kind.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Callable
from weakref import WeakSet

PATIENCE_S = 1.0
"""How long `ready` is asked to wait at a time."""
END_S = 2.0
"""How long Python's end waits for tasks that run."""

Task = Callable[[], None]

_log = logging.getLogger(__name__)
_ALL: WeakSet[Worker] = WeakSet()


@atexit.register
def _close_all() -> None:
    """Let the tasks that run be done, for `END_S` at most.

    Python's end stops threads, and one that is inside PyTorch then aborts the process.
    """
    workers, until = list(_ALL), time.monotonic() + END_S
    for worker in workers:
        worker.close()
    for worker in workers:
        worker.wait(max(until - time.monotonic(), 0))


class Worker:
    """Does tasks in a daemon thread of its own, which lives as long as there is something to do.

    Args:
        name: Of the thread.
        on_error: Called in the thread with what a task raised, SystemExit and KeyboardInterrupt included. The
            next task follows in any case, even if `on_error` raises too; then that is logged.
        ready: Blocks until the next task may begin, at most so many seconds; False if it may not yet.
        linger_s: How long the thread waits for another task before it ends. As long as there is a thread,
            the callbacks are kept, and with them whatever they refer to.

    Example:
        >>> done = []
        >>> worker = Worker("example")
        >>> worker.put("greet", lambda: done.append("hello"))
        >>> worker.wait(timeout=5), done
        (True, ['hello'])
        >>> worker.close()
    """

    def __init__(
        self,
        name: str,
        *,
        on_error: Callable[[BaseException], None] | None = None,
        ready: Callable[[float], bool] | None = None,
        linger_s: float = 0.0,
    ) -> None:
        self._name = name
        self._on_error = on_error
        self._ready = ready
        self._linger_s = linger_s
        self._changed = threading.Condition()
        self._tasks: dict[str, tuple[float, bool, Task]] = {}
        self._is_running = False
        self._closed = False
        self._thread: threading.Thread | None = None
        _ALL.add(self)

    @property
    def busy(self) -> bool:
        """Whether a task waits or runs."""
        with self._changed:
            return self._is_busy()

    @property
    def closed(self) -> bool:
        """Whether it takes no more tasks."""
        return self._closed

    def put(self, key: str, task: Task, *, after_s: float = 0.0, first: bool = False) -> None:
        """Add a task and return at once. If closed: no effect.

        Args:
            key: One that waits under the same key is replaced, and the new one takes its place in the row.
            task: Called in the thread.
            after_s: Not earlier than in so many seconds.
            first: Before all tasks that wait and were not put first themselves.
        """
        with self._changed:
            if self._closed:
                return
            self._tasks[key] = time.monotonic() + after_s, first, task
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                thread.start()
                self._thread = thread
            self._changed.notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until all tasks are done.

        Args:
            timeout: Seconds; None = as long as it takes.

        Returns:
            False if the time ran out first.

        Raises:
            RuntimeError: Called from a task, which would wait for itself.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError("wait() was called from the worker itself, which would wait forever")
        with self._changed:
            return self._changed.wait_for(lambda: not self._is_busy(), timeout)

    def close(self) -> None:
        """Stop after the running task, forget the others, and release every callback."""
        with self._changed:
            self._closed = True
            self._tasks.clear()
            self._on_error = self._ready = None
            self._changed.notify_all()

    def _is_busy(self) -> bool:
        return bool(self._tasks) or self._is_running

    def _run(self) -> None:
        while self._await_task():
            if not self._is_ready():
                continue
            with self._changed:
                key = self._next_due()
                if key is None:  # closed, or replaced by a later one
                    continue
                _, _, task = self._tasks.pop(key)
                self._is_running = True
            try:
                task()
            except BaseException as fault:
                self._report(fault)
            del task  # it holds its owner
            with self._changed:
                self._is_running = False
                self._changed.notify_all()

    def _await_task(self) -> bool:
        """Block until a task is due; False if the thread has to end."""
        with self._changed:
            ends = time.monotonic() + self._linger_s
            while self._next_due() is None:
                due = min((at for at, _, _ in self._tasks.values()), default=ends)
                left = due - time.monotonic()
                if self._closed or (not self._tasks and left <= 0):
                    self._thread = None  # under the lock: the next `put` starts another one
                    return False
                self._changed.wait(max(left, 0))
            return True

    def _next_due(self) -> str | None:
        now = time.monotonic()
        due = [key for key, (at, _, _) in self._tasks.items() if at <= now]
        return next((key for key in due if self._tasks[key][1]), due[0] if due else None)

    def _is_ready(self) -> bool:
        with self._changed:
            ready = self._ready
        try:
            return ready is None or ready(PATIENCE_S)
        except BaseException as fault:
            self._report(fault)
            return True  # asked again and again, it would only fail again

    def _report(self, fault: BaseException) -> None:
        with self._changed:
            on_error = self._on_error
        try:
            if on_error is not None:
                on_error(fault)
        except BaseException:
            _log.exception("an error could not be reported")
