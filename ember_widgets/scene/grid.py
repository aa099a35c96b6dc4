"""The 16×16 grid: which patches are meant, where a factor stands, how a hole is filled.

js/src/paint/store/grid.ts has the same functions for the browser;
tests/unit/scene/parity.json holds the two together.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ember_widgets.util.checks import FloatArray, share, shown

GRID = 16
"""Rows and columns of the grid: what the site makes of one picture."""

REGION_SHARE = 0.25
"""A factor's region: the patches where it is stronger than this share of its strongest patch."""

Patches = NDArray[np.bool_] | Iterable[tuple[int, int]] | str
"""What an edit accepts as patches: a bool array (16, 16), (row, col) pairs, or the name of an area."""

Mask = NDArray[np.bool_]

_ROWS, _COLS = np.mgrid[:GRID, :GRID]
AREAS: Mapping[str, Mask] = MappingProxyType(
    {
        "everything": _ROWS >= 0,
        "floor": _ROWS >= 11,
        "centre": (_ROWS - 7.5) ** 2 + (_COLS - 7.5) ** 2 <= 16,
        "left": _COLS < 5,
        "right": _COLS >= 11,
    }
)
"""Areas of the grid that have a name, each a bool array (16, 16)."""

_GIVE = f"give a bool array (16, 16), (row, col) pairs, or one of {', '.join(map(repr, AREAS))}"


def patch_mask(patches: Patches) -> Mask:
    """Read patches as a mask.

    Args:
        patches: bool array (16, 16), any iterable of (row, col) pairs, each 0..15 (may be none), or
            the name of an area (``AREAS``).

    Returns:
        bool array (16, 16).

    Raises:
        TypeError: not patches at all, or one bare (row, col) pair.
        ValueError: a patch outside the grid, or an array of another shape.
    """
    given: object = patches
    if isinstance(given, str) and given in AREAS:
        return AREAS[given]
    if isinstance(given, np.ndarray):
        if given.dtype == np.bool_:
            if given.shape != (GRID, GRID):
                raise ValueError(f"patches is a bool array of shape {given.shape}; the grid is (16, 16)")
            return given
        if given.dtype.kind not in "iu" or (given.size and given.shape[1:] != (2,) and given.shape != (2,)):
            raise TypeError(f"patches is an array of {given.dtype}, shape {given.shape}; {_GIVE}")
    elif isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise TypeError(f"patches={shown(given)}; {_GIVE}")
    mask = np.zeros((GRID, GRID), dtype=np.bool_)
    pairs = list(given)
    if len(pairs) == 2 and all(_is_index(item) for item in pairs):
        row, col = pairs
        raise TypeError(
            f"patches=({row}, {col}) is a single (row, col) pair; wrap it in a list: [({row}, {col})]"
        )
    for pair in pairs:
        mask[_patch(pair)] = True
    return mask


def patch_shares(name: str, value: object) -> NDArray[np.float64]:
    """Read one share for all patches, or one for each.

    Args:
        name: how messages call it.
        value: a number in [0, 1], or an array (16, 16) of them.

    Returns:
        (16, 16) float64.

    Raises:
        TypeError, ValueError: not numbers, outside 0..1, or an array of another shape.
    """
    if not isinstance(value, np.ndarray) or value.ndim == 0:
        return np.full((GRID, GRID), share(name, value))
    if value.shape != (GRID, GRID) or value.dtype.kind not in "iuf":
        raise ValueError(
            f"{name} is an array of {value.dtype}, shape {value.shape}; "
            "give a number from 0 to 1, or an array (16, 16) of them"
        )
    if not ((value >= 0) & (value <= 1)).all():
        raise ValueError(f"{name} has values outside 0..1; give numbers from 0 to 1")
    return value.astype(np.float64)


def _patch(pair: Any) -> tuple[int, int]:
    if isinstance(pair, (str, bytes)) or not hasattr(pair, "__len__") or len(pair) != 2:
        raise TypeError(f"{shown(pair)} is not a patch; {_GIVE}")
    if not all(_is_index(item) for item in pair):
        raise TypeError(f"patch {shown(pair)} is not made of two whole numbers; {_GIVE}")
    row, col = (operator.index(item) for item in pair)
    if not (0 <= row < GRID and 0 <= col < GRID):
        raise ValueError(f"patch ({row}, {col}) is outside the grid; rows and columns go 0..{GRID - 1}")
    return row, col


def _is_index(item: object) -> bool:
    # a 1-d array has __index__ too, but only a 0-d one can be used as an index
    return hasattr(item, "__index__") and not isinstance(item, (bool, np.bool_)) and np.ndim(item) == 0  # type: ignore[arg-type]


def region(strengths: FloatArray) -> Mask:
    """Where one factor stands: above ``REGION_SHARE`` of its strongest patch; nowhere if it is zero.

    Args:
        strengths: (16, 16) of one factor; negative ones count by their size.

    Returns:
        bool array (16, 16).
    """
    size = np.abs(strengths.astype(np.float64))
    mask: Mask = size > REGION_SHARE * size.max()
    return mask


def heal(strengths: FloatArray, hole: Mask, exclude: int | None = None) -> FloatArray:
    """Fill a hole from the strengths around it.

    Ring by ring from its rim inwards: every patch of the hole that touches a known one, corners included,
    becomes the mean of the known ones it touches; a ring becomes known only when it is complete, so no
    direction is favoured.

    Args:
        strengths: (16, 16, n_factors) float32.
        hole: bool (16, 16), the patches to fill; what they held is not looked at.
        exclude: index of a factor that is to be zero in the hole.

    Returns:
        (16, 16, n_factors) float32, a new array, equal to ``strengths`` outside the hole. If the hole is the
        whole grid there is nothing to fill it from, and it becomes zero.
    """
    filled: FloatArray = np.where(hole[..., None], np.float32(0), strengths).astype(np.float32)
    known = ~hole
    if known.any():
        while not known.all():
            count = _sum_of_neighbours(known[..., None].astype(np.float64))
            # unknown patches hold zero, so they add nothing to the sum
            total = _sum_of_neighbours(filled.astype(np.float64))
            ring = ~known & (count[..., 0] > 0)
            filled[ring] = total[ring] / count[ring]
            known |= ring
    if exclude is not None:
        filled[hole, exclude] = 0
    return filled


def _sum_of_neighbours(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over the 8 patches around each; (16, 16, n) float64 in and out."""
    padded = np.pad(values, ((1, 1), (1, 1), (0, 0)))
    total = np.zeros_like(values)
    for row in range(3):
        for col in range(3):
            if (row, col) != (1, 1):
                total += padded[row : row + GRID, col : col + GRID]
    return total


from dataclasses import dataclass  # noqa: E402


@dataclass(frozen=True)
class Grid:
    rows: int = 16
    cols: int = 16

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows, self.cols

    @property
    def n_patches(self) -> int:
        return self.rows * self.cols

    def mask(self, patches: Patches) -> Mask:
        return patch_mask(patches)
