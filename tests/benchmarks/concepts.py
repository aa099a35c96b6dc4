"""Concepts of the embedded model's pictures: time of the fit, agreement of two halves, time of an analysis.

    python -m tests.benchmarks.concepts [--pictures 500] [--folder FOLDER] [--others]

Pictures of random captions are collected into FOLDER (None = a temporary one; an existing collection there
is used and added to). "halves" is the cosine of the concepts of two halves of the pictures, each fitted alone
and matched; "stability" is the bank's own, from halves of its sample. "explained" is the share of the codes'
sum of squares. --others adds the ways of fitting that were not taken. An analysis is from codes to strengths,
timed in turns with `scipy.optimize.nnls` patch by patch, with and without a reduction to the basis' span.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import nnls

import ember_widgets as ember
from ember_widgets.dictionary.non_negative import mixes
from ember_widgets.embedded.captions import random_spec, say
from ember_widgets.features import concept_fit
from ember_widgets.features.collection import Collection

SITES = {"down.2.1": (16, 32), "up.0.1": (16, 64)}

Fit = Callable[[sparse.csr_array, int], NDArray[Any]]


def collected(painter: ember.Painter, folder: Path, n: int) -> Collection:
    rng = np.random.default_rng(7)
    prompts = [say(random_spec(rng), rng) for _ in range(n)]
    return painter.collect(prompts, folder, pictures=False, progress=False)


def sampled(codes: sparse.csr_array, n: int) -> NDArray[Any]:
    """As `Collection.concepts` does."""
    rows = np.flatnonzero(np.diff(codes.indptr))
    size = max(concept_fit.SAMPLE, 256 * n)
    if len(rows) > size:
        rows = np.sort(np.random.default_rng(0).choice(rows, size, replace=False))
    return concept_fit.factorised(codes[rows], n)


def by_batches(codes: sparse.csr_array, n: int) -> NDArray[Any]:
    """scikit-learn's MiniBatchNMF, five passes over all patches."""
    from sklearn.decomposition import MiniBatchNMF

    model = MiniBatchNMF(n, init="nndsvd", random_state=0, forget_factor=1.0)
    for _ in range(5):
        for begin in range(0, codes.shape[0] - n, 8192):
            model.partial_fit(codes[begin : begin + 8192])
    return np.asarray(model.components_)


def by_chance(codes: sparse.csr_array, n: int) -> NDArray[Any]:
    """NMF of the same number of patches from a random beginning."""
    from sklearn.decomposition import NMF

    rows = np.flatnonzero(np.diff(codes.indptr))
    size = min(len(rows), max(concept_fit.SAMPLE, 256 * n))
    rows = np.sort(np.random.default_rng(0).choice(rows, size, replace=False))
    return np.asarray(NMF(n, init="random", random_state=0, max_iter=200).fit(codes[rows]).components_)


def halves(collection: Collection) -> tuple[sparse.csr_array, sparse.csr_array]:
    """All codes of two halves of the pictures."""
    codes = sparse.vstack([part for _, part in collection.batches()], format="csr")
    n_patches = collection.grid.n_patches
    order = np.random.default_rng(0).permutation(len(collection))
    parts = np.array_split(order, 2)
    first, second = (
        codes[(np.sort(part)[:, None] * n_patches + np.arange(n_patches)).ravel()] for part in parts
    )
    return first, second


def explained(codes: sparse.csr_array, rows: NDArray[Any]) -> float:
    rows = rows[rows.any(axis=1)].astype(np.float64)
    some = codes[np.random.default_rng(1).choice(codes.shape[0], 4096, replace=False)].astype(np.float64)
    strengths = mixes(some @ rows.T, rows @ rows.T)
    return float(1 - ((some.toarray() - strengths @ rows) ** 2).sum() / (some.data**2).sum())


def ms_of(works: dict[str, Callable[[], object]], repeats: int = 7) -> dict[str, float]:
    """The median time of each, in turns."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            began = time.perf_counter()
            work()
            times[name].append(1000 * (time.perf_counter() - began))
    return {name: float(np.median(one)) for name, one in times.items()}


def analysis(bank: ember.ConceptBank, codes: NDArray[np.float32]) -> dict[str, float]:
    rows = bank.basis.astype(np.float64)
    flat = codes.reshape(-1, codes.shape[2]).astype(np.float64)

    def reduced() -> object:
        span, mixed = np.linalg.qr(rows.T)
        return [nnls(mixed, target)[0] for target in flat @ span]

    return ms_of(
        {
            "bank": lambda: bank.transform(codes),
            "nnls, reduced": reduced,
            "nnls": lambda: [nnls(rows.T, target)[0] for target in flat],
        },
        repeats=5,
    )


def report(site: str, collection: Collection, painter: ember.Painter, n: int, others: bool) -> None:
    (sae,) = painter.saes.values()
    began = time.perf_counter()
    bank = collection.concepts(n, ignore=sae.positional, labels=painter.labels, progress=False)
    seconds = time.perf_counter() - began
    first, second = halves(collection)
    ways: dict[str, Fit] = {"concepts()": sampled}
    if others:
        ways |= {"MiniBatchNMF": by_batches, "NMF, random": by_chance}
    for name, fit in ways.items():
        began = time.perf_counter()
        ours = fit(first, n)
        took = time.perf_counter() - began
        cosine = concept_fit.matched(ours, fit(second, n))[1]
        line = f"{site:9} {n:3} {name:13} {took:7.1f} {np.median(cosine):7.3f} {(cosine >= 0.9).mean():6.0%}"
        print(f"{line} {explained(second, ours):9.3f}", flush=True)
    codes = collection.codes(3)
    times = analysis(bank, codes)
    print(
        f"          all of concepts({n}): {seconds:.1f} s; stability {np.median(bank.stability):.3f}; "
        + ", ".join(f"{name} {ms:.1f} ms" for name, ms in times.items()),
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--others", action="store_true")
    given = parser.parse_args()
    print("site        n way           seconds  halves  >=0.9 explained")
    with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for site, sizes in SITES.items():
            painter = ember.Painter.embedded(sites=site)
            collection = collected(painter, (given.folder or Path(temporary)) / site, given.pictures)
            for n in sizes:
                report(site, collection, painter, n, given.others)


if __name__ == "__main__":
    main()
