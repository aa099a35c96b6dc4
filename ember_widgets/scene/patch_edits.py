"""What edits of patches compute, on a scene's strengths and remainder mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ember_widgets.scene.factor_edits import writable
from ember_widgets.scene.grid import Grid, Mask
from ember_widgets.util.checks import FloatArray

Edited = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Strengths (rows, cols, n_factors) and remainder (rows, cols) after an edit."""


@dataclass(frozen=True)
class Layers:
    """What an edit of patches works on.

    Args:
        strengths: (rows, cols, n_factors) float32.
        remainder: (rows, cols) float32 in [0, 1].
        same_site: (n_factors,) bool, the factors at the site that is edited, and that act only at steps at
            which the edit acts; an edit covers or heals only these.
        masks_remainder: whether the remainder belongs to that site, and the edit acts at all steps.
    """

    strengths: FloatArray
    remainder: FloatArray
    same_site: NDArray[np.bool_]
    masks_remainder: bool


def paint(
    layers: Layers, factor: int, where: Mask, strength: float, shares: NDArray[np.float64], over: bool
) -> Edited:
    """Paint a factor.

    Args:
        layers: the layers before.
        factor: index.
        where: (rows, cols) bool, the patches.
        strength: what is painted.
        shares: (rows, cols) in [0, 1], how much of the stroke counts in each patch.
        over: whether the stroke covers what is there; else it is added.
    """
    strengths, remainder = writable(layers.strengths), writable(layers.remainder)
    counts = shares[where]
    if over:
        strengths[where] *= np.where(layers.same_site, (1 - counts)[:, None], 1)
        if layers.masks_remainder:
            remainder[where] *= 1 - counts
    strengths[where, factor] += counts * strength
    return strengths, remainder


def erase(layers: Layers, factor: int | None, where: Mask, fill: bool) -> Edited:
    """Take a factor (None = all factors) out of patches; ``fill`` fills them from their surroundings."""
    strengths, remainder = writable(layers.strengths), writable(layers.remainder)
    if factor is None or fill:
        strengths[where] = np.where(layers.same_site, _emptied(layers, where, factor, fill), strengths[where])
        if layers.masks_remainder:
            remainder[where] = 0
    else:
        strengths[where, factor] = 0
    return strengths, remainder


def move(layers: Layers, factor: int | None, source: Mask, by: tuple[int, int], fill: bool) -> Edited:
    """Carry what patches hold of a factor (None = of all factors) to other patches.

    Args:
        layers: the layers before.
        factor: index, or None.
        source: (rows, cols) bool, the patches that are carried.
        by: rows down, columns to the right.
        fill: whether vacated patches are filled from their surroundings.
    """
    strengths, remainder = writable(layers.strengths), writable(layers.remainder)
    # Filled before the region is put down, from surroundings that are still unchanged.
    strengths[source] = np.where(layers.same_site, _emptied(layers, source, factor, fill), strengths[source])
    if layers.masks_remainder:
        remainder[source] = 0
    rows, cols = np.nonzero(source)
    to_rows, to_cols = rows + by[0], cols + by[1]
    n_rows, n_cols = source.shape
    inside = (to_rows >= 0) & (to_rows < n_rows) & (to_cols >= 0) & (to_cols < n_cols)
    rows, cols, to_rows, to_cols = rows[inside], cols[inside], to_rows[inside], to_cols[inside]
    strengths[to_rows, to_cols] = np.where(layers.same_site, 0, strengths[to_rows, to_cols])
    carried = slice(None) if factor is None else factor
    strengths[to_rows, to_cols, carried] = layers.strengths[rows, cols, carried]
    if layers.masks_remainder:
        remainder[to_rows, to_cols] = layers.remainder[rows, cols]
    return strengths, remainder


def _emptied(layers: Layers, where: Mask, factor: int | None, fill: bool) -> Any:
    """What patches hold after something was taken out of them."""
    return Grid.of(layers.strengths).heal(layers.strengths, where, factor)[where] if fill else 0
