"""Cut the sprites that the scenes are made of out of Debian's Noto Color Emoji font, into one sheet.

Run once by the maintainers (`python -m ember_widgets.embedded.sprites`); the sheet ships, the font does not.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from ember_widgets.embedded.scenes import SHEET, TILE
from ember_widgets.embedded.vocabulary import BADGES, LOOKS

BADGE = 52
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

    def ink(codepoint: int) -> Image.Image:
        """The emoji without its margins: a sprite has to fill the patches that name it."""
        emoji = Image.open(io.BytesIO(strike[cmap[codepoint]].imageData)).convert("RGBA")
        return emoji.crop(emoji.getchannel("A").point(lambda a: 255 * (a > 24)).getbbox())

    sheet = Image.new("RGBA", (TILE * len(LOOKS), TILE))
    for i, look in enumerate(LOOKS):
        sprite = ink(look.codepoint)
        scale = TILE / max(sprite.size)
        width, height = round(sprite.width * scale), round(sprite.height * scale)
        tile = Image.new("RGBA", (TILE, TILE))
        tile.paste(_resized(sprite, width, height), ((TILE - width) // 2, TILE - height))
        if look.badge:
            tile.alpha_composite(_badge(ink(look.badge), look.badge == BADGES["in love"]), (TILE - BADGE, 0))
        if look.mirrored:
            tile = ImageOps.mirror(tile)
        sheet.paste(tile, (TILE * i, 0))
    return sheet


def _badge(emoji: Image.Image, bare: bool) -> Image.Image:
    """An emoji for the corner of a sprite: alone, or on a white disc that sets it off from dark fur."""
    badge = Image.new("RGBA", (BADGE, BADGE))
    side = BADGE if bare else BADGE * 3 // 4
    if not bare:
        large = Image.new("L", (4 * BADGE, 4 * BADGE))
        ImageDraw.Draw(large).ellipse((0, 0, 4 * BADGE - 1, 4 * BADGE - 1), fill=255)
        badge.paste((255, 255, 255), mask=large.resize((BADGE, BADGE), Image.Resampling.LANCZOS))
    scale = side / max(emoji.size)
    small = _resized(emoji, round(emoji.width * scale), round(emoji.height * scale))
    badge.alpha_composite(small, ((BADGE - small.width) // 2, (BADGE - small.height) // 2))
    return badge


def _resized(sprite: Image.Image, width: int, height: int) -> Image.Image:
    """Resample with premultiplied colours, so that what is transparent does not bleed in."""
    premultiplied = np.asarray(sprite, np.float32).copy()
    premultiplied[..., :3] *= premultiplied[..., 3:] / 255
    planes = [
        Image.fromarray(premultiplied[..., c]).resize((width, height), Image.Resampling.LANCZOS)
        for c in range(4)
    ]
    rgba = np.stack([np.asarray(p) for p in planes], -1)
    rgba[..., :3] *= 255 / np.clip(rgba[..., 3:], 1, None)
    return Image.fromarray(np.clip(rgba, 0, 255).astype(np.uint8))


if __name__ == "__main__":
    extract().save(SHEET, quality=92, method=6)
    print(f"{SHEET}: {SHEET.stat().st_size // 1024} KiB, {len(LOOKS)} sprites")
