"""How the concepts of a collection are found: NMF of a sample of its patches, then strengths in all of them.

The codes of a collection do not fit into memory. One pass draws a sample of its patches, evenly over all
pictures: `SAMPLE` of those in which anything is active. Non-negative matrix factorisation of the sample,
begun from its singular vectors (NNDSVD; Boutsidis and Gallopoulos 2008, Pattern Recognition 41), gives the
basis; the same pictures give the same one. A second pass computes the strengths of all patches by exact
non-negative least squares. So memory does not grow with the collection.

Two other ways are measured by tests/benchmarks/concepts.py. `MiniBatchNMF.partial_fit` over all patches finds
concepts that two halves of the pictures agree on less. NMF from a random beginning finds about as good ones,
which depend on chance, and takes several times as long.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ember_widgets.dictionary import non_negative
from ember_widgets.dictionary.factor_names import free_factor_name, label_of
from ember_widgets.dictionary.factors import unit_rows
from ember_widgets.dictionary.threads import one_blas_thread
from ember_widgets.features.hit import Hit
from ember_widgets.scene.grid import Grid
from ember_widgets.util import quiet

if TYPE_CHECKING:
    from scipy import sparse

SAMPLE = 2**14
"""Patches that NMF sees, at least; 256 for each concept if that is more."""
MAX_ITERATIONS, TOLERANCE = 100, 1e-3
N_HITS = 24
"""Pictures that are kept for each concept."""


class Codes(Protocol):
    """What is needed of a collection."""

    folder: Path
    grid: Grid

    def __len__(self) -> int:
        """How many pictures there are."""

    @property
    def runs(self) -> list[tuple[str, int]]:
        """(prompt, seed) of every picture."""

    def batches(self) -> Iterator[tuple[int, sparse.csr_array]]:
        """First picture and codes, a row per patch."""


@dataclass(frozen=True)
class Fitted:
    """What a fit found, the concept with the largest share of all codes first.

    Args:
        basis: (n, n_features) float32 ≥ 0, codes at a concept's typical strength in the collection.
        strengths: (n_pictures, n) float32, mean strength over each picture's patches.
        stability: (n,) float32, see `stability`; NaN if it was not measured.
        hits: For each concept its strongest pictures, strongest first.
    """

    basis: NDArray[np.float32]
    strengths: NDArray[np.float32]
    stability: NDArray[np.float32]
    hits: tuple[tuple[Hit, ...], ...]


@dataclass(frozen=True)
class Sample:
    """Patches of a collection, drawn by chance.

    Args:
        codes: (n_patches, n_features).
        pictures: (n_patches,), the picture of each.
    """

    codes: sparse.csr_array
    pictures: NDArray[np.int64]


def fit(
    collection: Codes,
    columns: slice,
    n: int,
    ignored: NDArray[np.bool_],
    *,
    seed: int,
    stability: bool,
    progress: bool,
) -> Fitted:
    """Find the concepts of a collection.

    Args:
        collection: The collection.
        columns: The features of one site.
        n: How many concepts.
        ignored: (n_features of the site,) features that are left out of NMF; their weights are computed
            afterwards, and strengths are those of all features.
        seed: Of the sample and of the halves.
        stability: Also fit two halves of the pictures.
        progress: Show a progress bar.

    Raises:
        ValueError: Nothing is active, or `n` is larger than the number of active features or patches.
    """
    from tqdm.auto import tqdm

    bar = tqdm(total=2 * len(collection), desc="pictures", unit="", disable=not progress)
    with bar:
        sample = _sample(collection, columns, max(SAMPLE, 256 * n), seed, bar)
        live = np.unique(sample.codes.indices)
        sought = live[~ignored[live]]
        _check_there_are(n, sample, sought, len(live), collection)
        rows = factorised(sample.codes[:, sought], n)
        basis = np.zeros((len(rows), len(ignored)))
        basis[:, sought] = rows
        basis[:, live[ignored[live]]] = _late(sample.codes, basis, live[ignored[live]])
        found = _strengths(collection, columns, basis, bar)
    stable = np.full(len(basis), np.nan)
    if stability:
        is_first = np.random.default_rng([seed, 1]).random(len(collection)) < 0.5
        halves = [sample.codes[is_first[sample.pictures] == half][:, sought] for half in (True, False)]
        if all(min(half.shape) >= n for half in halves):
            stable = agreement(rows, *(factorised(half, n) for half in halves))
    typical = found.typical
    energy = found.squares * (basis**2).sum(axis=1)
    order = np.argsort(-energy, kind="stable")
    runs = collection.runs
    return Fitted(
        basis=(basis * typical[:, None])[order].astype(np.float32),
        strengths=(found.means / typical)[:, order].astype(np.float32),
        stability=stable[order].astype(np.float32),
        hits=tuple(found.hits(int(k), runs, collection.grid) for k in order),
    )


def factorised(codes: sparse.csr_array, n: int) -> NDArray[np.float64]:
    """NMF of patches: (n_patches, n_features) -> (n, n_features); fewer rows if some of them vanish."""
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    model = NMF(n, init="nndsvd", random_state=0, max_iter=MAX_ITERATIONS, tol=TOLERANCE)
    # sklearn takes the root of the error that is left, which rounding can make a little less than 0.
    with quiet.ignoring(ConvergenceWarning), np.errstate(invalid="ignore"), one_blas_thread():
        model.fit(codes)
    rows = model.components_.astype(np.float64)
    # What adds less than this to a row is left from the beginning, and would never be seen.
    rows[rows < 1e-4 * rows.max(axis=1, keepdims=True)] = 0
    return np.asarray(rows[rows.any(axis=1)])


def matched(first: NDArray[Any], second: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Pair the rows of two bases so that their cosines are largest in sum.

    Returns:
        For each row of the first, its partner in the second (-1: none is left), and the cosine (0 then).
    """
    from scipy.optimize import linear_sum_assignment

    cosines = unit_rows(first) @ unit_rows(second).T
    partner, cosine = np.full(len(first), -1), np.zeros(len(first))
    rows, others = linear_sum_assignment(-cosines)
    partner[rows], cosine[rows] = others, cosines[rows, others]
    return partner, cosine


