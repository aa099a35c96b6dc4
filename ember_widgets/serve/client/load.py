"""Simulated painters: how many people a server carries, and how long each waits for a picture.

A simulated painter does what a widget does, over the wire itself and without decoding pictures, so that many
of them fit into one process: it analyses a picture of its own, and then paints. While it is active it makes 3
strokes per second, and asks for the final picture of each. A third of the painters is active at any time; the
others look at what they have made.

A stroke's *latency* is the time from sending it to the first final picture that shows it: its own, or that of
a later stroke, which contains it. A stroke that no final picture ever showed is *lost*.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from ember_widgets._version import __version__
from ember_widgets.scene.scene import Scene
from ember_widgets.serve.client.address import Address
from ember_widgets.serve.wire import arrays, scenes
from ember_widgets.serve.wire.calls import HEARTBEAT_S
from ember_widgets.serve.wire.frames import PROTOCOL, Frame, pack, unpack

STROKES_PER_S = 3.0
TURN_S = 3.0
"""How long a painter is active before it is another one's turn."""
N_TURNS = 3
"""One of so many painters is active at a time."""
WAIT_S = 30.0
"""How long a painter waits for the last final picture, or for its server to come back."""
PROMPTS = ("a sun and a pine in the snow", "a lion in a meadow", "a boat on the sea", "a castle at night")
STEPS = (1, 3, 6, 12, 18, 30, 45, 60, 90, 120)
"""How many painters `class_size` tries, one number after the other."""


@dataclass
class Ledger:
    """What became of a painter's strokes. Times are seconds of one clock.

    Attributes:
        latencies: Of the strokes that a final picture showed.
        waiting: {number of a stroke: when it was sent} of those that none showed yet.
        lost: Strokes that none will show.
        n_finals: Final pictures that came.
        gaps: From each break of the connection to the moment when the painter can go on.
    """

    latencies: list[float] = field(default_factory=list)
    waiting: dict[int, float] = field(default_factory=dict)
    lost: int = 0
    n_finals: int = 0
    gaps: list[float] = field(default_factory=list)
    broken_at: float | None = None

    def sent(self, stroke: int, now: float) -> None:
        """A stroke was made."""
        self.waiting[stroke] = now

    def final(self, stroke: int, now: float) -> None:
        """A final picture came, which shows this stroke and all before it."""
        self.n_finals += 1
        for shown in [number for number in self.waiting if number <= stroke]:
            self.latencies.append(now - self.waiting.pop(shown))

    def broken(self, now: float) -> None:
        """The connection broke."""
        self.broken_at = now if self.broken_at is None else self.broken_at

    def resumed(self, now: float) -> None:
        """There is a connection again."""
        if self.broken_at is not None:
            self.gaps.append(now - self.broken_at)
            self.broken_at = None

    def give_up(self) -> None:
        """No more pictures will come."""
        self.lost += len(self.waiting)
        self.waiting.clear()


@dataclass(frozen=True)
class Load:
    """What many painters experienced. Times in seconds.

    Args:
        n_painters: How many there were.
        n_active: How many of them painted at a time.
        seconds: How long.
        latencies: Of all strokes that were shown.
        lost: Strokes that were not.
        n_finals: Final pictures that came.
        gaps: How long it took until painters could go on after their connection broke.
    """

    n_painters: int
    n_active: float
    seconds: float
    latencies: Sequence[float]
    lost: int
    n_finals: int
    gaps: Sequence[float] = ()

    def percentile(self, share: float) -> float:
        """A percentile of the latencies; nan if there are none."""
        return float(np.percentile(self.latencies, share)) if self.latencies else float("nan")


