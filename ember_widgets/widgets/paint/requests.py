"""Requests to a painter, by a user or a browser, and the checks of requests and results."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from PIL import Image

from ember_widgets.painter.protocol import (
    N_FACTORS,
    Guides,
    PainterProtocol,
    Previews,
    Refits,
    Reseeds,
    Styles,
    Sweeps,
    TriesSeeds,
    offered,
)
from ember_widgets.scene import site_names
from ember_widgets.scene.scene import Scene
from ember_widgets.util import checks
from ember_widgets.util.checks import shown
from ember_widgets.widgets.shared.pictures import Picture

# No name in Python, so a sentence that is shown may write them with a capital.
PLAIN_WORDS = tuple(f"{word} " for word in ("a", "an", "no", "nothing", "the", "there", "these", "this"))


@dataclass(frozen=True, kw_only=True)
class NewScene:
    """A request for a new scene."""

    prompt: str
    seed: int
    n_steps: int
    n_factors: int
    style: str = ""
    guidance: float | None = None
    """None = the painter's own."""

    @classmethod
    def checked(
        cls, wanted: Mapping[str, Any], guidance: float = 0.0, n_patches: int | None = None
    ) -> NewScene:
        """Read ``wanted``; what is None gets its default.

        Args:
            wanted: fields by their names.
            guidance: the scale it will be drawn with; it limits the number of steps.
            n_patches: of the picture; there can be no more factors. None = not known; the painter checks.

        Raises:
            TypeError: a value of the wrong type.
            ValueError: a value out of range.
        """
        given = {"prompt": "", "seed": 0, "n_steps": 1, "n_factors": N_FACTORS, "style": ""}
        given |= {name: value for name, value in wanted.items() if value is not None}
        return cls(
            prompt=checks.text("prompt", given["prompt"]),
            style=checks.text("style", given["style"]),
            seed=checks.seed(given["seed"]),
            n_steps=checks.n_steps(given["n_steps"], guidance),
            n_factors=checks.n_factors(given["n_factors"], n_patches),
        )

    def guided_as(self, scene: Scene, painter: PainterProtocol) -> NewScene:
        """The same, with the guidance of a scene."""
        own = offered(painter, Guides) is None or scene.guidance == guidance_of(painter)
        return self if own else replace(self, guidance=scene.guidance)

    def made_by(self, painter: PainterProtocol) -> Scene:
        """Make it with a painter.

        Raises:
            TypeError: the painter offers no styles, or does not return a scene.
        """
        # Painters that do not offer these do not take the keywords either.
        more: dict[str, Any] = {}
        if self.style:
            check_styles(painter)
            more["style"] = self.style
        if self.guidance is not None and offered(painter, Guides) is not None:
            more["guidance"] = self.guidance
        scene: object = painter.analyze(
            self.prompt, seed=self.seed, n_steps=self.n_steps, n_factors=self.n_factors, **more
        )
        return _made_scene("analyze", scene)


VARIATIONS = {"refit": "n_factors", "reseed": "seed", "reseed_edit": "seed"}
"""The variations of a scene that some painters offer, with their argument; see ``Painter``.

``reseed_edit`` is ``reseed(edit_only=True)``."""


@dataclass(frozen=True)
class Variation:
    """A request for a variation of the scene as painted: one of ``VARIATIONS`` and its argument."""

    verb: str
    value: int

    @classmethod
    def checked(cls, verb: object, value: object, n_patches: int | None = None) -> Variation:
        """Read a request.

        Raises:
            TypeError, ValueError: an unknown verb, or an invalid number.
        """
        if verb not in VARIATIONS:
            raise ValueError(f"verb={shown(verb)} is unknown; choose one of {', '.join(VARIATIONS)}")
        is_refit = verb == "refit"
        return cls(str(verb), checks.n_factors(value, n_patches) if is_refit else checks.seed(value))

    @property
    def line(self) -> str:
        """The same as a line of Python."""
        verb, more = ("reseed", ", edit_only=True") if self.verb == "reseed_edit" else (self.verb, "")
        return f"scene = painter.{verb}(scene, {VARIATIONS[self.verb]}={self.value}{more})"

    def made_by(self, painter: PainterProtocol, scene: Scene) -> Scene:
        """Make it with a painter.

        Raises:
            TypeError: the painter offers no such variation, or does not return a scene.
        """
        varied: object
        if self.verb == "refit":
            varied = needed(painter, Refits, "refit").refit(scene, self.value)
        elif self.verb == "reseed_edit":
            able = needed(painter, TriesSeeds, "robustness")
            varied = able.reseed(scene, self.value, edit_only=True)
        else:
            varied = needed(painter, Reseeds, "reseed").reseed(scene, self.value)
        return _made_scene(self.verb, varied)


def _made_scene(verb: str, scene: object) -> Scene:
    if not isinstance(scene, Scene):
        raise TypeError(f"painter.{verb}() gave {shown(scene)}; it has to give a Scene")
    return scene


Capability = TypeVar("Capability")


