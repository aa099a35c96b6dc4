"""What a user or a browser asks a painter for, and the checks on both sides of it."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from PIL import Image

from ember_widgets.scene import site_names
from ember_widgets.scene.scene import GRID, Scene
from ember_widgets.util import checks
from ember_widgets.util.checks import shown
from ember_widgets.widgets.shared.pictures import Picture

DEFAULT_N_FACTORS = 5
MAX_FACTORS = GRID * GRID
MAX_PROMPT = 4000


class PainterLike(Protocol):
    """What the widget needs of a painter. A worker thread calls it: locks are the painter's matter."""

    def analyze(self, prompt: str = "", *, seed: int = 0, n_steps: int = 1, n_factors: int = 5) -> Scene:
        """Generate a picture and take it apart into factors."""

    def render(self, scene: Scene) -> Image.Image:
        """Draw a scene."""


@dataclass(frozen=True, kw_only=True)
class NewScene:
    """What a new scene is to be made from."""

    prompt: str
    seed: int
    n_steps: int
    n_factors: int
    style: str = ""
    guidance: float | None = None
    """Where it is not the painter's own."""

    @classmethod
    def checked(cls, wanted: Mapping[str, Any], guidance: float = 0.0) -> NewScene:
        """Read ``wanted``; what is None gets its default.

        Args:
            wanted: fields by their names.
            guidance: the scale it will be drawn with, which says how many steps there may be.

        Raises:
            TypeError: a value of the wrong type.
            ValueError: a value out of range.
        """
        given = {"prompt": "", "seed": 0, "n_steps": 1, "n_factors": DEFAULT_N_FACTORS, "style": ""}
        given |= {name: value for name, value in wanted.items() if value is not None}
        return cls(
            prompt=_text("prompt", given["prompt"]),
            style=_text("style", given["style"]),
            seed=checks.seed(given["seed"]),
            n_steps=checks.n_steps(given["n_steps"], guidance),
            n_factors=_n_factors(given["n_factors"]),
        )

    def guided_as(self, scene: Scene, painter: PainterLike | None) -> NewScene:
        """The same, with the guidance that a scene has."""
        own = scene.guidance == guidance_of(painter)
        return self if own else replace(self, guidance=scene.guidance)

    def drawn(self, painter: PainterLike) -> Scene:
        """Ask a painter for it."""
        # Only painters that know styles, and guidance, are asked for them.
        more: dict[str, Any] = {"style": self.style} if self.style else {}
        if self.guidance is not None:
            more["guidance"] = self.guidance
        scene: object = painter.analyze(
            self.prompt, seed=self.seed, n_steps=self.n_steps, n_factors=self.n_factors, **more
        )
        if not isinstance(scene, Scene):
            raise TypeError(f"painter.analyze() gave {shown(scene)}; it has to give a Scene")
        return scene


VARIATIONS = {"refit": "n_factors", "reseed": "seed"}
"""What a painter may be able to make of a scene, and what it is told; see ``Painter``."""


@dataclass(frozen=True)
class Variation:
    """One of ``VARIATIONS`` to be made of the scene as painted."""

    verb: str
    value: int

    @classmethod
    def checked(cls, verb: object, value: object) -> Variation:
        """Read what a browser said.

        Raises:
            TypeError, ValueError: an unknown verb, or no such number.
        """
        if verb not in VARIATIONS:
            raise ValueError(f"verb={shown(verb)} is unknown; choose one of {', '.join(VARIATIONS)}")
        return cls(str(verb), _n_factors(value) if verb == "refit" else checks.seed(digits(value)))

    @property
    def line(self) -> str:
        """The same as Python."""
        return f"scene = painter.{self.verb}(scene, {VARIATIONS[self.verb]}={self.value})"

    def drawn(self, painter: PainterLike, scene: Scene) -> Scene:
        """Ask a painter for it."""
        varied: object = able(painter, self.verb)(scene, self.value)
        if not isinstance(varied, Scene):
            raise TypeError(f"painter.{self.verb}() gave {shown(varied)}; it has to give a Scene")
        return varied


