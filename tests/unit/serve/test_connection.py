"""The client's connection against a server whose faults are scripted, over real sockets."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from ember_widgets.scene.scene import Scene
from ember_widgets.serve.client import connection as client
from ember_widgets.serve.client.address import Address
from ember_widgets.serve.client.connection import Connection
from ember_widgets.serve.wire import calls
from ember_widgets.serve.wire.calls import Welcome
from ember_widgets.serve.wire.frames import PROTOCOL, Frame, pack, unpack
from ember_widgets.util.cancelled import Cancelled

WELCOME = Welcome(PROTOCOL, "1.2.3", "k" * 32, {"id": "m"}, (16, 16), (("down_blocks.2.attentions.1", 40),))


class Peer:
    """One connection, as the scripted server sees it."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket

    def send(self, **head: Any) -> None:
        self.socket.send(pack(head))

    def read(self, *types: str) -> Frame:
        """The next frame of one of these types."""
        while True:
            frame = unpack(self.socket.recv(timeout=5))
            if frame.type in types:
                return frame

    def greet(self) -> None:
        self.read("hello")
        self.socket.send(pack(WELCOME.packed()))

    def refuse(self, code: int, message: str, error: str = "ConnectionError") -> None:
        self.read("hello")
        self.send(type="error", id=None, error=error, message=message)
        self.socket.close(code)

    def answer(self, frame: Frame, value: Any = None) -> None:
        self.send(type="answer", id=frame.head["id"], value=value)

    def answer_all(self) -> None:
        while True:
            frame = self.read("call")
            self.answer(frame, frame.head["args"])


Script = Callable[[Peer], None]


def friendly(peer: Peer) -> None:
    peer.greet()
    peer.answer_all()


@contextmanager
def scripted(*scripts: Script) -> Iterator[str]:
    """A server that follows one script after the other, the last one again and again."""
    number, sockets = iter(range(1000)), list[ServerConnection]()

    def handle(socket: ServerConnection) -> None:
        sockets.append(socket)
        with suppress(ConnectionClosed, TimeoutError):
            scripts[min(next(number), len(scripts) - 1)](Peer(socket))

    with serve(handle, "127.0.0.1", 0, compression=None, close_timeout=1) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()
            for socket in sockets:  # before version 17, a server that ends leaves them open
                socket.close()


@contextmanager
def connected(url: str, **options: Any) -> Iterator[Connection]:
    connection = Connection(Address.of(url), **options)
    try:
        yield connection
    finally:
        connection.close()


def states_of(connection: Connection) -> list[str]:
    found: list[str] = []
    connection.on_state(found.append)
    return found


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def scene(seed: int = 0) -> Scene:
    rng = np.random.default_rng(seed)
    strengths = rng.random((16, 16, 2), np.float32)
    basis = rng.random((2, 40), np.float32)
    return Scene(
        prompt="a",
        seed=0,
        n_steps=1,
        model={"id": "m", "site": "down_blocks.2.attentions.1", "sae": "s"},
        names=("x", "y"),
        colors=("#112233", "#445566"),
        strengths=strengths,
        remainder=np.ones((16, 16), np.float32),
        basis=basis,
        base_strengths=strengths,
        base_basis=basis,
        unit=np.ones(40, np.float32),
    )


class TestAnAddress:
    @pytest.mark.parametrize(
        ("given", "session"),
        [
            ("http://127.0.0.1:8777", "ws://127.0.0.1:8777/v1/session"),
            ("https://example.org/ember/", "wss://example.org/ember/v1/session"),
            ("ws://[::1]:80", "ws://[::1]:80/v1/session"),
        ],
    )
    def test_of_the_session(self, given: str, session: str) -> None:
        assert Address.of(given).session == session

    def test_a_link_carries_the_token_and_does_not_show_it(self) -> None:
        address = Address.of("https://host:8777/#token=abc")
        assert (address.url, address.headers) == ("https://host:8777", {"Authorization": "Bearer abc"})
        assert "abc" not in repr(address)
        assert Address.of("https://host:8777/#token=abc", "own").token == "own"

    @pytest.mark.parametrize("given", ["host:8777", "ftp://host", "http://", "http://me@host", "http://h:x"])
    def test_refuses_what_is_none(self, given: str) -> None:
        with pytest.raises(ValueError, match="give e.g. 'http"):
            Address.of(given)


