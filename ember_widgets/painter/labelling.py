"""What a vision-language model is shown of a feature, and the labelling of a painter's features.

Three sheets are drawn of a feature. `labelling.sheet` says where each picture lies on them.

- Label: pictures of a collection with a marked place where the feature is active, pictures in which it is
  active nowhere, and what painting it does to a blank canvas and to three of the model's pictures.
- Detection: five other pictures in which it is active and five in which it is not. The same places are marked
  in both, so that a place alone tells nothing.
- Causal: pairs in which the feature is painted on one side and another live feature of the same site, its
  foil, on the other side, on the same canvas and with the same noise. The canvases are not those of the
  label's sheet. Foils change the site about as much as the feature does: beside a foil that draws nothing,
  whatever is seen would seem to show any label more.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from ember_widgets.features.collection import Collection
from ember_widgets.features.hit import Hit
from ember_widgets.features.labels import Labels
from ember_widgets.labelling import sheet
from ember_widgets.labelling.forecast import LabelForecast, label_forecast
from ember_widgets.labelling.question import LabelClient, Price, check_client
from ember_widgets.labelling.run import LabelProgress, LabelRun, SourceChanged, label_features
from ember_widgets.labelling.sheet import Tile
from ember_widgets.model.runs import Run
from ember_widgets.painter.painted_pictures import draw_canvas, draw_painted
from ember_widgets.util import checks

if TYPE_CHECKING:
    from ember_widgets.model.runs import Start
    from ember_widgets.painter.steered_model import SteeredModel

DRAWING = "1"
"""Changes whenever other sheets are drawn of the same features, so that old answers are not taken for new."""
N_FOILS = 24
"""How many features are foils; each feature is compared with the half that is most like it in size."""
LABEL_POOL, CAUSAL_POOL = 6, 10
"""Among so many of the collection's pictures those are painted on in which a feature is least active."""
N_HALF = sheet.N_PAIRS // 2
TINY = 1e-6
OTHER_SEED = 10_007
"""Added to seeds when a collection has fewer pictures than the pools need."""
AMPLIFIED = 3.0
"""How much larger than they are differences are shown."""


