"""What an edit changed: where the scene is not as analysed, and how far the picture follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ember_widgets.util.checks import FloatArray

if TYPE_CHECKING:
    from ember_widgets.scene.scene import Scene

NOTABLE = 0.01
"""Of a strength; what changes less is not counted as edited."""


def unedited(scene: Scene) -> FloatArray:
    """How strong each factor of a scene is in its unedited picture.

    Returns:
        (16, 16, n_factors + 1); the last is the most of what no factor of the scene stands for any more,
        since it was removed or means something else now.
    """
    before = np.zeros((*scene.remainder.shape, scene.n_factors + 1), np.float32)
    left = list(range(len(scene.base_basis)))
    for f, origin in enumerate(scene.origins or ()):
        if origin in left and np.array_equal(scene.basis[f], scene.base_basis[origin]):
            before[..., f] = scene.base_strengths[..., origin]
            left.remove(origin)
    if left:
        before[..., -1] = np.abs(scene.base_strengths[..., left]).max(axis=-1)
    return before


def edited_patches(scene: Scene) -> NDArray[np.bool_]:
    """The patches (16, 16) in which something is not as analysed."""
    before = unedited(scene)
    changes = np.abs(before[..., :-1] - scene.strengths).max(axis=-1, initial=0)
    edited: NDArray[np.bool_] = np.maximum.reduce([changes, before[..., -1], 1 - scene.remainder]) > NOTABLE
    return edited


def pixel_change(
    before: NDArray[Any], after: NDArray[Any], edited: NDArray[np.bool_]
) -> tuple[float, float] | None:
    """How far two pictures differ inside an edit, and outside of it and of its rim of one patch.

    The second ÷ the first is the edit's *locality*.

    Args:
        before: (H, W, 3) of 0..255.
        after: the same.
        edited: patches, (16, 16).

    Returns:
        Two means of absolute differences, 0..255; None where there is no such patch.
    """
    n = len(edited)
    outside = ~sliding_window_view(np.pad(edited, 1), (3, 3)).any(axis=(2, 3))
    if not edited.any() or not outside.any():
        return None
    change = np.abs(after.astype(np.float32) - before.astype(np.float32)).mean(axis=2)
    height, width = change.shape
    means = change.reshape(n, height // n, n, width // n).mean(axis=(1, 3))
    return float(means[edited].mean()), float(means[outside].mean())
