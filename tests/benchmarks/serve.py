"""What serving costs: `python -m tests.benchmarks.serve [--only a,b,c,d,e] [--quick]`.

The real command on the real Ray Serve, with the embedded model, on this machine, which also runs the clients.

a  one client: what the wire adds to a final picture, against the painter in this process, in turns
b  30 painters, of whom a third makes 3 strokes per second: latency of strokes, and lost ones
c  20,000 requests: the memory of the replica
d  kill -9 of a replica under the load of b, of two replicas and of the only one
e  1,000 malformed or hostile frames: one error each, and what other sessions notice
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect as open_socket

import ember_widgets as ember
from ember_widgets.serve.client.address import Address
from ember_widgets.serve.client.load import Load, painted
from ember_widgets.serve.wire import scenes
from ember_widgets.serve.wire.frames import pack, unpack
from tests.pipeline.serve.wire_client import WireClient, connected

START_S = 180.0
REPLICA = "ray::ServeReplica"


@dataclass(frozen=True)
class Bar:
    """One line of the table."""

    part: str
    what: str
    measured: str
    bar: str
    met: bool | None


class Server:
    """The command as a process of its own, with all processes that it starts."""

    def __init__(self, *more: str, threads: int | None = None) -> None:
        self.mark = f"EMBER_BENCH={secrets.token_hex(8)}"
        name, _, value = self.mark.partition("=")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = (sys.executable, "-m", "ember_widgets.cli.main", "serve", "--embedded")
        limits = ("--sessions", "500", "--sessions-per-token", "500", "--requests-per-s", "1000")
        threads_given = () if threads is None else ("--threads", str(threads))
        self.process = subprocess.Popen(
            [*command, "--port", str(port), *limits, *threads_given, *more],
            env={**os.environ, name: value},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.url = f"http://127.0.0.1:{port}"
        self.address = Address.of(self.url)
        self._up = threading.Event()
        self._output: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()
        if not self._up.wait(START_S):
            raise TimeoutError("the server did not start:\n" + "".join(self._output))

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._output.append(line)
            if "Ctrl-C stops" in line:
                self._up.set()

    def replicas(self) -> list[int]:
        """Process ids of the replicas."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                is_ours = self.mark.encode() in (folder / "environ").read_bytes()
                if is_ours and (folder / "cmdline").read_bytes().decode().startswith(REPLICA):
                    found.append(int(folder.name))
        return sorted(found)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        if self.process.poll() is None:
            self.process.kill()


