"""Where an agent says to paint: areas, boxes, patches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ember_widgets.agent.where import mask_of, said
from ember_widgets.scene.grid import Grid

GRID = Grid(16, 16)


def box(rows: slice, cols: slice) -> Any:
    mask = np.zeros((16, 16), bool)
    mask[rows, cols] = True
    return mask


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("rows 2-6, cols 3-9", box(slice(2, 7), slice(3, 10))),
        ("Rows 2 to 6 and columns 3 to 9", box(slice(2, 7), slice(3, 10))),
        ("row 3, col 4", box(slice(3, 4), slice(4, 5))),
        ("rows 14–15", box(slice(14, 16), slice(None))),
        ("cols 0-1", box(slice(None), slice(0, 2))),
        ("rows 0-1, cols 0-1; row 15", box(slice(0, 2), slice(0, 2)) | box(slice(15, 16), slice(None))),
        ([[3, 4], [3, 5]], box(slice(3, 4), slice(4, 6))),
        ([], box(slice(0, 0), slice(0, 0))),
        (" Left ", GRID.areas["left"]),
    ],
)
def test_places(where: Any, expected: Any) -> None:
    np.testing.assert_array_equal(mask_of(where, GRID), expected)


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("upper corner", 'give one of "everything", "floor"'),
        ("", "is not a place"),
        ("rows 3-16", "rows 3-16: rows go 0-15"),
        ("rows 6-2, cols 1-2", "the smaller one first"),
        ("row 99999999999999999999", "is not a place"),
        ([[3, 16]], "outside the grid"),
        ([3, 4], "single (row, col) pair"),
        ([[3, 4, 5]], "not a patch"),
        ([["a", "b"]], "not made of two whole numbers"),
    ],
)
def test_what_is_no_place_is_refused_in_words(where: Any, says: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        mask_of(where, GRID)
    assert says in str(caught.value)


def test_a_region_in_words() -> None:
    assert said(box(slice(2, 7), slice(3, 4))) == "rows 2-6, col 3 (2% of the picture)"
    assert said(box(slice(0, 1), slice(0, 1))) == "row 0, col 0 (under 1% of the picture)"
    assert said(box(slice(0, 0), slice(0, 0))) == "nowhere"
