"""Scenes that the embedded model is trained on: 256×256 pictures with a label for each of 16×16 patches.

A *layout* says what is where, in whole patches; `draw` turns it into pixels as a pure function of the
patch labels, so that codes at the steering site can determine the picture. `random_layouts.py` puts anything
anywhere, which is what a person paints; `captions.py` makes the layouts that captions ask for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ember_widgets.embedded.sprite_shapes import stretched_into
from ember_widgets.embedded.styles import restyle
from ember_widgets.embedded.vocabulary import FIRST_THING, PAPER

SIZE, GRID = 256, 16
CELL = SIZE // GRID
SMALLEST, LARGEST = 3, 8  # sides of a thing, in patches
SHEET = Path(__file__).parent / "assets" / "sprites.png"

Array = NDArray[Any]


@dataclass(frozen=True)
class Thing:
    """One object: its label, box in patches, which of them it fills, (height, width) bool, and opacity.

    Without a shape it has its own, see `silhouette`. What shows through is what lies below or, `over_paper`,
    blank paper: a thing made weaker leaves nothing, one painted with a pale brush leaves what was there.
    """

    label: int
    row: int
    col: int
    height: int
    width: int
    shape: Array | None = field(default=None, compare=False)
    opacity: float = 1.0
    over_paper: bool = False


@dataclass(frozen=True)
class Layout:
    """Background label per patch (16, 16), the objects from back to front, and the style (-1: none)."""

    background: Array
    things: tuple[Thing, ...] = ()
    style: int = -1


@cache
def _sheet() -> Array:
    with Image.open(SHEET) as sheet:
        tiles = np.asarray(sheet.convert("RGBA"), np.float32)
    tiles[..., :3] *= tiles[..., 3:] / 255
    return tiles


@cache
def sprite(label: int, height: int, width: int) -> tuple[Array, Array]:
    """Premultiplied colours (H, W, 3) and opacity (H, W, 1), in [0, 1], of a sprite of so many patches."""
    i = label - FIRST_THING
    planes = [Image.fromarray(_sheet()[:, 128 * i : 128 * i + 128, c]) for c in range(4)]
    size = (width * CELL, height * CELL)
    rgba = np.stack([np.asarray(p.resize(size, Image.Resampling.LANCZOS)) for p in planes], -1) / 255
    rgba = np.clip(rgba, 0, 1)
    return rgba[..., :3], rgba[..., 3:]


@cache
def silhouette(label: int, height: int, width: int) -> Array:
    """The patches (height, width) of its box that a sprite covers by more than 30 %, bool."""
    return _covered(sprite(label, height, width)[1])


def _covered(opacity: Array) -> Array:
    height, width = opacity.shape[0] // CELL, opacity.shape[1] // CELL
    covered: Array = opacity.reshape(height, CELL, width, CELL).mean((1, 3)) > 0.3
    return covered


def stretched(label: int, shape: Array) -> tuple[Array, Array]:
    """A sprite stretched to fill a shape; colours and opacity as `sprite` gives them."""
    return _stretched(label, shape.shape, shape.tobytes())


@lru_cache(maxsize=64)  # pixels and labels of one layout ask for the same
def _stretched(label: int, size: tuple[int, int], filled: bytes) -> tuple[Array, Array]:
    rgb, opacity = sprite(label, *size)
    shape = np.frombuffer(filled, bool).reshape(size)
    rgba = stretched_into(np.concatenate([rgb, opacity], -1), shape, CELL)
    return rgba[..., :3], rgba[..., 3:]


def drawn(thing: Thing) -> tuple[Array, Array]:
    """Premultiplied colours (H, W, 3) and opacity (H, W, 1) of a thing in its box."""
    if thing.shape is None:
        return sprite(thing.label, thing.height, thing.width)
    return stretched(thing.label, thing.shape)


def covered(thing: Thing) -> Array:
    """The patches of its box that a thing is seen in, (height, width) bool."""
    if thing.shape is None:
        return silhouette(thing.label, thing.height, thing.width)
    return _covered(drawn(thing)[1])


# backgrounds


def _gradient(*stops: tuple[int, int, int]) -> Array:
    rows = np.linspace(0, len(stops) - 1, SIZE)
    columns = [np.interp(rows, np.arange(len(stops)), [s[c] / 255 for s in stops]) for c in range(3)]
    return np.repeat(np.stack(columns, -1)[:, None], SIZE, 1).astype(np.float32)


@cache
def _backgrounds() -> Array:
    """One full picture (SIZE, SIZE, 3) per background label; a patch shows the part that lies under it."""
    rng = np.random.default_rng(3)
    paper = np.full((SIZE, SIZE, 3), 0.965, np.float32)
    day = _gradient((58, 140, 232), (150, 205, 248), (214, 238, 252), (222, 242, 252))
    sunset = _gradient((84, 52, 128), (232, 108, 96), (255, 196, 112), (255, 214, 140))
    night = _gradient((8, 12, 46), (26, 34, 92), (46, 58, 124), (52, 66, 132))
    overcast = _gradient((112, 122, 136), (150, 158, 170), (184, 190, 198), (200, 204, 210))
    for y, x in zip(rng.integers(3, SIZE - 3, 90), rng.integers(3, SIZE - 3, 90), strict=True):
        night[y : y + 2, x : x + 2] = 0.95
    grass = _gradient((130, 200, 90), (112, 188, 78), (92, 170, 66), (66, 146, 52))
    sand = _gradient((250, 230, 172), (246, 222, 158), (238, 208, 140), (222, 186, 112))
    snow = _gradient((252, 253, 255), (246, 249, 255), (236, 243, 252), (214, 228, 246))
    sea = _gradient((92, 172, 216), (70, 150, 204), (44, 120, 184), (24, 88, 156))
    road = _gradient((128, 128, 134), (112, 112, 118), (96, 96, 102), (82, 82, 88))
    for i in range(110):  # tufts, grains and waves, wider towards the viewer
        y = int(SIZE * (i + 0.5) / 110)
        x, width = int(rng.integers(0, SIZE - 40)), 4 + y // 18
        grass[y : y + 3, x : x + 3] *= 0.82
        sand[y : y + 2, x : x + 4] *= 0.9
        sea[y : y + 2, x : x + 2 * width] = sea[y : y + 2, x : x + 2 * width] * 0.6 + 0.4
        snow[y : y + 2, x : x + width] *= 0.965
    for y in range(24, SIZE, 48):  # lane marks
        for x in range(8, SIZE, 64):
            road[y : y + 5, x : x + 32] = 0.93
    return np.stack([paper, day, sunset, night, overcast, grass, sand, snow, sea, road]).astype(np.float32)


@cache
def _smooth() -> Array:
    """(SIZE, GRID): patches to pixels with a Gaussian of 0.6 patches; turns stairs into soft hills."""
    centres = (np.arange(SIZE) + 0.5) / CELL - 0.5
    weights = np.exp(-0.5 * ((centres[:, None] - np.arange(GRID)) / 0.6) ** 2)
    smooth: Array = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return smooth


def _landscape(background: Array) -> Array:
    kinds = np.unique(background)
    if len(kinds) == 1:
        plain: Array = _backgrounds()[kinds[0]].copy()
        return plain
    up = _smooth()
    total, image = np.full((SIZE, SIZE), 1e-9, np.float32), np.zeros((SIZE, SIZE, 3), np.float32)
    for kind in kinds:
        weight = up @ (background == kind).astype(np.float32) @ up.T
        weight *= weight
        weight *= weight * weight
        total += weight
        image += weight[..., None] * _backgrounds()[kind]
    image /= total[..., None]
    return image


def _hole(mask: Array) -> Array:
    """Opacity (SIZE, SIZE, 1) of the patches in a mask (16, 16), with the soft edges of a landscape."""
    up = _smooth()
    within = (up @ mask.astype(np.float32) @ up.T) ** 6
    around = (up @ (~mask).astype(np.float32) @ up.T) ** 6
    share: Array = (within / (within + around))[..., None]
    return share


def draw(layout: Layout) -> tuple[Array, Array]:
    """Pixels and patch labels of a layout.

    Returns:
        uint8 image (256, 256, 3) and int64 labels (16, 16), indices into `vocabulary.LABELS`.
    """
    image = _landscape(layout.background)
    for thing in layout.things:
        rgb, opacity = drawn(thing)
        r0, r1, c0, c1 = _clip(thing)
        inside = np.s_[
            CELL * (r0 - thing.row) : CELL * (r1 - thing.row),
            CELL * (c0 - thing.col) : CELL * (c1 - thing.col),
        ]
        without = image if thing.opacity == 1 else image.copy()
        target = image[CELL * r0 : CELL * r1, CELL * c0 : CELL * c1]
        target *= 1 - opacity[inside]
        target += rgb[inside]
        if thing.opacity < 1:
            if thing.over_paper:
                without += _hole(_inside(thing)) * (_backgrounds()[PAPER] - without)
            image += (1 - thing.opacity) * (without - image)
    if layout.style >= 0:
        image = restyle(image, layout.style)
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8), label_patches(layout)


def label_patches(layout: Layout) -> Array:
    """The label of every patch, (16, 16) int64: the foremost object that covers it, else the background."""
    labels = layout.background.astype(np.int64)
    for thing in layout.things:
        labels[_on_grid(thing, covered(thing))] = thing.label
    return labels


def painted_patches(layout: Layout) -> tuple[Array, Array, Array]:
    """What a person would paint for the layout: all that a shape takes in.

    What is seen of a thing can be less: the corners beside a roof.

    Returns:
        int64 labels (16, 16), the labels below them, and the opacity of the upper ones in 0..1.
    """
    labels, opacity = layout.background.astype(np.int64), np.ones((GRID, GRID))
    below = labels.copy()
    for thing in layout.things:
        inside = _inside(thing)
        below[inside] = PAPER if thing.over_paper else labels[inside]
        labels[inside], opacity[inside] = thing.label, thing.opacity
    return labels, below, opacity


def _inside(thing: Thing) -> Array:
    """The patches of the grid that an object's shape takes in, (16, 16) bool."""
    return _on_grid(thing, covered(thing) if thing.shape is None else thing.shape)


def _on_grid(thing: Thing, mask: Array) -> Array:
    """A mask of an object's box, (height, width) bool, as one of the grid, (16, 16)."""
    r0, r1, c0, c1 = _clip(thing)
    on_grid = np.zeros((GRID, GRID), bool)
    on_grid[r0:r1, c0:c1] = mask[r0 - thing.row : r1 - thing.row, c0 - thing.col : c1 - thing.col]
    return on_grid


def _clip(thing: Thing) -> tuple[int, int, int, int]:
    """The rows and columns of an object's box that lie on the grid."""
    r0, r1 = max(0, thing.row), max(0, min(GRID, thing.row + thing.height))
    c0, c1 = max(0, thing.col), max(0, min(GRID, thing.col + thing.width))
    return r0, r1, c0, c1
