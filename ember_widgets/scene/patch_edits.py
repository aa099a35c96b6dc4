"""Edits of where a scene's factors stand, patch by patch, and how strongly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ember_widgets.scene.factor_edits import FactorEdits, writable
from ember_widgets.scene.grid import GRID, Patches, heal, patch_mask, patch_shares, region
from ember_widgets.util import checks
from ember_widgets.util.checks import FloatArray

if TYPE_CHECKING:
    from typing_extensions import Self


class PatchEdits(FactorEdits):
    """The part of a `Scene` that paints, erases, scales and moves; every edit returns a new one."""

    remainder: FloatArray

    def paint(
        self,
        factor: int | str,
        patches: Patches,
        strength: float = 1.0,
        *,
        opacity: float | NDArray[Any] = 1.0,
        mode: Literal["over", "add"] = "over",
    ) -> Self:
        """Paint a factor onto patches.

        Args:
            factor: index or name.
            patches: bool (16, 16) or (row, col) pairs.
            strength: 1.0 = as strong as the model itself makes it; negative subtracts.
            opacity: 0..1, how much of the stroke counts; (16, 16) of them for a soft edge.
            mode: "over" covers: the patch fades from what it held (at the factor's site) to this factor
                alone, and so does the remainder. "add" leaves everything and adds ``opacity * strength``.

        Returns:
            The painted scene.

        Raises:
            TypeError, ValueError: an unknown factor or mode, patches outside the grid, strength not finite,
                opacity outside 0..1.
        """
        f, where = self._factor(factor), patch_mask(patches)
        strength, counts = checks.strength(strength), patch_shares("opacity", opacity)[where]
        strengths, remainder = writable(self.strengths), writable(self.remainder)
        if mode == "over":
            strengths[where] *= np.where(self._beside(f), (1 - counts)[:, None], 1)
            if self._is_first(f):
                remainder[where] *= 1 - counts
        elif mode != "add":
            raise ValueError(
                f"mode={checks.shown(mode)} is unknown; choose 'over' (cover what is there) or 'add'"
            )
        strengths[where, f] += counts * strength
        return self.replace(strengths=strengths, remainder=remainder)

    def erase(self, patches: Patches, factor: int | str | None = None, *, heal: bool = False) -> Self:
        """Take everything, or one factor, out of patches.

        Args:
            patches: bool (16, 16) or (row, col) pairs.
            factor: index or name of the factor to take out; None takes out all.
            heal: fill the patches from around (all factors but the erased one), so that the surroundings
                close over the gap instead of leaving nothing there.

        Returns:
            The scene without it. The remainder, which still shows what stood there, goes to 0 too; only
            ``factor`` without ``heal``, which leaves the rest of the patch as it is, keeps it.

        Raises:
            TypeError, ValueError: an unknown factor, or patches outside the grid.
        """
        f, where = None if factor is None else self._factor(factor), patch_mask(patches)
        strengths, remainder = writable(self.strengths), writable(self.remainder)
        if f is None or heal:
            emptied = _healed(self.strengths, where, exclude=f) if heal else 0
            strengths[where] = np.where(self._beside(f), emptied, strengths[where])
            if self._is_first(f):
                remainder[where] = 0
        else:
            strengths[where, f] = 0
        return self.replace(strengths=strengths, remainder=remainder)

    def scale(self, factor: int | str, gain: float, patches: Patches | None = None) -> Self:
        """Multiply a factor's strength.

        Args:
            factor: index or name.
            gain: 0 takes the factor out, 1 changes nothing, negative subtracts.
            patches: bool (16, 16) or (row, col) pairs; None = everywhere.

        Returns:
            The scaled scene.

        Raises:
            TypeError, ValueError: an unknown factor, patches outside the grid, gain not finite.
        """
        f = self._factor(factor)
        gain = checks.number("gain", gain, hint="give a number (0 = gone, 1 = as it is, 2 = twice as strong)")
        where = np.ones((GRID, GRID), dtype=np.bool_) if patches is None else patch_mask(patches)
        strengths = writable(self.strengths)
        strengths[where, f] *= gain
        return self.replace(strengths=strengths)

    def move(
        self,
        factor: int | str | None,
        d_row: int,
        d_col: int,
        patches: Patches | None = None,
        heal: bool = True,
    ) -> Self:
        """Lift a factor's region, or all that patches hold, off its place and put it down elsewhere.

        The strengths and the remainder travel; at the new place they replace what was there. What would leave
        the grid is lost. A move by (0, 0) changes nothing.

        Args:
            factor: index or name; None = all factors, and then ``patches`` must be given.
            d_row: rows down, -15..15; negative is up.
            d_col: columns to the right, -15..15; negative is left.
            patches: the region to carry, bool (16, 16) or (row, col) pairs; None = where the factor is
                stronger than a quarter (``REGION_SHARE``) of its strongest patch.
            heal: fill the vacated patches from around, with the other factors if it was one that left; False
                leaves them empty.

        Returns:
            The scene with the region moved. The remainder of vacated patches is 0.

        Raises:
            TypeError, ValueError: an unknown factor, neither factor nor patches, patches outside the grid, a
                shift that leaves the grid.
        """
        f = None if factor is None else self._factor(factor)
        hint = f"farther than {GRID - 1} patches everything is off the grid; use erase to remove it"
        d_row = checks.integer("d_row", d_row, 1 - GRID, GRID - 1, hint=hint)
        d_col = checks.integer("d_col", d_col, 1 - GRID, GRID - 1, hint=hint)
        if patches is not None:
            source = patch_mask(patches)
        elif f is not None:
            source = region(self.strengths[:, :, f])
        else:
            raise TypeError("factor=None moves all that stands in patches; say which, as patches=")
        if d_row == d_col == 0:
            return self
        strengths, remainder = writable(self.strengths), writable(self.remainder)
        # Healing looks at the picture before the region lands: its surroundings are still whole then.
        beside, first = self._beside(f), self._is_first(f)
        emptied = _healed(self.strengths, source, exclude=f) if heal else 0
        strengths[source] = np.where(beside, emptied, strengths[source])
        if first:
            remainder[source] = 0
        rows, cols = np.nonzero(source)
        to = np.stack([rows + d_row, cols + d_col])
        inside = ((to >= 0) & (to < GRID)).all(axis=0)
        rows, cols, (to_rows, to_cols) = rows[inside], cols[inside], to[:, inside]
        strengths[to_rows, to_cols] = np.where(beside, 0, strengths[to_rows, to_cols])
        carried = slice(None) if f is None else f
        strengths[to_rows, to_cols, carried] = self.strengths[rows, cols, carried]
        if first:
            remainder[to_rows, to_cols] = self.remainder[rows, cols]
        return self.replace(strengths=strengths, remainder=remainder)

    def _beside(self, f: int | None) -> NDArray[np.bool_]:
        """Per factor whether it is at the site of factor ``f``; all of them for None."""
        if f is None or self.sites is None:
            return np.ones(self.n_factors, np.bool_)
        here = self._site_of
        return np.array([site == here[f] for site in here], np.bool_)

    def _is_first(self, f: int | None) -> bool:
        """Whether what happens to a factor happens at the site whose remainder is masked."""
        return f is None or self.sites is None or self._site_of[f] == 0


def _healed(strengths: FloatArray, hole: NDArray[np.bool_], exclude: int | None) -> FloatArray:
    return heal(strengths, hole, exclude)[hole]
