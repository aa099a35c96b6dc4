"""Where to paint, as an agent says it: the name of an area, boxes, or patches."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ember_widgets.scene.grid import Grid, Mask
from ember_widgets.util.checks import shown

Where = str | Sequence[Sequence[int]]
"""An area such as "left"; boxes such as "rows 2-6, cols 3-9"; or patches, [[row, col], ...]."""

_SPAN = r"(\d{1,4})(?:\s*(?:-|–|to|\.\.)\s*(\d{1,4}))?"
_BOX = re.compile(rf"rows?\s*{_SPAN}\s*,?\s*(?:and\s+)?col(?:umn)?s?\s*{_SPAN}", re.IGNORECASE)
_ROWS = re.compile(rf"rows?\s*{_SPAN}", re.IGNORECASE)
_COLS = re.compile(rf"col(?:umn)?s?\s*{_SPAN}", re.IGNORECASE)


def mask_of(where: Where, grid: Grid) -> Mask:
    """The patches that are meant, bool (rows, cols).

    Args:
        where: The name of an area; boxes, with ";" between them: "rows 2-6, cols 3-9", "rows 2-6" (all
            columns) or "col 4" (all rows), both ends included; or patches, [[row, col], ...].
        grid: The picture's.

    Raises:
        TypeError, ValueError: It means nothing here; the message says what may be given.
    """
    if not isinstance(where, str):
        patches: list[Any] = [tuple(patch) if isinstance(patch, Sequence) else patch for patch in where]
        return grid.mask(patches)
    text = where.strip()
    if text.lower() in grid.areas:
        return grid.areas[text.lower()]
    mask = np.zeros(grid.shape, np.bool_)
    for part in text.split(";"):
        mask |= _box(part.strip(), grid)
    return mask


def said(mask: Mask) -> str:
    """A region in words: its box, and how much of the picture it is."""
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return "nowhere"
    share = mask.mean()
    percent = f"{share:.0%}" if share >= 0.01 else "under 1%"
    return f"{_span('row', rows)}, {_span('col', cols)} ({percent} of the picture)"


def _box(part: str, grid: Grid) -> Mask:
    """One box."""
    rows, cols = (0, grid.rows - 1), (0, grid.cols - 1)
    if match := _BOX.fullmatch(part):
        rows, cols = (
            _ends(match.groups()[:2], grid.rows, "row"),
            _ends(match.groups()[2:], grid.cols, "column"),
        )
    elif match := _ROWS.fullmatch(part):
        rows = _ends(match.groups(), grid.rows, "row")
    elif match := _COLS.fullmatch(part):
        cols = _ends(match.groups(), grid.cols, "column")
    else:
        names = ", ".join(f'"{name}"' for name in grid.areas)
        raise ValueError(
            f"where={shown(part)} is not a place; give one of {names}; a box such as "
            '"rows 2-6, cols 3-9" (several with ";" between them); or patches, [[row, col], ...]'
        )
    mask = np.zeros(grid.shape, np.bool_)
    mask[rows[0] : rows[1] + 1, cols[0] : cols[1] + 1] = True
    return mask


def _ends(span: Sequence[str | None], n: int, what: str) -> tuple[int, int]:
    first = int(span[0] or 0)
    last = first if span[1] is None else int(span[1])
    if first > last or last >= n:
        raise ValueError(f"{what}s {first}-{last}: {what}s go 0-{n - 1}, the smaller one first")
    return first, last


def _span(name: str, indices: np.ndarray[tuple[int], np.dtype[np.intp]]) -> str:
    first, last = int(indices[0]), int(indices[-1])
    return f"{name} {first}" if first == last else f"{name}s {first}-{last}"
