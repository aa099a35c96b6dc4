"""The latest-wins worker."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Iterator

import pytest

from ember_widgets.widgets.shared.latest_wins import LatestWins

SOON_S = 5.0


class Work:
    """Work that records its jobs; with ``hold()`` the next ones wait until ``go`` is set."""

    def __init__(self) -> None:
        self.done: list[object] = []
        self.started = threading.Event()
        self.go = threading.Event()
        self.go.set()

    def hold(self) -> None:
        self.go.clear()
        self.started.clear()

    def __call__(self, job: object) -> None:
        self.started.set()
        if not self.go.wait(SOON_S):
            raise TimeoutError
        if isinstance(job, Exception):
            raise job
        self.done.append(job)


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def events() -> list[object]:
    return []


@pytest.fixture
def worker(work: Work, events: list[object]) -> Iterator[LatestWins[object]]:
    worker: LatestWins[object] = LatestWins(
        work,
        settle=lambda: events.append("settled"),
        on_error=lambda fault: events.append(repr(fault)),
        on_drop=lambda job: events.append(("dropped", job)),
        settle_after_s=0.01,
    )
    yield worker
    work.go.set()
    worker.close()


def test_a_job_is_done_in_a_thread_of_its_own(worker: LatestWins[object], work: Work) -> None:
    worker.submit("picture")

    assert worker.wait(SOON_S)
    assert work.done == ["picture"]


def test_submit_does_not_wait_for_the_work(worker: LatestWins[object], work: Work) -> None:
    work.hold()
    began = time.perf_counter()

    for job in range(100):
        worker.submit(job)

    assert time.perf_counter() - began < 1
    assert work.done == []


def test_only_the_newest_of_the_waiting_jobs_is_done(
    worker: LatestWins[object], work: Work, events: list[object]
) -> None:
    work.hold()
    worker.submit("first")
    assert work.started.wait(SOON_S)
    for job in ("second", "third", "newest"):
        worker.submit(job)
    assert worker.waiting
    work.go.set()

    assert worker.wait(SOON_S)
    assert work.done == ["first", "newest"]
    assert events == [("dropped", "second"), ("dropped", "third"), "settled"]


def test_it_settles_once_after_a_row_of_jobs(
    worker: LatestWins[object], work: Work, events: list[object]
) -> None:
    worker.submit("first")
    assert worker.wait(SOON_S)
    worker.submit("second")
    assert worker.wait(SOON_S)

    assert work.done == ["first", "second"]
    assert events == ["settled", "settled"]


def test_it_does_not_settle_while_jobs_keep_coming(work: Work, events: list[object]) -> None:
    worker: LatestWins[object] = LatestWins(work, settle=lambda: events.append("settled"), settle_after_s=0.5)
    for job in range(5):
        worker.submit(job)
        time.sleep(0.02)
        assert worker.busy

    assert events == []
    assert worker.wait(SOON_S)
    assert events == ["settled"]
    worker.close()


def test_a_job_that_comes_while_it_settles_is_done_and_settles_again(work: Work) -> None:
    settled: list[int] = []

    def settle() -> None:
        settled.append(len(work.done))
        if len(settled) == 1:
            own.submit("second")

    own: LatestWins[object] = LatestWins(work, settle=settle, settle_after_s=0.01)
    own.submit("first")

    assert own.wait(SOON_S)
    assert work.done == ["first", "second"]
    assert settled == [1, 2]
    own.close()


def test_an_error_is_reported_and_the_thread_goes_on(
    worker: LatestWins[object], work: Work, events: list[object]
) -> None:
    worker.submit(ValueError("bad job"))
    assert worker.wait(SOON_S)
    worker.submit("good job")
    assert worker.wait(SOON_S)

    assert events == ["ValueError('bad job')", "settled", "settled"]
    assert work.done == ["good job"]


def test_an_error_while_settling_does_not_leave_wait_hanging(work: Work) -> None:
    faults: list[BaseException] = []

    def settle() -> None:
        raise OSError("disk full")

    worker: LatestWins[object] = LatestWins(work, settle=settle, on_error=faults.append, settle_after_s=0.01)
    worker.submit("job")

    assert worker.wait(SOON_S)
    assert [str(fault) for fault in faults] == ["disk full"]
    worker.close()


def test_wait_says_when_the_time_is_over(worker: LatestWins[object], work: Work) -> None:
    work.hold()
    worker.submit("job")

    assert worker.busy
    assert not worker.wait(0.02)


def test_waiting_for_nothing_does_not_wait(worker: LatestWins[object]) -> None:
    assert worker.wait(0)
    assert not worker.busy


def test_waiting_in_the_worker_is_refused_instead_of_hanging(
    worker: LatestWins[object], events: list[object]
) -> None:
    worker._work = lambda job: events.append(worker.wait())
    worker.submit("job")

    assert worker.wait(SOON_S)
    assert events[0] == "RuntimeError('wait() was called from the worker itself, which would wait forever')"


def test_a_closed_worker_takes_nothing_and_its_thread_ends(worker: LatestWins[object], work: Work) -> None:
    worker.submit("before")
    assert worker.wait(SOON_S)
    thread = worker._worker._thread
    assert thread is not None

    worker.close()
    thread.join(SOON_S)
    assert not thread.is_alive()

    worker.submit("after")
    assert worker.wait(0)
    assert work.done == ["before"]


def test_closing_in_the_middle_of_a_job_lets_it_end_and_drops_the_next(
    worker: LatestWins[object], work: Work
) -> None:
    work.hold()
    worker.submit("running")
    assert work.started.wait(SOON_S)
    worker.submit("waiting")

    worker.close()
    assert not worker.wait(0)
    work.go.set()

    assert worker.wait(SOON_S)
    assert work.done == ["running"]


def test_without_a_job_there_is_no_thread(worker: LatestWins[object]) -> None:
    assert worker._worker._thread is None


def test_the_worker_does_not_keep_what_it_worked_on(work: Work) -> None:
    class Owner:
        def work(self, job: object) -> None:
            pass

    owner = Owner()
    gone = weakref.ref(owner)
    worker: LatestWins[object] = LatestWins(owner.work, settle_after_s=0.01)
    job = Work()
    job_gone = weakref.ref(job)
    worker.submit(job)
    assert worker.wait(SOON_S)
    del job
    gc.collect()
    assert job_gone() is None

    worker.close()
    del owner
    gc.collect()

    assert gone() is None


def test_many_threads_may_submit_at_once(
    worker: LatestWins[object], work: Work, events: list[object]
) -> None:
    def submit(start: int) -> None:
        for i in range(200):
            worker.submit(start + i)

    threads = [threading.Thread(target=submit, args=(1000 * k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert worker.wait(SOON_S)
    dropped = [event[1] for event in events if isinstance(event, tuple)]
    assert sorted([*work.done, *dropped], key=str) == sorted(  # each job was either done or dropped, once
        [1000 * k + i for k in range(4) for i in range(200)], key=str
    )


def test_an_error_that_cannot_be_reported_ends_neither_the_thread_nor_wait(work: Work) -> None:
    def fail(fault: BaseException) -> None:
        raise OSError("nobody listens")

    worker: LatestWins[object] = LatestWins(work, on_error=fail, settle_after_s=0.01)
    worker.submit(ValueError("bad job"))
    assert worker.wait(SOON_S)
    worker.submit("good job")
    assert worker.wait(SOON_S)
    assert work.done == ["good job"]
    worker.close()


@pytest.mark.parametrize("fault", [SystemExit(3), KeyboardInterrupt()], ids=["exit", "interrupt"])
def test_what_would_end_the_program_ends_only_its_job(fault: BaseException, work: Work) -> None:
    faults: list[BaseException] = []

    def act(job: object) -> None:
        if job == "bad job":
            raise fault
        work(job)

    worker: LatestWins[object] = LatestWins(act, on_error=faults.append, settle_after_s=0.01)
    worker.submit("bad job")
    assert worker.wait(SOON_S)
    worker.submit("good job")
    assert worker.wait(SOON_S)
    assert (work.done, faults) == (["good job"], [fault])
    worker.close()