class SimulatedPainter:
    """One painter.

    Args:
        address: The server.
        number: Which one it is; it decides its picture and its turn.
        turns: Whether it takes turns with the others; False = it is always active.
    """

    def __init__(self, address: Address, number: int, turns: bool = True) -> None:
        self.ledger = Ledger()
        self._address, self._number, self._turns = address, number, turns
        self._ids = itertools.count(1)
        self._random = np.random.default_rng(number)
        self._socket: ClientConnection | None = None
        self._stroke_of: dict[int, int] = {}
        self._scene: Scene | None = None
        self._base: Scene | None = None
        self._stroke = 0
        self._ready = asyncio.Event()
        self._sent_at = 0.0

    async def prepare(self) -> None:
        """Connect, and analyse a picture."""
        self._reader = asyncio.create_task(self._read_for_ever())
        await asyncio.wait_for(self._ready.wait(), 4 * WAIT_S)

    async def paint(self, began: float, seconds: float) -> None:
        """Paint in turns until so many seconds after `began`, and wait for the last pictures."""
        next_at = began + self._random.uniform(0, 1 / STROKES_PER_S)
        while (now := time.perf_counter()) < began + seconds:
            turn = int((now - began) / TURN_S) % N_TURNS
            if self._turns and turn != self._number % N_TURNS:
                await self._beat()
                await asyncio.sleep(0.05)
                next_at = time.perf_counter()
                continue
            if now < next_at:
                await asyncio.sleep(next_at - now)
                continue
            next_at = max(next_at + 1 / STROKES_PER_S, now)
            await self._make_stroke()
        until = time.perf_counter() + WAIT_S
        while self.ledger.waiting and time.perf_counter() < until:
            await asyncio.sleep(0.02)
        self.ledger.give_up()

    async def close(self) -> None:
        """Leave the server."""
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _make_stroke(self) -> None:
        assert self._base is not None
        row, col = self._random.integers(0, 13, 2)
        where = [(r, c) for r in range(row, row + 3) for c in range(col, col + 3)]
        factor = int(self._random.integers(max(1, self._base.n_factors)))
        before = self._scene if self._stroke % 20 else self._base  # else all of it is painted over some day
        assert before is not None
        self._scene = before.paint(factor, where, float(self._random.uniform(0.5, 1.5)))
        self._stroke += 1
        self.ledger.sent(self._stroke, time.perf_counter())
        await self._ask()

    async def _ask(self) -> None:
        """Ask for the picture of the newest stroke, if there is a connection."""
        if self._socket is None or self._scene is None:
            return
        buffers: list[bytes] = []
        args = {"scene": scenes.packed(self._scene, buffers), "form": "exact"}
        number = next(self._ids)
        self._stroke_of[number] = self._stroke
        head = {"type": "call", "id": number, "call": "render", "args": args, "slot": "paint"}
        await self._send(pack(head, buffers))

    async def _send(self, data: bytes) -> None:
        if self._socket is not None:
            self._sent_at = time.perf_counter()
            with contextlib.suppress(WebSocketException):  # whoever reads notices it
                await self._socket.send(data)

    async def _beat(self) -> None:
        if time.perf_counter() - self._sent_at > HEARTBEAT_S / 2:
            await self._send(pack({"type": "ping"}))

    # What comes from the server

    async def _read_for_ever(self) -> None:
        """Read; connect again when the connection breaks, and ask for the newest stroke."""
        while True:
            try:
                async with connect(
                    self._address.session,
                    additional_headers=self._address.headers,
                    compression=None,
                    max_size=None,
                    ping_interval=None,
                    proxy=None,
                ) as socket:
                    await self._begin(socket)
                    async for data in socket:
                        await self._take(unpack(data))
            except ConnectionError:
                if self._base is None:  # it was refused, and would be again
                    raise
            except (OSError, WebSocketException, TimeoutError):
                pass
            self._socket = None
            if self._ready.is_set():
                self.ledger.broken(time.perf_counter())
            await asyncio.sleep(0.2)

    async def _begin(self, socket: ClientConnection) -> None:
        hello = {"type": "hello", "protocol": PROTOCOL, "version": __version__, "client": "simulated"}
        await socket.send(pack(hello))
        welcome = await self._next(socket)
        if welcome.type != "welcome":
            raise ConnectionError(str(welcome.head.get("message", "the server did not say welcome")))
        if self._base is None:
            await self._analyze(socket)
        assert self._base is not None
        buffers: list[bytes] = []
        entries = arrays.packed(list(scenes.kept_arrays(self._base).values()), buffers)
        await socket.send(pack({"type": "put", "arrays": entries}, buffers))
        self._stroke_of.clear()
        self._socket = socket
        self.ledger.resumed(time.perf_counter())
        if self.ledger.waiting:
            await self._ask()
        self._ready.set()

    async def _analyze(self, socket: ClientConnection) -> None:
        prompt = PROMPTS[self._number % len(PROMPTS)]
        args = {"prompt": prompt, "seed": self._number, "n_steps": 1, "n_factors": 5}
        await socket.send(pack({"type": "call", "id": 0, "call": "analyze", "args": args, "slot": ""}))
        answer = await self._next(socket)
        if answer.type != "answer":
            raise ConnectionError(str(answer.head.get("message", "the server did not analyze")))
        self._base = scenes.unpacked_answer(answer.head["value"], answer.buffers, {})

    async def _next(self, socket: ClientConnection) -> Frame:
        return unpack(await asyncio.wait_for(socket.recv(), 2 * WAIT_S))

    async def _take(self, frame: Frame) -> None:
        if frame.type == "answer":
            stroke = self._stroke_of.pop(frame.head["id"], None)
            if stroke is not None:
                self.ledger.final(stroke, time.perf_counter())
        elif frame.type == "need":
            assert self._base is not None
            kept = scenes.kept_arrays(self._base)
            buffers: list[bytes] = []
            entries = arrays.packed([kept[name] for name in frame.head["arrays"]], buffers)
            await self._send(pack({"type": "put", "arrays": entries}, buffers))
            await self._ask()
        elif frame.type == "error":
            stroke = self._stroke_of.pop(frame.head.get("id") or 0, None)
            # Whatever was refused and is still the newest is asked for again; a replaced one is not.
            if stroke == self._stroke and frame.head.get("error") != "ValueError":
                await asyncio.sleep(float(frame.head.get("retry_after_s", 0.05)))
                await self._ask()


