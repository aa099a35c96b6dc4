"""The scene that is being painted, its history, and the worker that draws it.

The worker takes the newest job, draws it and sends the picture. Whatever is sent goes through one `send`,
always with the lock held, so that the browser hears of things in the order they happened.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from ember_widgets.features.labels import labels_of
from ember_widgets.scene.scene import Scene
from ember_widgets.util.cancelled import Cancelled
from ember_widgets.widgets.paint import replies, to_python
from ember_widgets.widgets.paint.history import History, State
from ember_widgets.widgets.paint.queries import Answers, Now
from ember_widgets.widgets.paint.requests import (
    NewScene,
    PainterLike,
    Variation,
    last_line,
    previews,
    rendered,
)
from ember_widgets.widgets.shared.idle_queue import Aside
from ember_widgets.widgets.shared.latest_wins import Renderer
from ember_widgets.widgets.shared.pictures import Kind, Picture

PREVIEW_ABOVE_MS = 40.0
"""While the hand moves, pictures are previews if full ones take longer than this."""


@dataclass(frozen=True)
class _Job:
    """What the worker is to do: draw a state, or make another scene first."""

    client: str
    seq: int
    revision: int
    state: State
    final: bool
    wish: NewScene | Variation | None = None
    since: float = field(default_factory=time.perf_counter)


class Audience(Protocol):
    """A widget that shows the scene."""

    def send(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        """Take a message to every browser that shows the widget."""

    def on_scene(self) -> None:
        """The scene is another one. Called without the lock."""

    def on_final(self, png: bytes) -> None:
        """A settled picture is there. Called without the lock."""


class Easel:
    """A scene being painted.

    Args:
        painter: draws.
        scene: what is shown first.
        picture: the picture of ``scene``.
    """

    def __init__(
        self,
        painter: PainterLike,
        scene: Scene,
        picture: Picture,
    ) -> None:
        self.painter: PainterLike | None = painter
        self.last_error: Exception | None = None
        self._audience: tuple[Audience, ...] = ()
        self._lock = threading.RLock()
        self._state = State.of(scene, to_python.begun_with(scene))
        self._history = History(self._state)
        self._revision = 0
        self._picture = picture
        self._pictured = self._state
        self._shown: Kind = "final"
        self._drawn: _Job | None = None
        self._full_ms = picture.ms
        self._task = ""
        self._analysis: _Job | None = None
        self._failed: _Job | None = None
        self._fault: Exception | None = None
        self._free_since = time.perf_counter()
        self._renderer: Renderer[_Job] = Renderer(
            self._work, settle=self._settle, on_drop=self._acknowledge, on_error=self._on_worker_error
        )
        self._aside = Aside(self._renderer.wait, self._on_worker_error)
        self._answers = Answers(self._now, self._send_aside, self._aside)

    # Who is told

    def join(self, widget: Audience) -> None:
        """Tell a widget of everything from now on."""
        with self._lock:
            self._audience = (*self._audience, widget)

    def leave(self, widget: Audience) -> None:
        """Tell it no more; when nobody is left, close."""
        with self._lock:
            self._audience = tuple(other for other in self._audience if other is not widget)
        if not self._audience:
            self.close()

    def _send(self, message: dict[str, Any], buffers: list[bytes]) -> None:
        for widget in self._audience:
            widget.send(message, buffers)

    def _on_scene(self) -> None:
        for widget in self._audience:
            widget.on_scene()

    def _on_final(self, png: bytes) -> None:
        for widget in self._audience:
            widget.on_final(png)

    # What Python asks for

    @property
    def state(self) -> State:
        """The scene as painted so far, and the sliders."""
        with self._lock:
            return self._state

    @property
    def picture(self) -> Picture:
        """The last picture."""
        return self._picture

    @property
    def busy(self) -> bool:
        """Whether the picture is behind the scene."""
        return self._renderer.busy

    def show(self) -> None:
        """Send the last picture to all who look."""
        self._show(self._picture, "final", "", 0)

    def assign(self, scene: Scene, client: str = "", seq: int = 0) -> None:
        """Go on from another scene."""
        self._refuse_closed()
        with self._lock:
            self._adopt(State.of(scene, to_python.begun_with(scene)))
            self._history.commit(self._state)
            self._send_state("scene", "")
            self._submit(client, seq, final=True)
        self._on_scene()

    def analyze(self, new_scene: NewScene, client: str = "", seq: int = 0) -> None:
        """Have a new scene made, guided as this one is, and go on from it when it is there."""
        self._refuse_closed()
        self._wish(new_scene.guided_as(self.state.painted, self.painter), client, seq)

    def vary(self, variation: Variation, client: str = "", seq: int = 0) -> None:
        """Have a variation of the scene made, and go on from it when it is there."""
        self._wish(variation, client, seq)

    def _wish(self, wish: NewScene | Variation, client: str, seq: int) -> None:
        self._refuse_closed()
        with self._lock:
            job = _Job(client, seq, self._revision, self._state, final=True, wish=wish)
            self._put(job)
            self._analysis = job

    def step(self, by: int, client: str = "", seq: int = 0) -> bool:
        """Undo (-1) or redo (1); False if there is nothing to."""
        self._refuse_closed()
        with self._lock:
            step: int | None
            if self._state.same(self._history.current):
                step = self._history.beside(by)
            else:  # in the middle of a stroke: back to where it began
                step = self._history.step if by < 0 else None
        return self.go(step, client, seq)

    def go(self, step: int | None, client: str = "", seq: int = 0) -> bool:
        """Go to a step of the history; False if there is none of that number."""
        self._refuse_closed()
        with self._lock:
            if step is None or self._history.state(step) is None:
                self._acknowledge_to(client, seq)
                return False
            self._adopt(self._history.go(step))
            self._send_state("scene", "")
            self._submit(client, seq, final=True)
        self._on_scene()
        return True

    def keep(self, name: str, step: int | None = None) -> None:
        """Give a step, or (None) the current one, a name, under which it is kept; "" takes it back."""
        self._refuse_closed()
        with self._lock:
            self._history.keep(self._history.step if step is None else step, name)
            self._send_state("kept", "")

    @property
    def kept(self) -> dict[str, Scene]:
        """The scenes that were given a name."""
        with self._lock:
            named = [(name, self._history.state(step)) for step, name in self._history.names.items()]
            return {name: state.scene for name, state in named if state is not None}

    def wait(self, timeout: float | None) -> None:
        """Block until the picture shows the scene; see ``PaintWidget.wait``."""
        if not self._renderer.wait(timeout):
            raise TimeoutError(
                f"the picture was not there after {timeout:g} s; wait longer, or look at widget.busy"
            )
        if (fault := self._fault) is not None:
            raise RuntimeError(f"the picture could not be drawn: {last_line(fault)}") from fault

    def film(self, form: str, ms: int) -> bytes:
        """See ``PaintWidget.record``."""
        self._refuse_closed()
        return self._answers.film(form, ms)

    def told(self) -> list[tuple[dict[str, Any], list[bytes]]]:
        """All that a browser needs to know to show the settled scene."""
        self._refuse_closed()
        self.wait(None)
        with self._lock:
            state = self._state_message("hello", "")
        return [state, *self._answers.told()]

    def close(self) -> None:
        """Stop the worker and let go of the painter and of the errors that hold on to its frames."""
        self._renderer.close()
        self._aside.close()
        with self._lock:
            self.painter = self.last_error = self._fault = self._failed = self._analysis = self._drawn = None

    def _now(self) -> Now | None:
        with self._lock:
            if self.painter is None:
                return None
            return Now(self.painter, self._state, self._history, self._picture, self._pictured, self._fault)

    def _send_aside(self, message: dict[str, Any], buffers: list[bytes]) -> None:
        with self._lock:
            self._send(message, buffers)

    # The worker

    def _work(self, job: _Job, stale: Callable[[], bool] | None = None) -> None:
        painter = self.painter
        if painter is None:
            return
        early = self._free_since - job.since
        try:
            current = self._with_new_scene(painter, job)
            if current is None:
                self._acknowledge(job)
                return
            # Where a picture takes long, one that comes soon is worth more while the hand moves.
            scene = current.state.scene
            rough = not current.final and self._full_ms > PREVIEW_ABOVE_MS and previews(painter, scene)
            picture = rendered(painter, scene, rough=rough, stale=stale)
        except Cancelled:
            return  # its preview is seen, and what comes next is newer
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
            self._drawn = current
            if not rough:
                self._full_ms = picture.ms
                self._pictured = current.state
                self._answers.settled(current.state, picture)
        newer = self._renderer.waiting
        kind: Kind = "final" if job.final and not newer else "preview"
        self._show(picture, kind, job.client, job.seq, early)
        self._free_since = time.perf_counter()

    def _with_new_scene(self, painter: PainterLike, job: _Job) -> _Job | None:
        """The job to draw: with its new scene in place, if it asks for one; None if it is of the past."""
        if job.wish is None:
            return job if job.revision == self._revision else None
        try:
            state = self._granted(painter, job.wish)
        finally:
            with self._lock:
                if self._analysis is job:
                    self._analysis = None
        with self._lock:
            if job.revision != self._revision:
                return None  # another scene was assigned meanwhile, and that is the newer wish
            self._adopt(state)
            self._history.commit(self._state)
            self._send_state("scene", "")
            self._announce("render")
            job = _Job(job.client, job.seq, self._revision, self._state, final=True)
        self.tell(self._on_scene)
        return job

    def _granted(self, painter: PainterLike, wish: NewScene | Variation) -> State:
        if isinstance(wish, NewScene):
            scene = wish.drawn(painter)
            return State.of(scene, to_python.begun_with(scene))
        while True:
            before = self.state
            state = State.of(wish.drawn(painter, before.scene), (*to_python.scaled(before), wish.line))
            if self.state is before:  # else the hand was faster, and nothing painted may be lost
                return state

    def _settle(self) -> None:
        if self._picture.rough and self._fault is None and (last := self._drawn) is not None:
            self._work(replace(last, client="", seq=0, final=True), lambda: self._renderer.waiting)
        with self._lock:
            picture = self._picture
            behind = self._shown != "final" and self._fault is None and not picture.rough
        if behind:
            self._show(picture, "final", "", 0)
        with self._lock:
            if not self._renderer.waiting:
                self._announce("")

    def _show(self, picture: Picture, kind: Kind, client: str, seq: int, early: float = 0) -> None:
        data = picture.encoded(kind)
        if kind == "final":
            self.tell(lambda: self._on_final(data))
        width, height = picture.image.size
        frame = {"type": "frame", "client": client, "seq": seq, "kind": kind, "rough": picture.rough}
        times = {"ms": round(picture.ms, 1), "early": round(1000 * early, 1)}
        change = self._answers.change(self._pictured.scene, picture) if kind == "final" else None
        with self._lock:
            self._shown = kind
            self._send({**frame, **times, "width": width, "height": height, "change": change}, [data])

    def tell(self, callback: Callable[[], None]) -> None:
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

    def _submit(self, client: str, seq: int, *, final: bool) -> None:
        self._put(_Job(client, seq, self._revision, self._state, final))

    def _put(self, job: _Job) -> None:
        self._announce("draw" if job.wish else "render")
        self._renderer.submit(job)

    def _announce(self, task: str) -> None:
        if task != self._task:
            self._task = task
            self._send_status()

    def _send_status(self) -> None:
        self._send({"type": "status", "busy": self._task != "", "task": self._task}, [])

    def _send_state(self, why: str, client: str) -> None:
        self._send(*self._state_message(why, client))

    def _state_message(self, why: str, client: str) -> tuple[dict[str, Any], list[bytes]]:
        message, buffers = replies.state(self._state, labels_of(self.painter))
        message |= {"why": why, "client": client, "revision": self._revision}
        return message | replies.film(self._history) | {"able": replies.abilities(self.painter)}, buffers

    def _report(self, fault: Exception, client: str, seq: int) -> None:
        self.last_error = fault
        self._send_error(fault, client, seq)

    def _send_error(self, fault: Exception, client: str, seq: int) -> None:
        self._send(replies.error(fault, client, seq), [])

    def _acknowledge(self, job: _Job) -> None:
        self._acknowledge_to(job.client, job.seq)

    def _acknowledge_to(self, client: str, seq: int) -> None:
        if client:
            with self._lock:  # the only one that the renderer calls by itself
                self._send({"type": "ack", "client": client, "seq": seq}, [])

    def _refuse_closed(self) -> None:
        if self.painter is None:
            raise RuntimeError("this widget is closed; make a new one: PaintWidget(painter, widget.scene)")
