"""The world the embedded model knows: composed 256×256 pictures with a label for each of their 16×16 patches.

A *layout* says what stands where, in whole patches; `draw` turns it into pixels as a pure function of the
patch labels, so that codes at the steering site can determine the picture. Two kinds of layout are drawn:

- `caption_layout`: what a caption says; what it leaves open is decided by the latent noise, so that one
  denoising step can commit to one composition instead of averaging over all of them;
- `free_layout`: anything anywhere, also on blank paper, which is what a person paints.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIZE, GRID = 256, 16
CELL = SIZE // GRID
SHEET = Path(__file__).parent / "assets" / "sprites.png"

SPRITES = {
    "tree": 0x1F333,
    "pine": 0x1F332,
    "palm": 0x1F334,
    "house": 0x1F3E0,
    "castle": 0x1F3F0,
    "sailboat": 0x26F5,
    "car": 0x1F697,
    "sunflower": 0x1F33B,
    "mushroom": 0x1F344,
    "lion": 0x1F981,
    "dog": 0x1F436,
    "cat": 0x1F431,
    "grinning cat": 0x1F63A,
    "screaming cat": 0x1F640,
    "sun": 0x1F31E,
    "moon": 0x1F31D,
    "cloud": 0x2601,
    "balloon": 0x1F388,
}
SKIES = ("day", "sunset", "night")
GROUNDS = ("grass", "sand", "snow", "sea")
PAPER = 0
LABELS = ("paper", *SKIES, *GROUNDS, *SPRITES)
FIRST_OBJECT = 1 + len(SKIES) + len(GROUNDS)
SKY_OBJECTS = ("sun", "moon", "cloud", "balloon")
STATES = ("grinning", "screaming")
# Side of an object's square, in patches. One size per kind: with several, training takes much longer.
SPRITE_SIZE = {
    "tree": 6, "pine": 6, "palm": 6, "house": 6, "castle": 6, "sailboat": 5, "car": 5,
    "sunflower": 5, "mushroom": 4,
    "lion": 5, "dog": 5, "cat": 5, "grinning cat": 5, "screaming cat": 5,
    "sun": 4, "moon": 4, "cloud": 5, "balloon": 4,
}  # fmt: skip
GROUND_PHRASES = (
    ("in a meadow", "on grass", "in a green field"),
    ("on sand", "in the desert", "at the beach"),
    ("in the snow", "on snow"),
    ("on the sea", "at sea", "on the water"),
)
SKY_PHRASES = (
    ("by day", "under a blue sky", "on a sunny day"),
    ("at sunset", "in the evening"),
    ("at night", "under the stars"),
)

Array = NDArray[Any]


@dataclass(frozen=True)
class Thing:
    """One object: its label, and the top left corner and side of its square, in patches."""

    label: int
    row: int
    col: int
    size: int


@dataclass(frozen=True)
class Layout:
    """Background label per patch (16, 16) and the objects, back to front."""

    background: Array
    things: tuple[Thing, ...] = ()


@dataclass(frozen=True)
class Spec:
    """What a caption says. A sky or ground left open (`None`) is day, grass."""

    things: tuple[str, ...] = ()
    sky: int | None = None
    ground: int | None = None
    words: str = field(default="", compare=False)


# sprites


@cache
def sprite(label: int, size: int) -> tuple[Array, Array]:
    """Premultiplied colours (S, S, 3) and opacity (S, S, 1), in [0, 1], of a sprite of `size` patches."""
    i, side = label - FIRST_OBJECT, size * CELL
    with Image.open(SHEET) as sheet:
        tile = np.asarray(sheet.convert("RGBA").crop((128 * i, 0, 128 * i + 128, 128)), np.float32)
    tile[..., :3] *= tile[..., 3:] / 255
    planes = [Image.fromarray(tile[..., c]).resize((side, side), Image.Resampling.LANCZOS) for c in range(4)]
    rgba = np.clip(np.stack([np.asarray(p) for p in planes], -1) / 255, 0, 1)
    return rgba[..., :3], rgba[..., 3:]


@cache
def silhouette(label: int, size: int) -> Array:
    """The patches (size, size) of its box that a sprite covers by more than 30 %, bool."""
    opacity = sprite(label, size)[1][..., 0]
    covered: Array = opacity.reshape(size, CELL, size, CELL).mean((1, 3)) > 0.3
    return covered


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
    for y, x in zip(rng.integers(3, SIZE - 3, 90), rng.integers(3, SIZE - 3, 90), strict=True):
        night[y : y + 2, x : x + 2] = 0.95
    grass = _gradient((130, 200, 90), (112, 188, 78), (92, 170, 66), (66, 146, 52))
    sand = _gradient((250, 230, 172), (246, 222, 158), (238, 208, 140), (222, 186, 112))
    snow = _gradient((252, 253, 255), (246, 249, 255), (236, 243, 252), (214, 228, 246))
    sea = _gradient((92, 172, 216), (70, 150, 204), (44, 120, 184), (24, 88, 156))
    for i in range(110):  # tufts, grains and waves, wider towards the viewer
        y = int(SIZE * (i + 0.5) / 110)
        x, width = int(rng.integers(0, SIZE - 40)), 4 + y // 18
        grass[y : y + 3, x : x + 3] *= 0.82
        sand[y : y + 2, x : x + 4] *= 0.9
        sea[y : y + 2, x : x + 2 * width] = sea[y : y + 2, x : x + 2 * width] * 0.6 + 0.4
        snow[y : y + 2, x : x + width] *= 0.965
    return np.stack([paper, day, sunset, night, grass, sand, snow, sea]).astype(np.float32)


@cache
def _smooth() -> Array:
    """(SIZE, GRID): patches to pixels with a Gaussian of 0.6 patches; turns stairs into soft hills."""
    centres = (np.arange(SIZE) + 0.5) / CELL - 0.5
    weights = np.exp(-0.5 * ((centres[:, None] - np.arange(GRID)) / 0.6) ** 2)
    smooth: Array = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return smooth


def draw(layout: Layout) -> tuple[Array, Array]:
    """Pixels and patch labels of a layout.

    Returns:
        uint8 image (256, 256, 3) and int64 labels (16, 16), indices into `LABELS`.
    """
    up = _smooth()
    kinds = np.unique(layout.background)
    if len(kinds) == 1:
        image = _backgrounds()[kinds[0]].copy()
    else:
        weights = np.stack([up @ (layout.background == k).astype(np.float32) @ up.T for k in kinds]) ** 6
        weights /= weights.sum(0)
        image = np.einsum("kyx,kyxc->yxc", weights, _backgrounds()[kinds])
    for thing in layout.things:
        rgb, opacity = sprite(thing.label, thing.size)
        r0, r1, c0, c1 = _clip(thing)
        inside = np.s_[
            CELL * (r0 - thing.row) : CELL * (r1 - thing.row),
            CELL * (c0 - thing.col) : CELL * (c1 - thing.col),
        ]
        target = image[CELL * r0 : CELL * r1, CELL * c0 : CELL * c1]
        target *= 1 - opacity[inside]
        target += rgb[inside]
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8), label_patches(layout)


def label_patches(layout: Layout) -> Array:
    """The label of every patch, (16, 16) int64: the foremost object that covers it, else the background."""
    labels = layout.background.astype(np.int64)
    for thing in layout.things:
        solid = silhouette(thing.label, thing.size)
        r0, r1, c0, c1 = _clip(thing)
        labels[r0:r1, c0:c1][solid[r0 - thing.row : r1 - thing.row, c0 - thing.col : c1 - thing.col]] = (
            thing.label
        )
    return labels


def _clip(thing: Thing) -> tuple[int, int, int, int]:
    """The rows and columns of an object's square that lie on the grid."""
    rows, cols = ((max(0, a), max(0, min(GRID, a + thing.size))) for a in (thing.row, thing.col))
    return *rows, *cols


