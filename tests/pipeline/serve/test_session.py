"""One session, without a network: what waits to be sent is bounded, and silence ends it."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

import ember_widgets as ember
from ember_widgets.serve.server.limits import Limits
from ember_widgets.serve.server.replica import Replica
from ember_widgets.serve.server.session import MAX_UNSENT, Session
from ember_widgets.serve.wire import scenes
from ember_widgets.serve.wire.calls import CLOSE_SILENT
from ember_widgets.serve.wire.frames import PROTOCOL, Frame, pack, unpack

HELLO = pack({"type": "hello", "protocol": PROTOCOL, "version": "1"})
PING = pack({"type": "ping"})


@pytest.fixture(scope="module")
def replica(painter: ember.Painter) -> Iterator[Replica]:
    replica = Replica(painter, limits=Limits(requests_per_s=10_000))
    yield replica
    replica.close()


class Line:
    """A client's end: what was sent to it, and a valve that keeps it from taking more."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, data: bytes) -> None:
        await self.open.wait()
        self.frames.append(unpack(data))

    async def got(self, n: int) -> list[Frame]:
        ends = time.monotonic() + 20
        while len(self.frames) < n:
            assert time.monotonic() < ends
            await asyncio.sleep(0.002)
        return self.frames


def with_session(
    replica: Replica, body: Callable[[Session, Line], Coroutine[Any, Any, None]], **options: Any
) -> None:
    """Run the body with a session that was welcomed."""

    async def run() -> None:
        line = Line()
        session = Session(replica, line.send, "", **options)
        try:
            await session.receive(HELLO)
            await line.got(1)
            await body(session, line)
        finally:
            await session.close()

    asyncio.run(run())


def render(scene: ember.Scene, number: int, slot: str) -> bytes:
    buffers: list[bytes] = []
    args = {"scene": scenes.packed(scene, buffers)}
    return pack({"type": "call", "id": number, "call": "render", "args": args, "slot": slot}, buffers)


@pytest.fixture(scope="module")
def scene(replica: Replica) -> ember.Scene:
    scene = replica.painter.analyze("a castle on a hill", seed=3)
    for array in scenes.kept_arrays(scene).values():
        replica.arrays.put(array)
    return scene


def test_pictures_that_a_slow_client_does_not_take_give_way(replica: Replica, scene: ember.Scene) -> None:
    async def body(session: Session, line: Line) -> None:
        line.open.clear()
        await session.receive(PING)  # its pong blocks the line
        for number in range(4):
            await session.receive(render(scene, number, "picture"))
            await asyncio.wrap_future(replica.scheduler.submit("after it", lambda _: None))
            await asyncio.sleep(0.05)
        line.open.set()
        frames = (await line.got(6))[2:]
        assert [frame.head["id"] for frame in frames] == [0, 1, 2, 3]
        assert [frame.head.get("error") for frame in frames] == ["Cancelled"] * 3 + [None]

    with_session(replica, body)


def test_nothing_is_read_while_too_much_waits(replica: Replica) -> None:
    async def body(session: Session, line: Line) -> None:
        line.open.clear()

        async def flood() -> None:
            for _ in range(10 * MAX_UNSENT):
                await session.receive(PING)

        flooding = asyncio.create_task(flood())
        await asyncio.sleep(0.1)
        assert not flooding.done()
        assert len(session.unsent) <= MAX_UNSENT + 2
        line.open.set()
        await asyncio.wait_for(flooding, 5)
        assert len(await line.got(10 * MAX_UNSENT + 1)) == 10 * MAX_UNSENT + 1

    with_session(replica, body)


@pytest.mark.parametrize("reads", [True, False])
def test_silence_ends_a_session(replica: Replica, reads: bool) -> None:
    async def body(session: Session, line: Line) -> None:
        for _ in range(3):
            await asyncio.sleep(0.1)
            await session.receive(PING)
        assert not session.ended.done()
        if not reads:
            line.open.clear()
        end = await asyncio.wait_for(session.ended, 2)
        assert end.code == CLOSE_SILENT
        if reads:
            assert "nothing came" in line.frames[-1].head["message"]

    with_session(replica, body, silent_s=0.25)


def test_a_session_keeps_nothing_of_what_it_answered(replica: Replica, scene: ember.Scene) -> None:
    async def body(session: Session, line: Line) -> None:
        def n_objects() -> int:
            gc.collect()
            return sum(type(one) in (ember.Scene, Frame, asyncio.Task) for one in gc.get_objects())

        async def draw(numbers: range) -> None:
            for number in numbers:
                await session.receive(render(scene, number, "picture" if number % 2 else ""))
                await session.receive(pack({"type": "call", "id": number + 1000, "call": "exec"}))
                await line.got(2)
                line.frames.clear()

        line.frames.clear()
        await draw(range(5))
        before = n_objects()
        await draw(range(5, 30))
        assert n_objects() == before

    with_session(replica, body)


def test_a_call_that_comes_while_the_server_closes_is_cancelled(
    painter: ember.Painter, scene: ember.Scene
) -> None:
    replica = Replica(painter)
    for array in scenes.kept_arrays(scene).values():
        replica.arrays.put(array)

    async def body(session: Session, line: Line) -> None:
        replica.scheduler.close()
        for n in (1, 2):
            await session.receive(render(scene, 7, ""))
            head = (await line.got(1 + n))[-1].head
            assert (head["id"], head["error"]) == (7, "Cancelled")

    try:
        with_session(replica, body)
    finally:
        replica.close()


def test_a_call_is_answered_between_strokes(replica: Replica, scene: ember.Scene) -> None:
    """The event loop is free while the device draws."""

    async def body(session: Session, line: Line) -> None:
        await session.receive(render(scene, 0, ""))
        began = time.perf_counter()
        await session.receive(PING)
        frames = await line.got(3)
        assert [frame.type for frame in frames] == ["welcome", "pong", "answer"]
        assert time.perf_counter() - began < 5

    with_session(replica, body)
