"""What edits of factors compute, on rows of a basis."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ember_widgets.scene.feature_space import FeatureSpace
from ember_widgets.util.checks import FloatArray, shown


def writable(array: FloatArray) -> NDArray[np.float64]:
    """A copy to edit. It is float64, so that an edit rounds once, at its end, as it does in the browser."""
    return array.astype(np.float64)


def weights(row: FloatArray, unit: FloatArray, top: int | None) -> dict[int, float]:
    """The features of a factor, in units of their typical activation.

    Args:
        row: (n_features,) of a basis.
        unit: (n_features,) typical activations.
        top: how many features at most; None = all that are not 0.

    Returns:
        {feature: weight}; the features that add most come first.
    """
    values = row.astype(np.float64)
    order = np.argsort(-np.abs(values), kind="stable")[: np.count_nonzero(values)][:top]
    return {int(i): float(values[i] / unit[i]) for i in order}


def site(row: NDArray[Any], space: FeatureSpace) -> str:
    """The site of a factor's features; the first site if the row is all zero."""
    used = np.flatnonzero(row)
    return space.site(int(used[0])) if len(used) else space.sites[0]


def check_one_site(row: NDArray[Any], name: str, space: FeatureSpace) -> None:
    """Refuse a factor with features of several sites.

    Raises:
        ValueError: the row has features of more than one site.
    """
    touched = [site for site in space.sites if row[space.columns(site)].any()]
    if len(touched) > 1:
        raise ValueError(
            f"{shown(name)} would have features of {' and '.join(touched)}; a factor belongs to one site, "
            "so make one for each"
        )
