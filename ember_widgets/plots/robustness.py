"""Figure of how an edit changes the pictures of other seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ember_widgets.painter.robustness import Robustness
from ember_widgets.plots.canvas import AMOUNT, FIRST, QUIET, bare, ramp, several, show_map, show_picture
from ember_widgets.util.checks import shown

if TYPE_CHECKING:
    from ember_widgets.painter.robustness import Interval

SIZE = 1.15
"""Inches of a small picture."""


def plot_robustness(result: Robustness, *, ax: Any = None) -> NDArray[Any]:
    """Each seed's picture without and with the edit, in how many seeds each patch changed, and the effect.

    Args:
        result: from `painter.robustness(scene)`.
        ax: 2 · n_seeds + 2 Axes to draw into.

    Returns:
        (2 · n_seeds + 2,) Axes: the unedited pictures; those with the edit, outlined where it was made; the
        map of counts, outlined where the edit was made in any seed; and the effects. There a dot is a seed,
        and a line is the 95 % interval.
    """
    if not isinstance(result, Robustness):
        raise TypeError(f"result={shown(result)} is not a Robustness; give painter.robustness(scene)")
    n = len(result.seeds)
    axes = _new_axes(n) if ax is None else several(ax, 1, 2 * n + 2, (1, 1))
    grid = result.scenes[0].grid
    for s, seed in enumerate(result.seeds):
        before, after = axes[s], axes[n + s]
        show_picture(before, Image.fromarray(result.unedited[s]), grid)
        before.set_title(f"seed {seed}", fontsize="small")
        show_picture(after, Image.fromarray(result.edited[s]), grid)
        _outline(after, result.edited_patches[s])
    for first, text in ((axes[0], "without"), (axes[n], "with the edit")):
        first.set_ylabel(text, fontsize="small")
    counts = show_map(axes[-2], result.changed, most=n, cmap=AMOUNT)
    _outline(axes[-2], np.asarray(result.edited_patches.any(axis=0)))
    ramp(axes[-2], counts, "seeds in which it changed", whole=True)
    _plot_effects(axes[-1], result)
    return axes


def _plot_effects(ax: Any, result: Robustness) -> None:
    rows: list[tuple[str, Interval, NDArray[np.float64]]] = [("in the edit", result.effect, result.effects)]
    if result.beyond is not None and result.effects_beyond is not None:
        rows.append(("beyond it", result.beyond, result.effects_beyond))
    for y, (_, interval, seeds) in enumerate(rows):
        ax.plot(seeds, np.full(len(seeds), y + 0.18), "o", color=QUIET, markersize=4, alpha=0.7, mew=0)
        ax.plot([interval.low, interval.high], [y, y], color=FIRST, linewidth=2.5, solid_capstyle="butt")
        ax.plot(interval.value, y, "o", color=FIRST, markersize=7)
        ax.annotate(
            str(interval), (interval.value, y), (0, 8), textcoords="offset points", ha="center", va="bottom"
        )
    ax.axvline(0, color=QUIET, linewidth=0.8)
    ax.axvline(1, color=QUIET, linewidth=0.8, linestyle="--")
    ax.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    ax.set(ylim=(len(rows) - 0.4, -0.6), xlabel="effect (1, dashed: as much as another seed changes a patch)")
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.margins(x=0.12)
    ax.set_title(f"changed {result.n_changed} of {len(result.seeds)} seeds", fontsize="medium", loc="left")


def _new_axes(n: int) -> NDArray[Any]:
    import matplotlib.pyplot as plt

    width = max(8, n) * SIZE
    figure = plt.figure(figsize=(width, 2 * SIZE + 3.0), layout="constrained")
    halves = figure.add_gridspec(2, 1, height_ratios=(2 * SIZE + 0.3, 2.7))
    pictures = halves[0].subgridspec(2, n).subplots(squeeze=False)
    last = halves[1].subgridspec(1, 2, width_ratios=(1, 1.9)).subplots()
    return np.concatenate([pictures.ravel(), last])


def _outline(ax: Any, patches: NDArray[np.bool_]) -> None:
    """Draw lines around patches, white on dark so that they show on any picture."""
    padded = np.pad(patches, 1)
    lines = []
    for row, col in np.argwhere(padded[1:, :] != padded[:-1, :]):  # between a patch and that below it
        lines.append([(col - 1.5, row - 0.5), (col - 0.5, row - 0.5)])
    for row, col in np.argwhere(padded[:, 1:] != padded[:, :-1]):
        lines.append([(col - 0.5, row - 1.5), (col - 0.5, row - 0.5)])
    from matplotlib.collections import LineCollection

    for color, width in (("black", 2.2), ("white", 1.0)):
        ax.add_collection(LineCollection(lines, colors=color, linewidths=width, capstyle="projecting"))
    bare(ax)
