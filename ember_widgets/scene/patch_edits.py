"""What edits of patches compute, on a scene's strengths and remainder mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ember_widgets.scene.factor_edits import writable
from ember_widgets.scene.grid import Grid, Mask
from ember_widgets.scene.steps import Maps
from ember_widgets.util.checks import FloatArray


@dataclass(frozen=True)
class Editable:
    """What an edit of patches works on, and how much of it the edit may change.

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
    editable: Editable, factor: int, where: Mask, strength: float, shares: NDArray[np.float64], over: bool
) -> Maps:
    """Paint a factor.

    Args:
        editable: what is there before.
        factor: index.
        where: (rows, cols) bool, the patches.
        strength: what is painted.
        shares: (rows, cols) in [0, 1], how much of the stroke counts in each patch.
        over: whether the stroke covers what is there; else it is added.
    """
    strengths, remainder = writable(editable.strengths), writable(editable.remainder)
    counts = shares[where]
    if over:
        strengths[where] *= np.where(editable.same_site, (1 - counts)[:, None], 1)
        if editable.masks_remainder:
            remainder[where] *= 1 - counts
    strengths[where, factor] += counts * strength
    return strengths, remainder


def erase(editable: Editable, factor: int | None, where: Mask, fill: bool) -> Maps:
    """Take a factor (None = all factors) out of patches; ``fill`` fills them with their background."""
    strengths, remainder = writable(editable.strengths), writable(editable.remainder)
    if factor is None or fill:
        left = _emptied(editable, where, factor, fill)
        strengths[where] = np.where(editable.same_site, left, strengths[where])
        if editable.masks_remainder:
            remainder[where] = 0
    else:
        strengths[where, factor] = 0
    return strengths, remainder


def move(editable: Editable, factor: int | None, source: Mask, by: tuple[int, int], fill: bool) -> Maps:
    """Carry what patches hold of a factor (None = of all factors) to other patches.

    Args:
        editable: what is there before.
        factor: index, or None.
        source: (rows, cols) bool, the patches that are carried.
        by: rows down, columns to the right.
        fill: whether vacated patches are filled with their background.
    """
    strengths, remainder = writable(editable.strengths), writable(editable.remainder)
    # Filled before the region is put down, from surroundings that are still unchanged.
    left = _emptied(editable, source, factor, fill)
    strengths[source] = np.where(editable.same_site, left, strengths[source])
    if editable.masks_remainder:
        remainder[source] = 0
    rows, cols = np.nonzero(source)
    to_rows, to_cols = rows + by[0], cols + by[1]
    n_rows, n_cols = source.shape
    inside = (to_rows >= 0) & (to_rows < n_rows) & (to_cols >= 0) & (to_cols < n_cols)
    rows, cols, to_rows, to_cols = rows[inside], cols[inside], to_rows[inside], to_cols[inside]
    strengths[to_rows, to_cols] = np.where(editable.same_site, 0, strengths[to_rows, to_cols])
    carried = slice(None) if factor is None else factor
    strengths[to_rows, to_cols, carried] = editable.strengths[rows, cols, carried]
    if editable.masks_remainder:
        remainder[to_rows, to_cols] = editable.remainder[rows, cols]
    return strengths, remainder


def _emptied(editable: Editable, where: Mask, factor: int | None, fill: bool) -> Any:
    """What patches hold after something was taken out of them."""
    return Grid.of(editable.strengths).heal(editable.strengths, where, factor)[where] if fill else 0
