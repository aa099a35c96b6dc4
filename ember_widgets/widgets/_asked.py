"""What a user or a browser asks a painter for, and the checks on both sides of it."""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from PIL import Image

from ember_widgets import _checks
from ember_widgets._checks import shown
from ember_widgets.scene import GRID, Scene
from ember_widgets.widgets._picture import Picture

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

    @classmethod
    def checked(cls, wanted: Mapping[str, Any]) -> NewScene:
        """Read ``wanted``; what is None gets its default.

        Raises:
            TypeError: a value of the wrong type.
            ValueError: a value out of range.
        """
        given = {"prompt": "", "seed": 0, "n_steps": 1, "n_factors": DEFAULT_N_FACTORS}
        given |= {name: value for name, value in wanted.items() if value is not None}
        prompt = _checks.text("prompt", given["prompt"])
        if len(prompt) > MAX_PROMPT:
            raise ValueError(f"prompt has {len(prompt)} characters; {MAX_PROMPT} are the most")
        return cls(
            prompt=prompt,
            seed=_checks.seed(given["seed"]),
            n_steps=_checks.n_steps(given["n_steps"]),
            n_factors=_n_factors(given["n_factors"]),
        )

    def drawn(self, painter: PainterLike) -> Scene:
        """Ask a painter for it."""
        scene: object = painter.analyze(
            self.prompt, seed=self.seed, n_steps=self.n_steps, n_factors=self.n_factors
        )
        if not isinstance(scene, Scene):
            raise TypeError(f"painter.analyze() gave {shown(scene)}; it has to give a Scene")
        return scene


def _n_factors(value: object) -> int:
    number = _checks.whole("n_factors", value, 1, MAX_FACTORS)
    if not 1 <= number <= MAX_FACTORS:
        raise ValueError(
            f"n_factors={number}, but an image has {MAX_FACTORS} patches; "
            f"choose 1..{MAX_FACTORS} (3..8 reads best)"
        )
    return number


def facts(scene: Scene) -> dict[str, Any]:
    """The fields of ``NewScene`` that a scene comes from."""
    return {
        "prompt": scene.prompt,
        "seed": scene.seed,
        "n_steps": scene.n_steps,
        # A blank canvas was not taken apart at all; the form then offers the default.
        "n_factors": scene.base_strengths.shape[2] or DEFAULT_N_FACTORS,
    }


def rendered(painter: PainterLike, scene: Scene) -> Picture:
    """Ask a painter for a scene's picture, and take the time."""
    began = time.perf_counter()
    image = painter.render(scene)
    return Picture.of(image, 1000 * (time.perf_counter() - began))


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
