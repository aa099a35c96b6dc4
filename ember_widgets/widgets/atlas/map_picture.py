"""The map as one picture, for pages without a running widget: points, and the icons of labelled features."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw

from ember_widgets.util import checks
from ember_widgets.widgets.atlas.catalogue import Catalogue
from ember_widgets.widgets.atlas.colors import STEPS, Coloring

ICON = 34
MARGIN = 24
MIN_SIDE = 2 * MARGIN + ICON
"""Room for one icon between the margins."""


def map_picture(
    features: Catalogue,
    positions: NDArray[np.float32],
    shown: NDArray[np.bool_],
    colors: Coloring,
    side: int,
) -> Image.Image:
    """Draw it, ``side`` pixels wide and as high as the map needs.

    Raises:
        TypeError, ValueError: ``side`` is not a whole number of pixels, ``MIN_SIDE`` to 8192.
    """
    side = checks.integer(
        "side", side, MIN_SIDE, checks.MAX_SIDE, hint="it is the width of the picture, in pixels"
    )
    visible = np.flatnonzero(shown)
    low, high = (
        (positions[visible].min(0), positions[visible].max(0)) if len(visible) else (np.zeros(2), np.ones(2))
    )
    extent = np.maximum(high - low, 1e-6)
    height = int(np.clip(side * extent[1] / extent[0], side * 0.5, side * 0.8))
    places = (positions - low) / extent
    picture = Image.new("RGB", (side, height), "white")
    draw = ImageDraw.Draw(picture)

    def at(feature: int) -> tuple[float, float]:
        x, y = places[feature]
        return MARGIN + x * (side - 2 * MARGIN), height - MARGIN - y * (height - 2 * MARGIN)

    for feature in visible.tolist():
        x, y = at(feature)
        color = colors.map[min(STEPS - 1, int(colors.values[feature] * STEPS))]
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=color)
    taken: list[tuple[float, float]] = []
    labelled: list[Any] = [f for f in features.labelled_first(visible) if f in features.labels][:400]
    for feature in labelled:
        x, y = at(feature)
        drawn = feature in features.icons and not features.icons.is_blank(feature)
        if drawn and all(abs(x - a) + abs(y - b) > ICON * 0.9 for a, b in taken):
            icon = features.icons[feature].resize((ICON, ICON), Image.Resampling.LANCZOS)
            paper = Image.new("RGB", icon.size, icon.getpixel((0, 0)))
            ink = ImageChops.difference(icon, paper).convert("L").point(lambda value: min(255, 12 * value))
            picture.paste(icon, (int(x - ICON / 2), int(y - ICON / 2)), ink)
            taken.append((x, y))
    return picture
