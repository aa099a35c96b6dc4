"""The connection to a server: calls of any threads over one WebSocket, which comes back when it breaks.

One thread reads. It connects again when the connection breaks, and sends the calls without an answer once
more: the client holds all that a call needs, so a server that was started anew answers them as well. A call's
answer is delivered once.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import random
import socket as sockets
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as open_socket

from ember_widgets._version import __version__
from ember_widgets.features.concepts import ConceptBank
from ember_widgets.painter.protocol import Connection as State
from ember_widgets.scene.scene import Scene
from ember_widgets.serve.client import faults
from ember_widgets.serve.client.address import Address
from ember_widgets.serve.client.array_names import ArrayNames
from ember_widgets.serve.client.faults import Busy
from ember_widgets.serve.wire import arrays, calls, concepts, scenes
from ember_widgets.serve.wire.calls import Welcome
from ember_widgets.serve.wire.frames import MAX_FRAME_BYTES, PROTOCOL, BadFrame, Frame, pack, unpack
from ember_widgets.util.cancelled import Cancelled, raise_if_cancelled
from ember_widgets.util.checks import FloatArray

OPEN_S = 10.0
"""How long opening a connection may take."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0
"""Pauses between attempts to connect."""
POLL_S = 0.01
"""How often a call asks whether it is cancelled."""
ENDING_S = 0.1
"""After so long, what a server that ends did not draw is asked for again."""
MAX_ANSWER_BYTES = 2**28
MAX_TRIES = 5
"""So many connections may break under a call; then it may be the call that breaks them."""
MAX_NEEDS = 4
"""So often a server may ask for arrays of the same call."""
PUT_BYTES = MAX_FRAME_BYTES * 3 // 4

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What a server answered.

    Args:
        value: JSON, see `wire.calls`.
        buffers: Those of its frame.
    """

    value: Any
    buffers: Sequence[bytes]


@dataclass(eq=False)
class _Waiting:
    """A call without an answer yet."""

    id: int
    frame: bytes
    arrays: Mapping[str, FloatArray]
    again: bool
    done: threading.Event = field(default_factory=threading.Event)
    answer: Answer | None = None
    fault: Exception | None = None
    sent_on: ClientConnection | None = None
    n_tries: int = 0
    n_needs: int = 0


class Connection:
    """A connection to a server. Any thread may use it.

    Args:
        address: The server.
        timeout_s: How long a call waits for a connection, or for a busy server.
        ssl_context: For https; None = Python's usual one, which trusts what this computer trusts.
        heartbeat_s, silent_s: See `wire.calls`.

    Attributes:
        address, timeout_s, ssl_context: As given.

    Raises:
        ConnectionError: There is no such server, or it speaks another protocol; the message says which.
        PermissionError: It does not accept the token.
    """

    def __init__(
        self,
        address: Address,
        *,
        timeout_s: float = 60.0,
        ssl_context: ssl.SSLContext | None = None,
        heartbeat_s: float = calls.HEARTBEAT_S,
        silent_s: float = calls.SILENT_S,
    ) -> None:
        self.address, self.timeout_s = address, timeout_s
        self.ssl_context = ssl_context
        self._heartbeat_s, self._silent_s = heartbeat_s, silent_s
        self._names = ArrayNames()
        self._ids = itertools.count(1)
        self._lock = threading.RLock()  # of what follows
        self._waiting: dict[int, _Waiting] = {}
        self._listeners: list[Callable[[State], None]] = []
        self._state: State = "reconnecting"
        self._welcome: Welcome | None = None
        self._reason: Exception | None = None
        self._refusal: Exception | None = None
        self._sending = threading.Lock()  # held while frames are sent; of what follows
        self._socket: ClientConnection | None = None
        self._sent: set[str] = set()
        self._opened: ClientConnection | None = None
        self._closed = False
        self._called = threading.Event()
        self._tried = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ember-connection", daemon=True)
        self._thread.start()
        try:
            while not self._tried.wait(0.5):
                pass
        except BaseException:
            self.abandon()
            raise
        if self._welcome is None:
            self._closed = True
            self._thread.join()
            assert self._reason is not None
            raise self._reason

    @property
    def state(self) -> State:
        """How the connection is now. A client that rests is connected: its next call connects again."""
        return self._state

    @property
    def welcome(self) -> Welcome:
        """What the server said of itself when it was last connected to."""
        assert self._welcome is not None
        return self._welcome

    def on_state(self, listener: Callable[[State], None]) -> Callable[[], None]:
        """Call a listener with each new state, in the connection's thread; returns what ends the calls."""
        with self._lock:
            self._listeners.append(listener)

        def end() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return end

    def close(self) -> None:
        """Close the connection; calls that wait raise ConnectionError."""
        with self._lock:
            self._closed = True
            opened = self._opened
        self._called.set()
        if opened is not None:
            with contextlib.suppress(Exception):
                opened.close()
        if threading.current_thread() is not self._thread:
            self._thread.join(OPEN_S)
        self._fail_all(self._is_closed())
        self._set_state("closed")

    def abandon(self) -> None:
        """Close the connection without waiting. It takes no lock, so the garbage collector may call it."""
        self._closed = True
        if (opened := self._opened) is not None:
            _cut(opened)

    def call(
        self,
        name: str,
        args: Mapping[str, Any] | None = None,
        buffers: Iterable[bytes] = (),
        *,
        scene: Scene | None = None,
        basis: ConceptBank | None = None,
        slot: str = "",
        cancelled: Callable[[], bool] | None = None,
        again: bool = True,
    ) -> Answer:
        """Ask the server, and wait for its answer.

        Args:
            name: One of `wire.calls.CALLS`.
            args: Its arguments, without the scene and the basis.
            buffers: That they refer to.
            scene: Its scene.
            basis: The concepts that it takes a picture apart in.
            slot: Of the calls with the same slot that wait on the server, only the newest is answered; "" =
                none.
            cancelled: Asked while waiting; if it returns True, the server stops.
            again: The call may be sent again if the connection breaks: it changes nothing on the server.

        Raises:
            Cancelled: `cancelled` returned True.
            ConnectionError: For `timeout_s` there was no connection, or the server was busy.
            Exception: What the server says, see `wire.calls.ERRORS`.
        """
        content, data = dict(args or {}), list(buffers)
        kept: dict[str, FloatArray] = {}
        if scene is not None:
            content["scene"] = scenes.packed(scene, data, self._names)
            kept |= scenes.kept_arrays(scene, self._names)
        if basis is not None:
            content["basis"] = concepts.packed(basis, self._names)
            kept |= concepts.kept_arrays(basis, self._names)
        until = time.monotonic() + self.timeout_s
        while True:
            number = next(self._ids)
            head = {"type": "call", "id": number, "call": name, "args": content, "slot": slot}
            frame = pack(head, data)
            if len(frame) > MAX_FRAME_BYTES:
                raise ValueError(
                    f"{name} would send {len(frame):,} bytes, and a server takes {MAX_FRAME_BYTES:,}; "
                    "use fewer factors, or a smaller picture"
                )
            try:
                return self._asked(_Waiting(number, frame, kept, again), cancelled)
            except Cancelled:
                # A server that ends stops what it draws; the next one draws it.
                if (cancelled is not None and cancelled()) or not again or time.monotonic() > until:
                    raise
                _sleep(ENDING_S, cancelled)
            except Busy as busy:
                pause = max(busy.retry_after_s, 0.02)
                if time.monotonic() + pause > until:
                    raise ConnectionError(
                        f"the server at {self.address.url} was busy for {self.timeout_s:g} s ({busy}); "
                        "try again later"
                    ) from None
                _sleep(pause, cancelled)

    def scene(self, answer: Answer, sent: Scene | None = None) -> Scene:
        """The scene that a server answered with.

        Args:
            answer: The answer.
            sent: The scene of the call: the answer may name its arrays.
        """
        known = {} if sent is None else scenes.kept_arrays(sent, self._names)
        return scenes.unpacked_answer(answer.value, answer.buffers, known)

    # Calls, in the threads that make them

    def _asked(self, one: _Waiting, cancelled: Callable[[], bool] | None) -> Answer:
        raise_if_cancelled(cancelled)
        with self._lock:
            if self._closed:
                raise self._is_closed()
            if self._refusal is not None:
                raise _copy(self._refusal)
            self._waiting[one.id] = one
        self._called.set()
        try:
            self._send(one)
            self._wait(one, cancelled)
        except BaseException:
            self._give_up(one)
            raise
        if one.fault is not None:
            raise one.fault
        assert one.answer is not None
        return one.answer

    def _wait(self, one: _Waiting, cancelled: Callable[[], bool] | None) -> None:
        """Until there is an answer; the pauses delay none, and let Ctrl-C through."""
        alone_since: float | None = None
        while not one.done.wait(0.2 if cancelled is None else POLL_S):
            raise_if_cancelled(cancelled)
            if self._closed:
                raise self._is_closed()
            if self._socket is not None:
                alone_since = None
                continue
            now = time.monotonic()
            alone_since = now if alone_since is None else alone_since
            if now - alone_since > self.timeout_s:
                raise ConnectionError(
                    f"no connection to {self.address.url} for {self.timeout_s:g} s ({self._reason}); "
                    "it is tried again in the background: repeat the call when the server is back"
                )

    def _give_up(self, one: _Waiting) -> None:
        with self._lock:
            is_open = self._waiting.pop(one.id, None) is not None
        if is_open:
            with self._sending:
                if one.sent_on is not None and one.sent_on is self._socket:
                    _try_send(one.sent_on, pack({"type": "cancel", "id": one.id}))

    def _is_closed(self) -> ConnectionError:
        return ConnectionError(
            f"the connection to {self.address.url} was closed; connect again with ember.connect()"
        )

    # Sending, in any thread

    def _send(self, one: _Waiting) -> None:
        """Send a call and the arrays that it names, unless this connection has it already."""
        with self._sending:
            socket = self._socket
            if socket is None or one.sent_on is socket or one.done.is_set():
                return
            one.sent_on = socket
            try:
                self._put(socket, one.arrays)
                _try_send(socket, one.frame)
            except ValueError as fault:
                self._finish(one.id, fault=fault)

    def _put(self, socket: ClientConnection, kept: Mapping[str, FloatArray]) -> None:
        new = [(name, array) for name, array in kept.items() if name not in self._sent]
        while new:
            entries: list[dict[str, Any]] = []
            buffers: list[bytes] = []
            while new and (not buffers or sum(map(len, buffers)) < PUT_BYTES // 4):
                name, array = new[0]
                data = arrays.deflated(array)
                if len(data) > PUT_BYTES:
                    raise ValueError(
                        f"an array of shape {array.shape} takes {len(data):,} bytes, and a server takes "
                        f"{PUT_BYTES:,}; use fewer factors or concepts"
                    )
                if buffers and sum(map(len, buffers)) + len(data) > PUT_BYTES:
                    break
                entries.append({"shape": list(array.shape), "buffer": len(buffers)})
                buffers.append(data)
                self._sent.add(name)
                del new[0]
            _try_send(socket, pack({"type": "put", "arrays": entries}, buffers))

    # The thread that connects and reads

    def _run(self) -> None:
        pause = FIRST_PAUSE_S
        while not self._closed:
            fault: Exception
            try:
                with self._open() as socket:
                    self._opened = socket
                    welcome = self._greeted(socket)
                    pause = FIRST_PAUSE_S
                    self._begin(socket, welcome)
                    try:
                        self._read(socket)
                    finally:
                        _cut(socket)  # nobody waits for what cannot be sent
            except Exception as caught:
                fault = caught
            self._opened = None
            rests = self._lost(faults.explained(self.address, fault), fault)
            if self._welcome is None:  # the first attempt: whoever waits for it says why
                break
            self._tried.set()
            if rests:
                self._rest()
            elif not self._closed:
                # Not all clients at once, when a server is back.
                _pause(pause * random.uniform(0.6, 1.0), lambda: self._closed)
                pause = min(2 * pause, LONGEST_PAUSE_S)
        self._tried.set()

    def _open(self) -> ClientConnection:
        address = self.address
        context = self.ssl_context
        if context is None and address.is_secure:
            context = ssl.create_default_context()
        return open_socket(
            address.session,
            ssl=context if address.is_secure else None,
            additional_headers=address.headers,
            proxy=None if address.is_loopback else True,
            compression=None,
            open_timeout=OPEN_S,
            close_timeout=1.0,
            ping_interval=None,  # our own frames go through proxies that answer pings themselves
            max_size=MAX_ANSWER_BYTES,
        )

    def _greeted(self, socket: ClientConnection) -> Welcome:
        """What the server says to this client's first frame."""
        address = self.address
        hello = {"type": "hello", "protocol": PROTOCOL, "version": __version__, "client": "python"}
        _try_send(socket, pack(hello))  # a server that refuses may have closed already; it said why
        try:
            frame = unpack(socket.recv(timeout=OPEN_S))
            if frame.type == "welcome":
                welcome = Welcome.unpacked(frame.head)
                if welcome.protocol != PROTOCOL:
                    raise faults.other_protocol(address, welcome.protocol, welcome.version)
                return welcome
        except BadFrame as fault:
            raise ConnectionError(
                f"{address.url} answers, but is no ember server ({fault}); check host, port and path"
            ) from None
        except ConnectionClosed as fault:
            raise self._why_closed(fault, None) from None
        said = str(frame.head.get("message", frame.type))
        code = None
        with contextlib.suppress(Exception):
            socket.recv(timeout=1.0)
        if socket.close_code is not None:
            code = socket.close_code
        if code == calls.CLOSE_PROTOCOL:
            head = frame.head
            raise faults.other_protocol(address, head.get("protocol"), head.get("version"), said)
        if code == calls.CLOSE_TOKEN or frame.head.get("error") == "PermissionError":
            raise PermissionError(f"the server at {address.url}: {said}")
        raise ConnectionError(f"the server at {address.url}: {said}")

    def _begin(self, socket: ClientConnection, welcome: Welcome) -> None:
        """Send what waits, and say that there is a connection."""
        with self._sending:
            self._sent = set()
            self._socket = socket
        with self._lock:
            self._welcome, self._refusal, self._reason = welcome, None, None
            waiting = list(self._waiting.values())
        self._set_state("connected")
        self._tried.set()
        for one in waiting:
            self._send(one)

    def _read(self, socket: ClientConnection) -> None:
        """Take frames until the connection breaks."""
        said = ""
        heard = time.monotonic()
        ping_at = heard + self._heartbeat_s
        while True:
            now = time.monotonic()
            if now - heard >= self._silent_s:
                raise ConnectionError(f"nothing was heard of {self.address.url} for {self._silent_s:g} s")
            if now >= ping_at:
                # Not while another thread sends: it may wait for a server that is gone.
                if self._sending.acquire(blocking=False):
                    try:
                        _try_send(socket, pack({"type": "ping"}))
                    finally:
                        self._sending.release()
                ping_at = now + self._heartbeat_s
            try:
                data = socket.recv(timeout=max(0.001, min(ping_at, heard + self._silent_s) - now))
            except TimeoutError:
                continue
            except ConnectionClosed as fault:
                raise self._why_closed(fault, said) from None
            heard = time.monotonic()
            said = self._take(unpack(data)) or said

    def _take(self, frame: Frame) -> str:
        """Act on a frame; returns what it says about the connection itself."""
        head, number = frame.head, frame.head.get("id")
        if frame.type == "answer":
            self._finish(number, answer=Answer(head.get("value"), frame.buffers))
        elif frame.type == "need":
            self._send_needed(number, head.get("arrays"))
        elif frame.type == "error":
            if number is None:
                return str(head.get("message", ""))
            self._finish(number, fault=_error(head))
        return ""

    def _send_needed(self, number: object, names: object) -> None:
        """Send arrays that the server does not have any more, and the call again."""
        with self._lock:
            one = self._waiting.get(number) if isinstance(number, int) else None
        if one is None or not isinstance(names, list):
            return
        one.n_needs += 1
        if one.n_needs > MAX_NEEDS or not set(names) <= one.arrays.keys():
            self._finish(
                one.id, fault=ConnectionError("the server does not keep the arrays of this call; try again")
            )
            return
        with self._sending:
            self._sent -= set(names)
            one.sent_on = None
        self._send(one)

    def _finish(
        self, number: object, *, answer: Answer | None = None, fault: Exception | None = None
    ) -> None:
        """Give a call its answer; what was given up has no use for one."""
        with self._lock:
            one = self._waiting.pop(number, None) if isinstance(number, int) else None
            if one is not None:
                one.answer, one.fault = answer, fault
                one.done.set()

    def _why_closed(self, fault: ConnectionClosed, said: str | None) -> Exception:
        """The error for a connection that the server closed."""
        received = fault.rcvd
        code = None if received is None else received.code
        url = self.address.url
        if code == calls.CLOSE_IDLE:
            return _Idle(f"the server at {url} closes connections that are not used")
        why = said or (received.reason if received is not None else "") or "it broke"
        if code == calls.CLOSE_TOKEN:
            return PermissionError(f"the server at {url}: {why}; {faults.ASK_TOKEN}")
        if code == calls.CLOSE_PROTOCOL:
            return faults.other_protocol(self.address, None, None, why)
        return ConnectionError(f"the connection to {url} was closed: {why}")

    def _lost(self, reason: Exception, fault: Exception) -> bool:
        """The connection broke, or did not come about; returns whether to rest until a call."""
        with self._sending:
            self._socket = None
        is_refusal = isinstance(reason, (PermissionError, faults.OtherProtocol))
        with self._lock:
            self._reason = reason
            if self._welcome is None or self._closed:
                return False
            self._refusal = reason if is_refusal else None
            for one in list(self._waiting.values()):
                one.n_tries += one.sent_on is not None
                lost = one.sent_on is not None and (not one.again or one.n_tries >= MAX_TRIES)
                if is_refusal:
                    self._finish(one.id, fault=_copy(reason))
                elif lost:
                    self._finish(one.id, fault=ConnectionError(f"{reason}; what was asked may be done"))
                one.sent_on = None
            rests = isinstance(fault, _Idle) and not self._waiting
            if rests:
                self._called.clear()
        if not rests:
            self._set_state("reconnecting")
        return rests

    def _rest(self) -> None:
        while not self._closed and not self._called.wait(1.0):
            pass

    def _fail_all(self, fault: Exception) -> None:
        with self._lock:
            for number in list(self._waiting):
                self._finish(number, fault=_copy(fault))

    def _set_state(self, state: State) -> None:
        with self._lock:
            if self._state in (state, "closed"):
                return
            self._state = state
            listeners = list(self._listeners)
        for listener in listeners:
            try:
                listener(state)
            except Exception:
                _log.exception("a listener of the connection failed")


class _Idle(ConnectionError):
    """The server closed a connection that was not used."""


def _error(head: Mapping[str, Any]) -> Exception:
    """The error to raise for a server's error frame."""
    name, message = head.get("error"), str(head.get("message", ""))
    if name == "Busy":
        pause = head.get("retry_after_s")
        return Busy(message, float(pause) if isinstance(pause, (int, float)) else 0.5)
    return calls.ERRORS.get(str(name), RuntimeError)(message)


def _copy(fault: Exception) -> Exception:
    """An error of its own for each thread: a traceback belongs to one."""
    return type(fault)(*fault.args)


def _try_send(socket: ClientConnection, data: bytes) -> None:
    """Send a frame; if the connection is broken, the thread that reads notices, and all is sent again."""
    with contextlib.suppress(OSError, WebSocketException):
        socket.send(data)


def _cut(socket: ClientConnection) -> None:
    """Break a connection at once: whoever reads or sends on it gets an error."""
    with contextlib.suppress(Exception):
        socket.socket.shutdown(sockets.SHUT_RDWR)


def _sleep(seconds: float, cancelled: Callable[[], bool] | None) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        raise_if_cancelled(cancelled)
        time.sleep(min(left, 0.2 if cancelled is None else POLL_S))


def _pause(seconds: float, ended: Callable[[], bool]) -> None:
    """Sleep, in steps that let a closing connection end."""
    until = time.monotonic() + seconds
    while not ended() and (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 0.05))


__all__ = ["Answer", "Cancelled", "Connection"]
