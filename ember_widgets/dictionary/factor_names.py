"""Default names of factors and concepts: by the labels of their features, no two the same."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from ember_widgets.scene.palette import free_name


def free_factor_name(name: str, taken: Collection[str]) -> str:
    """`name`, or one like it that is not taken: "lion 2" for "lion", but "factor 6" for "factor 5"."""
    numbered = re.fullmatch(r"((?:.* )?factor )(\d+)", name)
    if numbered is None:
        return free_name(name, taken)
    count = int(numbered[2])
    while (candidate := f"{numbered[1]}{count}") in taken:
        count += 1
    return candidate


def label_of(row: NDArray[np.float32], lengths: NDArray[np.float32], labels: Mapping[int, str]) -> str:
    """The label that carries most of a factor, "" if none of its features has one.

    Text in brackets, as in "pine (tree)", is for searching and is not part of a name.

    Args:
        row: The factor's weights of a site's features.
        lengths: How much each of the features moves the site, per unit of code.
        labels: {feature of the site: text}, "" for none.
    """
    share: dict[str, float] = {}
    for feature in np.flatnonzero(row):
        if text := labels.get(int(feature)):
            share[text] = share.get(text, 0.0) + float(row[feature] * lengths[feature])
    return max(share, key=lambda text: share[text]).split(" (")[0] if share else ""