# layouts


def fields(noise: Array) -> Array:
    """Per latent channel and patch, the mean of the noise there, as N(0, 1): (4, 64, 64) -> (4, 16, 16).

    The mean goes over 3×3 patches, so that the largest value of a field stands out and can be read by a
    small network.
    """
    cells = noise.reshape(4, GRID, 4, GRID, 4).sum((2, 4)) / 4
    padded = np.pad(cells, ((0, 0), (1, 1), (1, 1)))
    shifted = [padded[:, r : r + GRID, c : c + GRID] for r in range(3) for c in range(3)]
    means: Array = np.sum(shifted, axis=0) / 3
    return means


HORIZON = 8
SKY_ROW, GROUND_ROW = 3, 10  # where captioned objects are centred


def caption_layout(spec: Spec, noise: Array) -> tuple[Layout, list[tuple[int, int, int]]]:
    """Compose what `spec` says; what it leaves open is day, grass, and read from the latent noise.

    Object i stands at the column of the largest value of field i, among the columns still free, in `SKY_ROW`
    or `GROUND_ROW`.

    Returns:
        The layout, and the winning (channel, row, col) cells, whose margin training may widen.
    """
    f, cells = fields(noise), []
    background = np.full((GRID, GRID), 1 + (spec.sky or 0))
    background[HORIZON:] = 1 + len(SKIES) + (spec.ground or 0)
    things: list[Thing] = []
    free = {SKY_ROW: np.zeros(GRID, bool), GROUND_ROW: np.zeros(GRID, bool)}
    for columns in free.values():
        columns[2:14] = True
    for channel, name in enumerate(spec.things[:3]):
        row = SKY_ROW if name in SKY_OBJECTS else GROUND_ROW
        if not free[row].any():
            continue
        col = int(np.where(free[row], f[channel, row], -np.inf).argmax())
        cells.append((channel, row, col))
        size = SPRITE_SIZE[name]
        bottom = row + 2 if row == SKY_ROW else row + 3
        left = min(max(0, col - size // 2), GRID - size)
        things.append(Thing(LABELS.index(name), bottom - size, left, size))
        free[row][max(0, col - 4) : col + 5] = False
    return Layout(background, tuple(things)), cells


def free_layout(rng: np.random.Generator) -> Layout:
    """Anything anywhere: landscapes with lakes and holes of blank paper, zero to four objects."""
    background = np.full((GRID, GRID), PAPER)
    if rng.random() > 0.2:
        if rng.random() < 0.8:
            background[:] = 1 + rng.integers(len(SKIES))
        horizon = int(rng.integers(5, 12)) + np.cumsum(
            rng.integers(-1, 2, GRID) * (rng.random(GRID) < rng.choice([0, 0.4]))
        )
        if rng.random() < 0.85:
            background[np.arange(GRID)[:, None] >= horizon] = 1 + len(SKIES) + rng.integers(len(GROUNDS))
        for _ in range(rng.choice([0, 1, 2], p=[0.55, 0.3, 0.15])):
            background[_blob(rng)] = rng.choice(
                [PAPER, 1 + int(rng.integers(FIRST_OBJECT - 1))], p=[0.3, 0.7]
            )
    things = []
    for _ in range(rng.choice([0, 1, 2, 3, 4], p=[0.06, 0.3, 0.34, 0.2, 0.1])):
        name = str(rng.choice(list(SPRITES)))
        size = SPRITE_SIZE[name]
        row, col = (int(v) for v in rng.integers(0, GRID - size + 1, 2))
        things.append(Thing(LABELS.index(name), row, col, size))
    if rng.random() < 0.7:  # nearer objects stand in front
        things.sort(key=lambda t: t.row + t.size)
    return Layout(background, tuple(things))


def _blob(rng: np.random.Generator) -> Array:
    r, c = rng.uniform(0, GRID, 2)
    h, w = rng.uniform(1.5, 6, 2)
    rows, cols = np.mgrid[:GRID, :GRID]
    return np.asarray(((rows - r) / h) ** 2 + ((cols - c) / w) ** 2 <= 1)


# captions


def random_spec(rng: np.random.Generator) -> Spec:
    """A random caption: 15 % empty, else up to three different objects, with or without ground and sky."""
    if rng.random() < 0.15:
        return Spec()
    n = int(rng.choice([0, 1, 2, 3], p=[0.08, 0.42, 0.35, 0.15]))
    names = tuple(str(s) for s in rng.choice(list(SPRITES), n, replace=False))
    sky = int(rng.integers(len(SKIES))) if rng.random() < 0.6 else None
    ground = int(rng.integers(len(GROUNDS))) if rng.random() < 0.75 else None
    words = (
        " and ".join(f"{rng.choice(['a', 'one']) if rng.random() < 0.2 else 'a'} {name}" for name in names)
        or "a landscape"
    )
    places = [] if ground is None else [str(rng.choice(GROUND_PHRASES[ground]))]
    times = [] if sky is None else [str(rng.choice(SKY_PHRASES[sky]))]
    rest = places + times if rng.random() < 0.8 else times + places
    return Spec(names, sky, ground, " ".join([words, *rest]))


def sample(seed: int) -> tuple[Array, Array, str]:
    """One scene of the world.

    Args:
        seed: Any non-negative integer; the same seed gives the same scene.

    Returns:
        uint8 image (256, 256, 3), int64 patch labels (16, 16) into `LABELS`, caption.
    """
    rng = np.random.default_rng(seed)
    spec = random_spec(rng)
    layout, _ = caption_layout(spec, rng.standard_normal((4, 64, 64), dtype=np.float32))
    return *draw(layout), spec.words
