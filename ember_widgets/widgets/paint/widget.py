"""The paint studio: a widget that shows one scene, to edit with the pointer, with sliders and from Python."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import anywidget
import traitlets

from ember_widgets.painter.protocol import N_FACTORS, PainterProtocol
from ember_widgets.painter.recording import checked_form, checked_ms
from ember_widgets.scene.first_thing import first_thing
from ember_widgets.scene.scene import Scene
from ember_widgets.util import checks, files
from ember_widgets.util.checks import shown
from ember_widgets.widgets.paint import cells, messages, to_html
from ember_widgets.widgets.paint.history import Step
from ember_widgets.widgets.paint.opener import Opener, new_session, opens_a_painter
from ember_widgets.widgets.paint.requests import (
    NewScene,
    Variation,
    as_exception,
    check_keywords,
    check_scene,
    facts,
)
from ember_widgets.widgets.paint.run_key import is_same_picture
from ember_widgets.widgets.paint.session import CLOSED, Session
from ember_widgets.widgets.shared import closed
from ember_widgets.widgets.shared.saved_picture import SavedPicture

__all__ = ["PaintWidget"]

_STATIC = Path(__file__).parents[1] / "static"
_KEYWORDS = ("prompt", "style", "seed", "n_steps", "n_factors", "layout")
_FACTS = ("prompt", "style", "seed", "n_steps", "n_factors")
_STEPS = "choose one of widget.steps"


class _SceneTrait(traitlets.TraitType[Scene, Scene]):
    """The session's scene as a trait: it can be observed and linked, and there is only one of it."""

    info_text = "a Scene"

    def get(self, obj: Any, cls: Any = None) -> Scene:
        scene: Scene = obj._open.state.scene
        return scene

    def set(self, obj: Any, value: Scene) -> None:
        check_scene(value)
        if value is not obj._open.state.scene or obj.painter is None:
            obj._open.assign(value)


