"""Session: one connection of a client.

What arrives is answered in any order. Every call and every frame that is not in order gets exactly one frame
in return, and the session goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from ember_widgets._version import __version__
from ember_widgets.serve.server.call_table import HANDLERS, Answer, Failure, Request, failure
from ember_widgets.serve.server.replica import Replica
from ember_widgets.serve.wire import arrays
from ember_widgets.serve.wire.calls import (
    CALLS,
    CLOSE_IDLE,
    CLOSE_PROTOCOL,
    CLOSE_SILENT,
    SILENT_S,
    Welcome,
)
from ember_widgets.serve.wire.frames import MAX_FRAME_BYTES, PROTOCOL, BadFrame, Frame, pack, unpack
from ember_widgets.serve.wire.scenes import MissingArrays
from ember_widgets.util.checks import shown

MAX_UNSENT = 64
"""Frames that wait to be sent. While there are more, nothing is read from the client."""
SLOW_S = 0.002
"""A frame that took longer to read is followed by a pause as long, in which others are served."""
REFUSED_S = 0.02
"""After a frame that was refused, nothing is read for so long: whoever sends many delays nobody else."""
BUSY_S = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class End:
    """Why the server ends a connection.

    Args:
        code: One of `calls.CLOSE_…`.
        reason: In a few words.
    """

    code: int
    reason: str


@dataclass(eq=False)
class Open:
    """A call that was not answered yet.

    Args:
        slot: As it came.
        is_picture: Whether its answer, while it waits to be sent, gives way to a newer one of its slot.
        future: What the scheduler works on.
    """

    slot: str
    is_picture: bool
    future: Future[Answer]


class Session:
    """One connection. Made, and used, in an event loop.

    Args:
        replica: Who answers.
        send: Sends a frame; returns when the client can take another one.
        person: The name that goes with the client's token.
        owner: Name of the session among the replica's; None = a new one.
        silent_s: A connection from which nothing comes for so long is ended.

    Attributes:
        unsent: (number of the call or None, frame) of what waits to be sent.
        ended: Done as soon as the server wants to end the connection. Its last frame was sent then.
    """

    def __init__(
        self,
        replica: Replica,
        send: Callable[[bytes], Awaitable[None]],
        person: str,
        *,
        owner: str | None = None,
        silent_s: float = SILENT_S,
    ) -> None:
        self._replica = replica
        self._send = send
        self._person = person
        self._owner = f"session {secrets.token_hex(8)}" if owner is None else owner
        self._silent_s = silent_s
        self._welcomed = False
        self._calls: dict[int, Open] = {}
        self.unsent: deque[tuple[int | None, bytes]] = deque()
        self._changed = asyncio.Condition()
        self._bucket = Bucket(replica.limits.requests_per_s)
        self._heard = self._called = time.monotonic()
        self._end: End | None = None
        self.ended: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self._answers: set[asyncio.Task[None]] = set()
        self._tasks = [asyncio.create_task(self._send_all()), asyncio.create_task(self._watch())]

    async def receive(self, data: object) -> None:
        """Read what arrived. It returns when the next frame may be read."""
        began = self._heard = time.monotonic()
        if self._end is not None:
            return
        try:
            await self._read(unpack(data, MAX_FRAME_BYTES))
        except BadFrame as fault:
            await self._refuse(None, Failure("ValueError", str(fault)))
        except Exception as fault:
            await self._refuse(None, self._fault(fault))
        spent = time.monotonic() - began
        if spent > SLOW_S:
            await asyncio.sleep(min(spent, 1.0))
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.unsent) <= MAX_UNSENT or self.ended.done())

    async def close(self) -> None:
        """The connection is gone: stop all that is done for it."""
        self._replica.scheduler.drop(self._owner)
        tasks = [*self._tasks, *self._answers]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.unsent.clear()
        self._calls.clear()

    # Frames from the client

    async def _read(self, frame: Frame) -> None:
        head = frame.head
        if frame.type == "hello":
            await self._hello(head)
        elif not self._welcomed:
            await self._refuse(None, Failure("ValueError", 'the first frame must be of type "hello"'))
        elif frame.type == "ping":
            await self._put(None, pack({"type": "pong"}))
        elif frame.type == "call":
            await self._call(frame)
        elif frame.type == "put":
            await self._keep(frame)
        elif frame.type == "cancel":
            found = self._calls.get(_number(head.get("id")))
            if found is not None:
                self._replica.scheduler.cancel(found.future)
        else:
            known = "hello, call, put, cancel or ping"
            raise BadFrame(f"a frame of type {shown(frame.type)} is not known; send {known}")

    async def _hello(self, head: Mapping[str, Any]) -> None:
        if head.get("protocol") != PROTOCOL:
            theirs = f"protocol {shown(head.get('protocol'))} (ember_widgets {shown(head.get('version'))})"
            ours = f"protocol {PROTOCOL} (ember_widgets {__version__})"
            message = f"the client speaks {theirs}, but the server speaks {ours}; install the same version"
            await self._finish(End(CLOSE_PROTOCOL, "another protocol"), message)
            return
        welcome: Welcome = await asyncio.get_running_loop().run_in_executor(
            self._replica.readers, self._replica.welcome, self._person
        )
        self._welcomed = True
        self._called = time.monotonic()  # the first welcome may take a while
        await self._put(None, pack(welcome.packed()))

    async def _keep(self, frame: Frame) -> None:
        if wait_s := self._bucket.take():
            await self._refuse(None, _too_fast(self._replica, wait_s))
            return
        replica = self._replica

        def check(shape: tuple[int, ...]) -> None:
            replica.check_shape(shape)

        def keep() -> None:
            for array in arrays.unpacked(frame.head.get("arrays"), frame.buffers, check):
                replica.arrays.put(array)

        # Awaited: a call that names these arrays may follow at once.
        await asyncio.get_running_loop().run_in_executor(replica.readers, keep)

    async def _call(self, frame: Frame) -> None:
        replica, head = self._replica, frame.head
        number = _number(head.get("id"))
        self._called = time.monotonic()
        if number in self._calls:
            await self._refuse(number, Failure("ValueError", f"call {number} is not answered yet"))
            return
        if wait_s := self._bucket.take():
            await self._refuse(number, _too_fast(replica, wait_s))
            return
        if len(self._calls) >= replica.limits.waiting:
            message = f"{len(self._calls)} of your calls wait, which is the most; wait for their answers"
            await self._refuse(number, Failure("Busy", message, BUSY_S))
            return
        slot, name = head.get("slot", ""), head.get("call")
        if not isinstance(slot, str) or len(slot) > 200:
            message = f"slot={shown(slot)} is not a text of up to 200 characters"
            await self._refuse(number, Failure("ValueError", message))
            return
        args = head.get("args", {})
        request = Request(replica, name if isinstance(name, str) else "", args, frame.buffers)
        try:
            request.check()
        except MissingArrays as fault:
            await self._put(None, _need(number, fault))
            return
        except Exception as fault:
            await self._refuse(number, self._fault(fault))
            return
        call = CALLS[request.name]

        def work(cancelled: Callable[[], bool]) -> Answer:
            asked = Request(replica, request.name, args, frame.buffers, cancelled, self._person)
            return HANDLERS[request.name](asked)

        future = replica.scheduler.submit(self._owner, work, slot=slot, background=call.background)
        self._calls[number] = Open(slot, call.gives == "picture", future)
        answering = asyncio.create_task(self._answer(number, future))
        self._answers.add(answering)
        answering.add_done_callback(self._answers.discard)

    # Frames to the client

    async def _answer(self, number: int, future: Future[Answer]) -> None:
        """Send the answer of a call when it is there."""
        try:
            answer = await asyncio.wrap_future(future)
            value, buffers = await asyncio.get_running_loop().run_in_executor(
                self._replica.encoders, answer.packed
            )
            data = pack({"type": "answer", "id": number, "value": value}, buffers)
        except MissingArrays as fault:
            data = _need(number, fault)
        except Exception as fault:
            data = pack(self._fault(fault).head(number))
        await self._put(number, data)

    async def _refuse(self, number: int | None, why: Failure) -> None:
        await self._put(None, pack(why.head(number)))
        await asyncio.sleep(REFUSED_S)

    def _fault(self, fault: BaseException) -> Failure:
        """What the client is told; the traceback of a fault of ours goes into the log."""
        known = failure(fault)
        if known is not None:
            return known
        name = secrets.token_hex(4)
        _log.error("fault %s in a session", name, exc_info=fault)
        return Failure("RuntimeError", f"the server made a mistake; its log tells more under {name}")

    async def _put(self, number: int | None, data: bytes) -> None:
        """Have a frame sent. An older picture of the same slot that still waits is not sent any more."""
        async with self._changed:
            found = self._calls.get(number) if number is not None else None
            if found is not None and found.is_picture and found.slot:
                self._supersede(found)
            self.unsent.append((number, data))
            self._changed.notify_all()

    def _supersede(self, newer: Open) -> None:
        for i, (number, _) in enumerate(self.unsent):
            older = self._calls.get(number) if number is not None else None
            if older is not None and older is not newer and older.is_picture and older.slot == newer.slot:
                why = Failure("Cancelled", "a newer picture is there")
                self.unsent[i] = number, pack(why.head(number))

    async def _send_all(self) -> None:
        """Send what waits, one frame after the other, until the connection ends."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self.unsent or self._end is not None)
                if not self.unsent:
                    break
                number, data = self.unsent.popleft()
                if number is not None:
                    self._calls.pop(number, None)
                self._changed.notify_all()
            try:
                await self._send(data)
            except Exception:  # the client is gone; whoever reads from it will notice
                break
        if not self.ended.done():
            self.ended.set_result(self._end or End(CLOSE_SILENT, "the client is gone"))
        async with self._changed:
            self._changed.notify_all()

    async def _finish(self, end: End, message: str) -> None:
        """Send an error, and end the connection then."""
        await self._put(None, pack(Failure("ConnectionError", message).head(None)))
        async with self._changed:
            self._end = end
            self._changed.notify_all()

    async def _watch(self) -> None:
        """End the connection when nothing comes any more, or nobody paints."""
        idle_s = 60 * self._replica.limits.idle_minutes
        while True:
            now = time.monotonic()
            silent, idle = self._heard + self._silent_s - now, self._called + idle_s - now
            if silent <= 0:
                await self._finish(
                    End(CLOSE_SILENT, "silent"),
                    f"nothing came from the client for {self._silent_s:g} s; connect again",
                )
                # A client that does not read either cannot be told.
                await asyncio.sleep(min(5.0, self._silent_s))
                if not self.ended.done():
                    self.ended.set_result(End(CLOSE_SILENT, "silent"))
                return
            if idle <= 0 and not self._calls:
                minutes = self._replica.limits.idle_minutes
                await self._finish(
                    End(CLOSE_IDLE, "idle"), f"nothing was asked for {minutes:g} minutes; connect again"
                )
                return
            await asyncio.sleep(max(0.01, min(silent, idle if idle > 0 else silent)))


