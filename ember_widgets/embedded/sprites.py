"""Cut the sprites that the scenes are made of out of Debian's Noto Color Emoji font, into one PNG sheet.

Run once by the maintainers (`python -m ember_widgets.embedded.sprites`); the sheet ships, the font does not.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from ember_widgets.embedded.scenes import SHEET, SPRITES

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")


def extract(font: Path = FONT) -> Image.Image:
    """Read the bitmap strike of each sprite, crop it to its ink and lay all in one row of 128 px squares.

    Raises:
        FileNotFoundError: The font is not installed (Debian package `fonts-noto-color-emoji`).
    """
    from fontTools.ttLib import TTFont

    if not font.exists():
        raise FileNotFoundError(
            f"{font} is missing; install Debian's fonts-noto-color-emoji or give another path"
        )
    ttf = TTFont(font)
    cmap, strike = ttf.getBestCmap(), ttf["CBDT"].strikeData[0]
    sheet = Image.new("RGBA", (128 * len(SPRITES), 128))
    for i, codepoint in enumerate(SPRITES.values()):
        sprite = Image.open(io.BytesIO(strike[cmap[codepoint]].imageData)).convert("RGBA")
        # The font's squares have margins of their own; a sprite has to fill the patches that name it.
        sprite = sprite.crop(sprite.getchannel("A").point(lambda a: 255 * (a > 24)).getbbox())
        scale = 128 / max(sprite.size)
        size = (round(sprite.width * scale), round(sprite.height * scale))
        premultiplied = np.asarray(sprite, np.float32)
        premultiplied[..., :3] *= premultiplied[..., 3:] / 255
        planes = [
            Image.fromarray(premultiplied[..., c]).resize(size, Image.Resampling.LANCZOS) for c in range(4)
        ]
        rgba = np.stack([np.asarray(p) for p in planes], -1)
        rgba[..., :3] *= 255 / np.clip(rgba[..., 3:], 1, None)
        tile = Image.fromarray(np.clip(rgba, 0, 255).astype(np.uint8))
        sheet.paste(tile, (128 * i + (128 - tile.width) // 2, 128 - tile.height))
    return sheet


if __name__ == "__main__":
    extract().save(SHEET, optimize=True)
    print(f"{SHEET}: {SHEET.stat().st_size // 1024} KiB, {len(SPRITES)} sprites")
