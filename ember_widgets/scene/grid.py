"""Grid: the patches of a picture. It turns patches into masks, finds regions and fills holes.

js/src/paint/store/grid.ts does the same in the browser, and tools/brush.ts draws discs and lines there.
tests/unit/scene/parity.json checks that both agree on edits; test_grid.py has the same cases for the rest.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ember_widgets.scene.heal import heal
from ember_widgets.util.checks import FloatArray, integer, share, shown

REGION_SHARE = 0.25
"""A factor's region: the patches where it is stronger than this share of its strongest patch."""

FAINT = 1e-6
"""A factor that is not stronger is not there."""

MAX_BRUSH = 1024

Patches = NDArray[np.bool_] | Iterable[tuple[int, int]] | str
"""What an edit accepts as patches: a bool array (rows, cols), (row, col) pairs, or the name of an area."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Grid:
    """The patches that a site makes of a picture, addressed (row, col).

    Args:
        rows: how many rows of patches there are, 1 or more. SDXL-Turbo has 16 at 512 pixels.
        cols: how many columns.

    Example:
        >>> Grid(16, 16).mask([(0, 0), (0, 1)]).sum()
        np.int64(2)
    """

    rows: int = 16
    cols: int = 16

    @classmethod
    def of(cls, array: NDArray[Any]) -> Grid:
        """The grid of an array whose first two axes are rows and columns."""
        return cls(int(array.shape[0]), int(array.shape[1]))

    def __str__(self) -> str:
        return f"{self.rows}×{self.cols}"

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols)."""
        return self.rows, self.cols

    @property
    def n_patches(self) -> int:
        """How many patches there are."""
        return self.rows * self.cols

    @property
    def areas(self) -> Mapping[str, Mask]:
        """Areas that have a name, each a read-only bool array (rows, cols)."""
        return _areas(self.rows, self.cols)

    def mask(self, patches: Patches) -> Mask:
        """Read patches as a mask.

        Args:
            patches: bool array (rows, cols), any iterable of (row, col) pairs inside the grid (may be
                none), or the name of an area (see `areas`).

        Returns:
            bool array (rows, cols).

        Raises:
            TypeError: not patches at all, or one bare (row, col) pair.
            ValueError: a patch outside the grid, or an array of another shape.
        """
        given: object = patches
        if isinstance(given, str) and given in self.areas:
            return self.areas[given]
        if isinstance(given, np.ndarray):
            if given.dtype == np.bool_:
                if given.shape != self.shape:
                    raise ValueError(
                        f"patches is a bool array of shape {given.shape}; the grid is {self.shape}"
                    )
                return given
            pairs_of_integers = given.shape[1:] == (2,) or given.shape == (2,) or not given.size
            if given.dtype.kind not in "iu" or not pairs_of_integers:
                raise TypeError(f"patches is an array of {given.dtype}, shape {given.shape}; {self._hint}")
        elif isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
            raise TypeError(f"patches={shown(given)}; {self._hint}")
        mask = np.zeros(self.shape, dtype=np.bool_)
        pairs = list(given)
        if len(pairs) == 2 and all(_is_index(item) for item in pairs):
            row, col = pairs
            raise TypeError(
                f"patches=({row}, {col}) is a single (row, col) pair; wrap it in a list: [({row}, {col})]"
            )
        for pair in pairs:
            mask[self._patch(pair)] = True
        return mask

    def shares(self, name: str, value: object) -> NDArray[np.float64]:
        """Read one share for all patches, or one for each.

        Args:
            name: what error messages call it.
            value: a number in [0, 1], or an array (rows, cols) of them.

        Returns:
            (rows, cols) float64.

        Raises:
            TypeError, ValueError: not numbers, outside 0..1, or an array of another shape.
        """
        if not isinstance(value, np.ndarray) or value.ndim == 0:
            return np.full(self.shape, share(name, value))
        if value.shape != self.shape or value.dtype.kind not in "iuf":
            raise ValueError(
                f"{name} is an array of {value.dtype}, shape {value.shape}; "
                f"give a number from 0 to 1, or an array {self.shape} of them"
            )
        if not ((value >= 0) & (value <= 1)).all():
            raise ValueError(f"{name} has values outside 0..1; give numbers from 0 to 1")
        return value.astype(np.float64)

    def region(self, strengths: FloatArray) -> Mask:
        """The patches where a factor is above ``REGION_SHARE`` of its strongest patch; none if it is zero.

        Args:
            strengths: (rows, cols) of one factor; negative ones count by their size.

        Returns:
            bool array (rows, cols).

        Raises:
            ValueError: strengths of another grid.
        """
        self._check("strengths", strengths)
        size = np.abs(strengths.astype(np.float64))
        mask: Mask = size > REGION_SHARE * size.max()
        return mask

    def strongest(self, strengths: FloatArray) -> NDArray[np.intp]:
        """The factor that is strongest in each patch; negative strengths count by their size.

        Args:
            strengths: (rows, cols, n_factors), such as those of a scene.

        Returns:
            (rows, cols) factors; the first of several that are equally strong, -1 where none is there.

        Raises:
            ValueError: strengths of another grid.
        """
        self._check("strengths", strengths)
        size = np.abs(strengths.astype(np.float64))
        if not size.shape[2]:
            return np.full(self.shape, -1)
        factors: NDArray[np.intp] = np.where(size.max(axis=2) > FAINT, size.argmax(axis=2), -1)
        return factors

    def connected(self, patches: Patches, patch: tuple[int, int]) -> Mask:
        """The part of some patches that is connected to one of them, for example one of two trees.

        Patches that touch at a corner are connected.

        Args:
            patches: which; see `mask`.
            patch: (row, col) of one of them; if it is not one of them, there is no such part.

        Returns:
            bool array (rows, cols).

        Raises:
            TypeError, ValueError: not patches, or outside the grid.

        Example:
            >>> grid = Grid(16, 16)
            >>> grid.connected([(1, 1), (2, 2), (9, 9)], (1, 1)).sum()
            np.int64(2)
        """
        from scipy import ndimage

        parts, _ = ndimage.label(self.mask(patches), np.ones((3, 3)))
        part = parts[self._patch(patch)]
        mask: Mask = (parts == part) & (part > 0)
        return mask

    def disc(self, patch: tuple[int, int], size: int) -> Mask:
        """The patches under a round brush with a hard edge.

        Args:
            patch: (row, col) where it is; the middle of an even size is this patch's lower right corner.
            size: how many patches across, 1 or more.

        Returns:
            bool array (rows, cols); what lies outside the grid is left out.

        Raises:
            TypeError, ValueError: a patch outside the grid, or a size that is not a whole number from 1 on.
        """
        return self.line(patch, patch, size)

    def line(self, start: tuple[int, int], stop: tuple[int, int], size: int = 1) -> Mask:
        """The patches under a straight stroke of a round brush, both ends included.

        Args:
            start: (row, col).
            stop: (row, col).
            size: of the brush, see `disc`.

        Returns:
            bool array (rows, cols).

        Raises:
            TypeError, ValueError: as `disc`.
        """
        size = integer("size", size, 1, MAX_BRUSH, hint="it is the width of the brush, in patches")
        first, last = np.array(self._patch(start)) + 0.5, np.array(self._patch(stop)) + 0.5
        middles = np.moveaxis(np.indices(self.shape), 0, -1) + 0.5
        mask = np.zeros(self.shape, np.bool_)
        # With a stop every half patch, a line misses at most the corner of a patch.
        n_stops = max(1, math.ceil(2 * math.dist(first, last)))
        for i in range(n_stops + 1):
            at = first + (last - first) * (i / n_stops)
            at = np.floor(at) + 0.5 if size % 2 else np.floor(at + 0.5)
            mask |= np.hypot(*np.moveaxis(middles - at, -1, 0)) <= size / 2 + 1e-9
        return mask

    def heal(self, strengths: FloatArray, hole: Mask, exclude: int | None = None) -> FloatArray:
        """Fill a hole with the background at that height; see ``scene.heal``.

        Args:
            strengths: (rows, cols, n_factors) float32.
            hole: bool (rows, cols), the patches to fill; what they held is ignored.
            exclude: index of a factor that is to be zero in the hole.

        Returns:
            (rows, cols, n_factors) float32, a new array, equal to ``strengths`` outside the hole. If the hole
            is the whole grid there is nothing to fill it from, and it becomes zero.

        Raises:
            ValueError: strengths or a hole of another grid.
        """
        self._check("strengths", strengths)
        self._check("hole", hole)
        return heal(strengths, hole, exclude)

    def _check(self, name: str, array: NDArray[Any]) -> None:
        if array.shape[:2] != self.shape:
            raise ValueError(f"{name} has shape {array.shape}; the grid is {self.shape}")

    @property
    def _hint(self) -> str:
        names = ", ".join(map(repr, self.areas))
        return f"give a bool array {self.shape}, (row, col) pairs, or one of {names}"

    def _patch(self, pair: Any) -> tuple[int, int]:
        if isinstance(pair, (str, bytes)) or not hasattr(pair, "__len__") or len(pair) != 2:
            raise TypeError(f"{shown(pair)} is not a patch; {self._hint}")
        if not all(_is_index(item) for item in pair):
            raise TypeError(f"patch {shown(pair)} is not made of two whole numbers; {self._hint}")
        row, col = (operator.index(item) for item in pair)
        if not (0 <= row < self.rows and 0 <= col < self.cols):
            ranges = (
                f"rows and columns go 0..{self.rows - 1}"
                if self.rows == self.cols
                else f"rows go 0..{self.rows - 1}, columns 0..{self.cols - 1}"
            )
            raise ValueError(f"patch ({row}, {col}) is outside the grid; {ranges}")
        return row, col


@lru_cache(maxsize=32)  # every scene has a Grid of its own, and most have the same size
def _areas(rows: int, cols: int) -> Mapping[str, Mask]:
    row, col = np.mgrid[:rows, :cols]
    # Measured on the 16×16 grid: floor from row 11, sides of 5 columns, a centre of radius 4.
    down, right = (row + 0.5) / rows * 16, (col + 0.5) / cols * 16
    areas = {
        "everything": row >= 0,
        "floor": down > 11,
        "centre": (down - 8) ** 2 + (right - 8) ** 2 <= 16,
        "left": right < 5,
        "right": right > 11,
    }
    for mask in areas.values():
        mask.flags.writeable = False
    return MappingProxyType(areas)


def _is_index(item: object) -> bool:
    # A 1-d array has __index__ too, but only a 0-d one can be used as an index.
    return hasattr(item, "__index__") and not isinstance(item, (bool, np.bool_)) and np.ndim(item) == 0  # type: ignore[arg-type]
