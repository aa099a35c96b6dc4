"""Sheets: all pictures that one question needs, as a single picture with captions.

One picture, because many servers take only one, and because people can look at what the model saw. Where each
tile lies is fixed, so that it can be cut out again.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

TILE = 256
GAP = 8
CAPTION = 26
PAPER, INK = "#ffffff", "#202124"


@dataclass(frozen=True)
class Tile:
    """A picture and what stands above it."""

    picture: Image.Image
    caption: str = ""


def compose(rows: Sequence[Sequence[Tile | None]]) -> Image.Image:
    """Lay tiles out, row by row; None leaves a place empty.

    Returns:
        RGB; the tile of row r and column c lies in ``box(r, c)``.
    """
    import matplotlib  # for its font

    font = ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", 15)
    sheet = Image.new("RGB", size(len(rows), max(map(len, rows))), PAPER)
    draw = ImageDraw.Draw(sheet)
    for r, row in enumerate(rows):
        for c, tile in enumerate(row):
            if tile is not None:
                left, top = box(r, c)[:2]
                draw.text((left, top - CAPTION / 2), tile.caption, INK, font, anchor="lm")
                picture = tile.picture.convert("RGB")
                if picture.size != (TILE, TILE):
                    picture = picture.resize((TILE, TILE), Image.Resampling.LANCZOS)
                sheet.paste(picture, (left, top))
    return sheet


def size(n_rows: int, n_columns: int) -> tuple[int, int]:
    """Width and height of a sheet, in pixels."""
    return GAP + n_columns * (TILE + GAP), GAP + n_rows * (CAPTION + TILE + GAP)


def box(row: int, column: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a tile on its sheet, in pixels."""
    left, top = GAP + column * (TILE + GAP), GAP + CAPTION + row * (CAPTION + TILE + GAP)
    return left, top, left + TILE, top + TILE


def encoded(sheet: Image.Image) -> bytes:
    """A sheet as it is sent: JPEG with whole colours, a quarter of the size of a PNG. Every server reads it;
    that of llama.cpp reads no WebP."""
    stream = io.BytesIO()
    sheet.save(stream, "JPEG", quality=92, subsampling=0)
    return stream.getvalue()


# The sheet of a label. Rows and columns of what is on it.
N_ACTIVE, N_SILENT, N_SCENES = 10, 3, 3
ACTIVE = tuple((i // 6, i % 6) for i in range(N_ACTIVE))
ALONE, BLANK = (1, 4), (1, 5)
SILENT = tuple((2, i) for i in range(N_SILENT))
DIFFERENCE = tuple((2, 3 + i) for i in range(N_SCENES))
WITHOUT = tuple((3, 2 * i) for i in range(N_SCENES))
WITH = tuple((3, 2 * i + 1) for i in range(N_SCENES))

# The sheet of a detection: pictures 1 to 10 in two rows, half of them with the feature.
N_DETECTION = 10
DETECTION = tuple((i // 5, i % 5) for i in range(N_DETECTION))

# The sheet of a causal score: pairs 1 to 10, A beside B, two pairs in a row.
N_PAIRS = 10
PAIR_A = tuple((i // 2, 2 * (i % 2)) for i in range(N_PAIRS))
PAIR_B = tuple((i // 2, 2 * (i % 2) + 1) for i in range(N_PAIRS))
