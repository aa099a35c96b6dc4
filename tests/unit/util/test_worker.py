"""The worker that all background work is done by: nothing ends it, and nobody waits for it in vain."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import pytest

from ember_widgets.util import worker as worker_module
from ember_widgets.util.worker import Worker

SOON_S = 5.0

FAULTS = [OSError("no"), SystemExit(3), KeyboardInterrupt(), GeneratorExit()]


@pytest.fixture
def faults() -> list[BaseException]:
    return []


@pytest.fixture
def worker(faults: list[BaseException]) -> Iterator[Worker]:
    worker = Worker("test", on_error=faults.append)
    yield worker
    worker.close()


def held(gate: threading.Event) -> Callable[[], None]:
    def task() -> None:
        gate.wait(SOON_S)

    return task


def failing(fault: BaseException) -> Callable[[], None]:
    def task() -> None:
        raise fault

    return task


def thread_of(worker: Worker) -> threading.Thread:
    assert worker._thread is not None
    return worker._thread


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_a_task_that_fails_keeps_none_of_the_others_from_being_done(
    fault: BaseException, worker: Worker, faults: list[BaseException]
) -> None:
    gate, done = threading.Event(), []
    worker.put("first", held(gate))
    worker.put("bad", failing(fault))
    worker.put("good", lambda: done.append("good"))
    gate.set()
    assert worker.wait(SOON_S)
    assert (done, faults) == (["good"], [fault])


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_an_error_that_cannot_be_reported_is_logged(
    fault: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker("test", on_error=lambda _: failing(fault)())
    done: list[str] = []
    with caplog.at_level(logging.ERROR):
        worker.put("bad", failing(ValueError("no")))
        assert worker.wait(SOON_S)
    worker.put("good", lambda: done.append("good"))
    assert worker.wait(SOON_S)
    assert done == ["good"]
    assert [record.message for record in caplog.records] == ["an error could not be reported"]
    worker.close()


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_tasks_are_done_if_nobody_can_say_whether_they_may_begin(
    fault: BaseException, faults: list[BaseException]
) -> None:
    worker = Worker("test", on_error=faults.append, ready=lambda patience_s: bool(failing(fault)()))
    done: list[str] = []
    worker.put("good", lambda: done.append("good"))
    assert worker.wait(SOON_S)
    assert (done, faults) == (["good"], [fault])
    worker.close()


def test_tasks_wait_until_they_may_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "PATIENCE_S", 0.01)
    free, done = threading.Event(), list[str]()
    worker = Worker("test", ready=free.wait)
    worker.put("task", lambda: done.append("old"))
    assert not worker.wait(0.05)
    worker.put("task", lambda: done.append("new"))
    free.set()
    assert worker.wait(SOON_S)
    assert done == ["new"]
    worker.close()


def test_a_task_that_is_put_as_the_last_one_ends_is_done(worker: Worker) -> None:
    """From within a task, from its end on, and from another thread at once: none waits for another call."""
    done: list[int] = []
    for i in range(300):
        worker.put("outer", lambda i=i: worker.put(f"{i}", lambda: done.append(i)))  # type: ignore[misc]
        assert worker.wait(SOON_S)
    assert done == list(range(300))


@pytest.mark.parametrize("linger_s", [0, 0.0005])
def test_a_task_that_is_put_as_the_thread_ends_is_done(linger_s: float) -> None:
    worker = Worker("test", linger_s=linger_s)
    done: list[int] = []
    for i in range(300):
        worker.put("task", lambda i=i: done.append(i))  # type: ignore[misc]
        assert worker.wait(SOON_S)
        time.sleep(0.0002 * (i % 5))
    assert done == list(range(300))


def test_the_newest_task_of_a_key_is_done(worker: Worker) -> None:
    gate, done = threading.Event(), []
    worker.put("first", held(gate))
    time.sleep(0.05)
    for i in range(3):
        worker.put("same", lambda i=i: done.append(i))  # type: ignore[misc]
    gate.set()
    assert worker.wait(SOON_S)
    assert done == [2]


def test_a_task_may_be_for_later_and_for_later_still(worker: Worker) -> None:
    done: list[tuple[str, float]] = []
    began = time.monotonic()

    def later(name: str) -> Callable[[], None]:
        return lambda: done.append((name, time.monotonic() - began))

    worker.put("later", later("first"), after_s=0.05)
    worker.put("later", later("second"), after_s=0.2)
    worker.put("now", later("now"))
    assert worker.wait(SOON_S)
    assert [name for name, _ in done] == ["now", "second"]
    assert done[0][1] < 0.2 <= done[1][1]


def test_there_is_a_thread_only_while_there_is_something_to_do() -> None:
    worker = Worker("test", linger_s=0.2)
    assert worker._thread is None
    done: list[int] = []
    for i in range(2):
        worker.put("task", lambda i=i: done.append(i))  # type: ignore[misc]
        thread = thread_of(worker)
        assert worker.wait(SOON_S)
        thread.join(SOON_S)
        assert not thread.is_alive()
    assert done == [0, 1]


def test_a_thread_that_cannot_be_started_is_started_the_next_time(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(
            threading.Thread, "start", lambda self: failing(RuntimeError("can't start new thread"))()
        )
        with pytest.raises(RuntimeError, match="can't start new thread"):
            worker.put("task", lambda: done.append("never"))
    worker.put("task", lambda: done.append("done"))
    assert worker.wait(SOON_S)
    assert done == ["done"]


def test_closing_ends_all_waiting_as_soon_as_the_running_task_is_done(worker: Worker) -> None:
    gate, waited = threading.Event(), list[bool]()
    worker.put("running", held(gate))
    time.sleep(0.05)
    worker.put("waiting", lambda: waited.append(False))
    worker.put("later", lambda: waited.append(False), after_s=60)
    waiter = threading.Thread(target=lambda: waited.append(worker.wait(SOON_S)))
    waiter.start()
    worker.close()
    assert not worker.wait(0.02)
    gate.set()
    waiter.join(SOON_S)
    assert waited == [True]
    worker.put("too late", lambda: waited.append(False))
    assert worker.wait(0)
    assert waited == [True]


def test_waiting_in_a_task_is_refused_instead_of_hanging(worker: Worker, faults: list[BaseException]) -> None:
    worker.put("task", lambda: print(worker.wait()))
    assert worker.wait(SOON_S)
    assert [str(fault) for fault in faults] == [
        "wait() was called from the worker itself, which would wait forever"
    ]


def test_it_keeps_nothing_of_what_it_has_done(worker: Worker) -> None:
    class Owner:
        def task(self) -> None:
            raise OSError(self)

    worker = Worker("test", on_error=lambda fault: None)
    owner = Owner()
    gone = weakref.ref(owner)
    worker.put("task", owner.task)
    assert worker.wait(SOON_S)
    del owner
    gc.collect()
    assert gone() is None
    worker.close()


def test_what_is_put_first_is_done_before_what_waits(worker: Worker) -> None:
    gate, done = threading.Event(), list[str]()
    worker.put("held", held(gate))
    for key, first in (("a", False), ("b", False), ("c", True), ("d", True)):
        worker.put(key, lambda key=key: done.append(key), first=first)  # type: ignore[misc]
    gate.set()
    assert worker.wait(SOON_S)
    assert done == ["c", "d", "a", "b"]


def test_the_task_that_runs_when_python_ends_is_done() -> None:
    """A daemon thread that Python's end stops inside PyTorch would abort the process."""
    script = """
import threading, time
from ember_widgets.util.worker import Worker

def task():
    began.set()
    time.sleep(0.3)
    print("done", flush=True)

began, worker = threading.Event(), Worker("test")
worker.put("task", task)
worker.put("next", lambda: print("never"))
began.wait()
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "done\n"
