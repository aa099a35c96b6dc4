"""The course of a training as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ember_widgets.training.history import Row

COLORS = ("#2b8bc6", "#e08214", "#3a9a5b", "#a05195", "#8c8c8c", "#b2182b")
"""In the order of the dictionaries; more than these begin again, with dashes."""
INK, GRID = "#404040", "#e6e6e6"
SIZE = (4.2, 3.2)
LEAST_FVU = 1e-4
GAP = 0.055
"""Least distance of two labels, as a share of the height."""


def plot(history: Sequence[Row]) -> Any:
    """FVU, codes per patch with the threshold, and dead features, over patches.

    Args:
        history: Rows of one or more dictionaries.

    Returns:
        A matplotlib Figure. Each line has its dictionary's name at its end, if there are several.

    Raises:
        ValueError: There are no rows.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import EngFormatter

    if not history:
        raise ValueError("the run has no rows to plot yet: it was stopped before its first one")
    names = list(dict.fromkeys(row.dictionary for row in history))
    figure, axes = plt.subplots(1, 3, figsize=(3 * SIZE[0], SIZE[1]), layout="constrained", facecolor="white")
    plt.close(figure)  # a notebook shows what a cell returns, and would show pyplot's figures once more
    fvu, threshold, dead = axes
    for i, name in enumerate(names):
        rows = [row for row in history if row.dictionary == name]
        x = [row.n_patches for row in rows]
        look = {
            "color": COLORS[i % len(COLORS)],
            "linestyle": "--" if i >= len(COLORS) else "-",
            "linewidth": 1.6,
            "label": name,
        }
        fvu.plot(x, [max(row.fvu, LEAST_FVU) for row in rows], **look)
        threshold.plot(x, [row.threshold for row in rows], **look)
        dead.plot(x, [100 * row.dead for row in rows], **look)
    fvu.set_yscale("log")
    ends = {name: [row for row in history if row.dictionary == name][-1] for name in names}
    _title(fvu, "variance unexplained (FVU)", [f"{row.fvu:.3f}" for row in ends.values()])
    _title(threshold, "threshold of a code", [f"L0 {row.l0:.1f}" for row in ends.values()])
    _title(dead, "dead features, %", [f"{100 * row.dead:.1f} %" for row in ends.values()])
    for ax in (threshold, dead):
        ax.set_ylim(bottom=0)
    if dead.get_ylim()[1] < 1:
        dead.set_ylim(0, 1)
    for ax in axes:
        ax.set_facecolor("white")
        ax.set_xlim(left=0)
        ax.set_xlabel("patches", color=INK)
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        ax.tick_params(colors=INK, labelsize=9)
        ax.grid(color=GRID, linewidth=0.8)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color("#b0b0b0")
    if len(names) > 1:
        figure.draw_without_rendering()  # the axes' limits are known from here on
        for ax in axes:
            _label(ax)
    return figure


def _title(ax: Any, text: str, ends: Sequence[str]) -> None:
    """What is drawn, and where it ended if there is a single line."""
    ax.set_title(f"{text}: {ends[0]}" if len(ends) == 1 else text, color=INK, fontsize=11, loc="left")


def _label(ax: Any) -> None:
    """Each line's name at its right end, in its colour; names that would touch are moved apart."""
    height = ax.transAxes.inverted()
    ends = []
    for line in ax.get_lines():
        x, y = line.get_xydata()[-1]
        ends.append((height.transform(ax.transData.transform((x, y)))[1], line))
    ends.sort(key=lambda end: end[0])
    lowest = -1.0
    for place, line in ends:
        lowest = max(place, lowest + GAP)
        ax.annotate(
            line.get_label(),
            (1.0, lowest),
            xycoords="axes fraction",
            xytext=(4, 0),
            textcoords="offset points",
            color=line.get_color(),
            fontsize=9,
            va="center",
            annotation_clip=False,
        )
