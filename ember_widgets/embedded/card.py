"""Stage "card": the pictures of the model card, drawn by the shipped model through the public verbs."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ember_widgets.embedded import vocabulary
from ember_widgets.embedded.export import ASSETS
from ember_widgets.painter.painter import Painter
from ember_widgets.scene.scene import Scene

SIDE, GAP, LINE = 192, 8, 36
CAPTIONS = (
    "a pine and a sun in the snow",
    "a lion and a castle on sand at sunset",
    "a sailboat and a moon on the sea at night",
    "a dog and a cat in love in a meadow",
    "a blueprint of a car and a house in the street",
    "a mountain and a tulip under a grey sky as pixel art",
)


def make_card(out: Path = ASSETS / "card") -> None:
    """Write `captions.jpg`, `painted.jpg`, `strength.jpg` and `drag.jpg`."""
    out.mkdir(parents=True, exist_ok=True)
    painter = Painter.embedded()
    pages = {"captions": _captions, "painted": _painted, "strength": _strength, "drag": _drag}
    for name, page in pages.items():
        try:
            rows = page(painter)
        except (TypeError, ValueError) as fault:
            # A model that was hardly trained has no such concepts; what it has is worth seeing all the same.
            print(f"no {name}.jpg: {fault}")
        else:
            _sheet(rows).save(out / f"{name}.jpg", quality=88)


Row = list[tuple[str, Image.Image]]
Mask = NDArray[np.bool_]


def above(row: int) -> Mask:
    return np.asarray(np.mgrid[:16, :16][0] < row)


def at(row: float, col: float, height: float, width: float) -> Mask:
    """The patches of an ellipse around (row, col)."""
    rows, cols = np.mgrid[:16, :16]
    return np.asarray(((rows - row) / (height / 2)) ** 2 + ((cols - col) / (width / 2)) ** 2 <= 1.05)


def _captions(painter: Painter) -> list[Row]:
    """Six captions, four seeds each."""
    return [
        [
            (caption if seed == 0 else f"seed {seed}", painter.render(painter.analyze(caption, seed=seed)))
            for seed in range(4)
        ]
        for caption in CAPTIONS
    ]


def _painted(painter: Painter) -> list[Row]:
    """What was painted, as a map of colours, and the picture that results."""
    canvases: tuple[tuple[tuple[str, Mask], ...], ...] = (
        (("sunset", above(8)), ("sea", ~above(8)), ("sailboat", at(9, 4, 6, 6)), ("sun", at(3, 11, 4, 4))),
        (("night", above(9)), ("snow", ~above(9)), ("castle", at(7.5, 5, 8, 8)), ("pine", at(9.5, 12, 6, 5))),
        (("day", above(7)), ("grass", ~above(7)), ("lion", at(9, 4, 6, 8)), ("tulip", at(11, 12, 6, 4))),
        (("broadleaf", at(6, 5, 8, 8)), ("mushroom", at(12, 12, 5, 5)), ("apple", at(3, 13, 4, 4))),
    )
    result: list[Row] = []
    for canvas in canvases:
        scene = painter.blank(seed=1)
        for name, where in canvas:
            features = dict.fromkeys(concept(painter, name), 1.0)
            scene = scene.add_factor(features, name=name).paint(name, where)
        painted = ", ".join(name for name, _ in canvas)
        result.append([(painted, _map(scene)), ("the picture", painter.render(scene))])
    return [[*left, *right] for left, right in zip(result[::2], result[1::2], strict=True)]


def _strength(painter: Painter) -> list[Row]:
    """One factor's strength swept."""
    scene = painter.analyze("a castle on sand at sunset", seed=30)
    gains = (0, 0.25, 0.5, 0.75, 1, 1.5)
    return [[(f"castle, strength {g:g}", painter.render(scene.scale("castle", g))) for g in gains]]


def _drag(painter: Painter) -> list[Row]:
    """A thing dragged, in four frames."""
    scene = painter.analyze("a lion in a meadow by day", seed=22)
    columns = np.nonzero(scene.strengths[..., scene.names.index("lion")].max(0) > 0.3)[0]
    way = 1 if columns.mean() < 8 else -1
    return [[(f"{3 * i} patches", painter.render(scene.move("lion", 0, way * 3 * i))) for i in range(4)]]


def concept(painter: Painter, name: str) -> list[int]:
    """The features to paint a thing with, by their labels: its attributes' own, else its look's."""
    attributes = next((look.attributes for look in vocabulary.LOOKS if look.name == name), (name,))
    own = {text: feature for feature, text in reversed(list(painter.labels.items()))}
    if all(a in own for a in attributes):
        return [own[a] for a in attributes]
    found = painter.labels.find(" ".join(attributes), by_meaning=False)
    return [hit.feature for hit in found[:1]]


def _map(scene: Scene) -> Image.Image:
    colors = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in scene.colors])
    picture = np.full((16, 16, 3), 244)
    for factor in range(scene.n_factors):
        picture[scene.strengths[..., factor] > 0] = colors[factor]
    return Image.fromarray(picture.astype(np.uint8))


def _sheet(rows: list[Row]) -> Image.Image:
    """Rows of pictures with a line of text over each."""
    columns = max(len(row) for row in rows)
    sheet = Image.new(
        "RGB", (columns * (SIDE + GAP) + GAP, len(rows) * (SIDE + LINE + GAP) + GAP), (255, 255, 255)
    )
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for r, row in enumerate(rows):
        for c, (text, picture) in enumerate(row):
            x, y = GAP + c * (SIDE + GAP), GAP + r * (SIDE + LINE + GAP)
            resample = Image.Resampling.NEAREST if picture.width < SIDE else Image.Resampling.LANCZOS
            sheet.paste(picture.resize((SIDE, SIDE), resample), (x, y + LINE))
            pen.multiline_text((x, y + 3), "\n".join(textwrap.wrap(text, 32)), fill=(60, 60, 60), font=font)
    return sheet
