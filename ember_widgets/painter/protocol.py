"""What widgets and figures need from a painter, and what else a painter may offer.

Every painter analyses and renders: `PainterProtocol`. All else is a capability, declared here. A painter
offers a capability by having its methods and attributes. A painter that knows its capabilities only when it
runs (the model may be on a server) lists their names in `capabilities`. Code that needs a capability asks
`offered` for it and gets None if it is missing; no other code probes a painter's attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from inspect import getattr_static
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, cast, runtime_checkable

from PIL import Image
from typing_extensions import get_protocol_members

from ember_widgets.features.icons import Icons
from ember_widgets.features.labels import Labels
from ember_widgets.features.statistics import Statistics
from ember_widgets.scene.scene import Scene
from ember_widgets.util.checks import shown

if TYPE_CHECKING:
    import os

    from ember_widgets.dictionary.sae import SAE
    from ember_widgets.features.collection import Collection as Pictures
    from ember_widgets.features.concepts import ConceptBank
    from ember_widgets.labelling.forecast import LabelForecast
    from ember_widgets.labelling.question import LabelClient, Price
    from ember_widgets.labelling.run import LabelProgress, LabelRun
    from ember_widgets.painter.inspection import Inspection
    from ember_widgets.painter.prompt_notes import PromptNotes
    from ember_widgets.painter.robustness import Robustness, SeedTrial


N_FACTORS = 5
"""How many factors `analyze` finds if it is not said."""

Connection = Literal["connected", "reconnecting", "closed"]
"""How the connection to a server is: "reconnecting" while it is broken and tried again."""


@runtime_checkable
class PainterProtocol(Protocol):
    """What every painter does. Its methods may be called from any thread; the painter takes care of locks."""

    def analyze(
        self, prompt: str = "", *, seed: int = 0, n_steps: int = 1, n_factors: int = N_FACTORS
    ) -> Scene:
        """Generate a picture and take it apart into factors."""

    def render(self, scene: Scene) -> Image.Image:
        """Draw a scene."""


class Styles(Protocol):
    """`analyze` takes `style=`, and `render` draws scenes that have a style."""

    @property
    def styles(self) -> bool:
        """True."""


class Guides(Protocol):
    """`analyze` takes `guidance=`; `guidance` is the default scale."""

    @property
    def guidance(self) -> float:
        """Scale of classifier-free guidance; 0 = none."""


class Previews(Protocol):
    """Scenes can be drawn faster than in full, and drawing can be cancelled."""

    def previews(self, scene: Scene) -> bool:
        """Whether a preview of this scene is faster than its picture."""

    def render(
        self, scene: Scene, *, preview: bool = False, cancelled: Callable[[], bool] | None = None
    ) -> Image.Image:
        """Draw a scene; see `Painter.render`.

        Raises:
            Cancelled: `cancelled` returned True.
        """


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
    """Runs can be inspected, patch by patch, at the sites of `saes`. Figures and PatchInspector need this."""

    @property
    def saes(self) -> Mapping[str, SAE]:
        """{site: SAE}, in the order of the network."""

    def inspect(
        self, scene: Scene, *, step: int = 0, site: str | None = None, edited: bool = True
    ) -> Inspection:
        """How the SAE and the factors explain every patch."""

    def render(self, scene: Scene) -> Image.Image:
        """Draw a scene."""


class HasLabels(Protocol):
    """Features have labels: {feature of a scene: text}."""

    @property
    def labels(self) -> Labels:
        """{feature of a scene: text}, may be empty."""


class HasIcons(Protocol):
    """Icons of features are kept."""

    @property
    def icons(self) -> Icons:
        """The icons made so far."""


class DrawsIcons(Protocol):
    """An icon can be drawn of any feature."""

    def icon(self, feature: int) -> Image.Image:
        """What a feature draws on its own."""


class DrawsManyIcons(Protocol):
    """Icons of many features can be drawn at once."""

    def draw_icons(self, features: Sequence[int]) -> list[Image.Image]:
        """Icons of several features, faster than one by one."""


class HasStatistics(Protocol):
    """How often and how strongly features are active may be known."""

    @property
    def statistics(self) -> Statistics | None:
        """Statistics of all features; None if nothing was measured."""


class NotesPrompts(Protocol):
    """The painter can say what its model does not read of a prompt. One that reads all does not need this."""

    @property
    def known_words(self) -> Sequence[str]:
        """The words that the model knows; empty = any."""

    def prompt_notes(self, prompt: str, style: str | None = None) -> PromptNotes:
        """What the model does not read of a prompt; with a style, of the style that follows the prompt."""


class TriesSeeds(Protocol):
    """An edit can be tried on other seeds."""

    def reseed(self, scene: Scene, seed: int, *, edit_only: bool = False) -> Scene:
        """The scene with another seed; with `edit_only`, the edit on that seed's own picture."""

    def robustness(
        self,
        scene: Scene,
        seeds: int | Iterable[int] = 8,
        *,
        progress: bool = True,
        on_seed: Callable[[SeedTrial], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Robustness:
        """How much the edit changes the pictures of other seeds; see `Painter.robustness`.

        Raises:
            ValueError: Nothing is painted in the scene.
            Cancelled: `cancelled` returned True.
        """


class HasConcepts(Protocol):
    """A bank of concepts may be set: features that belong together in many pictures."""

    @property
    def concepts(self) -> ConceptBank | None:
        """The bank; None as long as none was set."""


class LabelsFeatures(Protocol):
    """Features can be labelled by a vision-language model."""

    def label(
        self,
        features: Iterable[int] | None = None,
        *,
        collection: Pictures,
        client: LabelClient,
        folder: str | os.PathLike[str] | None = None,
        scores: bool = True,
        price: Price | None = None,
        progress: bool = True,
        on_label: Callable[[LabelProgress], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        retry: bool = False,
    ) -> LabelRun:
        """Label features; see `Painter.label`. The labels are added to the painter's."""

    def label_forecast(
        self,
        features: Iterable[int] | None = None,
        *,
        collection: Pictures,
        client: LabelClient,
        folder: str | os.PathLike[str] | None = None,
        scores: bool = True,
        price: Price | None = None,
        retry: bool = False,
    ) -> LabelForecast:
        """What `label` would ask, take and cost; asks nothing."""


class Connects(Protocol):
    """The model is on a server, and the connection to it may break and come back."""

    @property
    def connection(self) -> Connection:
        """How the connection is now."""

    def on_connection(self, listener: Callable[[Connection], None]) -> Callable[[], None]:
        """Call the listener, in any thread, whenever the connection breaks or comes back.

        Returns:
            A function that ends the calls.
        """


class Shares(Protocol):
    """Pictures can be put on the server's gallery."""

    def share(self, scene: Scene, title: str = "") -> str:
        """Draw a scene there, and show it in the gallery; returns the gallery's address."""


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
    "icon": DrawsIcons,
    "draw_icons": DrawsManyIcons,
    "statistics": HasStatistics,
    "prompt_notes": NotesPrompts,
    "robustness": TriesSeeds,
    "label": LabelsFeatures,
    "concepts": HasConcepts,
    "connection": Connects,
    "share": Shares,
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
    """The names of what a painter offers besides `analyze` and `render`."""
    return tuple(name for name, known in CAPABILITIES.items() if offered(painter, known) is not None)


def labels_of(painter: object) -> Labels:
    """A painter's labels; empty if it has none."""
    labelled = offered(painter, HasLabels)
    labels: object = None if labelled is None else labelled.labels
    if isinstance(labels, Labels):
        return labels
    return Labels(labels if isinstance(labels, Mapping) else None)


def version_of(painter: object) -> object:
    """Another value after every change of a painter's model; None if the painter does not say."""
    try:
        return painter.version if isinstance(painter, _Versioned) else None
    except ValueError:  # it was changed into something that cannot be painted into; drawing says so
        return None


def check_painter(painter: object) -> None:
    """Refuse what is not a painter.

    Raises:
        TypeError: It lacks `analyze` or `render`.
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
class _Versioned(Protocol):
    @property
    def version(self) -> object: ...


@runtime_checkable
class _Lists(Protocol):
    capabilities: Collection[str]
