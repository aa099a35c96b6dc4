"""The real command on the real Ray Serve: it starts, draws, replaces a killed replica, and ends cleanly.

One server for all tests of this file, in their order: it takes ten seconds to start.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from websockets.exceptions import WebSocketException

from ember_widgets import Painter
from tests.pipeline.serve.wire_client import connected

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes in /proc"),
]

START_S, REPLACE_S, END_S = 120.0, 60.0, 30.0
"""On a busy machine; alone, it is 15, 9 and 3 s."""
REPOSITORY = Path(__file__).parents[3]
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


class Command:
    """The command, as a process, with all processes that it starts."""

    def __init__(self, folder: Path) -> None:
        self.mark = f"EMBER_TEST={secrets.token_hex(8)}"
        name, _, value = self.mark.partition("=")
        tokens = folder / "class.txt"
        asked = ("--embedded", "--port", "0", "--token-file", str(tokens), "--make-tokens", "1")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ember_widgets.cli.main", "serve", *asked, "--starts-memory", "64M"],
            cwd=REPOSITORY,
            env={**os.environ, name: value},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.output: list[str] = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        until(lambda: "Ctrl-C stops the server." in self.text or self.process.poll() is not None, START_S)
        found = re.search(r"person-1: (http://127.0.0.1:\d+)/#token=(\S+)", self.text)
        assert found is not None, self.text
        self.url, self.token = found[1], found[2]

    @property
    def text(self) -> str:
        return "".join(self.output)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line)

    def processes(self) -> dict[int, str]:
        """{id: command line} of all processes that descend from the command, whoever their parent is now."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if self.mark.encode() in (folder / "environ").read_bytes():
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().decode().strip("\0")
        return found

    def replica(self) -> int:
        """The process that paints."""
        (found,) = [i for i, line in self.processes().items() if line.startswith("ray::ServeReplica")]
        return found

    def end(self) -> None:
        for process in (self.process.pid, *self.processes()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.process.wait()
        self.reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


def until(happened: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, f"it did not happen in {seconds} s"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    running = Command(tmp_path_factory.mktemp("serve"))
    yield running
    running.end()


def test_it_says_what_to_type(command: Command) -> None:
    assert f'painter = ember.connect("{command.url}", token="...")' in command.text
    assert httpx.get(f"{command.url}/healthz").json()["status"] == "ok"


def test_a_session_draws_what_the_painter_here_draws(command: Command, painter: Painter) -> None:
    with connected(command.url, command.token) as client:
        scene = client.scene("analyze", prompt="a lion in a meadow", seed=3, n_steps=1).paint(0, "left", 1.5)
        np.testing.assert_array_equal(client.picture("render", scene=scene), painter.render(scene))


def test_a_wrong_token_is_refused(command: Command) -> None:
    assert httpx.get(f"{command.url}/v1/models").status_code == 401
    with connected(command.url, "guessed", hello=False) as client:
        assert client.receive().head["error"] == "PermissionError"


def test_only_this_machine_reaches_ray(command: Command) -> None:
    """Who reaches Ray's ports can run code. One of a replica's is open to all, and wants Ray's token."""
    import grpc  # type: ignore[import-untyped]

    open_to_all = [port for port, address in listening(command.processes()) if address not in LOOPBACK]
    assert len(open_to_all) == 1
    channel = grpc.insecure_channel(f"127.0.0.1:{open_to_all[0]}")
    with channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/ray.serve.ASGIService/HandleRequest")(b"", timeout=20)
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED


def listening(processes: dict[int, str]) -> Iterator[tuple[int, str]]:
    """(port, address in hexadecimal digits) of all TCP sockets that these processes listen at."""
    sockets = {}
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text(encoding="utf-8").splitlines()[1:]:
            cells = line.split()
            if cells[3] == "0A":
                sockets[f"socket:[{cells[9]}]"] = cells[1]
    held = set()
    for process in processes:
        for file in Path(f"/proc/{process}/fd").glob("*"):
            with contextlib.suppress(OSError):
                held.add(os.readlink(file))
    for name in held & sockets.keys():
        address, _, port = sockets[name].partition(":")
        yield int(port, 16), address


def test_a_killed_replica_is_replaced(command: Command) -> None:
    killed = command.replica()
    with connected(command.url, command.token) as client:
        os.kill(killed, signal.SIGKILL)
        with pytest.raises(WebSocketException):
            client.receive()

    def draws() -> bool:
        try:
            with connected(command.url, command.token) as client:
                return client.picture("icon", feature=1).size[0] > 0
        except (OSError, WebSocketException):  # refused until there is a replica
            return False

    until(draws, REPLACE_S)
    assert command.replica() != killed


def test_it_ends_with_all_its_processes(command: Command) -> None:
    with connected(command.url, command.token):  # open sessions do not hold it up
        command.process.send_signal(signal.SIGTERM)
        assert command.process.wait(END_S) == 0
    command.reader.join()
    until(lambda: command.processes() == {}, 5)
    assert command.text.endswith("\nstopped\n")
    assert "Traceback" not in command.text
