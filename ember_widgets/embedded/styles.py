"""The styles of the training scenes: a drawn scene as pixel art, in pencil, in sepia, as a blueprint.

A style changes pixels and leaves the composition, the labels of the patches, as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ember_widgets.embedded.vocabulary import STYLES

Array = NDArray[Any]
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
BLOCK = 8  # side of a "pixel" of pixel art


def restyle(image: Array, style: int) -> Array:
    """A picture (H, W, 3) in [0, 1] in `STYLES[style]`, float32 of the same shape."""
    draw = {"pixel art": _pixel_art, "pencil": _pencil, "sepia": _sepia, "blueprint": _blueprint}
    restyled: Array = draw[STYLES[style]](np.clip(image, 0, 1)).astype(np.float32)
    return restyled


def _pixel_art(image: Array) -> Array:
    h, w, _ = image.shape
    blocks = image.reshape(h // BLOCK, BLOCK, w // BLOCK, BLOCK, 3).mean((1, 3))
    blocks = np.round(blocks * 5) / 5
    mosaic: Array = blocks.repeat(BLOCK, 0).repeat(BLOCK, 1)
    return mosaic


def _edges(luma: Array) -> Array:
    """Strength of the edges, in [0, 1]."""
    padded = np.pad(luma, 2, mode="edge")
    across = padded[2:-2, 4:] - padded[2:-2, :-4]
    down = padded[4:, 2:-2] - padded[:-4, 2:-2]
    return np.asarray(np.minimum(1, 2.2 * np.sqrt(across**2 + down**2)))


def _pencil(image: Array) -> Array:
    luma = image @ LUMA
    tone = 0.97 - 0.35 * (1 - luma) - 0.55 * _edges(luma)
    return np.repeat(np.clip(tone, 0.12, 1)[..., None], 3, 2)


def _sepia(image: Array) -> Array:
    return _duotone((image @ LUMA)[..., None], (0.16, 0.09, 0.04), (1.0, 0.92, 0.76))


def _blueprint(image: Array) -> Array:
    luma = image @ LUMA
    ink = np.clip(0.9 * _edges(luma) + 0.22 * (1 - luma), 0, 1)[..., None]
    return _duotone(ink, (0.08, 0.26, 0.58), (0.92, 0.96, 1.0))


def _duotone(share: Array, low: tuple[float, ...], high: tuple[float, ...]) -> Array:
    return np.asarray(np.array(low) * (1 - share) + np.array(high) * share)
