"""Scheduler: one thread owns the device, and those who want something of it take turns."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ember_widgets.util.cancelled import Cancelled

T = TypeVar("T")
Asked = Callable[[], bool]


@dataclass(eq=False)
class Task:
    """Something to do.

    Args:
        owner: Who wants it.
        slot: Of an owner's tasks with the same slot only the newest waits; "" = none.
        work: Does it, given a function that says whether it was cancelled.
        background: It waits until nothing else waits.
    """

    owner: str
    slot: str
    work: Callable[[Asked], Any]
    background: bool
    future: Future[Any] = field(default_factory=Future)
    cancelled: bool = False

    def is_cancelled(self) -> bool:
        """Whether the result is not wanted any more."""
        return self.cancelled


class Scheduler:
    """Does work in one thread. Owners take turns, however much each of them wants. Any thread may call it.

    Example:
        >>> scheduler = Scheduler()
        >>> scheduler.submit("ada", lambda cancelled: 6 * 7).result()
        42
        >>> scheduler.close()
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        # Whoever comes first in it has the next turn; one without tasks is not in it.
        self._waiting: dict[bool, OrderedDict[str, deque[Task]]] = {False: OrderedDict(), True: OrderedDict()}
        self._running: Task | None = None
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def n_waiting(self) -> int:
        """How many tasks wait."""
        with self._changed:
            return sum(len(tasks) for owners in self._waiting.values() for tasks in owners.values())

    def submit(
        self, owner: str, work: Callable[[Asked], T], *, slot: str = "", background: bool = False
    ) -> Future[T]:
        """Have something done.

        Args:
            owner: Who wants it.
            work: Called in the scheduler's thread with a function that says whether the result is no longer
                wanted; it may then raise `Cancelled`.
            slot: The newest wins: the owner's tasks with this slot that wait are cancelled, and it takes
                their turn. One that is being done is finished: otherwise somebody who asks faster than the
                device answers would get nothing. "" = no slot.
            background: Do it only when nothing else waits.

        Returns:
            What the work returns or raises; `Cancelled` if it was cancelled, even after it was done, or if
            the scheduler is closed.
        """
        task = Task(owner, slot, work, background)
        with self._changed:
            if self._closed:
                _cancel([task])
                return task.future
            # The owner stays where it is in the line, and the task where the one was that it replaces: else
            # somebody who fills two slots fast enough would never get a picture in one of them.
            tasks = self._waiting[background].setdefault(owner, deque())
            dropped = [other for other in tasks if slot and other.slot == slot]
            if dropped:
                tasks[tasks.index(dropped[0])] = task
            else:
                tasks.append(task)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="ember-device", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        _cancel(dropped)
        return task.future

    def cancel(self, future: Future[Any]) -> None:
        """Cancel what `submit` returned this for; no effect if it is done."""
        with self._changed:
            dropped = self._take_out(lambda task: task.future is future)
        _cancel(dropped)

    def drop(self, owner: str) -> None:
        """Cancel all tasks of an owner."""
        with self._changed:
            dropped = self._take_out(lambda task: task.owner == owner)
        _cancel(dropped)

    def close(self, timeout: float | None = 10.0) -> None:
        """Cancel all tasks, and end the thread when the running one has ended."""
        with self._changed:
            self._closed = True
            dropped = self._take_out(lambda task: True)
            self._changed.notify_all()
            thread = self._thread
        _cancel(dropped)
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _take_out(self, wanted: Callable[[Task], bool]) -> list[Task]:
        """The waiting tasks that are cancelled; the running one is told. Called under the lock."""
        taken = []
        for owners in self._waiting.values():
            for owner, tasks in list(owners.items()):
                found = [task for task in tasks if wanted(task)]
                if not found:
                    continue
                taken += found
                left = deque(task for task in tasks if task not in found)
                if left:
                    owners[owner] = left
                else:
                    del owners[owner]
        if self._running is not None and wanted(self._running):
            self._running.cancelled = True
        return taken

    def _next(self) -> Task | None:
        """The next task, as soon as there is one; None if closed."""
        with self._changed:
            self._running = None
            self._changed.wait_for(lambda: self._closed or any(self._waiting.values()))
            if self._closed:
                return None
            owners = self._waiting[False] or self._waiting[True]
            owner, tasks = next(iter(owners.items()))
            self._running = tasks.popleft()
            if tasks:
                owners.move_to_end(owner)
            else:
                del owners[owner]
            return self._running

    def _run(self) -> None:
        while (task := self._next()) is not None:
            _do(task)
            del task  # it holds a scene and its picture


def _do(task: Task) -> None:
    if not task.future.set_running_or_notify_cancel():
        return
    try:
        result = task.work(task.is_cancelled)
    except BaseException as fault:
        task.future.set_exception(Cancelled() if task.cancelled else fault)
    else:
        if task.cancelled:
            task.future.set_exception(Cancelled())
        else:
            task.future.set_result(result)


def _cancel(tasks: list[Task]) -> None:
    # Outside of the lock: whoever waits for a future may call the scheduler.
    for task in tasks:
        task.cancelled = True
        if task.future.set_running_or_notify_cancel():
            task.future.set_exception(Cancelled())
