"""What the oracle answers to the questions about a sheet: it sees the sheet's pixels and nothing else.

The oracle reads every tile patch by patch. A marked place is found by its black and white frame, which is
painted out before reading, because the oracle has never seen one.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from ember_widgets.embedded import scenes, vocabulary
from ember_widgets.embedded.oracle import Oracle, load_oracle
from ember_widgets.labelling import questions, sheet
from ember_widgets.labelling.question import Kind
from ember_widgets.scene.grid import Grid

Array = NDArray[Any]
CELL, GRID = scenes.CELL, scenes.GRID
MIDDLE = Grid(GRID, GRID).areas["centre"]  # where features are painted
MAX_SIDE = 4096
ROWS, COLUMNS = ("top", "middle", "bottom"), ("left", "centre", "right")
SHOWN = 0.35
"""A place shows a thing from this probability on. Below a half, because half of the pictures do."""
LEAST = -4.0
"""Natural logarithm of the smallest probability that counts: below 2 %, nothing is seen. Without this limit,
a picture of a cat would show more of a dog than a picture of sand does."""
DRAWN = 0.15
"""A feature that draws so much of a thing in the middle stands for the thing, not for a part of it."""
SURE = 0.7
"""Of the marked places that show a thing, at least this share show what its name says beyond that."""


class NoSheet(ValueError):
    """The bytes are not a sheet."""


@dataclass(frozen=True)
class Name:
    """What can be said of a place, and the labels of the oracle that show it."""

    text: str
    attributes: frozenset[str]
    labels: tuple[int, ...]


@dataclass(frozen=True)
class Tile:
    """A tile as the oracle reads it.

    Args:
        probabilities: (n_labels, 16, 16).
        marked: (16, 16) bool, the patches inside the frame; none if there is no frame.
    """

    probabilities: Array
    marked: Array

    def share(self, name: Name, where: Array) -> float:
        """Mean probability of a name in some patches; 0 without any."""
        if not where.any():
            return 0.0
        return float(self.probabilities[list(name.labels)].sum(0)[where].mean())

    def evidence(self, name: Name, where: Array) -> float:
        """Mean logarithm of a name's probability in some patches, not below `LEAST`."""
        shares = self.probabilities[list(name.labels)].sum(0)[where]
        return float(np.log(np.maximum(shares, np.exp(LEAST))).mean())

    def part(self, name: Name) -> tuple[int, int] | None:
        """Row and column, 0 to 2 each, of the marked place in the thing that it belongs to."""
        shown = self.probabilities[list(name.labels)].sum(0) > 0.5
        where = self.marked & shown
        if not where.any():
            return None
        blobs, _ = ndimage.label(shown, np.ones((3, 3)))
        row, col = (int(i) for i in np.argwhere(where)[0])
        rows, cols = np.nonzero(blobs == blobs[row, col])
        height, width = np.ptp(rows) + 1, np.ptp(cols) + 1
        return int(3 * (row - rows.min()) // height), int(3 * (col - cols.min()) // width)


@dataclass
class SheetReader:
    """Answers questions about sheets. Threads may share it; it reads one sheet at a time.

    Args:
        oracle: Reads pictures; None = the one that ships with the package.
    """

    oracle: Oracle | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _last: tuple[bytes, list[Tile | None]] = (b"", [])

    def answer(self, text: str, picture: bytes) -> str:
        """Answer a question of `labelling.questions`.

        Args:
            text: The question.
            picture: The sheet, encoded.

        Returns:
            JSON, or a sentence if this is none of the questions.

        Raises:
            NoSheet: The picture cannot be read, or is too small for this question.
        """
        asked = parsed(text)
        if asked is None:
            return "I only answer questions about sheets of features."
        kind, label = asked
        if kind == "label":
            return json.dumps(self._named(picture))
        if kind == "detection":
            return json.dumps({"pictures": self._chosen(picture, label)})
        return json.dumps({"pairs": self._compared(picture, label)})

    def _named(self, picture: bytes) -> dict[str, str]:
        before, after = (sheet.BLANK, *sheet.WITHOUT), (sheet.ALONE, *sheet.WITH)
        places = (*sheet.ACTIVE, *sheet.SILENT, *before, *after)
        tiles = dict(zip(places, self._read(picture, places), strict=True))
        active = [tile for place in sheet.ACTIVE if (tile := tiles[place]) is not None]
        silent = [tile for place in sheet.SILENT if (tile := tiles[place]) is not None]
        pairs = [(tiles[a], tiles[b]) for a, b in zip(before, after, strict=True)]
        painted = [(a, b) for a, b in pairs if a is not None and b is not None]
        return named([tile for tile in active if tile.marked.any()], silent, painted)

    def _chosen(self, picture: bytes, label: str) -> list[int]:
        name, part = meant(label)
        if name is None:
            return []
        tiles = self._read(picture, sheet.DETECTION)
        return [i + 1 for i, tile in enumerate(tiles) if tile is not None and shows(tile, name, part)]

    def _compared(self, picture: bytes, label: str) -> list[str]:
        name, _ = meant(label)
        if name is None:
            return ["?"] * sheet.N_PAIRS
        tiles = self._read(picture, (*sheet.PAIR_A, *sheet.PAIR_B))
        pairs = zip(tiles[: sheet.N_PAIRS], tiles[sheet.N_PAIRS :], strict=True)
        return [more(name, a, b) for a, b in pairs]

    def _read(self, picture: bytes, places: Sequence[tuple[int, int]]) -> list[Tile | None]:
        """Some tiles of a sheet; None where it is empty."""
        key = hashlib.sha256(repr(places).encode() + picture).digest()
        with self._lock:
            if self._last[0] != key:  # else the same sheet is asked about again
                self._last = key, self._tiles(picture, places)
            return self._last[1]

    def _tiles(self, picture: bytes, places: Sequence[tuple[int, int]]) -> list[Tile | None]:
        whole = opened(picture)
        cut = [tile_at(whole, *place) for place in places]
        shown = [tile for tile in cut if tile is not None]
        if not shown:
            return [None] * len(places)
        if self.oracle is None:
            self.oracle = load_oracle()
        frames = [frame_in(tile) for tile in shown]
        plain = np.stack([without(tile, frame) for tile, frame in zip(shown, frames, strict=True)])
        logarithms = self.oracle.read(plain)[1]
        read = iter(
            Tile(np.exp(values), inside(frame)) for values, frame in zip(logarithms, frames, strict=True)
        )
        return [None if tile is None else next(read) for tile in cut]


# questions


def parsed(text: str) -> tuple[Kind, str] | None:
    """Which question a text is, and the label that it is about; None if it is another text."""
    if text.startswith(questions.text_of("label").splitlines()[0]):
        return "label", ""
    kinds: tuple[Kind, ...] = ("detection", "causal")
    for kind in kinds:
        before, after = questions.text_of(kind, "\0").split("\0")
        end = text.find(after.splitlines()[1], len(before)) if text.startswith(before) else -1
        if end >= 0:
            return kind, text[len(before) : end].strip()
    return None


@cache
def names() -> tuple[Name, ...]:
    """All that can be said: attributes, and looks with all their attributes."""
    looks = [look.attributes for look in vocabulary.LOOKS if len(look.attributes) > 1]
    single = [(a,) for a in vocabulary.ATTRIBUTES if a not in vocabulary.VARIANTS]
    found = []
    for wanted in (*single, *looks):
        labels = [i for i in range(len(vocabulary.LABELS)) if set(wanted) <= set(vocabulary.attributes(i))]
        is_variant = wanted[-1] in vocabulary.VARIANTS
        text = f"{wanted[1]} ({wanted[0]})" if is_variant else " ".join(wanted)
        found.append(Name(text, frozenset(wanted), tuple(labels)))
    return tuple(found)


@cache
def phrases() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What a label may say and the attributes it means, longest first."""
    found: dict[str, tuple[str, ...]] = {a: (a,) for a in vocabulary.ATTRIBUTES}
    for look in vocabulary.LOOKS:
        for words in look.words:
            found.setdefault(words, look.attributes)
    return tuple(sorted(found.items(), key=lambda item: -len(item[0])))


def meant(label: str) -> tuple[Name | None, tuple[str, ...]]:
    """What a label names, and the words for a part in it.

    None if it has no word that the oracle knows, or names two things that no patch shows at once.
    """
    rest, attributes = f" {' '.join(re.findall(r'[a-z]+', label.lower()))} ", set[str]()
    for phrase, meaning in phrases():
        if f" {phrase} " in rest:
            rest = rest.replace(f" {phrase} ", " ")
            attributes.update(meaning)
    shown = tuple(i for i in range(len(vocabulary.LABELS)) if attributes <= set(vocabulary.attributes(i)))
    if not attributes or not shown:
        return None, ()
    parts = tuple(word for word in rest.split() if word in ROWS + COLUMNS)
    return Name(label, frozenset(attributes), shown), parts


# answers


def named(
    active: Sequence[Tile], silent: Sequence[Tile], painted: Iterable[tuple[Tile, Tile]]
) -> dict[str, str]:
    """The label for what marked places have in common.

    Args:
        active: Pictures with a marked place.
        silent: Pictures in which the feature is active nowhere.
        painted: The same picture without and with the feature in the middle.
    """
    unclear = {"label": "unclear", "category": "unclear", "note": "The marked places have nothing in common."}
    if not active:
        return unclear
    pairs = list(painted)
    best, most = None, 0.0
    for name in names():
        marked = float(np.mean([tile.share(name, tile.marked) for tile in active]))
        elsewhere = [tile.share(name, ~tile.marked) for tile in (*active, *silent)]
        gain = marked * np.log((marked + 0.01) / (float(np.mean(elsewhere)) + 0.01))
        if gain > most:
            best, most = name, gain
    if best is None:
        return unclear
    best = most_specific(best, active)
    marked = float(np.mean([tile.share(best, tile.marked) for tile in active]))
    if marked < 0.2:
        return unclear
    # A feature that draws the thing is not a part of it, though it may be strongest in a part.
    drawn = [after.share(best, MIDDLE) - before.share(best, MIDDLE) for before, after in pairs]
    part = "" if drawn and np.mean(drawn) >= DRAWN else part_of(best, active)
    rise = [after.evidence(best, MIDDLE) - before.evidence(best, MIDDLE) for before, after in pairs]
    note = f"{100 * marked:.0f} % of the marked places show it"
    if rise:
        note += "; painting it shows more of it" if np.mean(rise) > 0 else "; painting it does not show it"
    return {"label": best.text + part, "category": category(best, part), "note": note + "."}


def most_specific(name: Name, active: Sequence[Tile]) -> Name:
    """A name that says more, if most of the marked places that show the first one show it too."""
    shares = {
        more_specific: sum(tile.share(more_specific, tile.marked) for tile in active)
        for more_specific in names()
        if more_specific.attributes >= name.attributes
    }
    enough = [one for one, share in shares.items() if share >= SURE * shares[name]]
    return max(enough, key=lambda one: (len(one.attributes), shares[one]))


def part_of(name: Name, active: Sequence[Tile]) -> str:
    """ ", top left" if the marked places are there in most things; "" if they are not, or for backgrounds."""
    if name.attributes & vocabulary.BACKGROUNDS:
        return ""
    found = [part for tile in active if (part := tile.part(name)) is not None]
    if len(found) < 3:
        return ""
    words = []
    for axis, texts in enumerate((ROWS, COLUMNS)):
        counts = np.bincount([part[axis] for part in found], minlength=3)
        if counts.max() >= SURE * len(found):
            words.append(texts[int(counts.argmax())])
    return f", {' '.join(words)}" if words else ""


def category(name: Name, part: str) -> str:
    """The category of a label."""
    if name.attributes & set(vocabulary.STATES):
        return "action"
    if name.attributes & vocabulary.BACKGROUNDS:
        return "texture"
    return "part" if part else "object"


def shows(tile: Tile, name: Name, part: Sequence[str]) -> bool:
    """Whether the marked place shows a label, in the part of it that the label says."""
    if tile.share(name, tile.marked) < SHOWN:
        return False
    place = tile.part(name)
    if place is None or not part:
        return True
    is_there = {ROWS[place[0]], COLUMNS[place[1]]}
    return set(part) <= is_there


def more(name: Name, a: Tile | None, b: Tile | None) -> str:
    """In which of two pictures the middle shows more of a label."""
    if a is None or b is None:
        return "?"
    difference = a.evidence(name, MIDDLE) - b.evidence(name, MIDDLE)
    if abs(difference) < 1e-3:
        return "?"
    return "A" if difference > 0 else "B"


# pixels


def opened(picture: bytes) -> Array:
    """A sheet's pixels, (H, W, 3) uint8.

    Raises:
        NoSheet: It is no picture, or too large.
    """
    try:
        with Image.open(io.BytesIO(picture), formats=("JPEG", "PNG", "WEBP")) as image:
            if max(image.size) > MAX_SIDE:
                raise NoSheet(f"the picture has {image.size} pixels; at most {MAX_SIDE} a side are read")
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as fault:
        raise NoSheet(f"the picture cannot be read: {fault}") from None


def tile_at(whole: Array, row: int, column: int) -> Array | None:
    """A tile of a sheet (256, 256, 3); None where there is only paper."""
    left, top, right, bottom = sheet.box(row, column)
    tile = whole[top:bottom, left:right]
    if tile.shape[:2] != (sheet.TILE, sheet.TILE):
        return None
    return None if tile.min() >= 250 else tile


@cache
def rings() -> tuple[Array, Array]:
    """Pixels of a frame around each patch, relative to its top left: white ones (n, 2) and black ones."""
    found = []
    for grown, thickness in ((1, 2), (2, 1)):
        outer = np.zeros((CELL + 8, CELL + 8), bool)
        outer[4 - grown : 4 + CELL + 1 + grown, 4 - grown : 4 + CELL + 1 + grown] = True
        outer[4 - grown + thickness : 4 + CELL + 1 + grown - thickness,
              4 - grown + thickness : 4 + CELL + 1 + grown - thickness] = False  # fmt: skip
        found.append(np.argwhere(outer) - 4)
    return found[0], found[1]


def frame_in(tile: Array) -> tuple[int, int] | None:
    """The patch (row, col) that a frame is around; None if there is no frame.

    A frame is a white square around the patch with a black line around it, as `Collection.marked` draws it.
    """
    grey = tile.astype(np.float32).mean(2)
    white, black = rings()
    corners = CELL * np.moveaxis(np.mgrid[:GRID, :GRID], 0, -1)[:, :, None] + 4
    # What a frame would have outside the picture counts as it should be.
    light = np.pad(grey, 4, constant_values=255)[tuple(np.moveaxis(corners + white, -1, 0))]
    dark = np.pad(grey, 4, constant_values=0)[tuple(np.moveaxis(corners + black, -1, 0))]
    # The weakest part of the ring counts, so that a bright thing on dark ground is no frame.
    contrast = tenth(light) + tenth(-dark)
    row, col = (int(i) for i in np.unravel_index(np.argmax(contrast), contrast.shape))
    return (row, col) if contrast[row, col] > 60 else None


def tenth(values: Array) -> Array:
    """The value that a tenth of the last axis is below."""
    place = values.shape[-1] // 10
    lowest: Array = np.partition(values, place, axis=-1)[..., place]
    return lowest


def inside(frame: tuple[int, int] | None) -> Array:
    """The patches inside a frame, (16, 16) bool."""
    mask = np.zeros((GRID, GRID), bool)
    if frame is not None:
        mask[frame] = True
    return mask


def without(tile: Array, frame: tuple[int, int] | None) -> Array:
    """A tile with its frame painted out: each of the frame's pixels becomes the nearest other one."""
    if frame is None:
        return tile
    covered = np.zeros(tile.shape[:2], bool)
    for ring in rings():
        rows, cols = (ring + CELL * np.array(frame)).T
        seen = (rows >= 0) & (rows < len(covered)) & (cols >= 0) & (cols < len(covered))
        covered[rows[seen], cols[seen]] = True
    covered = ndimage.binary_dilation(covered)  # JPEG spreads its edges
    nearest = ndimage.distance_transform_edt(covered, return_distances=False, return_indices=True)
    plain: Array = tile[tuple(nearest)]
    return plain