def memory_mb(process: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return float(status.split("VmRSS:")[1].split()[0]) / 1024


def strokes(scene: ember.Scene, n: int, seed: int = 0) -> Iterator[ember.Scene]:
    """One scene after the other, each with one more stroke than the last."""
    random = np.random.default_rng(seed)
    for i in range(n):
        row, col = random.integers(0, 13, 2)
        where = [(r, c) for r in range(row, row + 3) for c in range(col, col + 3)]
        scene = (scene.original() if i % 30 == 29 else scene).paint(
            int(random.integers(scene.n_factors)), where
        )
        yield scene


def one_client(quick: bool) -> list[Bar]:
    local = ember.Painter.embedded()
    threads = 2
    with Server(threads=threads) as server, ember.connect(server.url) as remote:
        import torch

        torch.set_num_threads(threads)
        scene = remote.analyze("a sun and a pine in the snow", seed=30)
        times: dict[str, list[float]] = {"local": [], "remote": []}
        sizes = []
        for i, one in enumerate(strokes(scene, 60 if quick else 330)):
            pictures = {}
            for name in ("local", "remote") if i % 2 else ("remote", "local"):
                painter: Any = local if name == "local" else remote
                time.sleep(0.01)  # the other side's OpenMP threads spin for some milliseconds
                began = time.perf_counter()
                pictures[name] = painter.render(one)
                times[name].append(1000 * (time.perf_counter() - began))
            same = np.asarray(pictures["local"]) == np.asarray(pictures["remote"])
            assert same.all(), "the remote picture is not the local one"
            buffers: list[bytes] = []
            content = scenes.packed(one, buffers)
            args = {"scene": content, "form": "exact"}
            sizes.append(
                len(pack({"type": "call", "id": i, "call": "render", "args": args, "slot": "x"}, buffers))
            )
        near, far = (np.array(times[name][20:]) for name in ("local", "remote"))
    local50, local95 = np.percentile(near, [50, 95])
    far50, far95 = np.percentile(far, [50, 95])
    pair50, pair95 = np.percentile(far - near, [50, 95])
    return [
        Bar("a", "final picture, local, p50 / p95", f"{local50:.1f} / {local95:.1f} ms", "", None),
        Bar("a", "final picture, remote, p50 / p95", f"{far50:.1f} / {far95:.1f} ms", "", None),
        Bar("a", "added by the wire, p50", f"{far50 - local50:.1f} ms", "12 ms", far50 - local50 <= 12),
        Bar("a", "added by the wire, p95", f"{far95 - local95:.1f} ms", "30 ms", far95 - local95 <= 30),
        Bar("a", "the same, pair by pair, p50 / p95", f"{pair50:.1f} / {pair95:.1f} ms", "", None),
        Bar("a", "bytes of a stroke, largest", f"{max(sizes):,}", "12,288", max(sizes) <= 12_288),
    ]


def alone_ms(server: Server, n: int = 60) -> float:
    """How long a final picture takes on the server when nobody else paints: p50 over the wire, ms."""
    with ember.connect(server.url) as remote:
        scene = remote.analyze("a sun and a pine in the snow", seed=30)
        times = []
        for one in strokes(scene, n):
            began = time.perf_counter()
            remote.render(one)
            times.append(1000 * (time.perf_counter() - began))
    return float(np.percentile(times[10:], 50))


def drawing_ms(server: Server, n: int = 60) -> float:
    """How long drawing takes there, as the server says: p50, ms."""
    times = []
    with connected(server.url) as client:
        scene = client.scene("analyze", prompt="a sun and a pine in the snow", seed=30, n_steps=1)
        for one in strokes(scene, n):
            frame = client.call("render", scene=one, form="exact")
            times.append(float(frame.head["value"]["ms"]))
    return float(np.percentile(times[10:], 50))


def many(quick: bool) -> list[Bar]:
    with Server() as server:
        render = drawing_ms(server)
        before = memory_mb(server.replicas()[0])
        load = asyncio.run(painted(server.address, 30, 12 if quick else 36))
        after = memory_mb(server.replicas()[0])
    bound = 2 * load.n_active * render
    p50, p95 = (1000 * load.percentile(share) for share in (50, 95))
    n = len(load.latencies) + load.lost
    return [
        Bar("b", "drawing alone, as the replica says, p50", f"{render:.1f} ms", "", None),
        Bar("b", f"30 painters, {n} strokes: lost", f"{load.lost}", "0", load.lost == 0),
        Bar("b", "stroke to final, p95 (p50)", f"{p95:.0f} ({p50:.0f}) ms", f"{bound:.0f} ms", p95 <= bound),
        Bar("b", "memory of the replica: 30 seats", f"{after - before:+.0f} MB of {after:.0f}", "", None),
    ]


def memory(quick: bool) -> list[Bar]:
    n = 2000 if quick else 20_000
    # Little room for the starts of pictures, so that it is full before measuring begins.
    with Server("--starts-memory", "16M") as server:
        replica = server.replicas()[0]
        _requests(server.url, 1000, 0)
        before = memory_mb(replica)
        began = time.perf_counter()
        marks = []
        for part in range(10):
            _requests(server.url, n // 10, part + 1)
            marks.append(memory_mb(replica))
            print(
                f"   {(part + 1) * n // 10:,} requests: {marks[-1] - before:+.1f} MB",
                file=sys.stderr,
                flush=True,
            )
        seconds = time.perf_counter() - began
        assert server.replicas() == [replica], "the replica was replaced meanwhile"
    course = ", ".join(f"{mark - before:+.0f}" for mark in marks)
    grown = marks[-1] - before
    return [
        Bar(
            "c",
            f"memory after {n:,} requests, {n / seconds:.0f} per s",
            f"{grown:+.1f} MB",
            "50 MB",
            grown < 50,
        ),
        Bar("c", "the same, tenth by tenth", f"{course} MB of {before:.0f}", "", None),
    ]


def _requests(url: str, n: int, seed: int) -> None:
    """Requests of a few people who come and go: strokes mostly, and all else now and then."""
    left = n
    while left > 0:
        with connected(url) as client:
            scene = client.scene(
                "analyze", prompt="a sun and a pine in the snow", seed=seed * 1000 + left % 7, n_steps=1
            )
            for i, one in enumerate(strokes(scene, min(left, 200), seed)):
                if i % 50 == 10:
                    client.call("inspect", scene=one)
                elif i % 50 == 20:
                    client.call("icon", feature=170 + i)
                elif i % 4 > 1:
                    client.call("prompt_notes", prompt="a zebra in the snow")
                else:
                    client.call("render", scene=one, form="exact" if i % 2 else "jpeg", preview=not i % 2)
        left -= 200


def killed(quick: bool) -> list[Bar]:
    bars = []
    for n in (2, 1):
        with Server("--replicas", str(n)) as server:
            seconds = 30 if quick else 45
            victim: list[int] = []

            def kill(server: Server = server, victim: list[int] = victim) -> None:
                time.sleep(10)
                victim.append(server.replicas()[0])
                os.kill(victim[0], signal.SIGKILL)

            killer = threading.Thread(target=kill)
            killer.start()
            load: Load = asyncio.run(painted(server.address, 30, seconds))
            killer.join()
            assert victim, "no replica was killed"
        longest = max(load.gaps, default=float("nan"))
        what = "one of two replicas" if n == 2 else "the only replica"
        bars += [
            Bar(
                "d",
                f"kill -9 of {what}: {len(load.gaps)} sessions cut, longest gap",
                f"{longest:.1f} s",
                "15 s",
                longest <= 15,
            ),
            Bar(
                "d", "strokes lost", f"{load.lost} of {len(load.latencies) + load.lost}", "0", load.lost == 0
            ),
        ]
    return bars


def hostile_frames(scene: ember.Scene) -> list[Callable[[np.random.Generator], bytes | str]]:
    """Kinds of frames that no client sends."""
    buffers: list[bytes] = []
    content = scenes.packed(scene, buffers)

    def head(**more: Any) -> bytes:
        return pack({"type": "call", "id": 1, "call": "render", "args": {}, "slot": "", **more})

    def changed(change: Callable[[dict[str, Any]], Any]) -> bytes:
        copy = json.loads(json.dumps(content))
        change(copy)
        args = {"scene": copy}
        return pack({"type": "call", "id": 1, "call": "render", "args": args, "slot": ""}, buffers)

    def lies(array: dict[str, Any]) -> bytes:
        return pack({"type": "put", "arrays": [array]}, [bomb])

    bomb = zlib.compress(bytes(2**25), 1)
    nan = np.full(scene.strengths.shape, np.nan, "<f4").tobytes()
    whole = pack({"type": "ping"})
    return [
        lambda random: random.bytes(int(random.integers(0, 400))),
        lambda random: whole[: int(random.integers(1, len(whole)))],
        lambda random: struct.pack("<I", 2**32 - 1) + b"{}",
        lambda random: struct.pack("<I", 100_000) + b"[" * 100_000,
        lambda random: "text instead of bytes",
        lambda random: pack({"type": "call"}),
        lambda random: pack({"type": "no such type"}),
        lambda random: head(call="__class__"),
        lambda random: head(id="one"),
        lambda random: head(args=[1, 2]),
        lambda random: head(call="analyze", args={"prompt": 7, "seed": 0, "n_steps": 1}),
        lambda random: head(call="analyze", args={"prompt": "x" * 10_000, "seed": 0, "n_steps": 1}),
        lambda random: head(call="analyze", args={"prompt": "", "seed": -1, "n_steps": 10**9}),
        lambda random: head(call="draw_icons", args={"features": list(range(10_000))}),
        lambda random: head(call="icon", args={"feature": 10**12}),
        lambda random: changed(lambda c: c["arrays"]["strengths"].update(shape=[16, 16, 10**6])),
        lambda random: changed(lambda c: c["arrays"]["strengths"].update(buffer=99)),
        lambda random: changed(lambda c: c.update(seed="seven")),
        lambda random: changed(lambda c: c.update(names=["x"] * 1000)),
        lambda random: changed(lambda c: c.pop("arrays")),
        lambda random: lies({"shape": [2**25], "buffer": 0}),
        lambda random: lies({"shape": [16, 16, 5], "buffer": 0}),
        lambda random: pack({"type": "put", "arrays": [{"shape": [16, 16, 5], "buffer": 0}]}, [nan]),
        lambda random: pack({"type": "ping", "more": list(range(30_000))}),
        lambda random: bytes(5 * 2**20),
    ]


def hostile(quick: bool) -> list[Bar]:
    n = 200 if quick else 1000
    with Server() as server, ember.connect(server.url) as bystander:
        scene = bystander.analyze("a sun and a pine in the snow", seed=30)
        for one in strokes(scene, 20):
            bystander.render(one)
        waits: dict[str, list[float]] = {"before": [], "during": []}
        now, stop = ["before"], threading.Event()

        def paint() -> None:
            for one in strokes(scene, 10**6, 3):
                if stop.is_set():
                    return
                when, began = now[0], time.perf_counter()
                bystander.render(one)
                waits[when].append(1000 * (time.perf_counter() - began))
                time.sleep(0.05)

        painting = threading.Thread(target=paint)
        painting.start()
        time.sleep(5 if quick else 15)
        wrong = _attack(server, hostile_frames(scene), n, now)
        stop.set()
        painting.join()
    (before50, before95), (during50, during95) = (np.percentile(waits[when], [50, 95]) for when in waits)
    delay = during95 - before95
    return [
        Bar("e", f"{n:,} hostile frames: not answered by one error", str(len(wrong)), "0", not wrong),
        *(Bar("e", "  such as", text, "", None) for text in wrong[:5]),
        Bar("e", "another session, p95 before / during", f"{before95:.0f} / {during95:.0f} ms", "", None),
        Bar(
            "e", "its delay, p95 (p50)", f"{delay:+.0f} ({during50 - before50:+.0f}) ms", "50 ms", delay <= 50
        ),
    ]


def _attack(
    server: Server, kinds: list[Callable[[np.random.Generator], bytes | str]], n: int, now: list[str]
) -> list[str]:
    """Send hostile frames, one as soon as the last was answered; returns those without exactly one error."""
    random = np.random.default_rng(1)
    frames = [kinds[i % len(kinds)](random) for i in range(n)]  # beforehand: making them takes time
    now[0] = "during"
    wrong = []
    address = server.address.session
    i = 0
    while i < n:
        with open_socket(address, compression=None, max_size=None, ping_interval=None) as raw:
            client = WireClient(raw)
            client.hello()
            try:
                while i < n:
                    raw.send(frames[i])
                    client.send({"type": "ping"})
                    heard = []
                    while (frame := unpack(raw.recv(30))).type != "pong":
                        heard.append(frame)
                    # A call's error may come after the pong.
                    if not heard:
                        heard.append(unpack(raw.recv(10)))
                    kinds_of_answer = [frame.type for frame in heard]
                    i += 1
                    if kinds_of_answer != ["error"] or not heard[0].head.get("message"):
                        wrong.append(f"kind {(i - 1) % len(kinds)}: {kinds_of_answer}")
            except (WebSocketException, OSError, TimeoutError) as fault:
                i += 1
                wrong.append(f"kind {(i - 1) % len(kinds)}: {type(fault).__name__} {fault}")
    return wrong


PARTS: dict[str, Callable[[bool], list[Bar]]] = {
    "a": one_client,
    "b": many,
    "c": memory,
    "d": killed,
    "e": hostile,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="What serving costs.")
    parser.add_argument("--only", default="a,b,c,d,e", help="parts, such as a,b")
    parser.add_argument("--quick", action="store_true", help="each part shorter")
    given = parser.parse_args()
    for part in given.only.split(","):
        for bar in PARTS[part](given.quick):
            met = "" if bar.met is None else "met" if bar.met else "MISSED"
            print(f"{bar.part}  {bar.what:<58} {bar.measured:>24}  {bar.bar:>10}  {met}", flush=True)


if __name__ == "__main__":
    main()
