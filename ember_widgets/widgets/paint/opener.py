"""Opens a painter while its widget is seen already: a large model takes a minute to load."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint import messages, replies
from ember_widgets.widgets.paint.requests import (
    NewScene,
    PainterLike,
    check_painter,
    guidance_of,
    last_line,
    rendered,
)
from ember_widgets.widgets.paint.session import Session

Send = Callable[[dict[str, Any]], None]


def opens_a_painter(given: object) -> bool:
    """Whether something is no painter, but gives one when it is called."""
    return callable(given) and not isinstance(given, type) and not hasattr(given, "render")


def begun(painter: PainterLike, scene: Scene | None, wanted: Mapping[str, Any]) -> Session:
    """A session of a scene, or of a new one that is as wanted; with its picture."""
    check_painter(painter)
    if scene is None:
        scene = NewScene.checked(wanted, guidance_of(painter)).drawn(painter)
    return Session(painter, scene, rendered(painter, scene))


class Opener:
    """Begins a session in a thread of its own, and answers browsers as long as there is none.

    Args:
        begin: gives the session; takes long.
        on_open: called in the thread with the session, before anyone else gets it.
        send: takes a message to all browsers.
    """

    def __init__(self, begin: Callable[[], Session], on_open: Callable[[Session], None], send: Send) -> None:
        self._begin = begin
        self._on_open = on_open
        self._send = send
        self._lock = threading.RLock()
        self._hellos: dict[str, object] = {}
        self._session: Session | None = None
        self._closed = False
        self.fault: Exception | None = None
        self._thread = self._start()

    def session(self, timeout: float | None = None) -> Session:
        """The session; blocks until it is there, or so many seconds.

        Raises:
            RuntimeError: it could not be begun; the cause is why.
            TimeoutError: it was not there in time.
        """
        thread = self._thread
        if threading.current_thread() is not thread:
            thread.join(timeout)
            if thread.is_alive() and self._session is None:
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
        self._session.receive(content, buffers)

    def close(self) -> None:
        """Want the session no longer; one that comes all the same is closed."""
        with self._lock:
            self._closed = True

    def _start(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, name="ember-opener", daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        try:
            session = self._begin()
        except Exception as fault:
            with self._lock:
                self.fault = fault
                self._tell()
            return
        with self._lock:
            if self._closed:
                session.close()
                return
            self._session = session
            self._on_open(session)
            for hello in self._hellos.values():
                session.receive(hello, [])
            session.show()

    def _answer(self, content: object) -> None:
        kind = content.get("type") if isinstance(content, Mapping) else None
        client, _ = messages.address(content)
        if kind == "hello" and client:
            self._hellos[client] = content
        if kind == "retry" and self.fault is not None and not self._thread.is_alive():
            self.fault = None
            self._thread = self._start()
        self._tell()

    def _tell(self) -> None:
        opening = self.fault is None
        self._send({"type": "status", "busy": opening, "task": "draw" if opening else ""})
        if self.fault is not None:
            self._send(replies.error(self.fault))