def able(painter: PainterLike, verb: str) -> Callable[..., Any]:
    """A method that not every painter has.

    Raises:
        TypeError: this one has not.
    """
    method: Callable[..., Any] | None = getattr(painter, verb, None)
    if not callable(method):
        raise TypeError(f"this painter has no {verb}(); ember.Painter has")
    return method


def digits(value: object) -> object:
    """Text of digits as a number: a seed goes up to 2**63 - 1, and a browser's numbers do not."""
    readable = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19
    return int(str(value)) if readable else value


def _text(name: str, value: object) -> str:
    text = checks.text(name, value)
    if len(text) > MAX_PROMPT:
        raise ValueError(f"{name} has {len(text)} characters; {MAX_PROMPT} are the most")
    return text


def _n_factors(value: object) -> int:
    number = checks.whole("n_factors", value, 1, MAX_FACTORS)
    if not 1 <= number <= MAX_FACTORS:
        raise ValueError(
            f"n_factors={number}, but an image has {MAX_FACTORS} patches; "
            f"choose 1..{MAX_FACTORS} (3..8 reads best)"
        )
    return number


def previews(painter: object, scene: Scene) -> bool:
    """Whether a painter can show a scene sooner than in full (``preview=``, ``cancelled=``)."""
    can = getattr(painter, "previews", None)
    return callable(can) and bool(can(scene))


def guidance_of(painter: object) -> float:
    """The scale of guidance that a painter draws new scenes with; 0 where it knows none."""
    return float(getattr(painter, "guidance", 0.0))


def facts(scene: Scene) -> dict[str, Any]:
    """The fields of ``NewScene`` that a scene comes from."""
    return {
        "prompt": scene.prompt,
        "style": scene.style,
        "seed": scene.seed,
        "n_steps": scene.n_steps,
        # A blank canvas was not taken apart at all; the form then offers the default.
        "n_factors": max(n_analyzed(scene).values()) or DEFAULT_N_FACTORS,
    }


def n_analyzed(scene: Scene) -> dict[str, int]:
    """How many factors the picture was taken apart into, for each site by its short name."""
    if scene.sites is None:
        return {"": scene.base_strengths.shape[2]}
    analysed = scene.original()
    found = [analysed.site(factor) for factor in range(analysed.n_factors)]
    return {site_names.short(site): found.count(site) for site in scene.sites}


def rendered(
    painter: PainterLike, scene: Scene, *, rough: bool = False, stale: Callable[[], bool] | None = None
) -> Picture:
    """Ask a painter for a scene's picture, and take the time.

    Args:
        painter: draws.
        scene: what to draw.
        rough: as fast as it goes; only where there are ``previews``.
        stale: whether to give up, which is asked now and then; only there, too.

    Raises:
        Cancelled: it said so.
    """
    began = time.perf_counter()
    wishes: dict[str, Any] = {"preview": True} if rough else {} if stale is None else {"cancelled": stale}
    image = painter.render(scene, **wishes)
    return Picture.of(image, 1000 * (time.perf_counter() - began), rough)


def check_painter(painter: object) -> None:
    """Refuse what cannot paint."""
    for name in ("analyze", "render"):
        if not callable(getattr(painter, name, None)):
            raise TypeError(
                f"painter={shown(painter)} has no {name}(); give a Painter, e.g. ember.Painter.embedded()"
            )


def check_scene(scene: object) -> None:
    """Refuse what is no scene."""
    if not isinstance(scene, Scene):
        raise TypeError(
            f"scene={shown(scene)} is not a Scene; make one with painter.analyze() or Scene.load(path)"
        )


def check_keywords(given: Iterable[str], known: tuple[str, ...], owner: str = "PaintWidget") -> None:
    """Refuse a keyword that is not among the known ones; anywidget itself would only warn."""
    for name in given:
        if name in known:
            continue
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}=?" if close else f"choose from {', '.join(known)}"
        raise TypeError(f"{owner} has no keyword {name}=; {hint}")


def last_line(fault: BaseException) -> str:
    """A fault in one line. A library's message may be a page long; its last line says what happened."""
    lines = [line.strip() for line in str(fault).splitlines() if line.strip()]
    text = lines[-1] if lines else ""
    if isinstance(fault, (TypeError, ValueError)) and text:
        return text
    return f"{type(fault).__name__}: {text}" if text else type(fault).__name__
