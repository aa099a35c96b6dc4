"""Stage "card": the pictures of the model card, drawn by the shipped model through the public verbs."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ember_widgets.embedded import scenes, vocabulary
from ember_widgets.embedded.export import ASSETS
from ember_widgets.embedded.random_layouts import near_path
from ember_widgets.painter.painter import Painter

GAP, LINE = 6, 14
MAX_BYTES = 200_000
CAPTIONS = (
    "a cat in a meadow", "a lion and a castle on sand at sunset",
    "a fox, a tent, a moon in the snow at night", "a robot, a guitar, a cake, a balloon on a road",
    "two rabbits in a green field", "a big elephant and a small mushroom on grass",
    "a sailboat on the sea under a rainbow", "a bear before mountains on a sunny day",
    "an owl and a pumpkin in the rain", "a penguin and a snowman on snow in falling snow",
    "a house before a forest in the fog", "a dog sings to a pig before a city at night",
)  # fmt: skip
KINDS = (
    "cat", "fox asleep", "pine", "castle", "car facing right", "bicycle", "whale", "robot", "tulip", "moon",
    "cactus", "strawberry",
)  # fmt: skip

Row = list[tuple[str, Image.Image]]
Mask = NDArray[np.bool_]


def make_card(out: Path = ASSETS / "card") -> None:
    """Write `captions.jpg`, `shapes.jpg`, `strength.jpg`, `drag.jpg`, `steps.jpg` and `styles.jpg`."""
    out.mkdir(parents=True, exist_ok=True)
    painter = Painter.embedded()
    pages: dict[str, tuple[Callable[[Painter], list[Row]], int]] = {
        "captions": (_captions, 136), "shapes": (_shapes, 68), "strength": (_strength, 160),
        "drag": (_drag, 192), "steps": (_steps, 160), "styles": (_styles, 160),
    }  # fmt: skip
    for name, (page, side) in pages.items():
        try:
            rows = page(painter)
        except (TypeError, ValueError) as fault:
            # A model that was hardly trained has no such concepts; what it has is worth seeing all the same.
            print(f"no {name}.jpg: {fault}")
        else:
            (out / f"{name}.jpg").write_bytes(_jpeg(_sheet(rows, side)))


# shapes to paint


def at(row: float, col: float, height: float, width: float) -> Mask:
    """The patches of an ellipse around (row, col)."""
    rows, cols = np.mgrid[:16, :16]
    return np.asarray(((rows - row) / (height / 2)) ** 2 + ((cols - col) / (width / 2)) ** 2 <= 1.05)


def box(row: int, col: int, height: int, width: int) -> Mask:
    """The patches of a box whose corner is at (row, col)."""
    mask = np.zeros((16, 16), bool)
    mask[row : row + height, col : col + width] = True
    return mask


def stroke(brush: float, *points: tuple[float, float]) -> Mask:
    """The patches that a round brush touches on straight lines from point (row, col) to point."""
    t = np.linspace(0, 1, 32)[:, None]
    path = np.concatenate([np.array(a) + t * (np.array(b) - a) for a, b in pairwise(points)])
    return near_path(path + 0.5, brush / 2, 16, 16)


def odd_shapes() -> dict[str, Mask]:
    """Twelve shapes that people paint, (16, 16) bool, each in the middle of the picture."""
    turns = np.linspace(0, 1.1 * np.pi, 12)
    arc = [(11 - 8 * np.sin(turn), 7.5 - 5 * np.cos(turn)) for turn in turns]
    noise = np.random.default_rng(0).random((16, 16))
    return {
        "disc 5": at(7, 7, 5, 5),
        "disc 10": at(7.5, 7.5, 10, 10),
        "box 3 by 3": box(6, 6, 3, 3),
        "box 2 by 2": box(7, 7, 2, 2),
        "bar 4 by 12": box(6, 2, 4, 12),
        "bar 12 by 4": box(2, 6, 12, 4),
        "ring": at(7.5, 7.5, 14, 14) & ~at(7.5, 7.5, 6, 6),
        "L": box(2, 3, 12, 4) | box(10, 3, 4, 10),
        "slanted stroke": stroke(4, (12, 3), (3, 12)),
        "curved stroke": stroke(4, *arc),
        "scribble": stroke(3, (2, 2), (5, 13), (10, 2), (13, 13)),
        "frayed": at(7.5, 7.5, 8, 8) | (box(3, 3, 10, 10) & (noise < 0.35)),
    }


def filling(label: int, mask: Mask) -> scenes.Thing:
    """The thing that the world draws into a painted mask (16, 16)."""
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, left = int(rows[0]), int(cols[0])
    shape = mask[top : int(rows[-1]) + 1, left : int(cols[-1]) + 1]
    return scenes.Thing(label, top, left, shape.shape[0], shape.shape[1], shape)


def concept(painter: Painter, name: str) -> list[int]:
    """The features to paint a thing with, by their labels: its attributes' own, else its look's."""
    attributes = next((look.attributes for look in vocabulary.LOOKS if look.name == name), (name,))
    own = {text: feature for feature, text in reversed(list(painter.labels.items()))}
    if all(a in own for a in attributes):
        return [own[a] for a in attributes]
    found = painter.labels.find(" ".join(attributes), by_meaning=False)
    # A dictionary may split one thing into two features of the same label, each a part of its strength.
    return [hit.feature for hit in found if painter.labels[hit.feature] == painter.labels[found[0].feature]]


# sheets


def _captions(painter: Painter) -> list[Row]:
    """Twelve captions, four seeds each, two captions a row."""
    drawn = [
        [
            (caption if seed == 0 else "", painter.render(painter.analyze(caption, seed=seed)))
            for seed in range(4)
        ]
        for caption in CAPTIONS
    ]
    return [[*left, *right] for left, right in zip(drawn[::2], drawn[1::2], strict=True)]


def _shapes(painter: Painter) -> list[Row]:
    """Kinds by shapes, painted on paper, and right of each what the world draws into the shape."""
    paper, rows = np.zeros((16, 16), int), list[Row]()
    for kind in KINDS:
        features = dict.fromkeys(concept(painter, kind), 1.0)
        row: Row = []
        for name, mask in odd_shapes().items():
            scene = painter.blank(seed=len(row)).add_factor(features, name=kind).paint(kind, mask)
            thing = filling(vocabulary.LABELS.index(kind), mask)
            ideal = Image.fromarray(scenes.draw(scenes.Layout(paper, (thing,)))[0])
            row += [("" if rows else name, painter.render(scene)), ("" if rows else "(world)", ideal)]
        rows.append(row)
    return rows


def _strength(painter: Painter) -> list[Row]:
    """One factor's strength swept."""
    scene = painter.analyze("a castle on sand at sunset", seed=1)
    gains = (0, 0.25, 0.5, 0.75, 1, 1.5)
    return [[(f"castle, strength {g:g}", painter.render(scene.scale("castle", g))) for g in gains]]