async def painted(address: Address, n: int, seconds: float, *, turns: bool = True) -> Load:
    """Let so many painters paint on a server.

    Args:
        address: The server.
        n: How many.
        seconds: How long they paint.
        turns: See `SimulatedPainter`.

    Raises:
        ConnectionError: The server refuses them; the message says why.
        TimeoutError: They could not begin.
    """
    painters = [SimulatedPainter(address, number, turns) for number in range(n)]
    try:
        for painter in painters:
            await _prepared(painter)
        began = time.perf_counter()
        await asyncio.gather(*(painter.paint(began, seconds) for painter in painters))
    finally:
        await asyncio.gather(*(painter.close() for painter in painters))
    ledgers = [painter.ledger for painter in painters]
    return Load(
        n_painters=n,
        n_active=n / N_TURNS if turns else n,
        seconds=seconds,
        latencies=[latency for ledger in ledgers for latency in ledger.latencies],
        lost=sum(ledger.lost for ledger in ledgers),
        n_finals=sum(ledger.n_finals for ledger in ledgers),
        gaps=[gap for ledger in ledgers for gap in ledger.gaps],
    )


async def _prepared(painter: SimulatedPainter) -> None:
    """Prepare a painter, or say why it cannot be."""
    preparing = asyncio.create_task(painter.prepare())
    while not preparing.done():
        await asyncio.wait({preparing}, timeout=0.5)
        reader = getattr(painter, "_reader", None)
        if reader is not None and reader.done():
            preparing.cancel()
            await asyncio.gather(preparing, return_exceptions=True)
            await reader
    await preparing


def class_size(
    address: Address,
    *,
    bound_s: float = 1.0,
    seconds: float = 9.0,
    steps: Sequence[int] = STEPS,
    report: Callable[[str], Any] = print,
) -> int:
    """How many painters a server carries: more and more of them paint, until they wait too long.

    Args:
        address: The server.
        bound_s: 95 % of all strokes are to be shown within this time.
        seconds: How long each number of painters paints.
        steps: The numbers that are tried, rising.
        report: Called with each line of the table.

    Returns:
        The largest number for which no stroke was lost and none but 5 % took longer; 0 if there is none.

    Raises:
        ConnectionError: The server refuses them; the message says why.
    """
    report(f"{'painters':>8} {'at once':>8} {'p50 ms':>8} {'p95 ms':>8} {'pictures/s':>11} {'lost':>5}")
    best, seen = 0, float("nan")
    for n in steps:
        load = asyncio.run(painted(address, n, seconds))
        p50, p95 = (1000 * load.percentile(share) for share in (50, 95))
        rate = load.n_finals / load.seconds
        report(f"{n:>8} {load.n_active:>8.1f} {p50:>8.0f} {p95:>8.0f} {rate:>11.1f} {load.lost:>5}")
        if load.lost or not p95 <= 1000 * bound_s:
            break
        best, seen = n, p95
    if best:
        report(
            f"This machine carries {best} painters, of whom a third paints at a time: 95 % of all strokes "
            f"are drawn within {seen:.0f} ms."
        )
    else:
        report(f"This machine is too slow for one painter: strokes take longer than {1000 * bound_s:.0f} ms.")
    return best