class TestTheFirstAttempt:
    def test_nobody_listens(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with pytest.raises(ConnectionError, match=f"nothing listens at http://127.0.0.1:{port}; start"):
            Connection(Address.of(f"http://127.0.0.1:{port}"))

    def test_a_web_server(self) -> None:
        class Quiet(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.send_error(404)

            def log_message(self, *_: object) -> None:
                pass

        with http.server.HTTPServer(("127.0.0.1", 0), Quiet) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                with pytest.raises(ConnectionError, match="no ember server .HTTP 404"):
                    Connection(Address.of(f"http://127.0.0.1:{server.server_port}"))
            finally:
                server.shutdown()
                thread.join()

    def test_a_wrong_token(self) -> None:
        refuse: Script = lambda peer: peer.refuse(calls.CLOSE_TOKEN, "unknown token", "PermissionError")  # noqa: E731
        with scripted(refuse) as url, pytest.raises(PermissionError, match="unknown token"):
            Connection(Address.of(url, "abc"))

    def test_another_protocol_names_both_versions(self) -> None:
        def other(peer: Peer) -> None:
            peer.read("hello")
            peer.socket.send(pack({**WELCOME.packed(), "protocol": 99}))

        with (
            scripted(other) as url,
            pytest.raises(ConnectionError, match=r"1\.2\.3, protocol 99.*protocol 1"),
        ):
            Connection(Address.of(url))

    def test_a_server_that_refuses_the_protocol_says_why(self) -> None:
        refuse: Script = lambda peer: peer.refuse(calls.CLOSE_PROTOCOL, "I speak 99")  # noqa: E731
        with scripted(refuse) as url, pytest.raises(ConnectionError, match="I speak 99.*protocol 1"):
            Connection(Address.of(url))

    def test_a_name_that_nobody_has(self) -> None:
        with pytest.raises(ConnectionError, match="no computer of this name"):
            Connection(Address.of("http://nobody.invalid:80"))


class TestCalls:
    def test_of_eight_threads_get_their_own_answers(self) -> None:
        def shuffled(peer: Peer) -> None:
            peer.greet()
            while True:
                two = [peer.read("call"), peer.read("call")]
                for frame in reversed(two):
                    peer.answer(frame, frame.head["args"])

        with scripted(shuffled) as url, connected(url) as connection, ThreadPoolExecutor(8) as pool:
            found = pool.map(
                lambda i: connection.call("blank", {"prompt": str(i)}).value["prompt"], range(80)
            )
            assert list(found) == [str(i) for i in range(80)]

    def test_an_error_has_its_class(self) -> None:
        def refuse(peer: Peer) -> None:
            peer.greet()
            number = peer.read("call").head["id"]
            peer.send(type="error", id=number, error="FloatingPointError", message="overflow")

        with (
            scripted(refuse) as url,
            connected(url) as connection,
            pytest.raises(FloatingPointError, match="overflow"),
        ):
            connection.call("blank")

    def test_a_busy_server_is_asked_again(self) -> None:
        def busy(peer: Peer) -> None:
            peer.greet()
            number = peer.read("call").head["id"]
            peer.send(type="error", id=number, error="Busy", message="full", retry_after_s=0.05)
            peer.answer_all()

        with scripted(busy) as url, connected(url) as connection:
            assert connection.call("blank", {"prompt": "a"}).value == {"prompt": "a"}

    def test_a_server_that_stays_busy_is_given_up(self) -> None:
        def busy(peer: Peer) -> None:
            peer.greet()
            while True:
                number = peer.read("call").head["id"]
                peer.send(type="error", id=number, error="Busy", message="full", retry_after_s=0.05)

        with (
            scripted(busy) as url,
            connected(url, timeout_s=0.2) as connection,
            pytest.raises(ConnectionError, match="busy for 0.2 s .full"),
        ):
            connection.call("blank")

    def test_what_a_server_that_ends_did_not_draw_is_asked_for_again(self) -> None:
        def ending(peer: Peer) -> None:
            peer.greet()
            peer.send(type="error", id=peer.read("call").head["id"], error="Cancelled", message="")
            peer.answer_all()

        with scripted(ending) as url, connected(url) as connection:
            assert connection.call("render", {"prompt": "a"}).value == {"prompt": "a"}

    def test_cancelling_tells_the_server(self) -> None:
        told = threading.Event()
        asked = threading.Event()

        def slow(peer: Peer) -> None:
            peer.greet()
            number = peer.read("call").head["id"]
            asked.set()
            assert peer.read("cancel").head["id"] == number
            told.set()
            peer.answer_all()

        with scripted(slow) as url, connected(url) as connection:
            with pytest.raises(Cancelled):
                connection.call("render", cancelled=asked.is_set)
            assert told.wait(5)
            assert connection.call("blank", {"prompt": "a"}).value == {"prompt": "a"}

    def test_arrays_are_sent_once_and_again_when_they_are_needed(self) -> None:
        frames: list[str] = []

        def forgetful(peer: Peer) -> None:
            peer.greet()
            for turn in range(3):
                frame = peer.read("call", "put")
                while frame.type == "put":
                    frames.append(f"put {len(frame.head['arrays'])}")
                    frame = peer.read("call", "put")
                frames.append("call")
                if turn == 1:
                    name = frame.head["args"]["scene"]["arrays"]["basis"]["name"]
                    peer.send(type="need", id=frame.head["id"], arrays=[name])
                    continue
                peer.answer(frame)

        with scripted(forgetful) as url, connected(url) as connection:
            connection.call("render", scene=scene())
            connection.call("render", scene=scene())
        # Basis, strengths as analysed, and unit; the basis as analysed is the same array.
        assert frames == ["put 3", "call", "call", "put 1", "call"]


class TestABrokenConnection:
    def test_sends_a_call_again_and_delivers_one_answer(self) -> None:
        seen: list[Any] = []

        def dies(peer: Peer) -> None:
            peer.greet()
            seen.append(peer.read("call").head["args"])
            peer.socket.socket.shutdown(socket.SHUT_RDWR)

        with scripted(dies, friendly) as url, connected(url) as connection:
            states = states_of(connection)
            assert connection.call("render", {"prompt": "a"}).value == {"prompt": "a"}
            assert seen == [{"prompt": "a"}]
            assert states == ["reconnecting", "connected"]

    def test_a_call_that_changes_the_server_is_not_sent_again(self) -> None:
        def dies(peer: Peer) -> None:
            peer.greet()
            peer.read("call")
            peer.socket.socket.shutdown(socket.SHUT_RDWR)

        with (
            scripted(dies, friendly) as url,
            connected(url) as connection,
            pytest.raises(ConnectionError, match="may be done"),
        ):
            connection.call("share", again=False)

    def test_a_call_that_breaks_every_connection_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(client, "FIRST_PAUSE_S", 0.01)

        def dies(peer: Peer) -> None:
            peer.greet()
            peer.read("call")
            peer.socket.socket.shutdown(socket.SHUT_RDWR)

        with scripted(dies) as url, connected(url) as connection, pytest.raises(ConnectionError):
            connection.call("render")

    def test_silence_is_noticed(self) -> None:
        def silent(peer: Peer) -> None:
            peer.greet()
            peer.read("never")

        options = {"heartbeat_s": 0.05, "silent_s": 0.2}
        with scripted(silent, friendly) as url, connected(url, **options) as connection:
            states = states_of(connection)
            assert connection.call("blank", {"prompt": "a"}).value == {"prompt": "a"}
            assert states == ["reconnecting", "connected"]

    def test_heartbeats_keep_it(self) -> None:
        def alive(peer: Peer) -> None:
            peer.greet()
            while True:
                peer.read("ping")
                peer.send(type="pong")

        with scripted(alive) as url, connected(url, heartbeat_s=0.05, silent_s=0.3) as connection:
            states = states_of(connection)
            time.sleep(0.5)
            assert states == []

    def test_without_a_connection_a_call_ends_in_words(self) -> None:
        with scripted(friendly) as url:
            connection = Connection(Address.of(url), timeout_s=0.3)
        try:
            with pytest.raises(ConnectionError, match=f"no connection to {url} for 0.3 s .nothing listens"):
                connection.call("render")
            assert connection.state == "reconnecting"
        finally:
            connection.close()

    def test_an_idle_client_rests_until_a_call(self) -> None:
        n_opened: list[int] = []

        def idle(peer: Peer) -> None:
            n_opened.append(1)
            peer.greet()
            peer.socket.close(calls.CLOSE_IDLE)

        def counted(peer: Peer) -> None:
            n_opened.append(1)
            friendly(peer)

        with scripted(idle, counted) as url, connected(url) as connection:
            states = states_of(connection)
            until(lambda: connection._socket is None)
            time.sleep(0.4)
            assert len(n_opened) == 1
            assert connection.call("blank", {"prompt": "a"}).value == {"prompt": "a"}
            assert (len(n_opened), states) == (2, [])

    def test_a_token_that_is_not_valid_any_more(self) -> None:
        def ends(peer: Peer) -> None:
            peer.greet()
            peer.read("call")
            peer.socket.close(1001)

        refuse: Script = lambda peer: peer.refuse(calls.CLOSE_TOKEN, "unknown token", "PermissionError")  # noqa: E731
        with scripted(ends, refuse) as url, connected(url) as connection:
            with pytest.raises(PermissionError, match="unknown token"):
                connection.call("render")
            with pytest.raises(PermissionError, match="unknown token"):
                connection.call("render")

    def test_closing_ends_what_waits(self) -> None:
        def slow(peer: Peer) -> None:
            peer.greet()
            peer.read("never")

        with scripted(slow) as url, connected(url) as connection, ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(connection.call, "render")
            until(lambda: bool(connection._waiting))
            states = states_of(connection)
            connection.close()
            with pytest.raises(ConnectionError, match="was closed; connect again"):
                waiting.result(5)
            with pytest.raises(ConnectionError, match="was closed; connect again"):
                connection.call("render")
            assert states == ["closed"]
            assert not connection._thread.is_alive()

    def test_a_listener_that_fails_or_ended_does_no_harm(self, caplog: pytest.LogCaptureFixture) -> None:
        def dies(peer: Peer) -> None:
            peer.greet()
            peer.read("call")
            peer.socket.socket.shutdown(socket.SHUT_RDWR)

        with scripted(dies, friendly) as url, connected(url) as connection:
            ended: list[str] = []
            connection.on_state(ended.append)()
            connection.on_state(lambda state: 1 / 0)  # type: ignore[arg-type]
            assert connection.call("render", {"prompt": "a"}).value == {"prompt": "a"}
            assert ended == []
            assert "a listener of the connection failed" in caplog.text