def _drag(painter: Painter) -> list[Row]:
    """A thing dragged, in four frames."""
    scene = painter.analyze("a lion in a meadow by day", seed=22)
    columns = np.nonzero(scene.strengths[..., scene.names.index("lion")].max(0) > 0.3)[0]
    way = 1 if columns.mean() < 8 else -1
    return [[(f"{3 * i} patches", painter.render(scene.move("lion", 0, way * 3 * i))) for i in range(4)]]


def _steps(painter: Painter) -> list[Row]:
    """The same captions in one, two and four steps, two captions a row."""
    drawn = [
        [
            (
                f"{caption}: 1 step" if n == 1 else f"{n} steps",
                painter.render(painter.analyze(caption, n_steps=n)),
            )
            for n in (1, 2, 4)
        ]
        for caption in CAPTIONS[1:9]
    ]
    return [[*left, *right] for left, right in zip(drawn[::2], drawn[1::2], strict=True)]


def _styles(painter: Painter) -> list[Row]:
    """Three captions, plain and in every style."""
    return [
        [
            (style or caption, painter.render(painter.analyze(caption, seed=seed, style=style)))
            for style in ("", *vocabulary.STYLES)
        ]
        for seed, caption in enumerate((CAPTIONS[1], CAPTIONS[6], CAPTIONS[8]))
    ]


def _sheet(rows: list[Row], side: int) -> Image.Image:
    """Rows of pictures, each with lines of text over it as far as a row has any."""
    columns = max(len(row) for row in rows)
    texts = [[textwrap.wrap(text, _room(row, c, side)) for c, (text, _) in enumerate(row)] for row in rows]
    heads = [LINE * max(map(len, row)) for row in texts]
    size = (columns * (side + GAP) + GAP, sum(heads) + len(rows) * (side + GAP) + GAP)
    sheet = Image.new("RGB", size, (255, 255, 255))
    pen, font, y = ImageDraw.Draw(sheet), ImageFont.load_default(11), GAP
    for row, lines, head in zip(rows, texts, heads, strict=True):
        for c, (_, picture) in enumerate(row):
            x = GAP + c * (side + GAP)
            sheet.paste(picture.resize((side, side), Image.Resampling.LANCZOS), (x, y + head))
            pen.multiline_text((x, y), "\n".join(lines[c]), fill=(60, 60, 60), font=font, spacing=2)
        y += head + side + GAP
    return sheet


def _room(row: Row, c: int, side: int) -> int:
    """How many letters there is room for over picture c of a row and those without text right of it."""
    free = next((i for i in range(c + 1, len(row)) if row[i][0]), len(row)) - c
    return max(8, (free * (side + GAP) - GAP) // 7)


def _jpeg(sheet: Image.Image) -> bytes:
    """As good as fits into `MAX_BYTES`."""
    for quality in range(90, 30, -6):
        file = io.BytesIO()
        sheet.save(file, "JPEG", quality=quality)
        if file.tell() <= MAX_BYTES:
            break
    return file.getvalue()
