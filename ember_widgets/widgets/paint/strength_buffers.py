"""The buffers of an edit: strengths and remainder as bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ember_widgets.scene.scene import Scene
from ember_widgets.util.checks import FloatArray, plural


def read(buffers: Sequence[Any], scene: Scene) -> tuple[FloatArray, FloatArray]:
    """Read and copy the buffers of an edit.

    Args:
        buffers: two byte buffers: strengths and remainder, float32 little endian, C order.
        scene: what is edited; it says how large they are.

    Returns:
        strengths (rows, cols, n_factors) and remainder (rows, cols), float32.

    Raises:
        ValueError: a buffer is missing or of a wrong size, a value is not finite, the remainder leaves 0..1.
    """
    if len(buffers) != 2:
        raise ValueError(
            f"edit: {plural(len(buffers), 'buffer')} came, but 2 are needed: strengths and remainder"
        )
    grid = scene.remainder.shape
    strengths = _floats("strengths", buffers[0], (*grid, scene.n_factors))
    remainder = _floats("remainder", buffers[1], grid)
    if remainder.size and (remainder.min() < 0 or remainder.max() > 1):
        raise ValueError("edit: remainder has values outside 0..1")
    return strengths, remainder


def _floats(name: str, buffer: Any, shape: tuple[int, ...]) -> FloatArray:
    data = bytes(buffer)
    needed = 4 * math.prod(shape)
    if len(data) != needed:
        form = "×".join(str(length) for length in shape)
        raise ValueError(f"edit: {name} buffer has {len(data)} bytes, but {form} float32 need {needed}")
    # Copied into the machine's own byte order; the buffer is the comm's, and read-only.
    array = np.frombuffer(data, dtype="<f4").astype(np.float32).reshape(shape)
    if not np.isfinite(array).all():
        spot = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"edit: {name} holds {array[spot]} at {spot}; only finite numbers can be painted")
    return array
