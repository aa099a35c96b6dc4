"""PaintWidget: a picture with a paintable grid over it, in a notebook.

The kernel owns the scene and its history; the browser paints ahead of it. Messages are read in the comm's
thread, which only checks, copies and submits; one worker renders the newest state and sends it back.
"""

from __future__ import annotations

import base64
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from ember_widgets._checks import shown
from ember_widgets.renderer import Renderer
from ember_widgets.scene import Scene
from ember_widgets.widgets import _wire
from ember_widgets.widgets._asked import (
    DEFAULT_N_FACTORS,
    NewScene,
    PainterLike,
    check_keywords,
    check_painter,
    check_scene,
    facts,
    last_line,
    rendered,
)
from ember_widgets.widgets._history import History, State
from ember_widgets.widgets._picture import Kind, Picture

_STATIC = Path(__file__).parent / "static"
_KEYWORDS = ("prompt", "seed", "n_steps", "n_factors", "layout")


@dataclass(frozen=True)
class _Job:
    """What the worker is to do: draw a state, or make a new scene first."""

    client: str
    seq: int
    revision: int
    state: State
    final: bool
    analyze: NewScene | None = None


class PaintWidget(anywidget.AnyWidget):  # type: ignore[misc]
    """Paint a scene by hand.

    Args:
        painter: an object with ``analyze`` and ``render``, e.g. ``ember.Painter.embedded()``.
        scene: the scene to show; None = analyse one from the keywords below.
        prompt: text of the new scene; "" if left out.
        seed: its seed, 0 if left out.
        n_steps: its sampling steps, 1..4; 1 if left out.
        n_factors: how many factors it is taken apart into, 1..256 (3..8 reads best); 5 if left out.
        layout: an ipywidgets layout.

    Raises:
        TypeError: no painter, no scene, an unknown keyword, or a scene and keywords for a new one.
        ValueError: a keyword out of range.

    Example:
        >>> widget = PaintWidget(ember.Painter.embedded(), seed=3)      # doctest: +SKIP
        >>> widget.scene.paint("tree", [(9, 4), (9, 5)])                # doctest: +SKIP
    """

    # Text and not a path: anywidget ties every instance that has a path to a watcher that outlives it.
    _esm = traitlets.Unicode((_STATIC / "paint.js").read_text(encoding="utf-8")).tag(sync=True)
    _css = traitlets.Unicode((_STATIC / "paint.css").read_text(encoding="utf-8")).tag(sync=True)

    # from_json: bytes from a browser arrive as a memoryview, which the trait would refuse where nobody sees it.
    image = traitlets.Bytes(help="The settled picture as PNG; what a saved notebook shows.").tag(
        sync=True, echo_update=False, from_json=lambda value, widget: bytes(value)
    )
    prompt = traitlets.Unicode(help="The scene's prompt; a new one is drawn with analyze(prompt=...).")
    seed = traitlets.Int(help="The scene's seed.")
    n_steps = traitlets.Int(1, help="The scene's sampling steps, 1..4.")
    n_factors = traitlets.Int(
        DEFAULT_N_FACTORS, help="How many factors the analysed picture was taken apart into."
    )

    _painter: PainterLike | None = None
    _renderer: Renderer[_Job] | None = None

    def __init__(
        self,
        painter: PainterLike,
        scene: Scene | None = None,
        *,
        prompt: str | None = None,
        seed: int | None = None,
        n_steps: int | None = None,
        n_factors: int | None = None,
        **kwargs: Any,
    ) -> None:
        check_keywords(kwargs, _KEYWORDS)
        check_painter(painter)
        wanted = {"prompt": prompt, "seed": seed, "n_steps": n_steps, "n_factors": n_factors}
        if scene is None:
            scene = NewScene.checked(wanted).drawn(painter)
        else:
            check_scene(scene)
            if given := [name for name, value in wanted.items() if value is not None]:
                raise TypeError(
                    f"a scene was given, so {given[0]}= has nothing to do; leave out one of the two"
                )
        picture = rendered(painter, scene)

        self._painter = painter
        self._lock = threading.RLock()
        self._state = State.of(scene)
        self._history = History(self._state)
        self._revision = 0
        self._picture = picture
        self._shown: Kind = "final"
        self._task = ""
        self._analyzing: _Job | None = None
        self._fault: Exception | None = None
        self._failed: _Job | None = None
        self.last_error: Exception | None = None
        self._renderer = Renderer(
            self._work, settle=self._settle, on_drop=self._acknowledge, on_error=self._on_worker_error
        )
        # The first picture travels with the widget's first message: one that is only looked at needs no more.
        super().__init__(image=picture.encoded("final"), **facts(scene), **kwargs)
        self.on_msg(self._receive)

    # What Python sees and does

    @property
    def painter(self) -> PainterLike | None:
        """The painter; None once the widget is closed."""
        return self._painter

    @property
    def busy(self) -> bool:
        """Whether the picture is behind the scene."""
        return self._renderer is not None and self._renderer.busy

    @property
    def scene(self) -> Scene:
        """The scene as painted so far; assign another one to show it in every view."""
        with self._lock:
            return self._state.scene

    @scene.setter
    def scene(self, scene: Scene) -> None:
        check_scene(scene)
        self._open_or_raise()
        with self._lock:
            self._adopt(State.of(scene))
            self._history.commit(self._state)
            self._tell_scene()
            self._submit("", 0, final=True)
        self._mirror()

    def analyze(
        self,
        prompt: str | None = None,
        *,
        seed: int | None = None,
        n_steps: int | None = None,
        n_factors: int | None = None,
    ) -> None:
        """Draw a new scene in the background; what is left out stays as it is. ``wait()`` waits for it.

        Raises:
            TypeError, ValueError: an argument of the wrong type or out of range.
        """
        self._open_or_raise()
        wanted = {"prompt": prompt, "seed": seed, "n_steps": n_steps, "n_factors": n_factors}
        known = facts(self.scene)
        request = NewScene.checked({k: known[k] if v is None else v for k, v in wanted.items()})
        self._start_analysis(request, "", 0)

    def undo(self) -> bool:
        """Go one step back; False if there is none."""
        return self._step(-1, "", 0)

    def redo(self) -> bool:
        """Go one step forward again; False if there is none."""
        return self._step(1, "", 0)

    def wait(self, timeout: float | None = None) -> None:
        """Block until the picture shows the scene.

        Args:
            timeout: seconds; None = as long as it takes.

        Raises:
            TimeoutError: it was not there in time.
            RuntimeError: it could not be drawn; the cause is ``last_error``.
        """
        if self._renderer is not None and not self._renderer.wait(timeout):
            raise TimeoutError(
                f"the picture was not there after {timeout:g} s; wait longer, or look at widget.busy"
            )
        if (fault := self._fault) is not None:
            raise RuntimeError(f"the picture could not be drawn: {last_line(fault)}") from fault

    def close(self) -> None:
        """End the widget in every view, stop its worker, and let go of the painter. The scene stays readable."""
        if self._renderer is not None:
            self._renderer.close()
        self._painter = self._fault = self.last_error = self._failed = None
        super().close()

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle
        # Notebooks do not keep a widget's state by default; with this a saved one shows the picture.
        data["image/png"] = base64.b64encode(self.image).decode("ascii")
        return data, metadata

    @traitlets.validate("prompt", "seed", "n_steps", "n_factors")
    def _only_the_scene_sets(self, proposal: Any) -> Any:
        name = proposal.trait.name
        with self._lock:
            allowed = facts(self._state.painted)[name]
        if proposal.value != allowed:
            raise traitlets.TraitError(
                f"{name} belongs to the scene, it cannot be set alone; draw a new scene with "
                f"widget.analyze({name}={shown(proposal.value)})"
            )
        return proposal.value

    # Messages from the browser; in the comm's thread, or in several at once where the kernel has subshells

    def _receive(self, _: object, content: object, buffers: list[Any]) -> None:
        client, seq = _wire.address(content)
        try:
            self._handle(_wire.parse(content), buffers)
        except Exception as fault:  # nobody sees what escapes from here
            self._report(fault, client, seq)
            self._acknowledge_to(client, seq)

    def _handle(self, message: _wire.Message, buffers: list[Any]) -> None:
        if isinstance(message, _wire.Edit):
            self._on_edit(message, buffers)
        elif isinstance(message, _wire.Analyze):
            self._start_analysis(message.scene, message.client, message.seq)
        elif isinstance(message, _wire.Step):
            self._step(message.by, message.client, message.seq)
        elif isinstance(message, _wire.Retry):
            self._on_retry(message)
        elif isinstance(message, _wire.Hello):
            with self._lock:
                self._send_state("hello", message.client)
                self._send_status()
                if self.last_error is not None:
                    self._send_error(self.last_error, "", 0)
        else:
            self._send_status()

    def _on_edit(self, edit: _wire.Edit, buffers: list[Any]) -> None:
        with self._lock:
            if edit.revision != self._revision:
                # The scene has changed under the hand (undo, a new one); the browser starts again from it.
                self._send_state("refused", edit.client)
                self._acknowledge_to(edit.client, edit.seq)
                return
            painted = self._state.painted
            strengths, remainder, gains = _wire.layers(edit, buffers, painted.n_factors)
            state = self._state.edited(strengths, remainder, gains)
            _ = state.scene  # sliders times strengths may overflow; then nothing has happened yet
            self._state = state
            if edit.commit:
                self._history.commit(state)
                self._send_state("edit", edit.client)
            if self._analyzing is not None:
                # A new scene is being made; a picture of the old one would come too late.
                self._acknowledge_to(edit.client, edit.seq)
                return
            self._submit(edit.client, edit.seq, final=edit.commit)

    def _on_retry(self, message: _wire.Retry) -> None:
        with self._lock:
            failed = self._failed
            if failed is not None and failed.analyze is not None and failed.revision == self._revision:
                self._start_analysis(failed.analyze, message.client, message.seq)
            else:
                self._submit(message.client, message.seq, final=True)

    def _start_analysis(self, request: NewScene, client: str, seq: int) -> None:
        with self._lock:
            job = _Job(client, seq, self._revision, self._state, final=True, analyze=request)
            self._analyzing = job
            self._put(job)

    def _step(self, by: int, client: str, seq: int) -> bool:
        self._open_or_raise()
        with self._lock:
            if not self._state.same(self._history.current):
                # In the middle of a stroke: back to where it began.
                possible, state = by < 0, self._history.current
            else:
                possible, state = self._history.can(by), self._history.step(by)
            if not possible:
                self._acknowledge_to(client, seq)
                return False
            self._adopt(state)
            self._tell_scene()
            self._submit(client, seq, final=True)
        self._mirror()
        return True

    # The worker

    def _work(self, job: _Job) -> None:
        painter = self._painter
        if painter is None:
            return
        try:
            if job.analyze is not None:
                new = self._analyze(painter, job, job.analyze)
                if new is None:
                    return self._acknowledge(job)
                job = new
            elif job.revision != self._revision:
                return self._acknowledge(job)
            picture = rendered(painter, job.state.scene)
        except Exception as fault:
            self._fail(fault, job)
            return
        with self._lock:
            self._picture, self._fault, self._failed, self.last_error = picture, None, None, None
        newer = self._renderer is not None and self._renderer.waiting
        self._show(picture, "final" if job.final and not newer else "preview", job.client, job.seq)

    def _analyze(self, painter: PainterLike, job: _Job, request: NewScene) -> _Job | None:
        try:
            scene = request.drawn(painter)
            with self._lock:
                if job.revision != self._revision:
                    return None  # another scene was assigned meanwhile; that is the newer wish
                self._adopt(State.of(scene))
                self._history.commit(self._state)
                self._tell_scene()
                new = _Job(job.client, job.seq, self._revision, self._state, final=True)
        finally:
            with self._lock:
                if self._analyzing is job:
                    self._analyzing = None
        self._announce("render")
        self._mirror()
        return new

    def _settle(self) -> None:
        with self._lock:
            picture, unsettled = self._picture, self._shown != "final" and self._fault is None
        if unsettled:
            self._show(picture, "final", "", 0)
        with self._lock:
            if self._renderer is None or not self._renderer.waiting:
                self._announce("")

    def _show(self, picture: Picture, kind: Kind, client: str, seq: int) -> None:
        data = picture.encoded(kind)
        if kind == "final":
            self.image = data
        width, height = picture.image.size
        frame = {"type": "frame", "client": client, "seq": seq, "kind": kind, "ms": round(picture.ms, 1)}
        with self._lock:
            self._shown = kind
            self.send({**frame, "width": width, "height": height}, [data])

    def _fail(self, fault: Exception, job: _Job) -> None:
        with self._lock:
            self._fault, self._failed = fault, job
            self._report(fault, job.client, job.seq)
            self._acknowledge(job)

    def _on_worker_error(self, fault: BaseException) -> None:
        # For instance an observer of a trait that raised; the worker goes on.
        self._report(fault if isinstance(fault, Exception) else RuntimeError(repr(fault)), "", 0)

    # Helpers of both; those that change or tell the state are called with the lock held

    def _adopt(self, state: State) -> None:
        self._state = state
        self._revision += 1
        self._analyzing = None

    def _submit(self, client: str, seq: int, *, final: bool) -> None:
        self._put(_Job(client, seq, self._revision, self._state, final))

    def _put(self, job: _Job) -> None:
        if self._renderer is not None and self._painter is not None:
            self._announce("draw" if job.analyze else "render")
            self._renderer.submit(job)

    def _announce(self, task: str) -> None:
        with self._lock:
            if task == self._task:
                return
            self._task = task
            self._send_status()

    def _mirror(self) -> None:
        """Bring the scene's traits up to date; observers run here, so the lock must not be held."""
        for name, value in facts(self.scene).items():
            setattr(self, name, value)

    def _report(self, fault: Exception, client: str, seq: int) -> None:
        self.last_error = fault
        self._send_error(fault, client, seq)

    def _open_or_raise(self) -> None:
        if self._painter is None:
            raise RuntimeError("this widget is closed; make a new one: PaintWidget(painter, widget.scene)")

    def _tell_scene(self) -> None:
        self._send_state("scene", "")

    def _send_state(self, why: str, client: str) -> None:
        painted = self._state.painted
        seen = np.ones(painted.n_factors)
        analysed = painted.base_strengths.shape[2]
        seen[:analysed] = np.abs(painted.base_strengths).max(axis=(0, 1), initial=0)
        message = {
            "type": "state",
            "why": why,
            "client": client,
            "revision": self._revision,
            **facts(painted),
            "seed": str(painted.seed),
            "names": list(painted.names),
            "colors": list(painted.colors),
            "gains": self._state.gains.tolist(),
            "seen": seen.tolist(),
            "can_undo": self._history.can(-1),
            "can_redo": self._history.can(1),
        }
        self.send(
            message, [array.astype("<f4").tobytes() for array in (painted.strengths, painted.remainder)]
        )

    def _send_status(self) -> None:
        self.send({"type": "status", "busy": self._task != "", "task": self._task})

    def _send_error(self, fault: Exception, client: str, seq: int) -> None:
        lines = "".join(traceback.format_exception(type(fault), fault, fault.__traceback__))
        message = {"type": "error", "client": client, "seq": seq, "message": last_line(fault)}
        self.send({**message, "traceback": lines})

    def _acknowledge(self, job: _Job) -> None:
        self._acknowledge_to(job.client, job.seq)

    def _acknowledge_to(self, client: str, seq: int) -> None:
        if client:
            self.send({"type": "ack", "client": client, "seq": seq})
