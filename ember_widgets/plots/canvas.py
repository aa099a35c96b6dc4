"""What the figures share: axes to draw into, pictures, maps over pictures, names of features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ember_widgets.scene.grid import Grid
from ember_widgets.util.checks import shown

# Ramps whose lightness rises: they can be read without colour, on black as on white.
AMOUNT = "cividis"
HEAT = "inferno"
CHANGE = "PuOr"
FIRST, SECOND, QUIET = "#2b8bc6", "#e08214", "#8c8c8c"
AS_IT_STANDS = {"parse_math": False}
"""For prompts, names and labels: between two dollar signs, matplotlib would read a formula."""


def one(ax: Any, size: tuple[float, float]) -> Any:
    """The Axes given, or those of a new figure of that many inches."""
    if ax is None:
        import matplotlib.pyplot as plt

        return plt.subplots(figsize=size, layout="constrained")[1]
    return checked(ax)


def several(ax: Any, rows: int, columns: int, size: tuple[float, float]) -> NDArray[Any]:
    """The Axes given, or those of a new figure; (rows · columns,), row by row.

    Args:
        ax: as many Axes as are needed, in any nesting; None = a new figure.
        size: inches of each of the new ones.

    Raises:
        ValueError: another number of Axes.
    """
    if ax is None:
        import matplotlib.pyplot as plt

        figure = (columns * size[0], rows * size[1])
        axes = plt.subplots(rows, columns, figsize=figure, squeeze=False, layout="constrained")[1]
        return np.asarray(axes).ravel()
    given = np.array(ax, dtype=object).ravel()
    if len(given) != rows * columns:
        raise ValueError(
            f"ax holds {len(given)} Axes, but this figure needs {rows * columns}; "
            f"make them with plt.subplots({rows}, {columns}), or leave ax out"
        )
    for item in given:
        checked(item)
    return given


def checked(ax: Any) -> Any:
    """`ax` if it can be drawn into."""
    if not hasattr(ax, "imshow"):
        raise TypeError(
            f"ax={shown(ax)} is not matplotlib Axes; make some with plt.subplots(), or leave it out"
        )
    return ax


def show_picture(ax: Any, picture: Image.Image, grid: Grid, *, dim: bool = False) -> None:
    """Show a picture, in units of patches; `dim` darkens it for a map that is drawn over it."""
    pixels = np.asarray(picture.convert("RGB"), np.float64) / 255
    if dim:
        pixels = 0.3 * pixels + 0.1
    ax.imshow(pixels, extent=extent(grid), interpolation="bilinear")
    bare(ax)


def extent(grid: Grid) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of a picture, in units of patches."""
    return -0.5, grid.cols - 0.5, grid.rows - 0.5, -0.5


def show_map(
    ax: Any, values: NDArray[Any], *, most: float | None = None, cmap: str = HEAT, over: bool = False
) -> Any:
    """A map of patches; returns matplotlib's image.

    Args:
        values: (rows, cols).
        most: where the ramp ends; None = the largest value.
        over: drawn over a picture, and transparent where it is weak.
    """
    top = float(values.max()) if most is None else most
    alpha = np.clip(values / (top or 1), 0, 1) ** 0.6 if over else None
    image = ax.imshow(values, cmap=cmap, vmin=0, vmax=top or 1, alpha=alpha, interpolation="nearest")
    bare(ax)
    return image


def bare(ax: Any) -> None:
    """No ticks: what is shown is a picture."""
    ax.set(xticks=[], yticks=[])


def ramp(ax: Any, image: Any, label: str, *, whole: bool = False) -> None:
    """A colour bar, never transparent; `whole` = with whole numbers only."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.ticker import MaxNLocator

    legend = ScalarMappable(norm=image.norm, cmap=image.cmap)
    bar = ax.figure.colorbar(legend, ax=ax, label=label, fraction=0.046, pad=0.03)
    if whole:
        bar.locator = MaxNLocator(integer=True)
        bar.update_ticks()


def name_of(feature: int, labels: Mapping[int, str]) -> str:
    """Label and number of a feature."""
    label = labels.get(feature)
    return f"{label} #{feature}" if label else f"#{feature}"
