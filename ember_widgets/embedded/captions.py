"""Captions of the training scenes, and the layouts they ask for.

What a caption leaves open is decided by the latent noise, so that one denoising step can commit to one
composition instead of averaging over all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ember_widgets.embedded.scenes import GRID, Layout, Thing
from ember_widgets.embedded.vocabulary import (
    ANIMALS,
    BACKDROP_PHRASES,
    BACKDROPS,
    CHANCES,
    FACING_RIGHT,
    FIRST_BACKDROP,
    FIRST_GROUND,
    FIRST_SKY,
    FIRST_THING,
    GROUND_PHRASES,
    GROUNDS,
    INTERACTIONS,
    LABELS,
    LOOKS,
    SKIES,
    SKY_PHRASES,
    STATES,
    STYLE_PHRASES,
    STYLES,
    look,
)

Array = NDArray[Any]
SIZES = {1: "big", -1: "small"}
GLUE = (
    "a", "one", "two", "and", "the", "an", "with", "landscape", "empty", ",", "in", "love", *SIZES.values(),
    *" ".join(phrase.format("", "") for *_, phrases in INTERACTIONS for phrase in phrases).split(),
)  # fmt: skip
HORIZON = 8
SKY_ROWS, GROUND_ROWS = (2, 4), (10, 13)  # where captioned things are centred: far or near
# Columns for the middles of one to four things, from left to right as a caption names them: each has its own,
# so that where one stands depends on no other.
COLUMNS = {
    1: (range(5, 11),),
    2: (range(2, 6), range(10, 14)),
    3: (range(2, 4), range(7, 9), range(12, 14)),
    4: (range(2, 3), range(5, 7), range(9, 11), range(13, 14)),
}
PAIR_COLUMNS = range(3, 9)  # for the first of two animals that do something together
APART = 5  # columns between them
KIND_ALONE = {look.attributes[0]: i for i, look in reversed(list(enumerate(LOOKS)))}
MAX_WORDS = 30  # with commas; what the text encoders read
MAX_THINGS = 4  # one latent channel each
# How many patches mountains, trees and houses rise above the horizon, column by column.
RISE = {
    "mountains": (2, 3, 4, 5, 4, 3, 2, 2, 3, 4, 5, 6, 5, 4, 3, 2),
    "forest": (3, 3, 2, 3, 3, 2, 2, 3, 3, 2, 3, 3, 2, 2, 3, 3),
    "city": (2, 4, 4, 2, 5, 5, 3, 3, 2, 5, 5, 2, 4, 4, 3, 2),
}
UNCOUNTED = ("sun", "moon")  # there is only one


@dataclass(frozen=True)
class Spec:
    """What a caption says: labels of things, and background and style where it names one (else `None`, -1).

    No sky means day, no ground means grass. With an `interaction` the first two things stand side by side;
    at most one other is there.
    `sizes` are 1 for a big, -1 for a small, 0 for an ordinary thing. The same label twice in a row is two of
    a kind.
    """

    things: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()
    sky: int | None = None
    ground: int | None = None
    style: int = -1
    interaction: int = -1
    backdrop: int | None = None
    words: str = field(default="", compare=False)


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


@dataclass(frozen=True)
class Choices:
    """What a caption and its noise leave open: for each thing the places where it may stand, the best first.

    Two animals that do something together stand beside each other, and so have their places together.
    """

    background: Array
    places: tuple[tuple[tuple[Thing, ...], ...], ...]
    style: int = -1

    def layout(self, chosen: Sequence[int] | None = None) -> Layout:
        """The layout with each thing in the chosen one of its places, by default in the best."""
        chosen = [0] * len(self.places) if chosen is None else chosen
        things = [thing for of, i in zip(self.places, chosen, strict=True) for thing in of[i]]
        return Layout(self.background, tuple(sorted(things, key=bottom)), self.style)


def bottom(thing: Thing) -> int:
    """The row below a thing; what stands further down stands in front."""
    return thing.row + thing.height


def caption_layout(spec: Spec, noise: Array) -> Layout:
    """Compose what `spec` says; what it leaves open is day, grass, or read from the latent noise.

    Thing i is where field i is largest, among its places in the sky or on the ground (`COLUMNS`). Far things
    are one patch smaller; big and small ones are two patches larger and smaller.
    """
    return caption_choices(spec, noise).layout()


def caption_choices(spec: Spec, noise: Array, margin: float = 0.0) -> Choices:
    """The places of all things whose fields are at most `margin` (in standard deviations) below the largest.

    Where two places are almost as good as each other, a network that reads the noise with an error cannot
    know which one is meant; trained on one of them, it learns to draw half of both.
    """
    background = np.full((GRID, GRID), FIRST_SKY + (spec.sky or 0))
    background[HORIZON:] = FIRST_GROUND + (spec.ground or 0)
    if spec.backdrop is not None:
        background[_behind(BACKDROPS[spec.backdrop])] = FIRST_BACKDROP + spec.backdrop
    f = fields(noise)
    places: list[tuple[tuple[Thing, ...], ...]] = []
    for channel in range(min(len(spec.things), MAX_THINGS)):
        if _is_second(spec, channel):
            continue
        together = (channel, channel + 1) if spec.interaction >= 0 and channel == 0 else (channel,)
        places.append(
            tuple(
                tuple(_standing(spec, i, near, col + APART * (i - channel)) for i in together)
                for near, col in _best(spec, channel, f[channel], margin)
            )
        )
    return Choices(background, tuple(places), spec.style)


def winning_cells(spec: Spec, noise: Array) -> list[tuple[int, int, int]]:
    """The (channel, row, column) that decide where things stand, whose lead training may widen."""
    f, cells = fields(noise), []
    for channel in range(min(len(spec.things), MAX_THINGS)):
        if not _is_second(spec, channel):
            near, col = _best(spec, channel, f[channel])[0]
            cells.append((channel, _rows(spec.things[channel])[near], col))
    return cells


def _is_second(spec: Spec, channel: int) -> bool:
    """Whether a thing is the second of two animals that do something together."""
    return spec.interaction >= 0 and channel == 1


def _rows(label: int) -> tuple[int, int]:
    return SKY_ROWS if look(label).in_sky else GROUND_ROWS


def _best(spec: Spec, channel: int, f: Array, margin: float = 0.0) -> list[tuple[int, int]]:
    """Far (0) or near (1), and the column, of the places whose field is largest or nearly so."""
    n = min(len(spec.things), MAX_THINGS)
    columns = PAIR_COLUMNS if spec.interaction >= 0 and n == 2 else COLUMNS[n][channel]
    values = f[_rows(spec.things[channel]), columns.start : columns.stop]
    order = np.argsort(-values, axis=None, kind="stable")
    chosen = order[values.flat[order] >= values.max() - margin]
    return [(int(i) // len(columns), columns[int(i) % len(columns)]) for i in chosen]


def _standing(spec: Spec, i: int, near: int, col: int) -> Thing:
    """Thing i with its middle in a column, far (0) or near (1)."""
    label = spec.things[i]
    height, width = look(label).height, look(label).width
    in_sky = look(label).in_sky
    if not in_sky:
        height, width = height - 1 + near, width - 1 + near
    if spec.sizes and spec.sizes[i]:
        height, width = (max(3, side + (2 if spec.sizes[i] > 0 else -2)) for side in (height, width))
    below = _rows(label)[near] + (2 if in_sky else 3)
    return Thing(label, below - height, min(max(0, col - width // 2), GRID - width), height, width)


def _behind(backdrop: str) -> Array:
    """The patches (16, 16) that a backdrop fills, bool: a silhouette on the horizon, or a bow."""
    rows, cols = np.mgrid[:GRID, :GRID]
    if backdrop == "rainbow":
        distance = np.hypot(rows + 0.5 - 8.5, cols + 0.5 - GRID / 2)
        return np.asarray((distance > 5.4) & (distance <= 7.8) & (rows < HORIZON))
    return np.asarray((rows < HORIZON) & (rows >= HORIZON - np.array(RISE[backdrop])))


def random_spec(
    rng: np.random.Generator,
    *,
    styled: float = 0.25,
    crowd: tuple[float, ...] = (0.07, 0.4, 0.33, 0.15, 0.05),
) -> Spec:
    """A random caption: 12 % empty, else up to four things, some with a sky, a ground, a backdrop, a style.

    One of ten captions has two of a kind, one of ten an interaction; one of eight things is big or small.

    Args:
        rng: Source of all randomness.
        styled: Share of the captions that name a style.
        crowd: Chances of 0, 1, 2, 3 and 4 things.
    """
    if rng.random() < 0.12:
        return Spec()
    n = int(rng.choice([0, 1, 2, 3, 4], p=crowd))
    labels = tuple(int(v) for v in FIRST_THING + rng.choice(len(LOOKS), n, replace=False, p=CHANCES))
    sizes = tuple(int(v) for v in rng.choice([0, 1, -1], MAX_THINGS, p=[0.88, 0.06, 0.06]))
    interaction = int(rng.integers(len(INTERACTIONS))) if rng.random() < 0.1 else -1
    if interaction >= 0:
        pair = _pair(interaction, rng)
        labels = pair + tuple(label for label in labels[2:3] if label not in pair)
        sizes = (0, 0, *sizes[2:])
    elif n and rng.random() < 0.12 and is_countable(labels[0]):
        labels, sizes = (labels[0], *labels)[:MAX_THINGS], (0, 0, *sizes[2:])
    sky = int(rng.integers(len(SKIES))) if rng.random() < 0.6 else None
    ground = int(rng.integers(len(GROUNDS))) if rng.random() < 0.75 else None
    style = int(rng.integers(len(STYLES))) if rng.random() < styled else -1
    backdrop = int(rng.integers(len(BACKDROPS))) if rng.random() < 0.15 else None
    spec = Spec(labels, sizes[: len(labels)], sky, ground, style, interaction, backdrop)
    words = say(spec, rng)
    while len(words.replace(",", " ,").split()) > MAX_WORDS:
        words = say(spec, rng)
    return replace(spec, words=words)


def is_countable(label: int) -> bool:
    """Whether captions can name two of it."""
    attributes = look(label).attributes
    return attributes[0] not in UNCOUNTED and attributes[-1] not in (*STATES, FACING_RIGHT)


def plural(noun: str) -> str:
    """ "foxes", "strawberries", "fish", "pine trees"."""
    if noun.endswith("fish"):
        return noun
    if noun.endswith("man"):
        return noun[:-3] + "men"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("x", "s")) else "s")


def _pair(interaction: int, rng: np.random.Generator) -> tuple[int, int]:
    """Two different animals in the states of an interaction."""
    sides = []
    for state in INTERACTIONS[interaction][:2]:
        sides.append([k for k in ANIMALS if f"{k} {state}".strip() in LABELS])
    first = str(rng.choice(sides[0]))
    second = str(rng.choice([k for k in sides[1] if k != first]))
    states = INTERACTIONS[interaction][:2]
    return LABELS.index(f"{first} {states[0]}".strip()), LABELS.index(f"{second} {states[1]}".strip())


def say(spec: Spec, rng: np.random.Generator) -> str:
    """Put a spec into words: synonyms, articles, and the parts in random order."""

    def pick(options: tuple[str, ...]) -> str:
        return str(options[int(rng.integers(len(options)))])

    said: list[str] = []
    for i, label in enumerate(spec.things):
        if i and spec.interaction < 0 and label == spec.things[i - 1]:
            said[-1] = f"two {plural(look(label).words[0])}"
            continue
        noun = pick(look(label).words)
        if spec.sizes and spec.sizes[i]:
            noun = f"{SIZES[spec.sizes[i]]} {noun}"
        said.append(noun if rng.random() < 0.15 else pick((_a(noun), _a(noun), f"one {noun}")))
    if spec.interaction >= 0:
        animals = [pick(LOOKS[KIND_ALONE[look(t).attributes[0]]].words) for t in spec.things[:2]]
        phrase = pick(INTERACTIONS[spec.interaction][2]).format(_a(animals[0]), "{}")
        second = animals[1] if "startled" in phrase else _a(animals[1])
        said[:2] = [phrase.format(second)]
    what = (", " if rng.random() < 0.2 else " and ").join(said)
    what = what or pick(("a landscape", "an empty landscape", "landscape"))
    where = [] if spec.ground is None else [pick(GROUND_PHRASES[spec.ground])]
    when = [] if spec.sky is None else [pick(SKY_PHRASES[spec.sky])]
    if spec.backdrop is not None:
        where.append(pick(BACKDROP_PHRASES[spec.backdrop]))
    around = where + when if rng.random() < 0.6 else when + where
    parts = [what, *around] if rng.random() < 0.75 else [*around, what]
    text = " ".join(parts)
    if spec.style >= 0:
        after, before = STYLE_PHRASES[spec.style]
        text = f"{text} {after}" if rng.random() < 0.5 else f"{before} {text}"
    return text


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
