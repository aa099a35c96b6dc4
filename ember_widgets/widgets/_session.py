"""What stands behind a PaintWidget: the scene, its history, and the worker that draws it.

Messages are handled in the comm's thread (in several at once where the kernel has subshells): check, copy,
submit, never wait. The worker takes the newest job, draws it and sends the picture. Both reach the browser
through one `send`, always with the lock held, so that the browser hears of things in the order they happened.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ember_widgets.renderer import Renderer
from ember_widgets.scene import Scene
from ember_widgets.widgets import _told, _wire
from ember_widgets.widgets._asked import NewScene, PainterLike, last_line, rendered
from ember_widgets.widgets._features import found, labels_of
from ember_widgets.widgets._history import History, State
from ember_widgets.widgets._icons import Icons
from ember_widgets.widgets._picture import Kind, Picture

Send = Callable[[dict[str, Any], list[bytes]], None]


@dataclass(frozen=True)
class _Job:
    """What the worker is to do: draw a state, or make a new scene first."""

    client: str
    seq: int
    revision: int
    state: State
    final: bool
    new_scene: NewScene | None = None


class Session:
    """A scene being painted.

    Args:
        painter: draws.
        scene: what is shown first.
        picture: the picture of ``scene``.
        send: takes a message and its buffers to every browser that shows the widget.
        on_scene: called, without the lock, after the scene was exchanged for another (not after edits).
        on_final: called, without the lock, with each settled picture as PNG.
    """

    def __init__(
        self,
        painter: PainterLike,
        scene: Scene,
        picture: Picture,
        *,
        send: Send,
        on_scene: Callable[[], None],
        on_final: Callable[[bytes], None],
    ) -> None:
        self.painter: PainterLike | None = painter
        self.last_error: Exception | None = None
        self._send = send
        self._on_scene = on_scene
        self._on_final = on_final
        self._lock = threading.RLock()
        self._state = State.of(scene)
        self._history = History(self._state)
        self._revision = 0
        self._picture = picture
        self._shown: Kind = "final"
        self._task = ""
        self._analysis: _Job | None = None
        self._failed: _Job | None = None
        self._fault: Exception | None = None
        self._renderer: Renderer[_Job] = Renderer(
            self._work, settle=self._settle, on_drop=self._acknowledge, on_error=self._on_worker_error
        )
        self._icons = Icons(self._renderer.wait, self._send_icon)

    # What Python asks for

    @property
    def state(self) -> State:
        """The scene as painted so far, and the sliders."""
        with self._lock:
            return self._state

    @property
    def busy(self) -> bool:
        """Whether the picture is behind the scene."""
        return self._renderer.busy

    def assign(self, scene: Scene) -> None:
        """Go on from another scene."""
        self._refuse_closed()
        with self._lock:
            self._adopt(State.of(scene))
            self._history.commit(self._state)
            self._send_state("scene", "")
            self._submit("", 0, final=True)
        self._on_scene()

    def analyze(self, new_scene: NewScene, client: str = "", seq: int = 0) -> None:
        """Have a new scene made, and go on from it when it is there."""
        self._refuse_closed()
        with self._lock:
            job = _Job(client, seq, self._revision, self._state, final=True, new_scene=new_scene)
            self._put(job)
            self._analysis = job

    def step(self, by: int, client: str = "", seq: int = 0) -> bool:
        """Undo (-1) or redo (1); False if there is nothing to."""
        self._refuse_closed()
        with self._lock:
            state = self._step(by)
            if state is None:
                self._acknowledge_to(client, seq)
                return False
            self._adopt(state)
            self._send_state("scene", "")
            self._submit(client, seq, final=True)
        self._on_scene()
        return True

    def wait(self, timeout: float | None) -> None:
        """Block until the picture shows the scene; see ``PaintWidget.wait``."""
        if not self._renderer.wait(timeout):
            raise TimeoutError(
                f"the picture was not there after {timeout:g} s; wait longer, or look at widget.busy"
            )
        if (fault := self._fault) is not None:
            raise RuntimeError(f"the picture could not be drawn: {last_line(fault)}") from fault

    def close(self) -> None:
        """Stop the worker and let go of the painter and of the errors that hold on to its frames."""
        self._renderer.close()
        self._icons.close()
        with self._lock:
            self.painter = self.last_error = self._fault = self._failed = self._analysis = None

    # What browsers ask for

    def receive(self, content: object, buffers: Sequence[Any]) -> None:
        """Handle a message from a browser; a wrong one changes nothing and is reported to all."""
        client, seq = _wire.address(content)
        try:
            self._handle(_wire.parse(content), buffers)
        except Exception as fault:  # nobody would see what escapes from here
            with self._lock:
                self._report(fault, client, seq)
                self._acknowledge_to(client, seq)

    def _handle(self, message: _wire.Message, buffers: Sequence[Any]) -> None:
        if isinstance(message, _wire.Edit):
            self._edit(message, buffers)
        elif isinstance(message, _wire.Analyze):
            self.analyze(message.scene, message.client, message.seq)
        elif isinstance(message, _wire.Step):
            self.step(message.by, message.client, message.seq)
        elif isinstance(message, _wire.Retry):
            self._retry(message)
        elif isinstance(message, _wire.Palette):
            self._change(message)
        elif isinstance(message, _wire.Search):
            self._search(message)
        elif isinstance(message, _wire.Thumbnails):
            self._send_icons(message)
        else:
            with self._lock:
                self._send_status()
                if isinstance(message, _wire.Hello):
                    self._send_state("hello", message.client)
                    if self.last_error is not None:
                        self._send_error(self.last_error, "", 0)

    def _edit(self, edit: _wire.Edit, buffers: Sequence[Any]) -> None:
        with self._lock:
            if self._refused(edit):
                return
            layers = _wire.layers(edit, buffers, self._state.painted.n_factors)
            state = self._state.edited(*layers)
            self._state = state
            if edit.commit:
                self._history.commit(state)
                self._send_state("edit", edit.client)
            if self._analysis is None:
                self._submit(edit.client, edit.seq, final=edit.commit)
            else:
                # A new scene is being made; a picture of this one would come too late.
                self._acknowledge_to(edit.client, edit.seq)

    def _refused(self, message: _wire.Edit | _wire.Palette) -> bool:
        """The scene was exchanged under the hand (undo, a new one); the browser starts again from it."""
        if message.revision == self._revision:
            return False
        self._send_state("refused", message.client)
        self._acknowledge_to(message.client, message.seq)
        return True

    def _change(self, message: _wire.Palette) -> None:
        with self._lock:
            if self._refused(message):
                return
            self._adopt(message.change.of(self._state))
            if message.commit:
                self._history.commit(self._state)
            self._send_state("scene", "")
            self._submit(message.client, message.seq, final=message.commit)
        self._on_scene()

    def _search(self, message: _wire.Search) -> None:
        with self._lock:
            features = found(message.text, self._state.painted.n_features, labels_of(self.painter))
            told = {"type": "found", "client": message.client, "seq": message.seq, "text": message.text}
            self._send({**told, "features": features}, [])

    def _send_icons(self, message: _wire.Thumbnails) -> None:
        with self._lock:
            painter, painted = self.painter, self._state.painted
        if painter is not None:
            self._icons.ask(painter, painted, message.keys)
        self._acknowledge_to(message.client, message.seq)

    def _send_icon(self, key: str, address: str) -> None:
        with self._lock:
            self._send({"type": "icon", "key": key, "address": address}, [])

    def _retry(self, message: _wire.Retry) -> None:
        with self._lock:
            failed = self._failed
            if failed is not None and failed.new_scene is not None and failed.revision == self._revision:
                self.analyze(failed.new_scene, message.client, message.seq)
            else:
                self._submit(message.client, message.seq, final=True)

    # The worker

    def _work(self, job: _Job) -> None:
        painter = self.painter
        if painter is None:
            return
        try:
            current = self._with_new_scene(painter, job)
            if current is None:
                self._acknowledge(job)
                return
            picture = rendered(painter, current.state.scene)
        except Exception as fault:
            with self._lock:
                if self.painter is None:
                    return
                self._fault, self._failed = fault, job
                self._report(fault, job.client, job.seq)
                self._acknowledge(job)
            return
        with self._lock:
            if self.painter is None:
                return  # closed meanwhile
            self._picture, self._fault, self._failed, self.last_error = picture, None, None, None
        newer = self._renderer.waiting
        self._show(picture, "final" if job.final and not newer else "preview", job.client, job.seq)

    def _with_new_scene(self, painter: PainterLike, job: _Job) -> _Job | None:
        """The job to draw: with its new scene in place, if it asks for one; None if it is of the past."""
        if job.new_scene is None:
            return job if job.revision == self._revision else None
        try:
            scene = job.new_scene.drawn(painter)
        finally:
            with self._lock:
                if self._analysis is job:
                    self._analysis = None
        with self._lock:
            if job.revision != self._revision:
                return None  # another scene was assigned meanwhile, and that is the newer wish
            self._adopt(State.of(scene))
            self._history.commit(self._state)
            self._send_state("scene", "")
            self._announce("render")
            job = _Job(job.client, job.seq, self._revision, self._state, final=True)
        self._tell(self._on_scene)
        return job

    def _settle(self) -> None:
        with self._lock:
            picture, behind = self._picture, self._shown != "final" and self._fault is None
        if behind:
            self._show(picture, "final", "", 0)
        with self._lock:
            if not self._renderer.waiting:
                self._announce("")

    def _show(self, picture: Picture, kind: Kind, client: str, seq: int) -> None:
        data = picture.encoded(kind)
        if kind == "final":
            self._tell(lambda: self._on_final(data))
        width, height = picture.image.size
        frame = {"type": "frame", "client": client, "seq": seq, "kind": kind, "ms": round(picture.ms, 1)}
        with self._lock:
            self._shown = kind
            self._send({**frame, "width": width, "height": height}, [data])

    def _tell(self, callback: Callable[[], None]) -> None:
        """Call out to where observers of traits may run; a fault of theirs must not cost the picture."""
        try:
            callback()
        except Exception as fault:
            self._on_worker_error(fault)

    def _on_worker_error(self, fault: BaseException) -> None:
        with self._lock:
            self._report(fault if isinstance(fault, Exception) else RuntimeError(repr(fault)), "", 0)

    # What follows is called with the lock held

    def _adopt(self, state: State) -> None:
        self._state = state
        self._revision += 1
        self._analysis = None

    def _step(self, by: int) -> State | None:
        if not self._state.same(self._history.current):
            # In the middle of a stroke: back to where it began.
            return self._history.current if by < 0 else None
        return self._history.step(by) if self._history.can(by) else None

    def _submit(self, client: str, seq: int, *, final: bool) -> None:
        self._put(_Job(client, seq, self._revision, self._state, final))

    def _put(self, job: _Job) -> None:
        self._announce("draw" if job.new_scene else "render")
        self._renderer.submit(job)

    def _announce(self, task: str) -> None:
        if task != self._task:
            self._task = task
            self._send_status()

    def _send_status(self) -> None:
        self._send({"type": "status", "busy": self._task != "", "task": self._task}, [])

    def _send_state(self, why: str, client: str) -> None:
        message, buffers = _told.state(self._state, labels_of(self.painter))
        history = {"can_undo": self._history.can(-1), "can_redo": self._history.can(1)}
        self._send({**message, "why": why, "client": client, "revision": self._revision, **history}, buffers)

    def _report(self, fault: Exception, client: str, seq: int) -> None:
        self.last_error = fault
        self._send_error(fault, client, seq)

    def _send_error(self, fault: Exception, client: str, seq: int) -> None:
        lines = "".join(traceback.format_exception(type(fault), fault, fault.__traceback__))
        message = {"type": "error", "client": client, "seq": seq, "message": last_line(fault)}
        self._send({**message, "traceback": lines}, [])

    def _acknowledge(self, job: _Job) -> None:
        self._acknowledge_to(job.client, job.seq)

    def _acknowledge_to(self, client: str, seq: int) -> None:
        if client:
            with self._lock:  # the only one that the renderer calls by itself
                self._send({"type": "ack", "client": client, "seq": seq}, [])

    def _refuse_closed(self) -> None:
        if self.painter is None:
            raise RuntimeError("this widget is closed; make a new one: PaintWidget(painter, widget.scene)")