class FeatureSheets:
    """Draws sheets of features; see `labelling.run.Source`.

    Canvases, pictures of foils and starts of runs are kept. The model is locked for one picture at a time.

    Args:
        model: What draws.
        collection: Pictures of this model.
        guidance: Scale of classifier-free guidance, as `Painter.icon` uses it.

    Attributes:
        identity: Of model, collection and how sheets are drawn.

    Raises:
        ValueError: The collection belongs to another model, site or SAE; it is empty or has no pictures; or
            code of the user's takes part in the pipeline.
    """

    def __init__(self, model: SteeredModel, collection: Collection, guidance: float = 0.0) -> None:
        check_collection(model, collection)
        if model.version is None:
            raise ValueError(
                "code of your own, such as a hook, takes part in the pipeline, so its labels could not be "
                "told from those of the model without it; remove it first"
            )
        self._model, self._collection, self._guidance = model, collection, guidance
        self._key = model.key
        self._version: object = None
        self._runs = collection.runs
        facts = json.dumps([DRAWING, self._key, guidance, self._runs])
        self.identity = hashlib.sha256(facts.encode()).hexdigest()[:32]
        self._starts: dict[Run, Start] = {}
        self._pictures: dict[tuple[Run, bool, int | None], bytes] = {}
        self._pools: dict[tuple[int, int], tuple[list[Run], NDArray[np.float32]]] = {}
        self._sizes: dict[str, NDArray[np.float32]] = {}

    # sheets

    def label_sheet(self, feature: int) -> bytes | None:
        """The sheet of a label question, JPEG; None = the feature is active in no picture."""
        picture = self.label_picture(feature)
        return None if picture is None else sheet.encoded(picture)

    def label_picture(self, feature: int) -> Image.Image | None:
        """The sheet of a label question; None = the feature is active in no picture."""
        feature = checks.feature_index(feature, self._model.space.n_features)
        hits = self._collection.spread(feature, sheet.N_ACTIVE)
        if not hits:
            return None
        tiles = {
            place: Tile(self._marked(hit), str(i + 1))
            for i, (place, hit) in enumerate(zip(sheet.ACTIVE, hits, strict=False))
        }
        silent = self._collection.silent(feature, sheet.N_SILENT)
        for place, index in zip(sheet.SILENT, silent, strict=False):
            tiles[place] = Tile(self._collection.picture(index), "silent")
        empty = self._run("", 0)
        tiles[sheet.ALONE] = Tile(self._painted(empty, feature, blank=True), "painted alone")
        tiles[sheet.BLANK] = Tile(self._canvas(empty, blank=True), "blank canvas")
        scenes = self._least_active(feature, 0, LABEL_POOL, sheet.N_SCENES)
        places = zip(sheet.DIFFERENCE, sheet.WITHOUT, sheet.WITH, scenes, strict=True)
        for changed, before, after, run in places:
            without, with_ = self._canvas(run, blank=False), self._painted(run, feature, blank=False)
            tiles[before], tiles[after] = Tile(without, "without"), Tile(with_, "with")
            tiles[changed] = Tile(difference(without, with_), "change")
        return laid_out(tiles)

    def detection_sheet(self, feature: int) -> tuple[bytes, list[bool]] | None:
        """The sheet, and per picture whether the feature is active there; None = too few pictures."""
        # Other pictures than on the label's sheet, as far as there are any.
        n_active = len(self._collection.spread(feature, sheet.N_ACTIVE + N_HALF))
        n_silent = len(self._collection.silent(feature, sheet.N_SILENT + N_HALF))
        if min(n_active, n_silent) < N_HALF:
            return None
        hits = self._collection.spread(feature, N_HALF, skip=n_active - N_HALF)
        silent = self._collection.silent(feature, N_HALF, skip=n_silent - N_HALF)
        same_places = [Hit(i, "", 0, hit.row, hit.col, 0.0) for i, hit in zip(silent, hits, strict=True)]
        shown = [(hit, True) for hit in hits] + [(hit, False) for hit in same_places]
        order = self._chance("detection", feature).permutation(len(shown))
        tiles = {
            place: Tile(self._marked(shown[i][0]), str(n + 1))
            for n, (place, i) in enumerate(zip(sheet.DETECTION, order, strict=True))
        }
        return sheet.encoded(laid_out(tiles)), [shown[i][1] for i in order]

    def causal_sheet(self, feature: int) -> tuple[bytes, list[str]] | None:
        """The sheet, and per pair "A" or "B", where the feature was painted; None = there is no other one."""
        foils = self._foils(feature)
        if not foils:
            return None
        chance = self._chance("causal", feature)
        foils = [foils[i] for i in chance.permutation(max(len(foils), sheet.N_PAIRS)) % len(foils)]
        canvases = [(self._run("", 1 + i), True) for i in range(N_HALF)]
        scenes = self._least_active(feature, LABEL_POOL, CAUSAL_POOL, N_HALF)
        canvases += [(run, False) for run in scenes]
        canvases = [canvases[i] for i in chance.permutation(sheet.N_PAIRS)]
        letters = ["AB"[i] for i in chance.integers(0, 2, sheet.N_PAIRS)]
        tiles = {}
        for i, ((run, blank), foil, letter) in enumerate(zip(canvases, foils, letters, strict=False)):
            # Each in a run of its own: in a batch, rounding would depend on which foils are known already.
            mine, other = self._painted(run, feature, blank=blank), self._foil(run, foil, blank=blank)
            a, b = (mine, other) if letter == "A" else (other, mine)
            tiles[sheet.PAIR_A[i]], tiles[sheet.PAIR_B[i]] = Tile(a, f"{i + 1} A"), Tile(b, f"{i + 1} B")
        return sheet.encoded(laid_out(tiles)), letters

    # pictures

    def _marked(self, hit: Hit) -> Image.Image:
        return self._collection.marked(hit, sheet.TILE)

    def _canvas(self, run: Run, *, blank: bool) -> Image.Image:
        def draw() -> Image.Image:
            return draw_canvas(self._model, run, blank=blank, start=self._start(run))

        return self._kept((run, blank, None), draw)

    def _painted(self, run: Run, feature: int, *, blank: bool) -> Image.Image:
        with self._model.lock:
            start = self._start(run)
            (picture,) = draw_painted(self._model, run, [feature], blank=blank, start=start)
        return small(picture)

    def _foil(self, run: Run, foil: int, *, blank: bool) -> Image.Image:
        return self._kept((run, blank, foil), lambda: self._painted(run, foil, blank=blank))

    def _kept(self, key: tuple[Run, bool, int | None], draw: Callable[[], Image.Image]) -> Image.Image:
        if key not in self._pictures:
            with self._model.lock:
                self._pictures[key] = packed(small(draw()))
        return unpacked(self._pictures[key])

    def _start(self, run: Run) -> Start:
        """The start of a run. Called with the model's lock held, before anything is drawn.

        Raises:
            SourceChanged: The pipeline was changed since sheets were first drawn.
        """
        model = self._model
        if self._version is None:
            # A first run may leave traces in the model; whatever changes it afterwards is the user.
            self._starts[run] = model.backbone.start(run)
            model.backbone.run(self._starts[run])
            self._version = model.version
            changed = model.key != self._key
        else:
            changed = model.version != self._version
        if changed or self._version is None:
            raise SourceChanged(
                "the pipeline was changed since this labelling began; change it back, or begin again"
            )
        try:
            if run not in self._starts:
                with model.memory("drawing sheets"):
                    self._starts[run] = model.backbone.start(run)
            return self._starts[run]
        except MemoryError:
            self._starts.clear()
            raise

    # choices

    def _run(self, prompt: str, seed: int) -> Run:
        return Run(prompt, seed, 1, self._guidance)

    def _least_active(self, feature: int, first: int, size: int, n: int) -> list[Run]:
        """Pictures in which a feature is least active, so that the thing is not there already.

        Args:
            feature: The feature.
            first: Where the pool begins among all pictures that are painted on.
            size: How many pictures the pool has.
            n: How many are chosen.
        """
        if (first, size) not in self._pools:
            runs = self._pool()[first : first + size]
            peaks = []
            for run in runs:
                with self._model.lock:
                    peaks.append(self._model.codes(self._start(run)).max((0, 1)))
            self._pools[first, size] = runs, np.stack(peaks)
        runs, activations = self._pools[first, size]
        order = np.argsort(activations[:, feature], kind="stable")
        return [runs[i] for i in order[:n]]

    def _pool(self) -> list[Run]:
        """Pictures of the collection, in an order by chance; with other seeds if there are too few."""
        needed, order = LABEL_POOL + CAUSAL_POOL, self._chance("pool", 0).permutation(len(self._runs))
        found: dict[Run, None] = {}
        for i in range(needed):
            again, place = divmod(i, len(order))
            prompt, seed = self._runs[order[place]]
            run = self._run(prompt, (seed + again * OTHER_SEED) % checks.MAX_SEED)
            while run in found:
                run = self._run(prompt, (run.seed + OTHER_SEED) % checks.MAX_SEED)
            found[run] = None
        return list(found)

    def _foils(self, feature: int) -> list[int]:
        """Live features of the same site that change it about as much, from a pool that all share."""
        site, number = self._model.space.locate(feature)
        sae, here = self._model.saes[site], self._model.space.columns(site)
        live = here.start + np.flatnonzero(self._collection.statistics.frequency[here])
        pool = self._chance(f"foils {site}", 0).permutation(live)[:N_FOILS]
        if site not in self._sizes:
            self._sizes[site] = (sae.unit * sae.W_dec.norm(dim=1)).cpu().numpy()
        sizes = self._sizes[site]
        unlike = abs(np.log((sizes[pool - here.start] + TINY) / (sizes[number] + TINY)))
        nearest = pool[np.argsort(unlike, kind="stable")]
        return [int(foil) for foil in nearest if foil != feature][: N_FOILS // 2]

    def _chance(self, purpose: str, feature: int) -> np.random.Generator:
        """Random, but the same for the same identity, purpose and feature."""
        seed = hashlib.sha256(f"{self.identity} {purpose} {feature}".encode()).digest()[:16]
        return np.random.default_rng(int.from_bytes(seed, "big"))


def laid_out(tiles: dict[tuple[int, int], Tile]) -> Image.Image:
    """A sheet of tiles at their places, {(row, column): tile}."""
    n_rows, n_columns = (1 + max(place[axis] for place in tiles) for axis in (0, 1))
    return sheet.compose([[tiles.get((r, c)) for c in range(n_columns)] for r in range(n_rows)])


def difference(before: Image.Image, after: Image.Image) -> Image.Image:
    """Where two pictures differ and how, amplified; black where they do not."""
    return ImageChops.difference(before, after).point(lambda value: min(255, value * AMPLIFIED))


def small(picture: Image.Image) -> Image.Image:
    """A picture as large as a tile."""
    size = (sheet.TILE, sheet.TILE)
    return picture if picture.size == size else picture.resize(size, Image.Resampling.LANCZOS)


def packed(picture: Image.Image) -> bytes:
    """A picture in little memory, without loss: traces of compression must not tell a foil from a feature."""
    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def unpacked(data: bytes) -> Image.Image:
    """What was `packed`."""
    return Image.open(io.BytesIO(data)).convert("RGB")


# labelling


def check_collection(model: SteeredModel, collection: Collection) -> None:
    """Refuse a collection that sheets cannot be made of.

    Raises:
        TypeError: It is no collection.
        ValueError: It belongs to another model, site or SAE, or has no pictures.
    """
    if not isinstance(collection, Collection):
        raise TypeError(
            f"collection={checks.shown(collection)} is not a Collection; make one with "
            "painter.collect(prompts), or open one with ember.Collection.open(folder)"
        )
    collection.check(model.identity)
    if not len(collection):
        raise ValueError(
            f"{collection.folder} holds no pictures yet; add some with painter.collect, 200 at least"
        )
    collection.picture(0)  # says so if it was collected without pictures


def chosen(
    model: SteeredModel, labels: Labels, collection: Collection, features: Iterable[int] | None
) -> list[int]:
    """The features to label: those given, each once; None = live ones that the user has not labelled."""
    if features is None:
        live = np.flatnonzero(collection.statistics.frequency).tolist()
        return [f for f in live if not labels.is_own(f)]
    if isinstance(features, (str, bytes)):
        raise TypeError(
            f"features={checks.shown(features)} is text; give numbers, such as painter.labels.search(text)"
        )
    is_one = isinstance(features, (int, np.integer))
    given = [features] if is_one else checks.listed("features", features, hint="give numbers")
    return list(dict.fromkeys(checks.feature_index(feature, model.space.n_features) for feature in given))


def silent_of(collection: Collection) -> set[int]:
    """The features that are active in no picture."""
    return set(np.flatnonzero(collection.statistics.frequency == 0).tolist())


def folder_of(collection: Collection, client: LabelClient, folder: str | os.PathLike[str] | None) -> Path:
    """Where a client's labels are kept; see `Painter.label`."""
    if folder is not None:
        return checks.path("folder", folder)
    return collection.folder / f"labels-{re.sub(r'[^A-Za-z0-9._-]+', '-', client.model)[:80]}"


def label(
    model: SteeredModel,
    labels: Labels,
    guidance: float,
    features: Iterable[int] | None = None,
    *,
    collection: Collection,
    client: LabelClient,
    folder: str | os.PathLike[str] | None = None,
    scores: bool = True,
    price: Price | None = None,
    progress: bool = True,
    on_label: Callable[[LabelProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    retry: bool = False,
) -> LabelRun:
    """See `Painter.label`; `labels` are the painter's, and get the new ones."""
    check_client(client)
    source = FeatureSheets(model, collection, guidance)
    run = label_features(
        chosen(model, labels, collection, features),
        source,
        client,
        folder=folder_of(collection, client, folder),
        scores=scores,
        price=price,
        progress=progress,
        on_label=on_label,
        cancelled=cancelled,
        retry=retry,
        silent=silent_of(collection),
    )
    labels.add(run.labels)
    return run


def forecast(
    model: SteeredModel,
    labels: Labels,
    guidance: float,
    features: Iterable[int] | None = None,
    *,
    collection: Collection,
    client: LabelClient,
    folder: str | os.PathLike[str] | None = None,
    scores: bool = True,
    price: Price | None = None,
    retry: bool = False,
) -> LabelForecast:
    """See `Painter.label_forecast`."""
    check_client(client)
    sheets = FeatureSheets(model, collection, guidance)
    return label_forecast(
        chosen(model, labels, collection, features),
        sheets.identity,
        client,
        folder=folder_of(collection, client, folder),
        scores=scores,
        price=price,
        retry=retry,
        silent=silent_of(collection),
    )
