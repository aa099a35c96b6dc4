"""Figures of features: in one patch, and over the picture.

All are of what ``painter.inspect(scene, step=step, site=site)`` gives, edits included. They draw into ``ax``,
or Axes of their own, and return it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ember_widgets.painter.protocol import labels_of
from ember_widgets.plots.canvas import (
    AMOUNT,
    AS_IT_STANDS,
    FIRST,
    HEAT,
    name_of,
    one,
    ramp,
    show_map,
    show_picture,
)
from ember_widgets.scene.grid import Patches
from ember_widgets.scene.scene import checked_scene
from ember_widgets.util import checks

if TYPE_CHECKING:
    from ember_widgets.painter.protocol import Inspects
    from ember_widgets.scene.scene import Scene


def plot_features(
    painter: Inspects,
    scene: Scene,
    patch: Patches | tuple[int, int],
    *,
    top: int = 10,
    step: int = 0,
    site: str | None = None,
    ax: Any = None,
) -> Any:
    """The features of a patch, or the mean of several, as bars, with marks at what is typical of each.

    Args:
        patch: (row, col); or patches: bool (rows, cols), pairs, or the name of an area.
        top: how many features at most, 1 or more.
        step: sampling step, 0..n_steps-1.
        site: one of ``painter.saes``; None = the steered one.
    """
    checked_scene(scene)
    top = checks.count("top", top, hint="10 are easy to read")
    seen = painter.inspect(scene, step=step, site=site)
    given: Any = patch
    single = isinstance(given, tuple) and len(given) == 2 and all(np.ndim(i) == 0 for i in given)
    patches = [given] if single else given
    found = seen.top(patches, top)
    ax = one(ax, (6, 0.6 + 0.32 * max(2, len(found))))
    labels = seen.labels(labels_of(painter))
    y = np.arange(len(found))
    ax.barh(y, list(found.values()), height=0.6, color=FIRST)
    ink = ax.xaxis.label.get_color()
    ax.scatter(seen.unit[list(found)], y, marker="|", s=180, color=ink, zorder=3)
    ax.set_yticks(y, [name_of(feature, labels) for feature in found], **AS_IT_STANDS)
    ax.invert_yaxis()
    what = f"patch ({given[0]}, {given[1]})" if single else "mean of the patches"
    ax.set(
        xlabel="activation (mark: what is typical)",
        title=f"{what}: {_percent(seen.explained(patches))} explained",
    )
    ax.spines[["top", "right"]].set_visible(False)
    if not found:
        ax.text(0.5, 0.5, "no feature is active", ha="center", va="center", transform=ax.transAxes)
    return ax


def plot_feature_map(
    painter: Inspects,
    scene: Scene,
    feature: int,
    *,
    step: int = 0,
    site: str | None = None,
    ax: Any = None,
) -> Any:
    """Where a feature is active, over the picture, and how strongly.

    ``feature`` is an index into the SAE of the site; step and site as in `plot_features`.
    """
    checked_scene(scene)
    seen = painter.inspect(scene, step=step, site=site)
    feature = checks.feature_index(feature, seen.n_features)
    ax = one(ax, (4.2, 3.6))
    show_picture(ax, painter.render(scene), seen.grid, dim=True)
    codes = seen.codes[..., feature]
    image = show_map(ax, codes, cmap=HEAT, over=True)
    title = name_of(feature, seen.labels(labels_of(painter)))
    ax.set_title(title if codes.any() else f"{title} (active nowhere)", **AS_IT_STANDS)
    ramp(ax, image, "activation")
    return ax


def plot_feature_count(
    painter: Inspects, scene: Scene, *, step: int = 0, site: str | None = None, ax: Any = None
) -> Any:
    """How many features are active in each patch; step and site as in `plot_features`."""
    checked_scene(scene)
    counts = painter.inspect(scene, step=step, site=site).counts
    ax = one(ax, (4.2, 3.6))
    image = show_map(ax, counts, cmap=AMOUNT)
    ax.set_title(f"{counts.mean():.1f} features per patch")
    ramp(ax, image, "active features", whole=True)
    return ax


def _percent(share: float) -> str:
    return "nothing" if np.isnan(share) else f"{100 * share:.0f} %"
