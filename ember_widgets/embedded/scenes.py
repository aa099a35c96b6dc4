"""Scenes that the embedded model is trained on: 256×256 pictures with a label for each of 16×16 patches.

A *layout* says what is where, in whole patches; `draw` turns it into pixels as a pure function of the
patch labels, so that codes at the steering site can determine the picture. Skies light what is below them.
`random_layouts.py` puts anything anywhere, which is what a person paints; `captions.py` makes the layouts
that captions ask for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ember_widgets.embedded.packing import Box, boxes
from ember_widgets.embedded.styles import restyle
from ember_widgets.embedded.vocabulary import (
    FIRST_GROUND,
    FIRST_SKY,
    FIRST_THING,
    LABELS,
    PAPER,
)

SIZE, GRID = 256, 16
CELL = SIZE // GRID
SHEET = Path(__file__).parent / "assets" / "sprites.webp"

Array = NDArray[Any]


@dataclass(frozen=True)
class Thing:
    """One object: its label, box in patches, which of them it fills, (height, width) bool, and opacity.

    Without a shape it has its own, see `silhouette`; a shape holds as many sprites as it takes, none of them
    stretched (`packing.py`). What shows through is what lies below or, `over_paper`,
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


TILE = 128


@cache
def _ink(label: int) -> tuple[int, int, int, int]:
    """First row, end, first column and end of what is not transparent in a sprite's tile, in pixels."""
    i = label - FIRST_THING
    opaque = _sheet()[:, TILE * i : TILE * i + TILE, 3] > 24
    rows, cols = np.flatnonzero(opaque.any(1)), np.flatnonzero(opaque.any(0))
    return int(rows[0]), int(rows[-1]) + 1, int(cols[0]), int(cols[-1]) + 1


def _scaled(label: int, ink: tuple[int, int, int, int], height: int, width: int) -> tuple[Array, Array]:
    top, bottom, left, right = ink
    start = TILE * (label - FIRST_THING)
    tile, size = _sheet()[top:bottom, start + left : start + right], (width * CELL, height * CELL)
    planes = [Image.fromarray(tile[..., c]).resize(size, Image.Resampling.LANCZOS) for c in range(4)]
    rgba = np.clip(np.stack([np.asarray(plane) for plane in planes], -1) / 255, 0, 1)
    return rgba[..., :3], rgba[..., 3:]


@lru_cache(maxsize=1000)  # of about 150 kB
def sprite(label: int, height: int, width: int) -> tuple[Array, Array]:
    """Premultiplied colours (H, W, 3) and opacity (H, W, 1), in [0, 1], of a sprite of so many patches."""
    return _scaled(label, (0, TILE, 0, TILE), height, width)


@lru_cache(maxsize=1000)
def filling(label: int, height: int, width: int) -> tuple[Array, Array]:
    """The same without the tile's transparent margins: its ink touches all sides of the patches."""
    return _scaled(label, _ink(label), height, width)


@cache
def silhouette(label: int, height: int, width: int) -> Array:
    """The patches (height, width) of its box that a sprite covers by more than 30 %, bool."""
    return _covered(sprite(label, height, width)[1])


def _covered(opacity: Array) -> Array:
    height, width = opacity.shape[0] // CELL, opacity.shape[1] // CELL
    covered: Array = opacity.reshape(height, CELL, width, CELL).mean((1, 3)) > 0.3
    return covered


def sprite_boxes(label: int, shape: Array) -> tuple[Box, ...]:
    """Row, column, height and width of each sprite that fills a shape, in patches of the shape's box."""
    top, bottom, left, right = _ink(label)
    return boxes(shape, (bottom - top, right - left))


def packed(label: int, shape: Array) -> tuple[Array, Array]:
    """Sprites that fill a shape; colours and opacity as `sprite` gives them."""
    return _packed(label, shape.shape, shape.tobytes())


@lru_cache(maxsize=64)  # pixels and labels of one layout ask for the same
def _packed(label: int, size: tuple[int, int], filled: bytes) -> tuple[Array, Array]:
    shape = np.frombuffer(filled, bool).reshape(size)
    rgb = np.zeros((CELL * size[0], CELL * size[1], 3), np.float32)
    opacity = np.zeros((*rgb.shape[:2], 1), np.float32)
    for row, col, height, width in sprite_boxes(label, shape):
        own, cover = filling(label, height, width)
        at = np.s_[CELL * row : CELL * (row + height), CELL * col : CELL * (col + width)]
        rgb[at] = rgb[at] * (1 - cover) + own
        opacity[at] += cover * (1 - opacity[at])
    return rgb, opacity


