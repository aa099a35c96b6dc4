"""How good an SAE is, on pictures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ember_widgets.plots.canvas import FIRST, QUIET, SECOND, several
from ember_widgets.scene.scene import checked_scene
from ember_widgets.util.checks import listed, shown

if TYPE_CHECKING:
    from ember_widgets.painter.protocol import Inspects
    from ember_widgets.scene.scene import Scene


def plot_sae_report(
    painter: Inspects, scenes: Iterable[Scene], *, step: int = 0, site: str | None = None, ax: Any = None
) -> NDArray[Any]:
    """Statistics of an SAE on some pictures: what it explains, and how many features it uses.

    Args:
        painter: the painter.
        scenes: the pictures, unedited; the more there are, the fewer features only seem dead.
        step: sampling step, 0..n_steps-1.
        site: one of ``painter.saes``; None = the steered one.
        ax: 4 Axes to draw into.

    Returns:
        (4,) Axes: the share explained in each picture, L0 (active features per patch), how often each live
        feature is active, and how many are dead on these pictures.
    """
    given = [checked_scene(scene) for scene in listed("scenes", scenes, hint="give scenes of this painter")]
    if not given:
        raise ValueError(f"scenes={shown(scenes)} is empty; give at least one scene")
    runs = [painter.inspect(scene, step=step, site=site, edited=False) for scene in given]
    axes = several(ax, 1, 4, (3.0, 2.8))
    energy, missed = sum(r.energy.sum() for r in runs), sum(r.missed.sum() for r in runs)
    counts = np.concatenate([run.counts.ravel() for run in runs])
    frequency = np.mean([(run.codes > 0).mean(axis=(0, 1)) for run in runs], axis=0)
    live = frequency > 0

    shares = [run.explained() for run in runs]
    low = min(0.95, np.floor(20 * np.nanmin(shares)) / 20)
    axes[0].hist(shares, bins=20, range=(low, 1), color=FIRST)
    axes[0].set(title=f"explained: {100 * (1 - missed / energy):.1f} %", xlabel="share", ylabel="pictures")
    edges = np.arange(counts.max() + 2) - 0.5
    axes[1].hist(counts, bins=edges if len(edges) <= 40 else 40, color=FIRST)
    axes[1].axvline(counts.mean(), color=SECOND)
    axes[1].set(title=f"L0: {counts.mean():.1f}", xlabel="active features", ylabel="patches")
    if live.any():
        low = min(-1, np.floor(np.log10(frequency[live].min())))
        axes[2].hist(frequency[live], bins=np.logspace(low, 0, 24), color=FIRST)
    axes[2].set(
        title="frequency of live features", xlabel="share of patches", ylabel="features", xscale="log"
    )
    n_dead = int((~live).sum())
    axes[3].barh(["live", "dead"], [live.sum(), n_dead], color=[FIRST, QUIET])
    axes[3].set(title=f"dead here: {100 * n_dead / len(live):.0f} %", xlabel="features")
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return axes
