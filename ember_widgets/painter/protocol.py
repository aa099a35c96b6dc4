"""What the widgets and figures need of a painter, and what a painter may offer besides.

Every painter analyses and renders: `PainterProtocol`. All else is a capability, declared here. A painter
offers a capability by having its methods and attributes. A painter that knows its abilities only when it
runs (the model may be on a server) lists their names in `capabilities`. Code that needs a capability asks
`offered` for it and gets None where it is missing; nothing else probes a painter's attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from inspect import getattr_static
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, runtime_checkable

from PIL import Image
from typing_extensions import get_protocol_members

from ember_widgets.features.icons import Icons
from ember_widgets.features.labels import Labels
from ember_widgets.features.statistics import Statistics
from ember_widgets.scene.scene import Scene
from ember_widgets.util.checks import shown

if TYPE_CHECKING:
    from ember_widgets.dictionary.sae import SAE
    from ember_widgets.painter.inspection import Inspection


@runtime_checkable
class PainterProtocol(Protocol):
    """What every painter does. Its methods may be called from any thread; locks are the painter's matter."""

    def analyze(self, prompt: str = "", *, seed: int = 0, n_steps: int = 1, n_factors: int = 5) -> Scene:
        """Generate a picture and take it apart into factors."""

    def render(self, scene: Scene) -> Image.Image:
        """Draw a scene."""


class Styles(Protocol):
    """`analyze` takes `style=`."""

    styles: bool


class Guides(Protocol):
    """`analyze` takes `guidance=`; `guidance` is the scale it takes unless told."""

    guidance: float


class Previews(Protocol):
    """Scenes can be drawn sooner than in full, and work that nobody wants any more can be ended."""

    def previews(self, scene: Scene) -> bool:
        """Whether a preview of this scene is sooner done than its picture."""

    def render(
        self, scene: Scene, *, preview: bool = False, stale: Callable[[], bool] | None = None
    ) -> Image.Image:
        """Draw a scene; see `Painter.render`."""


class Refits(Protocol):
    """What was painted can be carried over to another number of factors."""

    def refit(self, scene: Scene, n_factors: int) -> Scene:
        """The scene with another number of factors."""


class Reseeds(Protocol):
    """What was painted can be carried over to another seed."""

    def reseed(self, scene: Scene, seed: int) -> Scene:
        """The scene with another seed."""


class Sweeps(Protocol):
    """A sheet of a factor's strengths and seeds can be drawn."""

    def sweep(self, scene: Scene, factor: int | str) -> Image.Image:
        """A contact sheet of strengths × seeds."""


class Inspects(Protocol):
    """Runs can be looked into, patch by patch, at the sites of `saes`."""

    saes: Mapping[str, SAE]

    def inspect(
        self, scene: Scene, *, step: int = 0, site: str | None = None, edited: bool = True
    ) -> Inspection:
        """What the SAE and the factors make of every patch."""


class HasLabels(Protocol):
    """Features have labels: {feature of a scene: text}."""

    labels: Labels


class HasIcons(Protocol):
    """Icons of features are kept."""

    @property
    def icons(self) -> Icons:
        """The icons made so far."""


class DrawsIcons(Protocol):
    """An icon can be drawn of any feature."""

    def icon(self, feature: int) -> Image.Image:
        """What a feature draws on its own."""

    def draw_icons(self, features: Sequence[int]) -> list[Image.Image]:
        """Icons of several features, sooner than one by one."""


class HasStatistics(Protocol):
    """It is known how often and how strongly features are active."""

    @property
    def statistics(self) -> Statistics | None:
        """Statistics of all features; None where nothing was collected."""


CAPABILITIES: Mapping[str, type[Any]] = {
    "styles": Styles,
    "guidance": Guides,
    "previews": Previews,
    "refit": Refits,
    "reseed": Reseeds,
    "sweep": Sweeps,
    "inspect": Inspects,
    "labels": HasLabels,
    "icons": HasIcons,
    "draw_icons": DrawsIcons,
    "statistics": HasStatistics,
}
"""Every capability by its name."""

Capability = TypeVar("Capability")


def offered(painter: object, capability: type[Capability]) -> Capability | None:
    """The painter, if it offers a capability; else None.

    Args:
        painter: Any painter.
        capability: One of `CAPABILITIES`' protocols.

    Example:
        >>> if refits := offered(painter, Refits):             # doctest: +SKIP
        ...     scene = refits.refit(scene, 4)
    """
    name = next(name for name, known in CAPABILITIES.items() if known is capability)
    # Looked up without running them: a property may open a file or ask a server.
    has_all = all(
        getattr_static(painter, member, None) is not None for member in get_protocol_members(capability)
    )
    listed: Collection[str] | None = painter.capabilities if isinstance(painter, _Lists) else None
    return cast(Capability, painter) if has_all and (listed is None or name in listed) else None


def capabilities(painter: object) -> tuple[str, ...]:
    """The names of all that a painter offers besides `analyze` and `render`."""
    return tuple(name for name, known in CAPABILITIES.items() if offered(painter, known) is not None)


def check_painter(painter: object) -> None:
    """Refuse what cannot paint.

    Raises:
        TypeError: it lacks `analyze` or `render`.
    """
    if not isinstance(painter, PainterProtocol):
        missing = "analyze" if not isinstance(painter, _Analyzes) else "render"
        raise TypeError(
            f"painter={shown(painter)} has no {missing}(); give a Painter, e.g. ember.Painter.embedded()"
        )


@runtime_checkable
class _Analyzes(Protocol):
    def analyze(self, prompt: str = "") -> Scene: ...


@runtime_checkable
class _Lists(Protocol):
    capabilities: Collection[str]
