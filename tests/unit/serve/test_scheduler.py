"""The scheduler: owners take turns, the newest of a slot wins, nothing that work raises ends the thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from ember_widgets.serve.server.scheduler import Scheduler
from ember_widgets.util.cancelled import Cancelled, raise_if_cancelled


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    scheduler = Scheduler()
    yield scheduler
    scheduler.close()


class Gate:
    """Work that holds the thread until it is opened."""

    def __init__(self, scheduler: Scheduler, owner: str = "gate", slot: str = "") -> None:
        self.opened, self.entered = threading.Event(), threading.Event()
        self.cancelled: Callable[[], bool] = lambda: False
        self.future = scheduler.submit(owner, self.hold, slot=slot)
        assert self.entered.wait(5)

    def hold(self, cancelled: Callable[[], bool]) -> str:
        self.cancelled = cancelled
        self.entered.set()
        self.opened.wait(5)
        return "held"


def test_owners_take_turns(scheduler: Scheduler) -> None:
    gate, done = Gate(scheduler), list[str]()
    wanted = ["a1", "a2", "a3", "b1", "b2", "c1"]
    futures = [scheduler.submit(name[0], lambda _, name=name: done.append(name)) for name in wanted]  # type: ignore[misc]
    gate.opened.set()
    for future in futures:
        future.result(5)
    assert done == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_the_newest_of_a_slot_keeps_the_turn(scheduler: Scheduler) -> None:
    gate, done = Gate(scheduler, "gate"), list[str]()
    for owner in "abc":
        scheduler.submit(owner, lambda _, owner=owner: done.append(f"{owner} old"), slot="picture")  # type: ignore[misc]
    for _ in range(3):
        scheduler.submit("a", lambda _: done.append("a new"), slot="picture")
    last = scheduler.submit("d", lambda _: done.append("d"))
    gate.opened.set()
    last.result(5)
    assert done == ["a new", "b old", "c old", "d"]


def test_the_newest_of_a_slot_keeps_its_place_among_the_tasks_of_its_owner(scheduler: Scheduler) -> None:
    gate, done = Gate(scheduler), list[str]()
    for name in ("one old", "other", "one new"):
        last = scheduler.submit("a", lambda _, name=name: done.append(name), slot=name.split()[0])  # type: ignore[misc]
    end = scheduler.submit("a", lambda _: done.append("end"))
    gate.opened.set()
    for future in (last, end):
        future.result(5)
    assert done == ["one new", "other", "end"]


def test_the_newest_of_a_slot_wins(scheduler: Scheduler) -> None:
    gate = Gate(scheduler, "a", "picture")
    waiting = scheduler.submit("a", lambda _: "old", slot="picture")
    other = scheduler.submit("a", lambda _: "other", slot="another")
    theirs = scheduler.submit("b", lambda _: "theirs", slot="picture")
    newest = scheduler.submit("a", lambda _: "new", slot="picture")
    with pytest.raises(Cancelled):
        waiting.result(5)
    assert not gate.cancelled()  # else a slow device would finish nothing
    gate.opened.set()
    gate.future.result(5)
    assert [one.result(5) for one in (other, theirs, newest)] == ["other", "theirs", "new"]


def test_background_waits_for_all_others(scheduler: Scheduler) -> None:
    gate, done = Gate(scheduler), list[str]()
    late = scheduler.submit("a", lambda _: done.append("background"), background=True)
    scheduler.submit("b", lambda _: done.append("b1"))
    scheduler.submit("b", lambda _: done.append("b2"))
    gate.opened.set()
    late.result(5)
    assert done == ["b1", "b2", "background"]


def test_what_work_raises_reaches_its_owner_only(scheduler: Scheduler) -> None:
    def fail(cancelled: Callable[[], bool]) -> None:
        raise SystemExit("gone")

    with pytest.raises(SystemExit):
        scheduler.submit("a", fail).result(5)
    assert scheduler.submit("a", lambda _: 1).result(5) == 1


def test_drop_cancels_all_of_an_owner(scheduler: Scheduler) -> None:
    stopped = threading.Event()

    def draw(cancelled: Callable[[], bool]) -> None:
        entered.set()
        while not cancelled():
            pass
        stopped.set()
        raise_if_cancelled(cancelled)

    entered = threading.Event()
    running = scheduler.submit("a", draw)
    assert entered.wait(5)
    waiting, theirs = scheduler.submit("a", lambda _: 1), scheduler.submit("b", lambda _: 2)
    scheduler.drop("a")
    for future in (running, waiting):
        with pytest.raises(Cancelled):
            future.result(5)
    assert stopped.is_set()
    assert theirs.result(5) == 2
    assert scheduler.n_waiting == 0


def test_cancel_takes_out_one_call(scheduler: Scheduler) -> None:
    gate = Gate(scheduler)
    one, other = scheduler.submit("a", lambda _: 1), scheduler.submit("a", lambda _: 2)
    scheduler.cancel(one)
    gate.opened.set()
    with pytest.raises(Cancelled):
        one.result(5)
    assert other.result(5) == 2


def test_a_future_that_nobody_waits_for_is_left_out(scheduler: Scheduler) -> None:
    gate, done = Gate(scheduler), list[int]()
    left = scheduler.submit("a", lambda _: done.append(1))
    left.cancel()
    gate.opened.set()
    scheduler.submit("a", lambda _: done.append(2)).result(5)
    assert done == [2]


def test_close_cancels_what_waits() -> None:
    scheduler = Scheduler()
    gate = Gate(scheduler)
    waiting = scheduler.submit("a", lambda _: 1)
    gate.opened.set()
    scheduler.close()
    with pytest.raises(Cancelled):
        waiting.result(5)
    with pytest.raises(Cancelled):  # a client asks the next server then
        scheduler.submit("a", lambda _: 1).result(5)
    assert "ember-device" not in [thread.name for thread in threading.enumerate()]
