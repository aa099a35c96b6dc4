"""Features that are made up: what each stands for is known, and its sheets show drawn scenes, not a model's.

So the labelling of hundreds of features takes seconds, and every label and score can be checked.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image, ImageDraw

from ember_widgets.embedded import scenes, vocabulary
from ember_widgets.labelling import sheet

N_LOOKS = len(vocabulary.LOOKS)
MEADOW = np.repeat([1 + vocabulary.SKIES.index("day"), vocabulary.FIRST_GROUND], 8)[:, None].repeat(16, 1)
PICTURES_ON_A_LABEL_SHEET = 4


def meaning(feature: int) -> str:
    """What a feature stands for: a look, the same again for every `N_LOOKS` features."""
    return vocabulary.look(label_of(feature)).name


def label_of(feature: int) -> int:
    """The oracle's label for a feature."""
    return vocabulary.FIRST_THING + feature % N_LOOKS


class DrawnFeatures:
    """Draws sheets of made-up features; see `labelling.run.Source`."""

    identity = "drawn features"

    def label_sheet(self, feature: int) -> bytes:
        """A few pictures with the thing marked, one without, and the thing in the middle of paper."""
        chance = np.random.default_rng([1, feature])
        tiles = {
            place: sheet.Tile(marked(label_of(feature), chance), str(i + 1))
            for i, place in enumerate(sheet.ACTIVE[:PICTURES_ON_A_LABEL_SHEET])
        }
        tiles[sheet.SILENT[0]] = sheet.Tile(scene(other(feature, chance), chance)[0], "silent")
        tiles[sheet.ALONE] = sheet.Tile(in_the_middle(label_of(feature)), "painted alone")
        tiles[sheet.BLANK] = sheet.Tile(in_the_middle(None), "blank canvas")
        return laid_out(tiles)

    def detection_sheet(self, feature: int) -> tuple[bytes, list[bool]]:
        """Ten pictures, half of them with the thing."""
        chance = np.random.default_rng([2, feature])
        truth = [bool(x) for x in chance.permutation(sheet.N_DETECTION) % 2]
        labels = [label_of(feature) if x else other(feature, chance) for x in truth]
        tiles = {
            place: sheet.Tile(marked(label, chance))
            for place, label in zip(sheet.DETECTION, labels, strict=True)
        }
        return laid_out(tiles), truth

    def causal_sheet(self, feature: int) -> tuple[bytes, list[str]]:
        """Ten pairs of the thing and another one in the middle."""
        chance = np.random.default_rng([3, feature])
        truth = ["AB"[i] for i in chance.integers(0, 2, sheet.N_PAIRS)]
        tiles = {}
        for letter, a, b in zip(truth, sheet.PAIR_A, sheet.PAIR_B, strict=True):
            mine, foil = a if letter == "A" else b, b if letter == "A" else a
            tiles[mine] = sheet.Tile(in_the_middle(label_of(feature)))
            tiles[foil] = sheet.Tile(in_the_middle(other(feature, chance)))
        return laid_out(tiles), truth


def other(feature: int, chance: np.random.Generator) -> int:
    """The label of something of another kind."""
    kind = vocabulary.look(label_of(feature)).attributes[0]
    others = [i for i, look in enumerate(vocabulary.LOOKS) if look.attributes[0] != kind]
    return vocabulary.FIRST_THING + int(chance.choice(others))


def scene(label: int, chance: np.random.Generator) -> tuple[Image.Image, tuple[int, int]]:
    """A thing somewhere in a meadow, and a patch in the middle of it."""
    look = vocabulary.look(label)
    row = int(chance.integers(1, 15 - look.height))
    col = int(chance.integers(1, 15 - look.width))
    thing = scenes.Thing(label, row, col, look.height, look.width)
    pixels, _ = scenes.draw(scenes.Layout(MEADOW, (thing,)))
    return Image.fromarray(pixels), (row + look.height // 2, col + look.width // 2)


def marked(label: int, chance: np.random.Generator) -> Image.Image:
    """A scene with a frame around a patch of the thing, as `Collection.marked` draws it."""
    picture, (row, col) = scene(label, chance)
    left, top = col * scenes.CELL, row * scenes.CELL
    draw = ImageDraw.Draw(picture)
    for grown, colour in ((2, "black"), (1, "white"), (0, "white")):
        box = (left - grown, top - grown, left + scenes.CELL + grown, top + scenes.CELL + grown)
        draw.rectangle(box, outline=colour)
    return picture


@cache
def in_the_middle(label: int | None) -> Image.Image:
    """A thing in the middle of paper; None = only paper."""
    things = () if label is None else (scenes.Thing(label, 4, 4, 8, 8),)
    return Image.fromarray(scenes.draw(scenes.Layout(np.zeros((16, 16), int), things))[0])


def laid_out(tiles: dict[tuple[int, int], sheet.Tile]) -> bytes:
    """A sheet of tiles at their places, encoded."""
    n_rows, n_columns = (1 + max(place[axis] for place in tiles) for axis in (0, 1))
    rows = [[tiles.get((r, c)) for c in range(n_columns)] for r in range(n_rows)]
    return sheet.encoded(sheet.compose(rows))
