"""Contact sheets: a table of pictures with a heading over each column and before each row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

GAP = 8
PAPER, INK = "#ffffff", "#3c4043"


def contact_sheet(
    pictures: Sequence[Sequence[Image.Image]],
    columns: Sequence[str] = (),
    rows: Sequence[str] = (),
    side: int = 192,
) -> Image.Image:
    """Lay pictures out.

    Args:
        pictures: Row by row; rows may differ in length.
        columns: Heading of each column; () = none.
        rows: Heading of each row; () = none.
        side: Width and height of each picture on the sheet, in pixels.

    Returns:
        RGB.
    """
    import matplotlib  # for its font, which knows more letters than Pillow's own

    font = ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", 14)
    margin = max((round(font.getlength(row)) for row in rows), default=0)
    left = GAP + (margin + GAP if margin else 0)
    top = GAP + (16 + GAP if columns else 0)
    size = (left + max(map(len, pictures)) * (side + GAP), top + len(pictures) * (side + GAP))
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    for c, column in enumerate(columns):
        draw.text((left + c * (side + GAP) + side / 2, GAP + 8), column, INK, font, anchor="mm")
    for r, row in enumerate(pictures):
        y = top + r * (side + GAP)
        if rows:
            draw.text((GAP + margin, y + side / 2), rows[r], INK, font, anchor="rm")
        for c, picture in enumerate(row):
            small = picture.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
            sheet.paste(small, (left + c * (side + GAP), y))
    return sheet
