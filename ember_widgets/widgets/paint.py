"""PaintWidget: a picture with a paintable grid over it, in a notebook."""

from __future__ import annotations

import base64
import threading
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from ember_widgets._checks import shown
from ember_widgets.scene import Scene
from ember_widgets.widgets._asked import (
    DEFAULT_N_FACTORS,
    NewScene,
    PainterLike,
    check_keywords,
    check_painter,
    check_scene,
    facts,
    rendered,
)
from ember_widgets.widgets._python import program
from ember_widgets.widgets._session import Session

__all__ = ["PaintWidget", "PainterLike"]

_STATIC = Path(__file__).parent / "static"
_KEYWORDS = ("prompt", "seed", "n_steps", "n_factors", "layout")


class PaintWidget(anywidget.AnyWidget):
    """Paint a scene by hand.

    The picture follows the hand while it paints, drags, erases and moves sliders; ``scene`` is always what is
    seen. The browser keeps nothing: a reloaded page, or a second view, shows the same.

    Args:
        painter: an object with ``analyze`` and ``render``, e.g. ``ember.Painter.embedded()``. A thread of
            the widget's own calls it.
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
        >>> widget = PaintWidget(ember.Painter.embedded(), seed=3)                       # doctest: +SKIP
        >>> widget.scene = widget.scene.move(0, d_row=-2, d_col=4)                       # doctest: +SKIP
    """

    # Text and not a path: anywidget ties every instance that has a path to a watcher that outlives it.
    _esm = traitlets.Unicode((_STATIC / "paint.js").read_text(encoding="utf-8")).tag(sync=True)
    _css = traitlets.Unicode((_STATIC / "paint.css").read_text(encoding="utf-8")).tag(sync=True)

    # from_json: bytes from a browser come as a memoryview, which the trait would refuse where nobody sees it.
    image = traitlets.Bytes(help="The settled picture as PNG; what a saved notebook shows.").tag(
        sync=True, echo_update=False, from_json=lambda value, widget: bytes(value)
    )
    prompt = traitlets.Unicode(help="The scene's prompt; draw another one with analyze(prompt=...).")
    seed = traitlets.Int(help="The scene's seed; draw another one with analyze(seed=...).")
    n_steps = traitlets.Int(1, help="The scene's sampling steps, 1..4.")
    n_factors = traitlets.Int(DEFAULT_N_FACTORS, help="How many factors the picture was taken apart into.")

    # None until the constructor is through: ipywidgets closes what it could not construct.
    _session: Session | None = None

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
        self._mirroring = threading.RLock()
        self._mirrored = facts(scene)
        session = self._session = Session(
            painter, scene, picture, send=self.send, on_scene=self._mirror, on_final=self._keep
        )
        # The first picture travels with the widget's first message: a page that only looks needs no more.
        super().__init__(image=picture.encoded("final"), **self._mirrored, **kwargs)
        self.on_msg(lambda _, content, buffers: session.receive(content, buffers))

    @property
    def painter(self) -> PainterLike | None:
        """The painter; None once the widget is closed."""
        return self._open.painter

    @property
    def scene(self) -> Scene:
        """The scene as painted so far; assign another one to show it in every view."""
        return self._open.state.scene

    @scene.setter
    def scene(self, scene: Scene) -> None:
        check_scene(scene)
        self._open.assign(scene)

    @property
    def busy(self) -> bool:
        """Whether the picture is behind the scene."""
        return self._open.busy

    @property
    def last_error(self) -> Exception | None:
        """What went wrong last; None again as soon as a picture was drawn."""
        return self._open.last_error

    def analyze(
        self,
        prompt: str | None = None,
        *,
        seed: int | None = None,
        n_steps: int | None = None,
        n_factors: int | None = None,
    ) -> None:
        """Draw a new scene in the background; what is left out stays as it is. ``wait()`` waits for it.

        Args:
            prompt: text; may be empty.
            seed: 0..2**63-1.
            n_steps: sampling steps, 1..4.
            n_factors: how many factors it is taken apart into, 1..256.

        Raises:
            TypeError: an argument of the wrong type.
            ValueError: an argument out of range.
        """
        wanted = {"prompt": prompt, "seed": seed, "n_steps": n_steps, "n_factors": n_factors}
        known = facts(self.scene)
        new = NewScene.checked({name: known[name] if v is None else v for name, v in wanted.items()})
        self._open.analyze(new)

    def add_feature(self, feature: int) -> str:
        """Add a feature to the palette as a factor of its own, named after its label; it is nowhere yet.

        Args:
            feature: index into the SAE, 0..n_features-1.

        Returns:
            The name of the new factor, the last of ``scene``.

        Raises:
            TypeError, ValueError: an unknown feature.
        """
        return self._open.add_feature(feature)

    def to_python(self) -> str:
        """What was done since the scene was new, as a program with the scene's own verbs.

        A ``painter`` must be there where it runs. Undone strokes are not in it; a stroke that no verb can say
        (for instance around a locked factor) is in it as the strengths that came out.
        """
        return program(self._open.state)

    def undo(self) -> bool:
        """Go one step back; False if there is none."""
        return self._open.step(-1)

    def redo(self) -> bool:
        """Go one step forward again; False if there is none."""
        return self._open.step(1)

    def wait(self, timeout: float | None = None) -> None:
        """Block until the picture shows the scene.

        Args:
            timeout: seconds; None = as long as it takes.

        Raises:
            TimeoutError: it was not there in time.
            RuntimeError: it could not be drawn; the cause is ``last_error``.
        """
        self._open.wait(timeout)

    def close(self) -> None:
        """End the widget in every view, stop its worker, let go of the painter. The scene stays readable."""
        if self._session is not None:
            self._session.close()
        super().close()

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle: tuple[dict[str, Any], dict[str, Any]] | None = super()._repr_mimebundle_(**kwargs)
        if bundle is not None:
            # Notebooks do not keep a widget's state by default; with this a saved one shows the picture.
            bundle[0]["image/png"] = base64.b64encode(self.image).decode("ascii")
        return bundle

    @property
    def _open(self) -> Session:
        if self._session is None:
            raise RuntimeError("this widget could not be constructed")
        return self._session

    def _keep(self, png: bytes) -> None:
        self.image = png

    def _mirror(self) -> None:
        # One thread at a time, each with the newest scene: whichever comes last leaves the truth behind.
        with self._mirroring:
            self._mirrored = facts(self.scene)
            for name, value in self._mirrored.items():
                setattr(self, name, value)

    @traitlets.validate("prompt", "seed", "n_steps", "n_factors")
    def _only_the_scene_sets(self, proposal: Any) -> Any:
        name, value = proposal.trait.name, proposal.value
        if value != self._mirrored[name]:
            raise traitlets.TraitError(
                f"{name} belongs to the scene; draw another one with analyze({name}={shown(value)})"
            )
        return value
