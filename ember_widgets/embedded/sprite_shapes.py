"""Sprites stretched to fill any shape, as the shape that a person paints is the shape of the thing.

Row by row, the ink of the sprite is stretched between the left and right border of the shape; a wide stroke
of "cat" is a wide cat.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

STRETCH = 1.6  # a row's ink grows at most so much: stems and tips stay stems and tips
SOFT = 0.6  # patches, how far the stairs of a shape are rounded


@cache
def _upsampling(n: int, cell: int) -> Array:
    """(n * cell, n + 2): patches with an empty rim to pixels, by a Gaussian."""
    pixels, centres = (np.arange(n * cell) + 0.5) / cell - 0.5, np.arange(-1, n + 1)
    weights = np.exp(-0.5 * ((pixels[:, None] - centres) / SOFT) ** 2)
    spread: Array = weights / weights.sum(1, keepdims=True)
    return spread


def borders(shape: Array, cell: int) -> tuple[Array, Array, Array]:
    """The pixel rows in which a shape (h, w) is, and its left and right border in each of them."""
    rim = np.pad(shape.astype(float), 1, mode="edge")
    solid = _upsampling(shape.shape[0], cell) @ rim @ _upsampling(shape.shape[1], cell).T > 0.5
    rows = np.flatnonzero(solid.any(1))
    left = solid[rows].argmax(1)
    right = solid.shape[1] - solid[rows, ::-1].argmax(1)
    return rows, left.astype(float), right.astype(float)


def stretched_into(rgba: Array, shape: Array, cell: int) -> Array:
    """Stretch a sprite into a shape.

    Args:
        rgba: Premultiplied, (height, width, 4) in [0, 1].
        shape: (h, w) bool, the patches to fill; touches all sides of its box.
        cell: Pixels per patch.

    Returns:
        (h * cell, w * cell, 4).
    """
    out = np.zeros((shape.shape[0] * cell, shape.shape[1] * cell, 4), np.float32)
    rows, left, right = borders(shape, cell)
    ink = rgba[..., 3] > 0.4
    inked = np.flatnonzero(ink.any(1))
    first, last = ink.argmax(1).astype(float), (ink.shape[1] - ink[:, ::-1].argmax(1)).astype(float)
    at = inked[0] + (rows - rows[0] + 0.5) / len(rows) * (inked[-1] + 1 - inked[0]) - 0.5
    begin, end = np.interp(at, inked, first[inked]), np.interp(at, inked, last[inked])
    wide, wanted = end - begin, right - left
    width = np.minimum(wanted, STRETCH * wide * shape.shape[1] * cell / ink.shape[1])
    # A row that does not fill its place is shifted in it as the sprite's row is shifted in the sprite.
    whole = last[inked].max() - first[inked].min()
    offset = np.divide(
        begin - first[inked].min(), whole - wide, where=whole > wide + 1, out=np.full_like(wide, 0.5)
    )
    left = left + np.clip(offset, 0, 1) * (wanted - width)
    columns = np.arange(out.shape[1]) + 0.5
    across = (columns - left[:, None]) / width[:, None]
    x = begin[:, None] + across * wide[:, None] - 0.5
    out[rows] = _sampled(rgba, np.broadcast_to(at[:, None], x.shape), x)
    # What lies beyond the borders is only the ink's soft rim.
    beyond = np.maximum(np.maximum(-across, across - 1) * width[:, None], 0)
    out[rows] *= np.clip(1.5 - beyond, 0, 1)[..., None]
    return out


def _sampled(image: Array, y: Array, x: Array) -> Array:
    """Bilinear; nothing outside."""
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    y, x = np.clip(y + 1, 0, image.shape[0] + 0.999), np.clip(x + 1, 0, image.shape[1] + 0.999)
    r, c = y.astype(int), x.astype(int)
    fy, fx = (y - r)[..., None], (x - c)[..., None]
    top = padded[r, c] * (1 - fx) + padded[r, c + 1] * fx
    bottom = padded[r + 1, c] * (1 - fx) + padded[r + 1, c + 1] * fx
    sampled: Array = top * (1 - fy) + bottom * fy
    return sampled
