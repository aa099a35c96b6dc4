"""Which factor to paint with at first: the first *thing* among them, not sky or ground.

The factors themselves decide, not their names, so this works for any model. A thing is somewhere in the
picture: it covers few patches, touches little of the border, and is not negligibly weak.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ember_widgets.scene.scene import Scene

MOST_PATCHES = 0.4
"""A thing covers at most this share of the patches."""
MOST_BORDER = 0.25
"""A thing touches at most this share of the patches along the border."""
LEAST_AMOUNT = 0.02
"""A thing adds at least this share of what the largest factor adds."""
CLEARLY_LESS = 0.5
"""Without a thing, a factor that touches at most this share of what the first one touches comes first."""


def first_thing(scene: Scene) -> int:
    """The index of the first thing among a scene's factors.

    If there is none (a landscape), it is the factor that touches clearly less of the border than the first
    one, and otherwise the first one. 0 on a blank canvas.
    """
    covers, touches, amounts = _measures(scene)
    counts = amounts >= LEAST_AMOUNT * amounts.max(initial=0.0)
    counts &= amounts > 0
    things = np.flatnonzero(counts & (covers <= MOST_PATCHES) & (touches <= MOST_BORDER))
    if len(things):
        return int(things[0])
    if not counts.any():
        return 0
    first = int(np.flatnonzero(counts)[0])
    best = int(np.where(counts, touches, np.inf).argmin())
    return best if touches[best] <= CLEARLY_LESS * touches[first] else first


def _measures(scene: Scene) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """For each factor its share of the patches, its share of the border, and how much it adds."""
    border = np.ones(scene.grid.shape, np.bool_)
    border[1:-1, 1:-1] = False
    maps = [np.abs(scene.strengths[..., f].astype(np.float64)) for f in range(scene.n_factors)]
    regions = [scene.grid.region(strengths) for strengths in maps]
    # In units of the features' typical activations, because features of small numbers are not weak.
    sizes = np.linalg.norm(scene.basis.astype(np.float64) / scene.unit, axis=1)
    return (
        np.array([region.mean() for region in regions]),
        np.array([region[border].mean() for region in regions]),
        np.array([strengths.sum() for strengths in maps]) * sizes,
    )
