"""What an edit brings along: strengths and remainder as bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ember_widgets.scene.scene import GRID
from ember_widgets.util.checks import FloatArray, plural
from ember_widgets.widgets.paint.messages import Edit


def layers(edit: Edit, buffers: Sequence[Any], n_factors: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Read and copy the buffers of an edit.

    Args:
        edit: the message they came with.
        buffers: two byte buffers: strengths and remainder, float32 little endian, C order.
        n_factors: how many factors the scene has.

    Returns:
        strengths (16, 16, n_factors), remainder (16, 16), gains (n_factors,), all float32.

    Raises:
        ValueError: a buffer is missing or of a wrong size, a value is not finite, the remainder leaves 0..1.
    """
    if len(edit.gains) != n_factors:
        raise ValueError(
            f"edit: gains has {len(edit.gains)} numbers, but the scene has {plural(n_factors, 'factor')}"
        )
    if len(buffers) != 2:
        raise ValueError(
            f"edit: {plural(len(buffers), 'buffer')} came, but 2 are needed: strengths and remainder"
        )
    strengths = _floats("strengths", buffers[0], (GRID, GRID, n_factors))
    remainder = _floats("remainder", buffers[1], (GRID, GRID))
    if remainder.size and (remainder.min() < 0 or remainder.max() > 1):
        raise ValueError("edit: remainder leaves 0..1")
    return strengths, remainder, np.array(edit.gains, dtype=np.float32)


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