def needed(painter: PainterProtocol, capability: type[Capability], verb: str) -> Capability:
    """The painter, as one that offers a capability.

    Raises:
        TypeError: it does not offer it.
    """
    able = offered(painter, capability)
    if able is None:
        raise TypeError(f"this painter has no {verb}(); ember.Painter has")
    return able


def swept(painter: PainterProtocol, scene: Scene, factor: int) -> Image.Image:
    """A sheet of a factor's strengths and seeds.

    Raises:
        TypeError: the painter draws none.
    """
    return needed(painter, Sweeps, "sweep").sweep(scene, factor)


def check_styles(painter: PainterProtocol) -> None:
    """Refuse a painter that offers no styles.

    Raises:
        TypeError: it does not.
    """
    if offered(painter, Styles) is None:
        raise TypeError("this painter has no styles; ember.Painter has")


def guidance_of(painter: object) -> float:
    """The guidance scale of a painter's new scenes; 0 if it has none."""
    guides = offered(painter, Guides)
    return 0.0 if guides is None else float(guides.guidance)


def facts(scene: Scene) -> dict[str, Any]:
    """The fields of the ``NewScene`` that a scene comes from."""
    return {
        "prompt": scene.prompt,
        "style": scene.style,
        "seed": scene.seed,
        "n_steps": scene.n_steps,
        # A blank canvas was not analysed, and concepts are as many as can be seen: then it is the default.
        "n_factors": (0 if scene.model.get("concepts") else max(n_analyzed(scene).values())) or N_FACTORS,
    }


def n_analyzed(scene: Scene) -> dict[str, int]:
    """How many factors the picture was taken apart into, for each site by its short name."""
    if scene.sites is None:
        return {"": scene.base_strengths.shape[2]}
    analysed = scene.original()
    found = [analysed.site(factor) for factor in range(analysed.n_factors)]
    return {site_names.short(site): found.count(site) for site in scene.sites}


def rendered(
    painter: PainterProtocol,
    scene: Scene,
    *,
    reduced: bool = False,
    cancelled: Callable[[], bool] | None = None,
) -> Picture:
    """Draw a scene with a painter, and measure the time.

    Args:
        painter: draws.
        scene: what to draw.
        reduced: draw it faster in lower quality, if the painter offers ``Previews``.
        cancelled: asked at intervals whether to stop, if the painter offers ``Previews``.

    Raises:
        Cancelled: `cancelled` returned True.
    """
    began = time.perf_counter()
    previewer = offered(painter, Previews)
    if previewer is not None and reduced:
        image = previewer.render(scene, preview=True)
    elif previewer is not None and cancelled is not None:
        image = previewer.render(scene, cancelled=cancelled)
    else:
        reduced, image = False, painter.render(scene)
    return Picture.of(image, 1000 * (time.perf_counter() - began), reduced, scene)


def previews(painter: PainterProtocol, scene: Scene) -> bool:
    """Whether a painter draws a reduced picture of a scene faster than the full one."""
    previewer = offered(painter, Previews)
    return previewer is not None and previewer.previews(scene)


def check_no_class(painter: object) -> None:
    """Refuse a class in the place of a painter: it has the same methods, but nothing to call them on."""
    if isinstance(painter, type):
        raise TypeError(
            f"painter={shown(painter)} is a class; give a painter that is made of it, "
            "e.g. ember.Painter.embedded()"
        )


def check_scene(scene: object) -> Scene:
    """Refuse anything that is not a scene."""
    if not isinstance(scene, Scene):
        raise TypeError(
            f"scene={shown(scene)} is not a Scene; make one with painter.analyze() or Scene.load(path)"
        )
    return scene


def check_keywords(given: Iterable[str], known: tuple[str, ...], owner: str = "PaintWidget") -> None:
    """Refuse an unknown keyword; anywidget itself would only warn."""
    for name in given:
        if name in known:
            continue
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}=?" if close else f"choose from {', '.join(known)}"
        raise TypeError(f"{owner} has no keyword {name}=; {hint}")


def last_line(fault: BaseException) -> str:
    """An exception in one line. A library's message may be a page long; its last line says what happened."""
    lines = [line.strip() for line in str(fault).splitlines() if line.strip()]
    text = lines[-1] if lines else ""
    if isinstance(fault, MemoryError) and not text:  # as Python raises it
        text = "there was not enough memory; close other notebooks, or choose a smaller model or dtype"
    if isinstance(fault, (TypeError, ValueError)) and text:
        return text
    return f"{type(fault).__name__}: {text}" if text else type(fault).__name__


def sentence(fault: BaseException) -> str:
    """The last line, to be shown: with a capital, unless its first word may be a name in Python."""
    line = last_line(fault)
    return line[0].upper() + line[1:] if line.startswith(PLAIN_WORDS) else line


def as_exception(fault: BaseException) -> Exception:
    """The fault as ``last_error`` can hold it: SystemExit and the like are wrapped."""
    if isinstance(fault, Exception):
        return fault
    wrapped = RuntimeError(f"the work was ended by {last_line(fault)}")
    wrapped.__cause__ = fault
    return wrapped
