"""Peaks: an index of where each feature is strong, weak and silent in a collection.

A feature's peak in a picture is its strongest patch there. One pass over the shards keeps, of every feature,

- its strongest peaks,
- a few peaks of each quarter of an octave of activation, chosen by a hash of feature and picture,
- a few pictures in which it is active nowhere, chosen by the same hash.

What is kept does not depend on the order in which peaks come, so an index that was extended equals one that
was made anew. It lies beside the shards in `peaks.npz` and names each shard that it has read, by name, size
and content. A file that is damaged, or is about other shards, is not used; it is made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ember_widgets.features.collection_file import load, peaks_in
from ember_widgets.util import arrays, files

STRONGEST = 64
"""So many of the strongest peaks of a feature are kept."""
OF_EACH_BIN = 4
"""So many peaks of each quarter of an octave are kept."""
SILENT = 32
"""So many pictures in which a feature is silent are kept."""

FILE = "peaks.npz"
_COLUMNS = ("features", "pictures", "patches", "values")
_VERSION = 1
_MAX_HEADER = 2**22
_TAIL = 2048
_AT_ONCE = 2**19
_GOLDEN = 0.6180339887498949

Columns = tuple[NDArray[Any], ...]
Place = Callable[..., tuple[NDArray[np.int64], NDArray[np.uint64]]]


class Peak(NamedTuple):
    """Where a feature is strongest in a picture: the picture's index, the patch's, and the activation."""

    picture: int
    patch: int
    activation: float


class Seen(NamedTuple):
    """A shard that an index has read."""

    name: str
    size: int
    content: str
    n_pictures: int

    @classmethod
    def of(cls, shard: Path, n_pictures: int) -> Seen:
        """Identify a shard without reading all of it.

        A shard's last bytes list its arrays with their sizes and check sums, and differ if any array does.
        """
        with files.opened(shard) as stream:
            size = stream.seek(0, io.SEEK_END)
            stream.seek(max(0, size - _TAIL))
            return cls(shard.name, size, hashlib.sha256(stream.read()).hexdigest(), n_pictures)


class Peaks:
    """The peaks of all features of a collection that were worth keeping.

    Args:
        n_features: of the collection.
        n_patches: of each of its pictures.

    Attributes:
        seen: the shards that it has read, in their order.
    """

    def __init__(self, n_features: int, n_patches: int) -> None:
        self.n_features = n_features
        self.n_patches = n_patches
        self.seen: list[Seen] = []
        patch = np.min_scalar_type(n_patches - 1)
        none = (np.empty(0, np.int32), np.empty(0, np.uint32), np.empty(0, patch), np.empty(0, np.float32))
        self._strong = _Kept(STRONGEST, _strongest_first, none)
        self._spread = _Kept(OF_EACH_BIN, _by_chance_in_bins, none)
        self._silent = _Kept(SILENT, _by_chance, none[:2])

    @property
    def n_pictures(self) -> int:
        """How many pictures it has read."""
        return sum(shard.n_pictures for shard in self.seen)

    # asking

    def top(self, feature: int, n: int) -> list[Peak] | None:
        """A feature's n strongest peaks, strongest first, then by picture; None if fewer are kept."""
        peaks = _peaks(self._strong, feature)
        return None if n > STRONGEST == len(peaks) else peaks[:n]

    def spread(self, feature: int, n: int, skip: int = 0) -> list[Peak]:
        """Peaks spread evenly over a feature's range of activation, strongest first.

        The picks form one sequence: each takes the remaining peak that is nearest to its place in the range.
        The places follow each other by the golden ratio, which spreads any run of consecutive places evenly
        (the three-gap theorem: Sós 1958). So `skip` gives other picks that are spread as well.

        Args:
            feature: the feature.
            n: how many picks at most.
            skip: how many picks to leave out first; n + skip is `STRONGEST` at most.
        """
        both = _peaks(self._strong, feature) + _peaks(self._spread, feature)
        left = sorted({peak.picture: peak for peak in both}.values(), key=_in_order)
        if not left:
            return []
        strongest, weakest = left[0].activation, left[-1].activation
        values = np.array([peak.activation for peak in left])
        picks = []
        for pick in range(min(n + skip, len(left))):
            place = strongest - (pick * _GOLDEN) % 1 * (strongest - weakest)
            nearest = int(np.abs(values - place).argmin())
            values[nearest] = np.inf
            picks.append(left[nearest])
        return sorted(picks[skip:], key=_in_order)

    def silent(self, feature: int, n: int, skip: int = 0) -> list[int]:
        """Pictures in which a feature is active nowhere, in an order by chance that is always the same.

        Args:
            feature: the feature.
            n: how many at most.
            skip: how many to leave out first; n + skip is `SILENT` at most.
        """
        found: list[int] = self._silent.columns[1][self._silent.rows(feature)].tolist()
        return found[skip : skip + n]

    # reading shards

    def read(self, folder: Path, shards: Sequence[Seen]) -> None:
        """Add shards of a folder.

        Raises:
            OSError: One cannot be read.
            ValueError: One is damaged; those before it are added.
        """
        from tqdm.auto import tqdm

        try:
            # The bar shows only if reading takes long.
            for shard in tqdm(shards, desc="indexing the collection", unit="shard", delay=3, leave=False):
                with load(folder / shard.name) as file:
                    peaks = peaks_in(file, self.n_features, shard.n_pictures, self.n_patches)
                self._add(*peaks, shard.n_pictures)
                self.seen.append(shard)
        finally:
            for kept in (self._strong, self._spread, self._silent):
                kept.settle()

    def _add(
        self,
        features: NDArray[Any],
        images: NDArray[Any],
        patches: NDArray[Any],
        values: NDArray[Any],
        n_pictures: int,
    ) -> None:
        first = self.n_pictures
        pictures = images.astype(np.uint32) + np.uint32(first)
        for kept in (self._strong, self._spread):
            kept.add(features, pictures, patches, values)
        step = max(1, _AT_ONCE // max(1, n_pictures))
        order = np.argsort(features, kind="stable")
        features, images = features[order], images[order]
        for begin in range(0, self.n_features, step):
            self._add_silent(begin, min(begin + step, self.n_features), features, images, first, n_pictures)

    def _add_silent(
        self, begin: int, end: int, features: NDArray[Any], images: NDArray[Any], first: int, n_pictures: int
    ) -> None:
        rows = np.arange(begin, end)
        chance = _chance(rows[:, None], np.arange(first, first + n_pictures)[None])
        some = slice(*np.searchsorted(features, [begin, end]))
        worth = chance < self._silent.limits(rows)[:, None]
        worth[features[some] - begin, images[some]] = False
        row, picture = np.nonzero(worth)
        self._silent.add(rows[row].astype(np.int32), (picture + first).astype(np.uint32))

    # the file

    def save(self, path: Path) -> None:
        """Write a file, atomically, unless the one that is there has read these shards and more."""
        stream = io.BytesIO()
        header = {"format": "ember-peaks", "version": _VERSION, "shards": self.seen}
        columns: dict[str, NDArray[Any]] = {"header": np.frombuffer(json.dumps(header).encode(), np.uint8)}
        for name, kept in self._tables().items():
            for column, array in zip(_COLUMNS, kept.columns, strict=False):
                columns[f"{name}_{column}"] = array
            # The features are sorted; their counts say which they are.
            columns[f"{name}_features"] = np.bincount(kept.columns[0], minlength=self.n_features)
        np.savez(stream, allow_pickle=False, **columns)
        with files.locked(path):
            theirs = _header(path)
            if len(theirs) <= len(self.seen) or theirs[: len(self.seen)] != self.seen:
                files.write(path, stream.getvalue())

    @classmethod
    def load(cls, path: Path, n_features: int, n_patches: int) -> Peaks | None:
        """Read a file; None if there is none, or it is damaged or about other features or patches."""
        made = cls(n_features, n_patches)
        with contextlib.suppress(OSError, ValueError), arrays.opened(path, "it is made anew") as file:
            made.seen = _shards_of(file)
            for name, kept in made._tables().items():
                counts = file[f"{name}_features"]
                others = [file[f"{name}_{column}"] for column in _COLUMNS[1 : len(kept.columns)]]
                if counts.shape != (n_features,) or counts.dtype != np.int64 or counts.min() < 0:
                    raise ValueError("it counts other features")
                if len(others[0]) != counts.sum() or counts.max() > 2**31:
                    raise ValueError("its columns do not fit together")
                features = np.repeat(np.arange(n_features, dtype=np.int32), counts)
                kept.restore((features, *others), (n_features, made.n_pictures, n_patches))
            return made
        return None

    def _tables(self) -> dict[str, _Kept]:
        return {"strong": self._strong, "spread": self._spread, "silent": self._silent}


def _peaks(kept: _Kept, feature: int) -> list[Peak]:
    rows = kept.rows(feature)
    return [Peak(*peak) for peak in zip(*(column[rows].tolist() for column in kept.columns[1:]), strict=True)]


def _in_order(peak: Peak) -> tuple[float, int]:
    return -peak.activation, peak.picture


def up_to_date(
    kept: Peaks | None, folder: Path, shards: Sequence[Seen], n_features: int, n_patches: int
) -> Peaks:
    """The index of all shards of a collection; what it lacked is read, and it is written back.

    Args:
        kept: the index as it was, or None.
        folder: the collection's.
        shards: all of its shards, in their order, listed after `kept` was read.
        n_features: of the collection.
        n_patches: of each of its pictures.

    Raises:
        OSError: A shard cannot be read.
        ValueError: A shard is damaged.
    """
    shards = list(shards)
    if kept is None or kept.seen != shards[: len(kept.seen)]:
        kept = Peaks(n_features, n_patches)
    n_seen = len(kept.seen)
    if n_seen == len(shards):
        return kept
    try:
        kept.read(folder, shards[n_seen:])
    finally:
        # An interrupted index continues where it stopped.
        if len(kept.seen) > n_seen:
            try:
                kept.save(folder / FILE)
            except OSError as fault:
                warnings.warn(f"this index has to be made again next time: {fault}", stacklevel=2)
    return kept


def _header(path: Path) -> list[Seen]:
    """The shards that a file names; none if it cannot be read."""
    with contextlib.suppress(OSError, ValueError), arrays.opened(path, "it is made anew") as file:
        return _shards_of(file)
    return []


def _shards_of(file: arrays.Arrays) -> list[Seen]:
    text = file["header"].tobytes()
    if len(text) > _MAX_HEADER:
        raise ValueError("its header is too long")
    header = files.parsed(text.decode(), _MAX_HEADER)
    if (header["format"], header["version"]) != ("ember-peaks", _VERSION):
        raise ValueError("it is of another version")
    return [Seen(str(name), int(size), str(content), int(n)) for name, size, content, n in header["shards"]]


# What is kept


class _Kept:
    """The first entries of each group, whatever the order in which they are added.

    Args:
        most: how many of each group.
        place: columns -> the group of each entry, (n,) int64, and its place in it, (n,) uint64.
        columns: (n,) arrays that describe the entries: feature, picture, patch, activation.
    """

    def __init__(self, most: int, place: Place, columns: Columns) -> None:
        self.columns = columns
        self._most = most
        self._place = place
        self._waiting: list[Columns] = []
        self._full, self._limits = np.empty(0, np.int64), np.empty(0, np.uint64)

    def rows(self, feature: int) -> slice:
        """Which entries are of a feature."""
        # Of the column's own type: of another, numpy would copy the whole column to compare it.
        ends = np.array([feature, feature + 1], self.columns[0].dtype)
        return slice(*np.searchsorted(self.columns[0], ends).tolist())

    def limits(self, groups: NDArray[np.int64]) -> NDArray[np.uint64]:
        """The place in each group, (n,) uint64, from which on entries cannot be among the first."""
        found = np.full(len(groups), np.iinfo(np.uint64).max)
        if len(self._full):
            at = np.minimum(np.searchsorted(self._full, groups), len(self._full) - 1)
            found = np.where(self._full[at] == groups, self._limits[at], found)
        return found

    def add(self, *columns: NDArray[Any]) -> None:
        """Add entries; they take effect when there are enough, or with `settle`."""
        groups, places = self._place(*columns)
        worth = places < self.limits(groups)
        self._waiting.append(tuple(column[worth] for column in columns))
        n_waiting = sum(len(waiting[0]) for waiting in self._waiting)
        # Sorting all takes long, so it waits until there is much to sort.
        if n_waiting > max(_AT_ONCE, len(self.columns[0]) // 2):
            self.settle()

    def settle(self) -> None:
        """Sort in what waits, and drop what is not among the first of its group."""
        if self._waiting:
            added = zip(self.columns, *self._waiting, strict=True)
            columns = tuple(np.concatenate(parts, dtype=parts[0].dtype) for parts in added)
            self._waiting = []
            groups, places = self._place(*columns)
            order = np.lexsort((places, groups))
            order = order[_rank(groups[order]) < self._most]
            self.columns = tuple(column[order] for column in columns)
            self._remember(groups[order], places[order])

    def restore(self, columns: Columns, limits: tuple[int, ...]) -> None:
        """Take columns from a file.

        Raises:
            ValueError: They are not such as `settle` leaves, or hold indices that are not below the limits.
        """
        for column, ours in zip(columns, self.columns, strict=True):
            if column.dtype != ours.dtype or column.shape != columns[0].shape:
                raise ValueError("its columns do not fit together")
        for column, limit in zip(columns, limits, strict=False):
            if len(column) and column.max() >= limit:
                raise ValueError(f"it holds indices that are not below {limit}")
        for values in columns[3:]:
            if not ((values > 0) & np.isfinite(values)).all():
                raise ValueError("it holds activations that are not above 0")
        groups, places = self._place(*columns)
        later = np.diff(groups) > 0
        same = groups[1:] == groups[:-1]
        if not (later | (same & (places[1:] > places[:-1]))).all() or (_rank(groups) >= self._most).any():
            raise ValueError("its entries are not in order")
        self.columns = columns
        self._remember(groups, places)

    def _remember(self, groups: NDArray[np.int64], places: NDArray[np.uint64]) -> None:
        last = _rank(groups) == self._most - 1
        self._full, self._limits = groups[last], places[last]


def _rank(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """The place of each entry in its group, from 0 on, if groups lie together."""
    begins = np.flatnonzero(np.append(True, groups[1:] != groups[:-1])[: len(groups)])
    ranks: NDArray[np.int64] = np.arange(len(groups)) - np.repeat(begins, np.diff(begins, append=len(groups)))
    return ranks


def _strongest_first(
    features: NDArray[Any], pictures: NDArray[Any], patches: NDArray[Any], values: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    # The bits of floats above 0 are in the order of the floats.
    weak = (~values.view(np.uint32)).astype(np.uint64)
    return features.astype(np.int64), weak << np.uint64(32) | pictures


def _by_chance_in_bins(
    features: NDArray[Any], pictures: NDArray[Any], patches: NDArray[Any], values: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    # The exponent and two bits of the fraction: four bins in each octave, the same on every machine.
    bins = (values.view(np.uint32) >> np.uint32(21)).astype(np.int64)
    return features.astype(np.int64) << 10 | bins, _chance(features, pictures)


def _by_chance(
    features: NDArray[Any], pictures: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    return features.astype(np.int64), _chance(features, pictures)


def _chance(features: NDArray[Any], pictures: NDArray[Any]) -> NDArray[np.uint64]:
    """A number below 2³² for each feature and picture that looks random; a feature's are all different."""
    return _mixed(_mixed(features.astype(np.uint32) + np.uint32(1)) ^ pictures.astype(np.uint32)).astype(
        np.uint64
    )


def _mixed(numbers: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The last step of MurmurHash3 (Appleby 2011): it maps 32 bits to 32 bits, one to one."""
    numbers = numbers ^ (numbers >> np.uint32(16))
    numbers *= np.uint32(0x85EBCA6B)
    numbers ^= numbers >> np.uint32(13)
    numbers *= np.uint32(0xC2B2AE35)
    numbers ^= numbers >> np.uint32(16)
    return numbers
