"""What `paint_fidelity` makes of patches that were read: pure functions of label maps (16, 16) and masks."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ember_widgets.embedded import captions, scenes, vocabulary
from ember_widgets.embedded.vocabulary import FIRST_THING

Array = NDArray[Any]
AROUND = np.ones((3, 3), bool)


def whole(reads: Array, places: list[Array], label: int) -> Array:
    """The share of places most patches of which are read as a label, per oracle."""
    right = [
        [Counter(read[place].tolist()).most_common(1)[0][0] == label for place in places] for read in reads
    ]
    return np.asarray(np.array(right, float).mean(1))


def is_moved(now: Array, before: Array, wanted: Array) -> bool:
    """Whether a thing is where it was moved to, within a patch, and nowhere else. All (16, 16) bool."""
    left = (now & before & ~ndimage.binary_dilation(wanted, AROUND)).sum()
    there = np.argwhere(now & ndimage.binary_dilation(wanted, np.ones((5, 5))))
    close = len(there) >= before.sum() / 2 and np.all(
        np.abs(there.mean(0) - np.argwhere(wanted).mean(0)) <= 1
    )
    return bool(close and left <= 0.15 * before.sum())


def exactly_once(labels: Array, spec: captions.Spec) -> bool:
    """Whether the things of a caption, and no others, can be counted among patches (16, 16).

    A thing is a connected piece of at least a third of its natural area. Of those named, the least is a
    third of what a far one, or a small one, covers.
    """
    named, small = Counter(spec.things), {t for t, s in zip(spec.things, spec.sizes, strict=False) if s < 0}
    for label in {int(i) for i in np.unique(labels) if i >= FIRST_THING} | set(named):
        look = vocabulary.look(label)
        less = 0 if label not in named else 3 if label in small else 1
        sides = [max(3, side - less) for side in (look.height, look.width)]
        pieces, n = ndimage.label(labels == label, AROUND)
        sizes = np.bincount(pieces.ravel(), minlength=n + 1)[1:]
        if (sizes >= scenes.silhouette(label, *sides).sum() / 3).sum() != named[label]:
            return False
    return True


def gradient(picture: Array) -> float:
    luma = picture.astype(float).mean(2)
    return float(np.abs(np.diff(luma, axis=0)).mean() + np.abs(np.diff(luma, axis=1)).mean())