def agreement(rows: NDArray[Any], first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    """How alike each concept is in two halves: the cosine between its partners there, 0 if it has none."""
    partners = [matched(rows, half)[0] for half in (first, second)]
    both = (partners[0] >= 0) & (partners[1] >= 0)
    cosines = (unit_rows(first)[partners[0]] * unit_rows(second)[partners[1]]).sum(axis=1)
    return np.where(both, cosines, 0.0)


def _sample(collection: Codes, columns: slice, size: int, seed: int, bar: Any) -> Sample:
    """Patches in which anything is active, each as likely as any other: those with the smallest keys."""
    from scipy import sparse

    random, n_patches = np.random.default_rng([seed, 0]), collection.grid.n_patches
    kept: list[tuple[NDArray[Any], NDArray[Any], Any]] = []
    limit, count = 1.0, 0
    for first, codes in collection.batches():
        codes = codes[:, columns]
        keys = random.random(codes.shape[0])
        rows = np.flatnonzero((np.diff(codes.indptr) > 0) & (keys < limit))
        kept.append((keys[rows], first + rows // n_patches, codes[rows]))
        count += len(rows)
        if count > 2 * size:
            kept = [_smallest(kept, size)]
            limit, count = float(kept[0][0].max()), size
        bar.update(codes.shape[0] // n_patches)
    if not kept:
        return Sample(sparse.csr_array((0, columns.stop - columns.start)), np.zeros(0, np.int64))
    _, pictures, codes = _smallest(kept, size)
    return Sample(codes, pictures.astype(np.int64))


def _smallest(kept: list[tuple[NDArray[Any], NDArray[Any], Any]], size: int) -> tuple[Any, Any, Any]:
    from scipy import sparse

    keys, pictures = (np.concatenate([part[i] for part in kept]) for i in (0, 1))
    codes = sparse.vstack([part[2] for part in kept], format="csr")
    # In the collection's order, so that a collection that fits is taken as it is.
    chosen = np.sort(np.argsort(keys, kind="stable")[:size])
    return keys[chosen], pictures[chosen], codes[chosen]


def _late(codes: sparse.csr_array, basis: NDArray[np.float64], late: NDArray[np.intp]) -> NDArray[np.float64]:
    """Weights of features that were left out, for the strengths that the others give: (n, n_late)."""
    strengths = non_negative.mixes(codes @ basis.T, basis @ basis.T)
    gram = strengths.T @ strengths
    gram += np.diag(np.diag(gram) == 0)  # a concept that is nowhere in the sample
    return np.asarray(non_negative.mixes(codes[:, late].T @ strengths, gram).T)


class _Found:
    """What the second pass adds up."""

    def __init__(self, n_pictures: int, n: int) -> None:
        self.means = np.zeros((n_pictures, n))
        self.total, self.squares = np.zeros(n), np.zeros(n)
        self.peaks: list[list[tuple[float, int, int]]] = [[] for _ in range(n)]

    @property
    def typical(self) -> NDArray[np.float64]:
        """Each concept's typical strength, as `dictionary.factors.typical_strength` defines it."""
        return np.divide(self.squares, self.total, out=np.ones_like(self.total), where=self.total > 0)

    def add(self, first: int, strengths: NDArray[np.float64]) -> None:
        """Add pictures: (n_pictures, n_patches, n)."""
        self.means[first : first + len(strengths)] = strengths.mean(axis=1)
        self.total += strengths.sum(axis=(0, 1))
        self.squares += (strengths**2).sum(axis=(0, 1))
        patches = strengths.argmax(axis=1)
        values = strengths.max(axis=1)
        for k, kept in enumerate(self.peaks):
            for i in np.flatnonzero(values[:, k]).tolist():
                peak = (float(values[i, k]), -(first + i), int(patches[i, k]))
                if len(kept) < N_HITS:
                    heapq.heappush(kept, peak)
                elif peak > kept[0]:
                    heapq.heapreplace(kept, peak)

    def hits(self, k: int, runs: list[tuple[str, int]], grid: Grid) -> tuple[Hit, ...]:
        typical = self.typical[k]
        return tuple(
            Hit(-negative, *runs[-negative], *divmod(patch, grid.cols), float(np.float32(value / typical)))
            for value, negative, patch in sorted(self.peaks[k], reverse=True)
        )


def _strengths(collection: Codes, columns: slice, basis: NDArray[np.float64], bar: Any) -> _Found:
    found, gram = _Found(len(collection), len(basis)), basis @ basis.T
    n_patches = collection.grid.n_patches
    for first, codes in collection.batches():
        strengths = non_negative.mixes(codes[:, columns] @ basis.T, gram)
        found.add(first, strengths.reshape(-1, n_patches, len(basis)))
        bar.update(codes.shape[0] // n_patches)
    return found


def _check_there_are(n: int, sample: Sample, sought: NDArray[Any], n_live: int, collection: Codes) -> None:
    """Refuse more concepts than there are active features or patches."""
    if not n_live:
        raise ValueError(
            f"no feature is active in the {len(collection)} pictures of {collection.folder}; collect more "
            "with painter.collect(prompts, folder)"
        )
    if not len(sought):
        raise ValueError("ignore names every active feature of this collection; ignore fewer")
    limit = min(len(sought), sample.codes.shape[0])
    if n > limit:
        raise ValueError(
            f"n={n}, but this collection has only {len(sought)} active features in {sample.codes.shape[0]} "
            f"patches; choose 1..{limit}, or collect more pictures"
        )


def named(basis: NDArray[np.float32], labels: Mapping[int, str]) -> tuple[str, ...]:
    """A name for each concept: the label that carries most of it, or "concept 3"; all different."""
    names: list[str] = []
    same = np.ones(basis.shape[1], np.float32)
    for k, row in enumerate(basis):
        names.append(free_factor_name(label_of(row, same, labels) or f"concept {k + 1}", names))
    return tuple(names)
