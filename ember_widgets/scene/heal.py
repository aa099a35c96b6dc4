"""Fills a hole in a scene with the background at that height.

js/src/paint/store/heal.ts does the same in the browser, sum by sum in the same order, so that both get the
same bits; tests/unit/scene/parity.json compares them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ember_widgets.util.checks import FloatArray

NOTHING = 0.1
"""The strength that counts as one more factor, so that an empty patch is a background too."""

ROWS_APART = 3.0
COLS_APART = 4.0
"""A patch counts half if it is a third of a row away, or a quarter of the picture's width along the row."""

NARROW, WIDE = 0.5, 0.7
"""Up to the first width (see `_width`) a factor is a thing; from the second on, it is background."""

LEAST = 1e-3
"""How much a thing counts, compared with background: it fills only where there is nothing else."""

Array = NDArray[np.float64]


def heal(strengths: FloatArray, hole: NDArray[np.bool_], exclude: int | None = None) -> FloatArray:
    """Fill a hole with a weighted mean of the patches outside.

    A patch counts the more, the closer its row and its column are (but far columns still count: what
    is at that height elsewhere), and the more it is background: how much of what it is made of spreads over
    its row, and is found in most columns of the picture, or at its sides with nothing wider around it. So a
    hole in the sky fills with sky, also where it touches the ground, and a tree beside it does not grow into
    it.

    Args:
        strengths: (rows, cols, n_factors) float32.
        hole: bool (rows, cols), the patches to fill; what they held is ignored.
        exclude: index of a factor that is to be zero in the hole.

    Returns:
        (rows, cols, n_factors) float32, a new array, equal to ``strengths`` outside the hole. If the hole is
        the whole grid there is nothing to fill it from, and it becomes zero.
    """
    rows, cols = hole.shape
    filled: FloatArray = np.where(hole[..., None], np.float32(0), strengths).astype(np.float32)
    if hole.all() or not hole.any():
        return filled
    seen = filled.astype(np.float64)
    if exclude is not None:
        seen[..., exclude] = 0
    counts = _background(seen, ~hole)
    weighted = np.concatenate([seen * counts[..., None], counts[..., None]], axis=2)
    nearby = 1 / (1 + ((COLS_APART * (np.arange(cols)[:, None] - np.arange(cols))) / cols) ** 2)
    for row in np.flatnonzero(hole.any(axis=1)):
        level = 1 / (1 + (ROWS_APART * (row - np.arange(rows))) ** 2) ** 2
        column_sums = _sum(level[:, None, None] * weighted)
        there = np.flatnonzero(hole[row])
        sums = _sum(nearby[:, there, None] * column_sums[:, None, :])
        filled[row, there] = sums[:, :-1] / sums[:, -1:]
    return filled


def _background(seen: Array, known: NDArray[np.bool_]) -> Array:
    """How much each known patch is made of background that spreads over its row.

    Returns:
        (rows, cols), 0..1; 0 in the hole.
    """
    sizes = np.concatenate([np.full((*known.shape, 1), NOTHING), np.abs(seen)], axis=2)
    mix = known[..., None] * sizes / _sum(np.moveaxis(sizes, 2, 0))[..., None]
    spread = _sum(np.moveaxis(mix, 1, 0)) / np.maximum(known.sum(axis=1), 1)[:, None]
    spread = spread * np.clip((_width(mix, known) - NARROW) / (WIDE - NARROW), LEAST, 1)
    alike: Array = _sum(np.moveaxis(mix * spread[:, None, :], 2, 0)) ** 2
    return alike


def _width(mix: Array, known: NDArray[np.bool_]) -> Array:
    """How far each factor spreads over the picture.

    What reaches a side goes on behind the hole, so it may be as wide as the picture: if a hole covers most of
    the ground, the ground is seen at the sides only. But a house may stand at a side too. What tells them
    apart is a factor in more columns around it, in the same rows and in the same columns: the house has grass
    there.

    Args:
        mix: (rows, cols, n_factors) what each patch is made of; 0 in the hole.
        known: bool (rows, cols), the patches outside the hole.

    Returns:
        (n_factors,) 0..1.
    """
    in_row, in_column = mix.max(axis=1), mix.max(axis=0)
    columns = _sum(in_column) / known.any(axis=0).sum()
    sides = mix[:, [0, -1]].max(axis=(0, 1))
    around = np.minimum(in_row[:, None], in_column) * np.maximum(columns, sides)
    wider = [around[..., columns > own].max(axis=2, initial=0) for own in columns]
    patches = mix.reshape(-1, len(columns))
    total = _sum(patches)
    stands = _sum(patches * np.stack(wider, axis=2).reshape(patches.shape))
    share = np.divide(stands, total, out=np.zeros_like(total), where=total > 0)
    width: Array = np.maximum(columns, np.minimum(sides, 1 - share))
    return width


def _sum(terms: Array) -> Array:
    """The sum over the first axis, from first to last: NumPy's own order depends on the processor."""
    total = np.zeros(terms.shape[1:])
    for term in terms:
        total += term
    return total
