"""Collection: the SAE's codes of many pictures, on disk, and what they show about each feature.

A folder holds `collection.json` (which model and SAE, written once) and shards of up to 32 pictures each,
`shard-00000.npz`: sparse codes, small pictures, sums per feature, and each feature's strongest patch per
picture. A shard is written whole or not at all and depends on no other file, so a collection that was
interrupted continues where it stopped. Reading keeps one shard in memory at a time.
"""

from __future__ import annotations

import bisect
import contextlib
import heapq
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ember_widgets.dictionary.factors import feature_mask
from ember_widgets.features import peaks
from ember_widgets.features.collection_file import SIDE, Record, codes_in, indices, load, packed
from ember_widgets.features.hit import Hit
from ember_widgets.features.statistics import Statistics
from ember_widgets.scene.feature_space import FeatureSpace
from ember_widgets.scene.grid import Grid
from ember_widgets.scene.site_sae import sae_at
from ember_widgets.util import checks, files
from ember_widgets.util.contact_sheet import contact_sheet

if TYPE_CHECKING:
    from scipy import sparse

    from ember_widgets.features.concepts import ConceptBank

SHARD = 32
MAX_FEATURES = 2**22
MAX_SIDE = 1024
_MANIFEST = "collection.json"
_MAX_MANIFEST = 2**20


class _Version(NamedTuple):
    """Which file a shard's name stands for."""

    name: str
    inode: int
    size: int
    written_ns: int

    @classmethod
    def of(cls, shard: Path) -> _Version:
        found = shard.stat()
        return cls(shard.name, found.st_ino, found.st_size, found.st_mtime_ns)


