"""RemotePainter: the verbs of a painter whose model is on a server. Nothing here loads torch."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from PIL import Image

from ember_widgets.features.concepts import ConceptBank, most_factors
from ember_widgets.features.icons import Icons
from ember_widgets.features.labels import Labels
from ember_widgets.features.statistics import Statistics
from ember_widgets.model import photo
from ember_widgets.painter import recording, variations
from ember_widgets.painter import robustness as robust
from ember_widgets.painter.prompt_notes import PromptNotes
from ember_widgets.painter.protocol import CAPABILITIES
from ember_widgets.painter.protocol import Connection as ConnectionState
from ember_widgets.painter.robustness import Robustness, SeedTrial
from ember_widgets.scene.feature_space import FeatureSpace
from ember_widgets.scene.grid import Grid
from ember_widgets.scene.scene import Scene, checked_scene
from ember_widgets.serve.client.connection import Answer, Connection
from ember_widgets.serve.client.remote_files import RemoteModel
from ember_widgets.serve.wire import inspections, values
from ember_widgets.serve.wire.calls import Welcome
from ember_widgets.serve.wire.scenes import MissingArrays
from ember_widgets.util import checks
from ember_widgets.util.checks import FloatArray

if TYPE_CHECKING:
    from ember_widgets.dictionary.sae import SAE
    from ember_widgets.painter.inspection import Inspection

T = TypeVar("T")

PREVIEW_FORM = "jpeg"
"""Encoded several times faster than WebP; for pictures that are shown for a moment."""
NEEDS_THE_MODEL = {
    "collect": "painter.collect",
    "label": "painter.label",
    "label_forecast": "painter.label_forecast",
    "label_sheet": "painter.label_sheet",
    "train_sae": "painter.train_sae",
    "pipeline": "painter.pipeline",
    "backbone": "painter.backbone",
    "model": "painter.model",
    "forget": "painter.forget",
}
BY_REQUEST = {"sweep": "reseed", "robustness": "reseed"}
"""Capabilities that are made here, of another one of the server."""


class RemotePainter:
    """A painter whose model is on a server; make one with `ember.connect`.

    It has the methods of `Painter`, with the same results, as far as the server offers them; `capabilities`
    says which. If the connection breaks, it comes back by itself, and calls wait for it. Methods may be
    called from several threads. It is closed by `close`, or when nothing refers to it any more.

    Args:
        connection: The connection; the painter closes it.

    Attributes:
        styles: True: `analyze` takes `style=`, if `capabilities` says so.
    """

    styles = True

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._known: RemoteModel | None = None
        self._finalizer = weakref.finalize(self, connection.abandon)

    # The connection

    @property
    def connection(self) -> ConnectionState:
        """How the connection is now: "connected", "reconnecting" or "closed"."""
        return self._connection.state

    def on_connection(self, listener: Callable[[ConnectionState], None]) -> Callable[[], None]:
        """Call the listener, in another thread, whenever the connection breaks or comes back.

        Returns:
            A function that ends the calls.
        """
        return self._connection.on_state(listener)

    @property
    def url(self) -> str:
        """The server's address, without the token."""
        return self._connection.address.url

    @property
    def person(self) -> str:
        """The name that the server knows you by; "" if it has none."""
        return self._welcome.person

    @property
    def limits(self) -> Mapping[str, Any]:
        """What the server allows, by names such as "n_steps" and "requests_per_s"."""
        return dict(self._welcome.limits)

    @property
    def capabilities(self) -> tuple[str, ...]:
        """The names of what it offers besides `analyze` and `render`, see `painter.protocol`."""
        served = {*self._welcome.capabilities, "connection"}
        served |= {name for name, needed in BY_REQUEST.items() if needed in served}
        return tuple(name for name in CAPABILITIES if name in served and name not in NEEDS_THE_MODEL)

    def close(self) -> None:
        """Close the connection. Labels, icons and scenes that were fetched can still be used."""
        self._finalizer.detach()
        self._connection.close()

    def __enter__(self) -> RemotePainter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        model = self._welcome.model.get("id", "")
        return f"RemotePainter({self.url!r}, model={model!r}, {self.connection})"

    if not TYPE_CHECKING:  # a type checker says by itself what is not here

        def __getattr__(self, name: str) -> NoReturn:
            if name in NEEDS_THE_MODEL:
                raise AttributeError(
                    f"a RemotePainter has no {name}: that needs the model, which is on the server; use "
                    f"{NEEDS_THE_MODEL[name]} with a Painter there, e.g. ember.Painter.from_pretrained(...)"
                )
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    # The model

    @property
    def key(self) -> str:
        """Identifies the weights of the server's model and SAEs."""
        return self._welcome.key

    @property
    def version(self) -> object:
        """Another value when the server has another model."""
        return self._welcome.key

    @property
    def grid(self) -> Grid:
        """Rows and columns of patches."""
        return Grid(*self._welcome.grid)

    @property
    def space(self) -> FeatureSpace:
        """Which features of a scene belong to which site."""
        return self._model.space

    @property
    def n_features(self) -> int:
        """How many features all sites have together."""
        return self.space.n_features

    @property
    def saes(self) -> Mapping[str, SAE]:
        """{site: SAE}, in the order of the network.

        Sites are known at once; an SAE is fetched when it is asked for, and kept in the cache.
        """
        return self._model.saes

    @property
    def guidance(self) -> float:
        """Scale of classifier-free guidance that `analyze` and `blank` use by default."""
        return self._welcome.guidance

    @property
    def known_words(self) -> Sequence[str]:
        """The words that the model knows; empty = any."""
        return self._welcome.known_words

    @property
    def labels(self) -> Labels:
        """{feature: text}: the server's, and those that you set, which are kept on this computer."""
        return self._model.labels

    @property
    def icons(self) -> Icons:
        """{feature: small picture of `icon`}: the server's, and those that were drawn for this computer."""
        return self._model.icons

    @property
    def statistics(self) -> Statistics | None:
        """How often and how strongly each feature is active; None if the server does not know."""
        return self._model.statistics

    @property
    def concepts(self) -> ConceptBank | None:
        """Concepts that search and palette offer: the server's, or those that were set here.

        Setting them raises TypeError or ValueError if they are of another site or SAE.
        """
        return self._model.concepts

    @concepts.setter
    def concepts(self, bank: ConceptBank | None) -> None:
        self._model.concepts = bank

    # Pictures to scenes

    def analyze(
        self,
        prompt: str = "",
        *,
        seed: int = 0,
        n_steps: int = 1,
        n_factors: int | Mapping[str, int] | None = None,
        basis: ConceptBank | None = None,
        image: Any = None,
        image_strength: float = 0.5,
        guidance: float | None = None,
        edit_steps: tuple[int, int] | None = None,
        style: str = "",
    ) -> Scene:
        """Generate a picture, or take a photograph, and find its factors; see `Painter.analyze`.

        Args:
            prompt, seed, n_steps, n_factors, image_strength, guidance, edit_steps, style: As there.
            basis: As there. It is sent once; a server takes as many concepts as it allows factors,
                `limits["n_factors"]`.
            image: As there. Its middle square is sent to the server, in the size that the model takes.
        """
        args = self._run(prompt, seed, n_steps, guidance, edit_steps)
        image_strength = checks.image_strength(image_strength)
        if basis is not None:
            basis = self._model.checked_bank(basis)
        if n_factors is not None:
            args["n_factors"] = self._counts(n_factors) if basis is None else most_factors(n_factors, basis)
        if checks.text("style", style):
            args["style"] = style
        buffers = []
        if image is not None:
            buffers.append(values.encoded(photo.square(image, self._welcome.picture_side), "png"))
            args |= {"photo": 0, "image_strength": image_strength}
        return self._scene(self._connection.call("analyze", args, buffers, basis=basis))

    def blank(
        self,
        prompt: str = "",
        *,
        seed: int = 0,
        n_steps: int = 1,
        guidance: float | None = None,
        edit_steps: tuple[int, int] | None = None,
    ) -> Scene:
        """An empty canvas, see `Painter.blank`."""
        return self._scene(
            self._connection.call("blank", self._run(prompt, seed, n_steps, guidance, edit_steps))
        )

    def prompt_notes(self, prompt: str, style: str | None = None) -> PromptNotes:
        """What the model does not read of a prompt; see `Painter.prompt_notes`."""
        args = {"prompt": checks.text("prompt", prompt)}
        if style is not None:
            args["style"] = checks.text("style", style)
        answer = self._connection.call("prompt_notes", args)
        return _read(
            lambda: PromptNotes(
                tuple(answer.value["unknown"]), answer.value["n_tokens"], answer.value["last_words"]
            )
        )

    def activations(self, scene: Scene) -> FloatArray:
        """SAE codes of the scene's unedited run, (rows, cols, n_features); see `Painter.activations`."""
        answer = self._connection.call("activations", scene=checked_scene(scene))
        return _read(lambda: values.unpacked_codes(answer.value, answer.buffers))

    def inspect(
        self, scene: Scene, *, step: int = 0, site: str | None = None, edited: bool = True
    ) -> Inspection:
        """How the SAE and the scene's factors explain every patch of a run; see `Painter.inspect`."""
        scene = checked_scene(scene)
        step = checks.integer("step", step, 0, scene.n_steps - 1, hint="steps count from 0")
        args: dict[str, Any] = {"step": step, "edited": bool(edited)}
        if site is not None:
            args["site"] = checks.text("site", site)
        answer = self._connection.call("inspect", args, scene=scene)
        return _read(lambda: inspections.unpacked(answer.value, answer.buffers))

    # Scenes to pictures

    def render(
        self,
        scene: Scene,
        *,
        preview: bool = False,
        cancelled: Callable[[], bool] | None = None,
        stale: Callable[[], bool] | None = None,
    ) -> Image.Image:
        """Draw a scene.

        Args:
            scene: What to draw.
            preview: As fast as possible: as `Painter.render` does it, and compressed with a loss. Without it
                the picture is the server's, bit by bit.
            cancelled: Asked every 10 ms; if it returns True, the server stops drawing.
            stale: The old name of `cancelled`.

        Raises:
            ValueError: The scene belongs to another model, site or SAE.
            FloatingPointError, MemoryError: As `Painter.render`.
            ConnectionError: There was no connection for too long.
            Cancelled: `cancelled` returned True.
        """
        cancelled = stale if cancelled is None else cancelled
        args = {"preview": True, "form": PREVIEW_FORM} if preview else {"form": "exact"}
        # One slot for each thread: what it gave up is not drawn any more when it asks for the next picture.
        slot = f"render {threading.get_ident()}"
        return _picture(
            self._connection.call("render", args, scene=checked_scene(scene), slot=slot, cancelled=cancelled)
        )

    def previews(self, scene: Scene) -> bool:
        """True: a preview is compressed to a fraction of its picture, so it is here earlier.

        Whether the model draws it faster is the server's business.
        """
        return True

    def sweep(
        self,
        scene: Scene,
        factor: int | str,
        gains: Sequence[float] = variations.GAINS,
        *,
        seeds: Sequence[int] | None = None,
        side: int = 192,
    ) -> Image.Image:
        """A contact sheet of a factor's strengths and seeds; see `Painter.sweep`."""
        return variations.sweep(self, scene, factor, gains, seeds=seeds, side=side)

    def record(
        self, scenes: Iterable[Scene], path: str | os.PathLike[str], *, ms: int = 80, progress: bool = True
    ) -> None:
        """Draw scenes into a moving picture; see `Painter.record`."""
        recording.record(self, scenes, path, ms=ms, progress=progress)

    def share(self, scene: Scene, title: str = "") -> str:
        """Draw a scene on the server, and show it in its gallery.

        Args:
            scene: What to show.
            title: What it is called there.

        Returns:
            The address of the gallery with this picture.

        Raises:
            ValueError: The server has no gallery.
            ConnectionError: The connection broke meanwhile; look at the gallery before you share it again.
        """
        # Sent twice, the picture would be there twice.
        answer = self._connection.call(
            "share", {"title": checks.text("title", title)}, scene=checked_scene(scene), again=False
        )
        return _read(lambda: self.url + str(answer.value["path"]))

    # Scenes to scenes

    def refit(self, scene: Scene, n_factors: int | Mapping[str, int]) -> Scene:
        """Find another number of factors, and keep what was painted; see `Painter.refit`.

        Args:
            scene: As painted.
            n_factors: How many, see `analyze`.
        """
        scene = checked_scene(scene)
        args = {"n_factors": self._counts(n_factors)}
        return self._scene(self._connection.call("refit", args, scene=scene), scene)

    def reseed(self, scene: Scene, seed: int, *, edit_only: bool = False) -> Scene:
        """Apply the same painting to the noise of another seed; see `Painter.reseed`."""
        scene = checked_scene(scene)
        args = {"seed": checks.seed(seed), "edit_only": bool(edit_only)}
        return self._scene(self._connection.call("reseed", args, scene=scene), scene)

    def robustness(
        self,
        scene: Scene,
        seeds: int | Iterable[int] = robust.N_SEEDS,
        *,
        threshold: float = robust.VISIBLE,
        progress: bool = True,
        on_seed: Callable[[SeedTrial], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Robustness:
        """Try an edit on other seeds; see `Painter.robustness`."""
        return robust.robustness(
            checked_scene(scene),
            seeds,
            carry=lambda seed: self.reseed(scene, seed, edit_only=True),
            draw=lambda one: self.render(one, cancelled=cancelled),
            threshold=threshold,
            progress=progress,
            on_seed=on_seed,
            cancelled=cancelled,
        )

    # Features

    def icon(self, feature: int, *, seed: int = 0, strength: float | None = None) -> Image.Image:
        """What a feature draws on its own; see `Painter.icon`."""
        args: dict[str, Any] = {
            "feature": checks.feature_index(feature, self.n_features),
            "seed": checks.seed(seed),
        }
        if strength is not None:
            args["strength"] = checks.number("strength", strength, hint="1.0 is typical")
        return _picture(self._connection.call("icon", args))

    def draw_icons(self, features: Sequence[int]) -> list[Image.Image]:
        """`icon` for several features, drawn together: features -> pictures."""
        return _icons(self._connection, features)

    @property
    def _welcome(self) -> Welcome:
        return self._connection.welcome

    @property
    def _model(self) -> RemoteModel:
        """What is known of the server's model; another one when the server has another model."""
        welcome = self._welcome
        with self._lock:
            if self._known is None or self._known.key != welcome.key:
                connection = self._connection
                draws = "draw_icons" in welcome.capabilities
                self._known = RemoteModel(
                    connection.address,
                    welcome,
                    # Of the connection, not of the painter, which would be kept alive by it.
                    (lambda features: _icons(connection, features)) if draws else None,
                    connection.ssl_context,
                )
            return self._known

    def _run(
        self,
        prompt: str,
        seed: int,
        n_steps: int,
        guidance: float | None,
        edit_steps: tuple[int, int] | None,
    ) -> dict[str, Any]:
        """The arguments that describe a run."""
        scale = self.guidance if guidance is None else checks.guidance(guidance)
        args: dict[str, Any] = {
            "prompt": checks.text("prompt", prompt),
            "seed": checks.seed(seed),
            "n_steps": checks.n_steps(n_steps, scale),
        }
        if guidance is not None:
            args["guidance"] = scale
        steps = checks.edit_steps(edit_steps, args["n_steps"])
        if steps is not None:
            args["edit_steps"] = list(steps)
        return args

    def _counts(self, n_factors: object) -> int | dict[str, int]:
        """How many factors, or how many of each site."""
        n_patches = self.grid.n_patches
        if isinstance(n_factors, Mapping):
            return {str(site): checks.n_factors(n, n_patches) for site, n in n_factors.items()}
        return checks.n_factors(n_factors, n_patches)

    def _scene(self, answer: Answer, sent: Scene | None = None) -> Scene:
        return _read(lambda: self._connection.scene(answer, sent))


def _icons(connection: Connection, features: Sequence[int]) -> list[Image.Image]:
    """Icons of features, no more at a time than the server draws at once."""
    n_features = sum(size for _, size in connection.welcome.sites)
    wanted = [checks.feature_index(feature, n_features) for feature in features]
    most = max(1, int(connection.welcome.limits.get("n_icons", 16)))
    found: list[Image.Image] = []
    for at in range(0, len(wanted), most):
        answer = connection.call("draw_icons", {"features": wanted[at : at + most]})
        for value in answer.value:
            found.append(_picture(Answer(value, answer.buffers)))
    return found


def _picture(answer: Answer) -> Image.Image:
    return _read(lambda: values.decoded(answer.buffers[answer.value["buffer"]]))


def _read(read: Callable[[], T]) -> T:
    """What an answer says.

    Raises:
        ConnectionError: It cannot be read.
    """
    try:
        return read()
    except (MissingArrays, LookupError, TypeError, ValueError, AttributeError) as fault:
        raise ConnectionError(f"the server's answer cannot be read ({fault}); try again") from fault