def drawn(thing: Thing) -> tuple[Array, Array]:
    """Premultiplied colours (H, W, 3) and opacity (H, W, 1) of a thing in its box."""
    if thing.shape is None:
        return sprite(thing.label, thing.height, thing.width)
    return packed(thing.label, thing.shape)


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
    """One full picture (SIZE, SIZE, 3) per background label; a patch shows the part that lies under it.

    Textures repeat from patch to patch, so that what a painted patch looks like is the same everywhere.
    """
    plain = {
        "paper": _gradient((246, 246, 246), (246, 246, 246)),
        "day": _gradient((58, 140, 232), (150, 205, 248), (214, 238, 252), (222, 242, 252)),
        "sunset": _gradient((84, 52, 128), (232, 108, 96), (255, 196, 112), (255, 214, 140)),
        "night": _gradient((8, 12, 46), (26, 34, 92), (46, 58, 124), (52, 66, 132)),
        "overcast": _gradient((112, 122, 136), (150, 158, 170), (184, 190, 198), (200, 204, 210)),
        "rain": _gradient((66, 78, 96), (98, 112, 130), (124, 136, 152), (134, 146, 160)),
        "snowfall": _gradient((150, 164, 186), (184, 196, 212), (208, 216, 228), (214, 222, 232)),
        "fog": _gradient((206, 210, 212), (220, 223, 224), (230, 232, 232), (232, 234, 234)),
        "grass": _gradient((130, 200, 90), (112, 188, 78), (92, 170, 66), (66, 146, 52)),
        "sand": _gradient((250, 230, 172), (246, 222, 158), (238, 208, 140), (222, 186, 112)),
        "snow": _gradient((252, 253, 255), (246, 249, 255), (236, 243, 252), (214, 228, 246)),
        "sea": _gradient((92, 172, 216), (70, 150, 204), (44, 120, 184), (24, 88, 156)),
        "road": _gradient((128, 128, 134), (112, 112, 118), (96, 96, 102), (82, 82, 88)),
        "mountains": _gradient((126, 138, 164), (126, 138, 164)),
        "forest": _gradient((38, 98, 66), (38, 98, 66)),
        "city": _gradient((92, 98, 122), (92, 98, 122)),
        "rainbow": _rainbow(),
    }
    y, x = np.mgrid[:SIZE, :SIZE] % CELL

    def shade(name: str, where: Array, factor: float, lighter: float = 0.0) -> None:
        plain[name][where] = plain[name][where] * factor + lighter

    shade("grass", (np.abs(x - 4) + np.abs(y - 6) < 4) & (y < 8), 0.8)  # tufts
    shade("grass", (np.abs(x - 12) + np.abs(y - 14) < 4) & (y < 16), 0.8)
    shade("sand", (x - 4) ** 2 + (y - 4) ** 2 < 5, 0.86)  # grains
    shade("sand", (x - 11) ** 2 + (y - 12) ** 2 < 5, 0.86)
    shade("snow", np.abs(y - 11 + 2 * np.cos(x * np.pi / 8)) < 1.2, 0.93)  # drifts
    shade("sea", np.abs(y - 5 + 2 * np.cos(x * np.pi / 8)) < 1.6, 0.7, 0.3)  # waves
    shade("sea", np.abs(y - 13 - 2 * np.cos(x * np.pi / 8)) < 1.6, 0.85, 0.15)
    shade(
        "road",
        (np.abs(y - 8) < 2) & (np.abs(x - 8) < 6) & (np.mgrid[:SIZE, :SIZE][0] // CELL % 2 == 1),
        0,
        0.93,
    )
    shade("night", np.abs(x - 7) + np.abs(y - 8) < 3, 0.25, 0.75)  # stars
    slope = np.abs(x - 7.5)  # a peak, a fir and a house in every patch
    shade("mountains", y < slope * 1.6, 1.12)
    shade("mountains", (y >= slope * 1.6) & (y < slope * 1.6 + 5) & (y < 6), 0.0, 0.94)
    shade("forest", y < slope * 1.7, 1.35)
    shade("city", (slope > 5.5) | (y < 2), 1.25)
    shade("city", (y % 6 > 2) & (x % 6 > 2) & (slope < 5) & (y > 3), 0.3, 0.62)
    return np.stack([plain[name] for name in LABELS[:FIRST_THING]]).astype(np.float32)


def _rainbow() -> Array:
    """Bows round the middle of the horizon, one patch and a half from red to violet."""
    colours = np.array(
        [(228, 60, 60), (244, 146, 54), (250, 218, 84), (96, 190, 98), (72, 142, 222), (134, 92, 196)]
    )
    y, x = np.mgrid[:SIZE, :SIZE]
    inwards = -np.hypot(y - CELL * 8.5, x - SIZE / 2) + 7.8 * CELL
    bow = (inwards / (2.4 * CELL) * len(colours)).astype(int) % len(colours)
    rainbow: Array = (colours[bow] / 255).astype(np.float32)
    return rainbow


@cache
def _smooth() -> Array:
    """(SIZE, GRID): patches to pixels with a Gaussian of 0.6 patches; turns stairs into soft hills."""
    centres = (np.arange(SIZE) + 0.5) / CELL - 0.5
    weights = np.exp(-0.5 * ((centres[:, None] - np.arange(GRID)) / 0.6) ** 2)
    smooth: Array = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return smooth


def _landscape(background: Array, light: Array) -> Array:
    """Backgrounds (16, 16) as pixels; grounds and backdrops in the light (3,) of the scene."""
    kinds = np.unique(background)
    up = _smooth()
    total, image = np.full((SIZE, SIZE), 1e-9, np.float32), np.zeros((SIZE, SIZE, 3), np.float32)
    for kind in kinds:
        weight = up @ (background == kind).astype(np.float32) @ up.T
        weight *= weight
        weight *= weight * weight
        total += weight
        image += weight[..., None] * (_backgrounds()[kind] * (light if _is_lit(int(kind)) else 1))
    image /= total[..., None]
    return image


# light and weather

LIGHT = {
    "sunset": (1.0, 0.84, 0.74), "night": (0.56, 0.6, 0.8), "overcast": (0.88, 0.9, 0.92),
    "rain": (0.74, 0.78, 0.84), "snowfall": (0.92, 0.95, 0.98),
}  # fmt: skip
GLOWING = ("sun", "moon", "star", "rainbow")
ENOUGH = 0.15  # share of the patches that a sky has to fill to light all of the scene


def _is_lit(label: int) -> bool:
    """Whether the sky's light falls on it: not on the sky itself, on blank paper, and on what glows."""
    return label >= FIRST_GROUND and LABELS[label] not in GLOWING


def sky_shares(labels: Array) -> dict[str, float]:
    """How much each sky lights a scene with these labels (16, 16), in [0, 1]; in all at most 1."""
    shares = {LABELS[k]: float((labels == k).mean()) for k in range(FIRST_SKY, FIRST_GROUND)}
    return {name: share / max(sum(shares.values()), ENOUGH) for name, share in shares.items()}


def _light(shares: dict[str, float]) -> Array:
    """The colour (3,) that everything that is lit is multiplied by."""
    light = np.ones(3, np.float32)
    for name, colour in LIGHT.items():
        light += shares[name] * (np.array(colour, np.float32) - 1)
    return light


@cache
def _falling() -> dict[str, Array]:
    """What falls before everything, as opacity (SIZE, SIZE, 1), the same in every patch; and fog."""
    y, x = np.mgrid[:SIZE, :SIZE] % CELL
    streak = np.abs((x + y / 2) % CELL - 8) < 1.1
    flake = ((x - 4) ** 2 + (y - 5) ** 2 < 7) | ((x - 12) ** 2 + (y - 12) ** 2 < 4)
    return {
        "rain": 0.4 * (streak & (y < 12))[..., None].astype(np.float32),
        "snowfall": 0.9 * flake[..., None].astype(np.float32),
        "fog": np.full((SIZE, SIZE, 1), 0.45, np.float32),
    }


def _weather(image: Array, shares: dict[str, float]) -> None:
    """Let rain, snow and fog fall before everything, in place."""
    for name, opacity in _falling().items():
        if shares[name] > 0:
            colour = 0.92 if name == "fog" else 1.0
            image += shares[name] * opacity * (colour - image)


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
    labels = label_patches(layout)
    shares = sky_shares(labels)
    light = _light(shares)
    image = _landscape(layout.background, light)
    for thing in layout.things:
        rgb, opacity = drawn(thing)
        if _is_lit(thing.label):
            rgb = rgb * light
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
    _weather(image, shares)
    if layout.style >= 0:
        image = restyle(image, layout.style)
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8), labels


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
