"""Opens a painter while its widget is already shown: a large model takes a minute to load."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from ember_widgets.painter.protocol import PainterProtocol, check_painter
from ember_widgets.scene.scene import Scene
from ember_widgets.util.worker import Worker
from ember_widgets.widgets.paint import messages
from ember_widgets.widgets.paint.replies import ErrorReply, PanelsReply, Reply, StatusReply
from ember_widgets.widgets.paint.requests import (
    NewScene,
    check_no_class,
    guidance_of,
    last_line,
    rendered,
)
from ember_widgets.widgets.paint.session import Session

Send = Callable[[Reply], None]


def opens_a_painter(given: object) -> bool:
    """Whether something is not a painter, but returns one when it is called."""
    return callable(given) and not isinstance(given, (type, PainterProtocol))


def new_session(
    painter: PainterProtocol,
    scene: Scene | None,
    wanted: Mapping[str, Any],
    opens: Callable[[], PainterProtocol] | None = None,
) -> Session:
    """A session of a scene; if it is None, of a new scene as wanted. Its picture is drawn.

    Args:
        painter: draws.
        scene: the scene, if there is one.
        wanted: the fields of a new scene.
        opens: opens the painter again.
    """
    check_painter(painter)
    check_no_class(painter)
    asked = None
    if scene is None:
        new = NewScene.checked(wanted, guidance_of(painter))
        scene, asked = new.made_by(painter), new.n_factors
    return Session(painter, scene, rendered(painter, scene), asked=asked, opens=opens)


class Opener:
    """Begins a session in a worker, and answers browsers until there is one.

    Args:
        begin: returns the session; takes long.
        on_open: called in the worker's thread with the session, before anyone else gets it.
        send: sends a reply to all browsers.
    """

    def __init__(self, begin: Callable[[], Session], on_open: Callable[[Session], None], send: Send) -> None:
        self._begin = begin
        self._on_open = on_open
        self._send = send
        self._lock = threading.RLock()
        self._hellos: dict[str, object] = {}
        self._session: Session | None = None
        self.fault: BaseException | None = None
        self._worker = Worker("ember-opener")
        self._worker.put("open", self._run)

    def session(self, timeout: float | None = None) -> Session:
        """The session; blocks until it is there, at most `timeout` seconds.

        Raises:
            RuntimeError: it could not be opened; the cause is why.
            TimeoutError: it was not there in time.
        """
        if self._session is None and not self._worker.wait(timeout):
            raise TimeoutError(f"the painter was not opened after {timeout:g} s; wait longer")
        if self._session is None:
            why = "the widget was closed" if self.fault is None else last_line(self.fault)
            raise RuntimeError(f"the painter could not be opened: {why}") from self.fault
        return self._session

    def receive(self, content: object, buffers: Any) -> None:
        """Handle a message from a browser: as the session does, once it is there."""
        with self._lock:
            if self._session is None:
                self._answer(content)
                return
        messages.receive(self._session, content, buffers)

    def retry(self) -> None:
        """Open the painter again, if that failed."""
        with self._lock:
            if self.fault is not None:
                self.fault = None
                self._worker.put("open", self._run)
            self._send_status()

    def close(self) -> None:
        """Give up the session; if it is opened later, it is closed at once."""
        with self._lock:
            self._worker.close()

    def _run(self) -> None:
        try:
            session = self._begin()
        except BaseException as fault:  # SystemExit too: browsers wait for an answer
            with self._lock:
                self.fault = fault
                self._send_status()
            return
        with self._lock:
            if self._worker.closed:
                session.close()
                return
            self._session = session
            self._on_open(session)
            for hello in self._hellos.values():
                messages.receive(session, hello, [])
            session.audience.call(session.show)

    def _answer(self, content: object) -> None:
        kind = content.get("type") if isinstance(content, Mapping) else None
        sender = messages.sender_of(content)
        if kind == "hello" and sender.client:
            self._hellos[sender.client] = content
        if kind == "panels":
            self._send(PanelsReply.of(sender))
        if kind == "retry":
            self.retry()
        else:
            self._send_status()

    def _send_status(self) -> None:
        self._send(StatusReply.of("draw" if self.fault is None else ""))
        if self.fault is not None:
            self._send(ErrorReply.of(self.fault, retry=True))
