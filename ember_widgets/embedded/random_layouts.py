"""Random layouts: anything anywhere, in any size and shape, also on blank paper, as a person may paint."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ember_widgets.embedded.scenes import GRID, LARGEST, SMALLEST, Array, Layout, Thing
from ember_widgets.embedded.vocabulary import (
    FIRST_GROUND,
    FIRST_SKY,
    FIRST_THING,
    GROUNDS,
    LOOKS,
    PAPER,
    SKIES,
    STYLES,
    look,
)


def random_layout(
    rng: np.random.Generator, *, styled: float = 0.0, shaped: float = 0.7, faded: float = 0.0
) -> Layout:
    """Anything anywhere: landscapes with lakes and holes of blank paper, zero to five objects.

    Half of the objects have their natural size, the others any box of `SMALLEST` to `LARGEST` patches not far
    from it.

    Args:
        rng: Source of all randomness.
        styled: Share of the layouts that get a style.
        shaped: Share of the objects that fill a painted shape (`painted_shape`).
        faded: Share of the objects that are transparent, half of them over blank paper.
    """
    background = np.full((GRID, GRID), PAPER)
    if rng.random() > 0.2:
        if rng.random() < 0.8:
            background[:] = FIRST_SKY + rng.integers(len(SKIES))
        horizon = int(rng.integers(5, 12)) + np.cumsum(
            rng.integers(-1, 2, GRID) * (rng.random(GRID) < rng.choice([0, 0.4]))
        )
        if rng.random() < 0.85:
            background[np.arange(GRID)[:, None] >= horizon] = FIRST_GROUND + rng.integers(len(GROUNDS))
        for _ in range(rng.choice([0, 1, 2], p=[0.55, 0.3, 0.15])):
            background[_blob(rng)] = rng.choice([PAPER, 1 + int(rng.integers(FIRST_THING - 1))], p=[0.3, 0.7])
    things = []
    for _ in range(rng.choice([0, 1, 2, 3, 4, 5], p=[0.06, 0.24, 0.3, 0.22, 0.12, 0.06])):
        label = FIRST_THING + int(rng.integers(len(LOOKS)))
        height, width = look(label).height, look(label).width
        if rng.random() < 0.5:
            height, width = (
                int(np.clip(side + rng.integers(-2, 3), SMALLEST, LARGEST)) for side in (height, width)
            )
        shape = painted_shape(rng, height, width) if rng.random() < shaped else None
        height, width = (height, width) if shape is None else shape.shape
        row, col = int(rng.integers(0, GRID - height + 1)), int(rng.integers(0, GRID - width + 1))
        thing = Thing(label, row, col, height, width, shape)
        if faded and rng.random() < faded:
            thing = replace(thing, opacity=rng.uniform(0, 0.95), over_paper=rng.random() < 0.5)
        things.append(thing)
    if rng.random() < 0.7:  # nearer objects stand in front
        things.sort(key=lambda t: t.row + t.height)
    return Layout(background, tuple(things), _style(rng, styled))


def painted_shape(rng: np.random.Generator, height: int, width: int) -> Array:
    """A shape as a person paints it: an ellipse, dabs of a round brush, a box, or something frayed.

    Returns:
        Bool, in a box of at most (height, width) patches, all four sides of which it touches.
    """
    rows, cols = np.mgrid[:height, :width]
    y, x = (rows - (height - 1) / 2) / (height / 2), (cols - (width - 1) / 2) / (width / 2)
    ellipse = y**2 + x**2 <= 1.05
    kind = rng.random()
    if kind < 0.4:
        shape = ellipse
    elif kind < 0.8:
        radius, shape = min(height, width) / rng.uniform(2.4, 3.6), np.zeros((height, width), bool)
        for _ in range(int(rng.integers(8, 25))):
            at_row = rng.uniform(radius - 0.5, height - 0.5 - radius)
            at_col = rng.uniform(radius - 0.5, width - 0.5 - radius)
            shape |= (rows - at_row) ** 2 + (cols - at_col) ** 2 <= radius**2
    elif kind < 0.9:
        shape = np.ones((height, width), bool)
    else:
        shape = ellipse | (rng.random((height, width)) < 0.4)
    kept_rows, kept_cols = np.flatnonzero(shape.any(1)), np.flatnonzero(shape.any(0))
    kept: Array = shape[kept_rows[0] : kept_rows[-1] + 1, kept_cols[0] : kept_cols[-1] + 1]
    return kept


def _style(rng: np.random.Generator, share: float) -> int:
    return int(rng.integers(len(STYLES))) if rng.random() < share else -1


def _blob(rng: np.random.Generator) -> Array:
    r, c = rng.uniform(0, GRID, 2)
    h, w = rng.uniform(1.5, 6, 2)
    rows, cols = np.mgrid[:GRID, :GRID]
    return np.asarray(((rows - r) / h) ** 2 + ((cols - c) / w) ** 2 <= 1)
