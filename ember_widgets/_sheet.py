"""Contact sheets: a table of pictures with a word over each column and before each row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

GAP = 8
PAPER, INK = "#ffffff", "#3c4043"


def contact_sheet(
    pictures: Sequence[Sequence[Image.Image]], columns: Sequence[str], rows: Sequence[str], side: int = 192
) -> Image.Image:
    """Lay pictures out.

    Args:
        pictures: row by row, all rows of the same length.
        columns: what stands over each column.
        rows: what stands before each row; empty texts take no room.
        side: width and height of each picture on the sheet, in pixels.

    Returns:
        RGB.
    """
    import matplotlib  # for its font, which knows more letters than Pillow's own

    font = ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", 12)
    margin = max((round(font.getlength(row)) for row in rows), default=0)
    left = GAP + (margin + GAP if margin else 0)
    top = GAP + 16 + GAP
    size = (left + len(columns) * (side + GAP), top + len(rows) * (side + GAP))
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    for c, column in enumerate(columns):
        draw.text((left + c * (side + GAP) + side / 2, GAP + 8), column, INK, font, anchor="mm")
    for r, row in enumerate(rows):
        y = top + r * (side + GAP)
        draw.text((GAP + margin, y + side / 2), row, INK, font, anchor="rm")
        for c, picture in enumerate(pictures[r]):
            small = picture.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
            sheet.paste(small, (left + c * (side + GAP), y))
    return sheet