class Collection:
    """Many pictures' codes. Make or continue one with `painter.collect`, open one with `Collection.open`.

    It holds the pictures that were in the folder when it was opened. What other processes add shows when this
    one adds pictures itself, or asks for peaks for the first time.

    Attributes:
        folder: where it is.
        n_features: of the SAE; with several sites, of all SAEs together.
        model: {"id", "site", "sae", ...} of the painter it was made with.
        grid: rows and columns of the pictures' patches.
        space: which features are of which site; None for a collection of several sites that was begun by
            version 0.2 or earlier, which does not say so.
        positional: features that follow the border of the picture whatever it shows, as far as the SAEs say.
    """

    def __init__(
        self,
        folder: Path,
        n_features: int,
        model: Mapping[str, str],
        grid: Grid | None = None,
        sites: Mapping[str, int] | None = None,
        positional: Iterable[int] = (),
    ) -> None:
        self.folder = folder
        self.n_features = n_features
        self.model = dict(model)
        self.grid = Grid() if grid is None else grid
        self.positional = tuple(positional)
        names = self.model.get("site", "").split(",")
        self.space = FeatureSpace.of(sites or {names[0]: n_features}) if sites or len(names) == 1 else None
        self._batch: list[Record] = []
        self._runs_of: dict[_Version, tuple[list[str], list[int]]] = {}  # of each shard that was read

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Collection:
        """Open an existing collection.

        Raises:
            FileNotFoundError: The folder holds no collection.
            ValueError: It is damaged.
        """
        path = checks.path("folder", folder)
        if not (path / _MANIFEST).exists():
            raise FileNotFoundError(
                f"there is no collection in {path}; make one with painter.collect(prompts, folder)"
            )
        try:
            facts = files.parsed(files.read(path / _MANIFEST, _MAX_MANIFEST).decode("utf-8"), _MAX_MANIFEST)
            if facts["format"] != "ember-collection" or facts["version"] != 1:
                raise ValueError
            # Collections of version 0.1 do not state their grid; it was always 16×16.
            grid = Grid(*(_size(n, MAX_SIDE) for n in facts.get("grid", (16, 16))))
            n_features = _size(facts["n_features"], MAX_FEATURES)
            sites = checks.sites(facts["sites"], n_features) if "sites" in facts else None
            positional = [checks.feature_index(f, n_features) for f in facts.get("positional", ())]
            return cls(path, n_features, checks.model(facts["model"]), grid, sites, positional)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ValueError(
                f"{path / _MANIFEST} is not a collection's; delete the folder, or choose another"
            ) from None

    @classmethod
    def create(
        cls,
        folder: Path,
        n_features: int,
        model: Mapping[str, str],
        grid: Grid | None = None,
        sites: Mapping[str, int] | None = None,
        positional: Iterable[int] = (),
    ) -> Collection:
        """Open a collection to add to; make it if there is none.

        Args:
            folder: where it is.
            n_features: of all SAEs.
            model: of the painter.
            grid: of its pictures; None = 16×16.
            sites: {site: how many features its SAE has}, if there are several.
            positional: features that follow the border of the picture.

        Raises:
            ValueError: The existing one belongs to another model, site or SAE, or to other weights of the
                model; or the folder holds something else.
        """
        if (folder / _MANIFEST).exists():
            collection = cls.open(folder)
            collection.check(model)
            if n_features != collection.n_features:
                raise ValueError(
                    f"the collection in {folder} has codes of {collection.n_features} features, but this "
                    f"painter's SAE has {n_features}; choose another folder"
                )
            if grid is not None and grid != collection.grid:
                raise ValueError(
                    f"the collection in {folder} has pictures of {collection.grid} patches, but this painter "
                    f"makes {grid}; choose another folder"
                )
            return collection
        # What begins with a dot is the system's, or of another process that makes the same collection.
        if folder.exists() and (not folder.is_dir() or any(p.name[0] != "." for p in folder.iterdir())):
            raise ValueError(
                f"{folder} exists already and is not a collection; choose an empty or new folder"
            )
        files.make_folder(folder)
        n_features = int(n_features)  # JSON cannot hold numpy's integers
        grid = Grid() if grid is None else grid
        facts = {"format": "ember-collection", "version": 1, "n_features": n_features, "model": dict(model)}
        if grid != Grid():
            facts["grid"] = list(grid.shape)
        if sites is not None:
            facts["sites"] = dict(sites)
        if positional := [int(feature) for feature in positional]:
            facts["positional"] = positional
        files.write(folder / _MANIFEST, (json.dumps(facts, indent=1) + "\n").encode())
        return cls(folder, n_features, model, grid, sites, positional)

    def check(self, model: Mapping[str, str]) -> None:
        """Refuse a model with another name, site or SAE than this collection's, or with other weights.

        The same weights may have another name, a hub id here and a folder there; their key is the same.
        """
        same_weights = self.model.get("key") and self.model.get("key") == model.get("key")
        for key, noun in (("sae", "SAE"), ("site", "site"), ("id", "model")):
            ours, theirs = self.model.get(key, ""), model.get(key, "")
            if ours != theirs and not (key == "id" and same_weights):
                raise ValueError(
                    f"the collection in {self.folder} was made with {noun} {ours!r}, but this painter has "
                    f"{theirs!r}; choose another folder"
                )
        if "key" in self.model and "key" in model and self.model["key"] != model["key"]:
            raise ValueError(
                f"the collection in {self.folder} was made with other weights of {model.get('id', '')!r} "
                "than this painter has now, in another dtype, with its SAE read in another way, or with code "
                "of your own in the pipeline; undo that, or choose another folder"
            )

    def __len__(self) -> int:
        return self._firsts[-1]

    @property
    def runs(self) -> list[tuple[str, int]]:
        """(prompt, seed) of every picture, in the collection's order."""
        return [run for shard in self._shard_runs for run in zip(*shard, strict=True)]

    @cached_property
    def statistics(self) -> Statistics:
        """Frequency and typical activation of every feature."""
        active, total, squares = (np.zeros(self.n_features) for _ in range(3))
        for shard in self._shards:
            with load(shard) as file:
                features = indices(file["features"], self.n_features)
                for sums, name in ((active, "active"), (total, "total"), (squares, "squares")):
                    sums[features] += file[name]
                    if not np.isfinite(sums).all():
                        raise ValueError(f"{name} holds sums that are not finite")
        frequency = active / max(1, len(self) * self.grid.n_patches)
        typical = np.divide(squares, total, out=np.zeros_like(total), where=total > 0)
        return Statistics(frequency.astype(np.float32), typical.astype(np.float32), len(self))

    def codes(self, index: int) -> NDArray[np.float32]:
        """A picture's codes, (rows, cols, n_features) float32, ≥ 0."""
        n_patches = self.grid.n_patches
        shard, place = self._find(index)
        codes = np.zeros((n_patches, self.n_features), np.float32)
        with load(shard) as file:
            features = file["code_features"]
            ends = file["ends"][place * n_patches : (place + 1) * n_patches + 1].astype(np.int64)
            counts = np.diff(ends)
            if len(counts) != n_patches or counts.min() < 0 or ends[-1] > len(features):
                raise ValueError("its codes and its patches do not fit together")
            begin, end = int(ends[0]), int(ends[-1])
            rows = np.repeat(np.arange(n_patches), counts)
            codes[rows, indices(features[begin:end], self.n_features)] = file["code_values"][begin:end]
        return codes.reshape(*self.grid.shape, self.n_features)

    def batches(self) -> Iterator[tuple[int, sparse.csr_array]]:
        """All codes, a shard at a time, in the collection's order.

        Yields:
            The index of the first picture, and the codes of up to 32 pictures as a sparse matrix,
            (n_pictures · n_patches, n_features) float32, ≥ 0: a row per patch, picture after picture.
        """
        from scipy import sparse

        first = 0
        for shard, (_, seeds) in zip(self._shards, self._shard_runs, strict=True):
            n_rows = len(seeds) * self.grid.n_patches
            with load(shard) as file:
                ends, features, values = codes_in(file, self.n_features, n_rows)
            yield first, sparse.csr_array((values, features, ends), shape=(n_rows, self.n_features))
            first += len(seeds)

    def picture(self, index: int) -> Image.Image:
        """A picture, kept at 256×256 pixels whatever size the model drew."""
        return self.pictures([index])[0]

    def pictures(self, indices: Sequence[int]) -> list[Image.Image]:
        """Pictures, kept at 256×256 pixels whatever size the model drew, in the order of the indices.

        Each shard is opened once, so this is faster than `picture` for pictures of the same shard.
        """
        indices = checks.listed("indices", indices, hint="give the pictures' indices, such as [0, 3]")
        wanted: dict[Path, list[tuple[int, int]]] = {}
        for position, index in enumerate(indices):
            shard, place = self._find(index)
            wanted.setdefault(shard, []).append((position, place))
        found: dict[int, Image.Image] = {}
        for shard, places in wanted.items():
            with load(shard) as file:
                ends, pictures = file["picture_ends"], file["pictures"]
                for position, place in places:
                    data = pictures[ends[place] : ends[place + 1]].tobytes()
                    if data:
                        picture = Image.open(io.BytesIO(data))
                        if picture.size != (SIDE, SIDE):
                            raise ValueError(f"picture {place} is of another size")
                        found[position] = picture.convert("RGB")
            if any(position not in found for position, _ in places):
                raise ValueError(
                    f"{self.folder} was collected without pictures; "
                    "collect with pictures=True into another folder"
                )
        return [found[position] for position in range(len(indices))]

    def top(self, feature: int, n: int = 12) -> list[Hit]:
        """The pictures in which a feature is strongest, strongest first; one patch of each.

        The first call reads the shards that no earlier call has read, and keeps an index of all features in
        the folder; more than 64 pictures of a feature are read from the shards each time.

        Args:
            feature: the feature.
            n: how many at most; fewer, or none, if the feature is active in fewer.
        """
        feature = checks.feature_index(feature, self.n_features)
        n = checks.integer("n", n, 1, 10_000, hint="say how many pictures")
        known = self._peaks.top(feature, n)
        if known is not None:
            return self._as_hits(known)
        return list(heapq.nsmallest(n, self._hits(feature), key=lambda hit: (-hit.activation, hit.index)))

    def spread(self, feature: int, n: int = 10, skip: int = 0) -> list[Hit]:
        """Pictures spread evenly over a feature's range of activation, strongest first; one patch of each.

        The picks form one sequence that begins with the strongest, and any run of it is spread over the
        range. So `spread(feature, 5, skip=10)` gives five other pictures than `spread(feature, 10)`.

        Args:
            feature: the feature.
            n: how many at most; fewer, or none, if the feature is active in fewer.
            skip: how many picks to leave out first, so that something can be measured on pictures that were
                not seen before; n + skip is 64 at most.
        """
        feature = checks.feature_index(feature, self.n_features)
        n, skip = _picks(n, skip, peaks.STRONGEST)
        return self._as_hits(self._peaks.spread(feature, n, skip))

    def silent(self, feature: int, n: int = 3, skip: int = 0) -> list[int]:
        """The indices of pictures in which a feature is active nowhere; the same call gives the same ones.

        Their order is random, and another one for each feature.

        Args:
            feature: the feature.
            n: how many at most; fewer, or none, if the feature is active in all others.
            skip: how many to leave out first; n + skip is 32 at most.
        """
        feature = checks.feature_index(feature, self.n_features)
        n, skip = _picks(n, skip, peaks.SILENT)
        return self._peaks.silent(feature, n, skip)

    def marked(self, hit: Hit, side: int = 160) -> Image.Image:
        """A hit's picture with its patch framed.

        Args:
            hit: from `top`.
            side: of the picture, in pixels.
        """
        if not isinstance(hit, Hit):
            raise TypeError(f"hit={checks.shown(hit)} is not a hit; take one from collection.top(feature)")
        side = checks.side(side)
        picture = self.picture(hit.index).resize((side, side), Image.Resampling.LANCZOS)
        down, right = side / self.grid.rows, side / self.grid.cols
        box = (hit.col * right, hit.row * down, (hit.col + 1) * right, (hit.row + 1) * down)
        draw = ImageDraw.Draw(picture)
        for grown, color in ((2, "black"), (1, "white"), (0, "white")):
            draw.rectangle([box[0] - grown, box[1] - grown, box[2] + grown, box[3] + grown], outline=color)
        return picture

    def contact_sheet(self, feature: int, n: int = 12, *, columns: int = 4, side: int = 160) -> Image.Image:
        """The pictures in which a feature is strongest, each with the patch framed where it is strongest.

        Args:
            feature: the feature.
            n: how many pictures at most.
            columns: how many side by side.
            side: of each, in pixels.

        Raises:
            ValueError: the feature is active in no picture.
        """
        columns = checks.integer("columns", columns, 1, 1000, hint="say how many side by side")
        hits = self.top(feature, n)
        side = checks.side(side, len(hits))
        if not hits:
            raise ValueError(
                f"feature {feature} is active in none of the {len(self)} pictures of {self.folder}; "
                "choose another feature, or collect more prompts"
            )
        pictures = [self.marked(hit, side) for hit in hits]
        return contact_sheet([pictures[i : i + columns] for i in range(0, len(hits), columns)], side=side)

    def concepts(
        self,
        n: int = 64,
        *,
        site: str | None = None,
        ignore: Iterable[int] | NDArray[np.bool_] | None = None,
        labels: Mapping[int, str] | None = None,
        seed: int = 0,
        stability: bool = True,
        progress: bool = True,
    ) -> ConceptBank:
        """Find what these pictures are made of: features that belong together in many of them, as concepts.

        Non-negative matrix factorisation of a sample of all patches (16,384 of them, or 256 for each concept
        if that is more), and then the strengths in every patch; see `features.concept_fit`. Memory does not
        grow with the collection. The same collection gives the same concepts.

        Args:
            n: How many; if some of them turn out empty there are fewer. More need more pictures.
            site: Module path or short name; needed if the pictures were made with several sites.
            ignore: Features of the site to leave out of the fit, as indices or as bool (n_features,). Their
                weights are computed afterwards. None = the positional ones of its SAE.
            labels: {feature of this collection: text}, which concepts are named after; see `bank.named`.
            seed: Of the sample, and of the two halves.
            stability: Also fit two halves of the pictures, to say which concepts both agree on; takes twice
                the time.
            progress: Show a progress bar.

        Returns:
            The bank, the concept with the largest share of all codes first.

        Raises:
            TypeError, ValueError: Several sites and none is named, an unknown site or feature, nothing is
                active, or more concepts than active features.

        Example:
            >>> bank = collection.concepts(16, labels=painter.labels)                  # doctest: +SKIP
            >>> scene = painter.analyze("a lion in a meadow", basis=bank)              # doctest: +SKIP
        """
        from ember_widgets.features import concept_fit
        from ember_widgets.features.concepts import MAX_CONCEPTS, ConceptBank
        from ember_widgets.features.labels import checked

        n = checks.integer("n", n, 1, MAX_CONCEPTS, hint="say how many concepts")
        texts = {} if labels is None else checked(labels)
        site, columns, space = self._site(site)
        if not len(self):
            raise ValueError(f"{self.folder} holds no pictures yet; add some with painter.collect")
        if ignore is None:
            ignore = [f - columns.start for f in self.positional if columns.start <= f < columns.stop]
        ignored = feature_mask(ignore, columns.stop - columns.start)
        found = concept_fit.fit(
            self, columns, n, ignored, seed=checks.seed(seed), stability=stability, progress=progress
        )
        here = {f - columns.start: text for f, text in texts.items() if f >= columns.start}
        return ConceptBank(
            **vars(found),
            names=concept_fit.named(found.basis, here),
            site=site,
            sae=sae_at(site, self.model, space),
            model=self.model,
            folder=str(self.folder),
            ignore=tuple(np.flatnonzero(ignored).tolist()),
            collection=self,
        )

    def _site(self, site: str | None) -> tuple[str, slice, FeatureSpace]:
        """A site's name, its features, and the features of all sites."""
        if self.space is None:
            raise ValueError(
                f"the collection in {self.folder} is of several sites ({self.model['site']}), and was begun "
                "by a version that did not note their sizes; collect again into a new folder"
            )
        if site is None and len(self.space.sites) > 1:
            raise ValueError(
                f"this collection is of several sites; choose one: site={self.space.sites[0]!r} or "
                + " or ".join(repr(name) for name in self.space.sites[1:])
            )
        full = self.space.full(site)
        return full, self.space.columns(full), self.space

    # adding

    def add(self, prompt: str, seed: int, codes: NDArray[np.float32], picture: Image.Image | None) -> None:
        """Add a picture; what was added is on disk after 32 of them, or `flush`."""
        self._batch.append(Record.of(prompt, seed, codes.reshape(self.grid.n_patches, -1), picture))
        if len(self._batch) >= SHARD:
            self.flush()

    def flush(self) -> None:
        """Write what was added since the last shard."""
        if self._batch:
            with files.locked(self.folder / _MANIFEST):
                self._forget_shards()  # another process may have added some meanwhile, and the same ones
                there = set(self.runs)
                new = [record for record in self._batch if (record.prompt, record.seed) not in there]
                if new:
                    stream = io.BytesIO()
                    np.savez_compressed(stream, allow_pickle=False, **packed(new))
                    taken = [int(path.stem.removeprefix("shard-")) for path in self._shards]
                    name = f"shard-{max(taken, default=-1) + 1:05d}.npz"
                    files.write(self.folder / name, stream.getvalue())
            self._batch = []
            self._forget_shards()

    def index_peaks(self) -> None:
        """Bring the index up to date that `top`, `spread` and `silent` read; they do it by themselves.

        Raises:
            ValueError: A shard is damaged.
        """
        self.__dict__.pop("_peaks", None)
        repr(self._peaks)

    # inside

    def _forget_shards(self) -> None:
        for name in ("_shards", "_versions", "_shard_runs", "_firsts", "_peaks", "statistics"):
            self.__dict__.pop(name, None)

    @cached_property
    def _shards(self) -> list[Path]:
        return sorted(self.folder.glob("shard-*.npz"))

    @cached_property
    def _versions(self) -> list[_Version]:
        return [_Version.of(shard) for shard in self._shards]

    @cached_property
    def _shard_runs(self) -> list[tuple[list[str], list[int]]]:
        for shard, version in zip(self._shards, self._versions, strict=True):
            if version in self._runs_of:
                continue
            with load(shard) as file:
                prompts, seeds = json.loads(file["prompts"].tobytes()), file["seeds"]
                if seeds.shape != (len(prompts),) or not all(isinstance(prompt, str) for prompt in prompts):
                    raise ValueError("its prompts and its seeds do not fit together")
                self._runs_of[version] = prompts, indices(seeds, checks.MAX_SEED + 1).tolist()
        self._runs_of = {version: self._runs_of[version] for version in self._versions}
        return list(self._runs_of.values())

    @cached_property
    def _firsts(self) -> list[int]:
        """The index of each shard's first picture, and at last the number of pictures."""
        return [0, *accumulate(len(seeds) for _, seeds in self._shard_runs)]

    @cached_property
    def _peaks(self) -> peaks.Peaks:
        kept = peaks.Peaks.load(self.folder / peaks.FILE, self.n_features, self.grid.n_patches)
        # Another process may have added shards or written some anew, and indexed them. The index is read
        # first, so that it names no shard that this list does not have.
        if self._versions != [_Version.of(shard) for shard in sorted(self.folder.glob("shard-*.npz"))]:
            self._forget_shards()
        shards = [
            peaks.Seen.of(shard, len(seeds))
            for shard, (_, seeds) in zip(self._shards, self._shard_runs, strict=True)
        ]
        return peaks.up_to_date(kept, self.folder, shards, self.n_features, self.grid.n_patches)

    def _find(self, index: int) -> tuple[Path, int]:
        shard, place = self._place(index)
        return self._shards[shard], place

    def _place(self, index: int) -> tuple[int, int]:
        """Which shard a picture is in, and its place in it."""
        index = checks.integer(
            "index", index, 0, max(0, len(self) - 1), hint=f"there are {checks.plural(len(self), 'picture')}"
        )
        if not len(self):
            raise ValueError(f"{self.folder} holds no pictures yet; add some with painter.collect")
        shard = bisect.bisect_right(self._firsts, index) - 1
        return shard, index - self._firsts[shard]

    def _as_hits(self, found: Sequence[peaks.Peak]) -> list[Hit]:
        hits = []
        for index, patch, activation in found:
            shard, place = self._place(index)
            prompts, seeds = self._shard_runs[shard]
            hits.append(Hit(index, prompts[place], seeds[place], *divmod(patch, self.grid.cols), activation))
        return hits

    def _hits(self, feature: int) -> Iterator[Hit]:
        first = 0
        for shard, (prompts, seeds) in zip(self._shards, self._shard_runs, strict=True):
            with load(shard) as file:
                begin, end = np.searchsorted(file["peak_features"], [feature, feature + 1])
                if begin < end:
                    limits = {"images": len(seeds), "patches": self.grid.n_patches}
                    columns = (
                        *(indices(file[f"peak_{name}"][begin:end], limits[name]) for name in limits),
                        file["peak_values"][begin:end],
                    )
                    for image, patch, value in zip(*columns, strict=True):
                        row, col = divmod(int(patch), self.grid.cols)
                        yield Hit(first + int(image), prompts[image], seeds[image], row, col, float(value))
            first += len(seeds)

    def __repr__(self) -> str:
        return f"Collection({str(self.folder)!r}, {checks.plural(len(self), 'picture')})"


