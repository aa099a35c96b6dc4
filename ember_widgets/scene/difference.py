"""Where a scene differs from what was analysed, and how much the picture differs there and elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ember_widgets.scene.scene_fields import SceneFields
from ember_widgets.util.checks import FloatArray

NOTABLE = 0.01
"""A patch counts as edited if a strength, or the remainder, changed by more than this."""


def unedited(scene: SceneFields) -> FloatArray:
    """How strong each factor of a scene is in its unedited picture.

    Returns:
        (rows, cols, n_factors + 1). The last map is the strongest, patch by patch, of the analysed factors
        that the scene no longer has, because they were removed or have other weights now.
    """
    before = np.zeros((*scene.grid.shape, scene.n_factors + 1), np.float32)
    gone = set(range(len(scene.base_basis)))
    for origin, f in scene.analysed_factors.items():
        if np.array_equal(scene.basis[f], scene.base_basis[origin]):
            before[..., f] = scene.base_strengths[..., origin]
            gone.remove(origin)
    if gone:
        before[..., -1] = np.abs(scene.base_strengths[..., sorted(gone)]).max(axis=-1)
    return before


def edited_patches(scene: SceneFields) -> NDArray[np.bool_]:
    """The patches, bool (rows, cols), in which the scene differs from what was analysed."""
    before = unedited(scene)
    with np.errstate(over="ignore"):  # becomes inf, which is an edit too
        changes = np.abs(before[..., :-1] - scene.strengths).max(axis=-1, initial=0)
    edited: NDArray[np.bool_] = np.maximum.reduce([changes, before[..., -1], 1 - scene.remainder]) > NOTABLE
    return edited


def is_blank(scene: SceneFields) -> bool:
    """Whether a scene is a blank canvas: no analysed factors, and no remainder of the model's picture."""
    return not len(scene.base_basis) and not scene.remainder.any()


def patch_change(
    before: NDArray[Any], after: NDArray[Any], shape: tuple[int, int], rounding: int = 0
) -> NDArray[np.float32]:
    """How much each patch differs between two pictures.

    Args:
        before: (height, width, 3) of 0..255.
        after: the same.
        shape: (rows, cols).
        rounding: values that differ by up to this count as equal.

    Returns:
        (rows, cols), the mean absolute difference of the patch's pixels and colours, 0..1.
    """
    difference = np.abs(after.astype(np.int16) - before.astype(np.int16))
    difference[difference <= rounding] = 0
    return np.asarray(_means(difference.mean(axis=2, dtype=np.float64), shape) / 255, np.float32)


def beyond_patches(edited: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The patches, bool (rows, cols), that neither are edited nor touch one that is."""
    return np.asarray(~sliding_window_view(np.pad(edited, 1), (3, 3)).any(axis=(2, 3)))


def pixel_change(
    before: NDArray[Any], after: NDArray[Any], edited: NDArray[np.bool_]
) -> tuple[float, float] | None:
    """How much two pictures differ in the edited patches, and elsewhere.

    Patches that touch an edited one count as neither. The second number ÷ the first is the edit's *locality*.

    Args:
        before: (height, width, 3) of 0..255.
        after: the same.
        edited: bool (rows, cols).

    Returns:
        Two means of absolute differences, 0..255; None if there is no patch of one of the two kinds.
    """
    outside = beyond_patches(edited)
    if not edited.any() or not outside.any():
        return None
    change = np.abs(after.astype(np.float32) - before.astype(np.float32)).mean(axis=2)
    means = _means(change, edited.shape)
    return float(means[edited].mean()), float(means[outside].mean())


def _means(pixels: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """The mean of each patch's pixels, (height, width) -> (rows, cols).

    Sides need not be multiples of rows and columns: then some patches have a pixel more than others.
    """
    for axis, n in enumerate(shape):
        edges = np.linspace(0, pixels.shape[axis], n + 1).astype(int)
        # Where there are more patches than pixels, those without one get the next pixel.
        sizes = np.diff(edges).clip(min=1).reshape((-1, 1) if axis == 0 else (1, -1))
        pixels = np.add.reduceat(pixels, edges[:-1], axis=axis) / sizes
    return pixels
