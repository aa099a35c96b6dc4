"""Random layouts: anything anywhere, in any size and shape, also on blank paper, as a person may paint."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from ember_widgets.embedded.scenes import GRID, Array, Layout, Thing
from ember_widgets.embedded.vocabulary import (
    BACKDROPS,
    CHANCES,
    FIRST_BACKDROP,
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

ATTEMPTS = 100  # to place an object in a crowded layout
SMALLEST = 3  # patches, the shorter side of a thing without a painted shape


def random_layout(
    rng: np.random.Generator, *, styled: float = 0.0, shaped: float = 0.7, faded: float = 0.0
) -> Layout:
    """Anything anywhere: landscapes with lakes and holes of blank paper, zero to five objects.

    Half of the objects without a painted shape have their natural size, the others up to two patches less,
    but at least `SMALLEST`, or up to four more.

    Args:
        rng: Source of all randomness.
        styled: Share of the layouts that get a style.
        shaped: Share of the objects that fill a painted shape (`painted_shape`).
        faded: Share of the objects that are transparent, half of them over blank paper.
    """
    background = _landscape(rng)
    n = rng.choice([0, 1, 2, 3, 4, 5], p=[0.06, 0.24, 0.3, 0.22, 0.12, 0.06])
    things = [_thing(rng, shaped, faded) for _ in range(n)]
    if rng.random() < 0.7:  # nearer objects stand in front
        things.sort(key=lambda t: t.row + t.height)
    return Layout(background, tuple(things), _style(rng, styled))


def crowded_layout(
    rng: np.random.Generator, *, styled: float = 0.0, shaped: float = 0.5, faded: float = 0.0
) -> Layout:
    """As many objects as find a place where none is yet, before a landscape as `random_layout` makes it.

    It takes as long to train on as another scene, and shows three times as many objects, none hidden.

    Args:
        rng: Source of all randomness.
        styled, shaped, faded: As in `random_layout`.
    """
    background = _landscape(rng)
    taken, things = np.zeros((GRID, GRID), bool), []
    for _ in range(ATTEMPTS):
        thing = _thing(rng, shaped, faded)
        box = taken[thing.row : thing.row + thing.height, thing.col : thing.col + thing.width]
        mask = True if thing.shape is None else thing.shape
        if not (box & mask).any():
            box |= mask
            things.append(thing)
    return Layout(background, tuple(things), _style(rng, styled))


def _landscape(rng: np.random.Generator) -> Array:
    """Background labels (16, 16): sky, ground and backdrop, with lakes and holes; one of five is paper."""
    background = np.full((GRID, GRID), PAPER)
    if rng.random() > 0.2:
        if rng.random() < 0.8:
            background[:] = FIRST_SKY + rng.integers(len(SKIES))
        horizon = int(rng.integers(5, 12)) + np.cumsum(
            rng.integers(-1, 2, GRID) * (rng.random(GRID) < rng.choice([0, 0.4]))
        )
        if rng.random() < 0.85:
            background[np.arange(GRID)[:, None] >= horizon] = FIRST_GROUND + rng.integers(len(GROUNDS))
        if rng.random() < 0.2:  # a backdrop that rises from the horizon
            rise = np.clip(rng.integers(1, 6) + np.cumsum(rng.integers(-2, 3, GRID)), 1, 6)
            rows = np.arange(GRID)[:, None]
            background[(rows < horizon) & (rows >= horizon - rise)] = FIRST_BACKDROP + rng.integers(
                len(BACKDROPS)
            )
        for _ in range(rng.choice([0, 1, 2], p=[0.55, 0.3, 0.15])):
            background[_blob(rng)] = rng.choice([PAPER, 1 + int(rng.integers(FIRST_THING - 1))], p=[0.3, 0.7])
    return background


def _thing(rng: np.random.Generator, shaped: float, faded: float) -> Thing:
    """Anything anywhere; for the shares see `random_layout`."""
    label = FIRST_THING + int(rng.choice(len(LOOKS), p=CHANCES))
    height, width = look(label).height, look(label).width
    shape = painted_shape(rng, *shape_size(rng)) if rng.random() < shaped else None
    if shape is not None:
        height, width = shape.shape
    elif rng.random() < 0.5:  # larger or smaller, not distorted
        more = max(int(rng.integers(-2, 5)), SMALLEST - min(height, width))
        height, width = height + more, width + more
    row, col = int(rng.integers(0, GRID - height + 1)), int(rng.integers(0, GRID - width + 1))
    thing = Thing(label, row, col, height, width, shape)
    if faded and rng.random() < faded:
        thing = replace(thing, opacity=rng.uniform(0, 0.95), over_paper=rng.random() < 0.5)
    return thing


def shape_size(rng: np.random.Generator) -> tuple[int, int]:
    """Height and width of the box that a person paints in: mostly 4 to 9, from 2 to `GRID`; some are long."""
    kind = rng.random()
    if kind < 0.08:
        height, width = rng.integers(11, GRID + 1, 2)
    elif kind < 0.2:
        height, width = rng.integers(2, 5, 2)
    elif kind < 0.36:
        height, width = rng.permutation([rng.integers(2, 6), rng.integers(6, 15)])
    else:
        height = rng.integers(4, 10)
        width = np.clip(height + rng.integers(-2, 3), 3, 10)
    return int(height), int(width)


def painted_shape(rng: np.random.Generator, height: int, width: int) -> Array:
    """A shape as a person paints it.

    Two of three are compact (an ellipse, dabs of a round brush, a box), the others are a straight or curved
    stroke, a ring, a corner, a scribble or something frayed.

    Returns:
        Bool, in a box of at most (height, width) patches, all four sides of which it touches.
    """
    rows, cols = np.mgrid[:height, :width]
    y, x = (rows - (height - 1) / 2) / (height / 2), (cols - (width - 1) / 2) / (width / 2)
    ellipse = y**2 + x**2 <= 1.05
    kind = rng.random()
    if kind < 0.28:
        shape = ellipse
    elif kind < 0.54:
        radius, shape = min(height, width) / rng.uniform(2.4, 3.6), np.zeros((height, width), bool)
        for _ in range(int(rng.integers(8, 25))):
            at_row = rng.uniform(radius - 0.5, height - 0.5 - radius)
            at_col = rng.uniform(radius - 0.5, width - 0.5 - radius)
            shape |= (rows - at_row) ** 2 + (cols - at_col) ** 2 <= radius**2
    elif kind < 0.66:
        shape = np.ones((height, width), bool)
    elif kind < 0.84:
        shape = _stroke(rng, height, width, turns=int(rng.choice([0, 1])))
    elif kind < 0.88:
        inner = 1 - 2 * rng.uniform(2, 3.5) / min(height, width)
        shape = ellipse & (y**2 + x**2 > max(inner, 0) * abs(inner))
    elif kind < 0.92:
        arm = rng.integers(2, 5)
        shape = ((rows < arm) | (cols < arm))[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])]
    elif kind < 0.96:
        shape = _stroke(rng, height, width, turns=int(rng.integers(2, 5)))
    else:
        shape = ellipse | (rng.random((height, width)) < 0.4)
    kept_rows, kept_cols = np.flatnonzero(shape.any(1)), np.flatnonzero(shape.any(0))
    kept: Array = shape[kept_rows[0] : kept_rows[-1] + 1, kept_cols[0] : kept_cols[-1] + 1]
    return kept


def _stroke(rng: np.random.Generator, height: int, width: int, turns: int) -> Array:
    """The path of a round brush across a box; one turn is a bend, more are a scribble."""
    brush = min(rng.uniform(2, 5), height, width)
    low, high = np.full(2, brush / 2), np.array([height, width]) - brush / 2
    stops = rng.uniform(low, high, (turns + 2, 2))
    along = int(width > height) if width != height else int(rng.integers(2))
    stops[[0, -1], along] = low[along], high[along]
    t = np.linspace(0, 1, 48)[:, None]
    if turns == 1:
        path = (1 - t) ** 2 * stops[0] + 2 * t * (1 - t) * stops[1] + t**2 * stops[2]
    else:
        path = np.concatenate([a + t * (b - a) for a, b in pairwise(stops)])
    return near_path(path, max(brush / 2, 0.75), height, width)


def near_path(path: Array, distance: float, height: int, width: int) -> Array:
    """The patches (height, width), bool, whose middle is so near to one of the points (n, 2) of a path.

    Points are row and column; the middle of the first patch is at (0.5, 0.5).
    """
    rows, cols = np.mgrid[:height, :width] + 0.5
    away = (rows - path[:, :1, None]) ** 2 + (cols - path[:, 1:, None]) ** 2
    near: Array = away.min(0) <= distance**2
    return near


def _style(rng: np.random.Generator, share: float) -> int:
    return int(rng.integers(len(STYLES))) if rng.random() < share else -1


def _blob(rng: np.random.Generator) -> Array:
    r, c = rng.uniform(0, GRID, 2)
    h, w = rng.uniform(1.5, 6, 2)
    rows, cols = np.mgrid[:GRID, :GRID]
    return np.asarray(((rows - r) / h) ** 2 + ((cols - c) / w) ** 2 <= 1)