def _size(value: object, most: int) -> int:
    return checks.integer("size", value, 1, most, hint="count features, rows and columns")


def _picks(n: object, skip: object, most: int) -> tuple[int, int]:
    skip = checks.integer("skip", skip, 0, most - 1, hint=f"n + skip is {most} at most")
    n = checks.integer("n", n, 1, most - skip, hint=f"n + skip is {most} at most")
    return n, skip


def collect(
    collection: Collection,
    runs: list[tuple[str, int]],
    analyse: Callable[[str, int], tuple[NDArray[np.float32], Image.Image | None]],
    *,
    progress: bool,
) -> None:
    """Add the runs that are not in the collection yet; if interrupted, finished pictures are kept.

    Args:
        collection: the collection to add to.
        runs: (prompt, seed) pairs.
        analyse: (prompt, seed) -> codes (rows, cols, n_features) and picture.
        progress: show a progress bar.
    """
    from tqdm.auto import tqdm

    done = set(collection.runs)
    wanted = list(dict.fromkeys(runs))
    missing = [run for run in wanted if run not in done]
    bar = tqdm(
        missing, desc="pictures", total=len(wanted), initial=len(wanted) - len(missing), disable=not progress
    )
    try:
        for prompt, seed in bar:
            codes, picture = analyse(prompt, seed)
            collection.add(prompt, seed, codes, picture)
    finally:
        bar.close()
        collection.flush()
    # Made now, so that the first question does not wait for it. A damaged shard is named by that question.
    if missing:
        with contextlib.suppress(OSError, ValueError):
            collection.index_peaks()