class PaintWidget(anywidget.AnyWidget):
    """Paint a scene interactively.

    The picture follows every stroke and slider at once; ``scene`` is always what is shown. The browser keeps
    nothing: a reloaded page, or a second view, shows the same.

    ``scene``, ``image`` and ``selected_factor`` are traits to ``observe`` and to ``link``; ``scene``
    changes with each finished stroke. ``FactorSliders`` and ``Picture`` are its parts, to use apart.

    Args:
        painter: an object with ``analyze`` and ``render``, e.g. ``ember.Painter.embedded()``; a thread of
            the widget's own calls it. Or another of these widgets, to show and edit its scene. Or a function
            that returns a painter, e.g. ``lambda: ember.Painter.embedded()``: then the widget is shown before
            the model is loaded, and ``scene`` waits for it.
        scene: the scene to show; None = analyse one from the keywords below.
        prompt: text of the new scene; "" if left out.
        style: how it looks, a text that does not change what is where; "" if left out.
        seed: its seed, 0 if left out.
        n_steps: its sampling steps, 1..4 (with guidance 1..100); 1 if left out.
        n_factors: how many factors it is taken apart into, 1..256 (3..8 reads best); 5 if left out.
        layout: an ipywidgets layout.

    Raises:
        TypeError: no painter, no scene, an unknown keyword, a scene and keywords for a new one, or one of
            them together with another widget, which has a scene.
        ValueError: a keyword out of range.
        RuntimeError: the widget that was given is closed.

    Example:
        >>> widget = PaintWidget(ember.Painter.embedded(), seed=3)                       # doctest: +SKIP
        >>> widget.scene = widget.scene.move(0, d_row=-2, d_col=4)                       # doctest: +SKIP
    """

    # Text and not a path: anywidget ties every instance that has a path to a watcher that outlives it.
    _esm = traitlets.Unicode((_STATIC / "paint.js").read_text(encoding="utf-8")).tag(sync=True)
    _css = traitlets.Unicode((_STATIC / "paint.css").read_text(encoding="utf-8")).tag(sync=True)

    # from_json: bytes from a browser come as a memoryview, which the trait would silently refuse.
    image = traitlets.Bytes(
        help="The settled picture as PNG with its scene inside; what a saved notebook shows."
    ).tag(sync=True, echo_update=False, from_json=lambda value, widget: bytes(value))
    scene = _SceneTrait(help="The scene as painted so far; assign another one to show it in every view.")
    selected_factor = traitlets.Int(
        0,
        min=0,
        help="Index of the factor that is picked to paint with; of a new scene the first thing, not the sky. "
        "An index beyond the last factor picks the last one.",
    ).tag(sync=True)
    _panel = traitlets.Unicode("all").tag(sync=True)
    # How the user left the tools; only browsers read it.
    _left = traitlets.Dict().tag(sync=True, echo_update=False)
    _place: cells.Place | None = None

    style = traitlets.Unicode(help="The scene's style; change it with scene.restyle(...).")
    prompt = traitlets.Unicode(help="The scene's prompt; draw another one with analyze(prompt=...).")
    seed = traitlets.Int(help="The scene's seed; draw another one with analyze(seed=...).")
    n_steps = traitlets.Int(1, help="The scene's sampling steps, 1..4; with guidance 1..100.")
    n_factors = traitlets.Int(N_FACTORS, help="How many factors the picture was taken apart into.")

    # None until the constructor has finished: ipywidgets closes a widget that it could not construct.
    _session: Session | None = None
    _opener: Opener | None = None
    _seen: Scene | None = None
    # The scene that ``selected_factor`` was chosen for, by the user or by the widget.
    _picked_in: Scene | None = None
    _picked_early = False  # by the user, before there was a scene
    _link: traitlets.link | None = None
    _own_layout = False
    _saved: SavedPicture

    def __init__(
        self,
        painter: PainterProtocol | PaintWidget | Callable[[], PainterProtocol],
        scene: Scene | None = None,
        *,
        prompt: str | None = None,
        style: str | None = None,
        seed: int | None = None,
        n_steps: int | None = None,
        n_factors: int | None = None,
        **kwargs: Any,
    ) -> None:
        name = type(self).__name__
        check_keywords(kwargs, _KEYWORDS, name)
        self._own_layout = kwargs.get("layout") is None
        self._saved = SavedPicture(self._last_picture)
        self._place = cells.place()
        kwargs["_left"] = cells.left(self._place)
        wanted = dict(zip(_FACTS, (prompt, style, seed, n_steps, n_factors), strict=True))
        given = [key for key, value in wanted.items() if value is not None]
        self._mirroring = threading.RLock()
        if isinstance(painter, PaintWidget):
            if scene is not None or given:
                raise TypeError(
                    f"{name} shows the scene of the widget it was given, so {[*given, 'scene'][0]}= has "
                    "no effect; leave it out, or give a painter"
                )
            session = painter._open
            if session.closed:
                raise RuntimeError(CLOSED)
            self._construct(session, painter.image, kwargs)
            self._link = traitlets.link((painter, "selected_factor"), (self, "selected_factor"))
            return
        if scene is not None:
            check_scene(scene)
            if given:
                raise TypeError(f"a scene was given, so {given[0]}= has no effect; leave out one of the two")
        if opens_a_painter(painter):
            opens = cast(Callable[[], PainterProtocol], painter)
            super().__init__(**kwargs)
            self._mirrored, self._seen = {key: getattr(self, key) for key in _FACTS}, None
            opener = self._opener = Opener(
                lambda: new_session(opens(), scene, wanted, opens),
                self._opened,
                lambda reply: self.send(reply.content(), []),
            )
            self.on_msg(lambda _, content, buffers: opener.receive(content, buffers))
        else:
            session = new_session(cast(PainterProtocol, painter), scene, wanted)
            self._construct(session, session.picture.encoded("final"), kwargs)

    def _construct(self, session: Session, image: bytes, kwargs: dict[str, Any]) -> None:
        """Construct a widget of a session that is there."""
        self._mirrored = facts(session.state.scene)
        self._seen = self._picked_in = session.state.scene
        self._session = session
        # The first picture travels with the widget's first message: a page that only looks needs no more.
        super().__init__(image=image, selected_factor=first_thing(self._seen), **self._mirrored, **kwargs)
        self.on_msg(lambda _, content, buffers: messages.receive(session, content, buffers))
        session.join(self)

    def _opened(self, session: Session) -> None:
        """Take over a session that was opened; in the opener's thread."""
        self._session = session
        if self._picked_early:
            self._picked_in = session.state.scene
        session.join(self)
        # The picture itself follows; observers of the traits that raise must not prevent it.
        session.audience.call(self._on_scene)

    @property
    def painter(self) -> PainterProtocol | None:
        """The painter; None once the widget is closed."""
        session = self._open
        session.wake()
        return session.painter

    @property
    def busy(self) -> bool:
        """Whether the picture does not show the scene yet, or the painter is still being opened."""
        if (opener := self._pending) is not None:
            return opener.fault is None
        return self._open.busy

    @property
    def last_error(self) -> Exception | None:
        """What went wrong last; None again as soon as a picture was drawn."""
        if (opener := self._pending) is not None:
            return None if opener.fault is None else as_exception(opener.fault)
        return self._open.last_error

    def analyze(
        self,
        prompt: str | None = None,
        *,
        style: str | None = None,
        seed: int | None = None,
        n_steps: int | None = None,
        n_factors: int | None = None,
    ) -> None:
        """Draw a new scene in the background; what is left out stays as it is. ``wait()`` waits for it.

        Args:
            prompt: text; may be empty.
            style: text that does not change what is where; may be empty.
            seed: 0..2**63-1.
            n_steps: sampling steps, 1..4; 1..100 where the scene has guidance, which it keeps.
            n_factors: how many factors it is taken apart into, 1..256.

        Raises:
            TypeError: an argument of the wrong type.
            ValueError: an argument out of range.
        """
        wanted = dict(zip(_FACTS, (prompt, style, seed, n_steps, n_factors), strict=True))
        state = self._open.state
        known = facts(state.scene)
        known["n_factors"] = state.asked or known["n_factors"]
        given = {name: known[name] if v is None else v for name, v in wanted.items()}
        new = NewScene.checked(given, self.scene.guidance, self.scene.remainder.size)
        self._open.analyze(new)

    def add_feature(self, feature: int) -> str:
        """Add a feature to the palette as a factor of its own, named after its label, at strength 0.

        Args:
            feature: index into the SAE, 0..n_features-1.

        Returns:
            The name of the new factor, the last of ``scene``.

        Raises:
            TypeError, ValueError: an unknown feature.
        """
        return self._open.add_feature(feature)

    def refit(self, n_factors: int) -> None:
        """Take the picture apart into another number of factors, keeping what was painted.

        See ``Painter.refit``; in the background, as ``analyze``.
        """
        self._open.vary(Variation.checked("refit", n_factors, self.scene.remainder.size))

    def reseed(self, seed: int, *, edit_only: bool = False) -> None:
        """Apply the same painting to another seed's noise, in the background; see ``Painter.reseed``."""
        self._open.vary(Variation.checked("reseed_edit" if edit_only else "reseed", seed))

    def record(self, path: str | os.PathLike[str], *, ms: int = 500) -> None:
        """Write all steps of the history as a moving picture.

        For what lies between two steps see ``Scene.tween`` and ``Painter.record``.

        Args:
            path: a ``.gif``, ``.webp`` or ``.mp4`` file; one that was there is replaced.
            ms: how long each step is shown, in milliseconds; the last one stays longer.

        Raises:
            ValueError: another kind of file, or no such time.
            ImportError: an MP4 file, and PyAV is not installed.
            OSError: the file cannot be written there.
        """
        form, ms = checked_form(path), checked_ms(ms, 500)
        files.write(Path(path), self._open.animation(form, ms))

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write a page that shows the widget without kernel or network: to look at, not to paint.

        In it are the picture with the scene inside, the unedited picture, the grid and the palette.

        Raises:
            OSError: the file cannot be written there.
        """
        page = to_html.page(self._esm, self._css, self._open.page(), self.scene.prompt)
        files.write(Path(path), page.encode())

    def to_page(self, folder: str | os.PathLike[str]) -> None:
        """Write a page that paints on without Python: widget, scene and model, for any static host.

        It takes about a minute. With the embedded model a visitor fetches 21 MB; see docs/page.md.

        Args:
            folder: where to write. It is made; if it is there, it must be empty or such a page, which is
                replaced.

        Raises:
            RuntimeError: the widget is closed.
            ImportError: the extra packages are not installed: ``pip install 'ember-widgets[page]'``.
            TypeError: the painter is not a ``Painter``; a remote one's model is elsewhere.
            ValueError: a page cannot paint with this painter; the text says why.
            FileExistsError: the folder holds something else.
            OSError: it cannot be written there.
        """
        from ember_widgets.page.folder import write_page

        write_page(self._open.need_painter(), self.scene, folder)

    def to_python(self) -> str:
        """The edits since the scene was new, as a program in the scene's own verbs.

        It needs a ``painter``, and makes an equal scene. Undone strokes are not in it; a stroke that no verb
        can express (for instance around a locked factor) is in it as the strengths that came out. A scene
        that no call can make again is in it as text: one from a photograph (its latents; the photograph
        itself is not kept), and one that was edited before the widget showed it. If the program gets too
        long, the oldest edits, which cannot be undone any more, are replaced by the scene they led to.
        """
        return self._open.program()

    def share(self, title: str = "") -> str:
        """Draw the scene on the painter's server, and show it in the gallery there.

        Args:
            title: what it is called; may be empty.

        Returns:
            The gallery's address.

        Raises:
            TypeError: the painter has no server, or the server no gallery.
            ValueError: the title is too long.
            ConnectionError: the server cannot be reached.
        """
        return self._open.share(checks.text("title", title))

    def undo(self) -> bool:
        """Go one step back; False if there is none."""
        return self._open.step(-1)

    def redo(self) -> bool:
        """Go one step forward again; False if there is none."""
        return self._open.step(1)

    @property
    def steps(self) -> list[Step]:
        """The steps of the history in the order in which they were made; the one shown ``is_current``.

        Each has its number ``step``, the ``name`` that it was given (or ""), and its ``scene``.
        """
        return self._open.steps

    def go(self, step: int) -> None:
        """Go to a step of the history, as a click on the film does; undo leads back.

        Args:
            step: its number, see ``steps``.

        Raises:
            TypeError: not a whole number.
            ValueError: it is not in the history.
        """
        step = checks.whole_number("step", step, hint=_STEPS)
        if not self._open.go(step):
            raise ValueError(f"step={step} is not in the history; {_STEPS}")

    def forget(self, step: int | None = None) -> None:
        """Delete a step of the history; if it is the current one, the step before it is shown.

        Args:
            step: its number, see ``steps``; None = all but the current one and those that have a name.

        Raises:
            TypeError: not a whole number.
            ValueError: it is not in the history, or it is the only one.
        """
        self._open.forget(None if step is None else checks.whole_number("step", step, hint=_STEPS))

    def retry(self) -> None:
        """Try again what failed (see ``last_error``), in the background; ``wait()`` waits for it.

        That is to open the painter, to make a new scene, or to draw; if nothing failed, the scene is drawn
        again.

        Raises:
            RuntimeError: the widget is closed.
        """
        if (opener := self._pending) is not None:
            opener.retry()
        else:
            self._open.retry()

    def keep(self, name: str) -> None:
        """Give the current step of the history a name, under which it stays: see ``kept``.

        Other steps are forgotten when something else is done after undo, and after a hundred further steps.

        Args:
            name: a text that no other step has; "" removes the name.

        Raises:
            TypeError: not text.
            ValueError: another step has this name.
        """
        self._open.keep(checks.text("name", name).strip())

    @property
    def kept(self) -> dict[str, Scene]:
        """The scenes that were given a name, here or in the browser, by their names."""
        return self._open.kept

    def wait(self, timeout: float | None = None) -> None:
        """Block until the picture shows the scene.

        Args:
            timeout: seconds; None = as long as it takes.

        Raises:
            TimeoutError: it was not there in time.
            RuntimeError: it could not be drawn; the cause is ``last_error``.
        """
        if (opener := self._pending) is not None:
            began = time.monotonic()
            opener.session(timeout)
            if timeout is not None:
                timeout = max(0.0, timeout - (time.monotonic() - began))
        self._open.wait(timeout)

    def close(self) -> None:
        """Close the widget in every view; the last one of a scene stops its worker and releases the painter.

        The scene stays readable.
        """
        if self._link is not None:
            self._link.unlink()
            self._link = None
        if self._opener is not None:
            self._opener.close()
        if self._session is not None:
            self._session.leave(self)
        super().close()
        closed.end(self, owns_layout=self._own_layout)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        again = f"{type(self).__name__}(painter, widget.scene)"
        return self._saved.bundle(self, super()._repr_mimebundle_, again, **kwargs)

    def _ipython_display_(self) -> None:
        self._saved.display(self._repr_mimebundle_())

    def _last_picture(self) -> bytes:
        png: bytes = self.image
        return png

    @property
    def _pending(self) -> Opener | None:
        """The opener of the painter; None once there is a session."""
        return self._opener if self._session is None else None

    @property
    def _open(self) -> Session:
        if (opener := self._pending) is not None:
            return opener.session()
        if self._session is None:
            raise RuntimeError("this widget could not be constructed")
        return self._session

    # Called by the session; see ``Viewer``

    def _on_final(self, png: bytes) -> None:
        """The final picture of the scene is there."""
        self.image = png
        self._saved.changed()

    def _own_references(self) -> int:
        """How many references to this widget its own parts hold."""
        viewers = self._open.audience.viewers
        links = [viewer._link for viewer in viewers if isinstance(viewer, PaintWidget)]
        ends = [end[0] for link in links if link is not None for end in (link.source, link.target)]
        by_opener = 2 if self._opener is not None else 0  # its callbacks
        return 1 + by_opener + sum(end is self for end in ends)

    def _on_scene(self) -> None:
        """The scene has changed; called by any thread."""
        # One thread at a time, each with the newest scene: whichever comes last leaves the newest values.
        with self._mirroring:
            old, self._seen = self._seen, self.scene
            self._mirrored = facts(self._seen)
            for name, value in self._mirrored.items():
                setattr(self, name, value)
            # Of another picture the user may have picked a factor already, since the browser had it first.
            if self._picked_in is None or not is_same_picture(self._picked_in, self._seen):
                self._picked_in = self._seen
                self.selected_factor = first_thing(self._seen)
            else:
                self.selected_factor = self._within(self.selected_factor)  # factors may be gone
            if self._seen is not old:
                self._notify_trait("scene", old, self._seen)

    def _within(self, factor: int) -> int:
        """The index of a factor that there is, the nearest; as browsers do."""
        if self._session is None:
            return factor
        return min(factor, max(0, self._session.state.scene.n_factors - 1))

    @traitlets.validate("selected_factor")
    def _of_the_scene(self, proposal: Any) -> int:
        return self._within(proposal.value)

    @traitlets.observe("selected_factor")
    def _note_picked(self, change: Any) -> None:
        if self._session is None:
            self._picked_early = True
        else:
            self._picked_in = self._session.state.scene

    @traitlets.observe("_left")
    def _note_left(self, change: Any) -> None:
        cells.note(self._place, change.new)

    @traitlets.validate(*_FACTS)
    def _only_the_scene_sets(self, proposal: Any) -> Any:
        name, value = proposal.trait.name, proposal.value
        if value != self._mirrored[name]:
            raise traitlets.TraitError(
                f"{name} belongs to the scene; draw another one with analyze({name}={shown(value)})"
            )
        return value