class Bucket:
    """How many calls a client may make: so many per second on average, and twice as many at once.

    Args:
        rate: Calls per second.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._left = 2 * rate
        self._at = time.monotonic()

    def take(self) -> float:
        """Count a call. Returns 0, or in how many seconds it may be made."""
        now = time.monotonic()
        self._left = min(2 * self._rate, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return (1 - self._left) / self._rate
        self._left -= 1
        return 0.0


def _too_fast(replica: Replica, wait_s: float) -> Failure:
    message = f"more than {replica.limits.requests_per_s:g} calls per second; wait {wait_s:.2f} s"
    return Failure("Busy", message, round(wait_s, 3))


def _need(number: int, fault: MissingArrays) -> bytes:
    return pack({"type": "need", "id": number, "arrays": list(fault.names)})


def _number(value: object) -> int:
    """The number of a call.

    Raises:
        BadFrame: It is none.
    """
    if type(value) is not int or not 0 <= value < 2**53:
        raise BadFrame(f"id={shown(value)} is not a number of a call; give 0..2**53-1")
    return value


async def last_words(
    send: Callable[[bytes], Awaitable[None]], error: str, message: str, timeout_s: float = 5.0
) -> None:
    """Tell a client why it is not let in."""
    with contextlib.suppress(Exception):
        await asyncio.wait_for(send(pack(Failure(error, message).head(None))), timeout_s)
