"""Which factor is painted with at first: the first thing among them, whatever it is called."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ember_widgets.scene.first_thing import first_thing
from ember_widgets.scene.grid import Grid
from tests.unit.scene.scenes import make_scene

ROWS, COLS = np.mgrid[:16, :16]
SKY = 1.0 * (ROWS < 8)
GROUND = 1.0 * (ROWS >= 8)
EVERYWHERE = np.ones((16, 16))
FRAME = 1.0 * ((ROWS < 2) | (ROWS > 13) | (COLS < 2) | (COLS > 13))
NOTHING = np.zeros((16, 16))


def disc(row: float, col: float, radius: float = 3.0) -> NDArray[np.float64]:
    """A thing."""
    return np.asarray(1.0 * (np.hypot(ROWS - row, COLS - col) <= radius))


def soft(row: float, col: float, width: float) -> NDArray[np.float64]:
    """A thing as a large model has it: it fades out, and there is a little of it everywhere."""
    return np.asarray(0.1 + np.exp(-((ROWS - row) ** 2 + (COLS - col) ** 2) / width**2))


def first_of(*maps: NDArray[np.float64]) -> int:
    strengths = np.stack(maps, axis=-1).astype(np.float32)
    rows, cols, n = strengths.shape
    return first_thing(make_scene(n, grid=Grid(rows, cols), strengths=strengths, basis=np.eye(n, 8) + 0.1))


@pytest.mark.parametrize(
    ("maps", "first"),
    [
        ((SKY, GROUND, disc(8, 8), disc(3, 12, 1)), 2),
        ((disc(8, 8), SKY, GROUND), 0),
        ((FRAME, soft(8, 7, 3.5), SKY), 1),
        ((EVERYWHERE, soft(6, 6, 4), soft(12, 12, 2)), 1),
        ((SKY, disc(15, 8), disc(4, 4)), 1),  # it stands on the lower edge
        ((SKY, 0.004 * disc(8, 8), disc(4, 4)), 2),  # hardly there
        ((SKY, NOTHING, disc(4, 4)), 2),
        ((SKY, GROUND), 0),  # a landscape: as good as each other
        ((NOTHING, SKY, GROUND), 1),
        ((FRAME + SKY, EVERYWHERE - FRAME + disc(8, 8)), 1),  # too large for a thing, but inside
        ((-SKY, -disc(8, 8)), 1),
        ((NOTHING, NOTHING), 0),
    ],
)
def test_the_first_thing_is_found_by_where_it_is(maps: tuple[NDArray[np.float64], ...], first: int) -> None:
    assert first_of(*maps) == first


def test_a_grid_of_one_patch_and_a_blank_canvas_have_a_first_factor_too() -> None:
    assert first_of(np.ones((1, 1)), np.ones((1, 1))) == 0
    assert first_thing(make_scene(0, remainder=np.zeros((16, 16)))) == 0


def test_units_count_and_not_the_size_of_numbers() -> None:
    strengths = np.stack([SKY, disc(8, 8)], axis=-1).astype(np.float32)
    scene = make_scene(2, strengths=strengths, basis=np.eye(2, 8) * [[1.0], [1e-3]] + np.zeros(8))
    assert first_thing(scene) == 0
    unit = np.ones(8, np.float32)
    unit[1] = 1e-3
    assert first_thing(make_scene(2, strengths=strengths, basis=scene.basis, unit=unit)) == 1
