"""Figures of scenes: factors, sweeps, differences, and sheets of pictures."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ember_widgets.painter.protocol import labels_of
from ember_widgets.painter.variations import GAINS
from ember_widgets.plots.canvas import (
    AS_IT_STANDS,
    CHANGE,
    HEAT,
    bare,
    extent,
    name_of,
    one,
    ramp,
    several,
    show_map,
    show_picture,
)
from ember_widgets.scene.difference import edited_patches, pixel_change
from ember_widgets.scene.scene import checked_scene
from ember_widgets.util import checks

if TYPE_CHECKING:
    from ember_widgets.painter.protocol import PainterProtocol
    from ember_widgets.scene.scene import Scene

WRAP = 15
"""Letters per line of a title in a contact sheet."""


def plot_factors(painter: PainterProtocol, scene: Scene, *, top: int = 4, ax: Any = None) -> NDArray[Any]:
    """The picture, and each factor's strengths with the features that it is mostly made of.

    Args:
        painter: draws the picture and knows the labels.
        scene: the scene.
        top: how many features to name, 0..n_features.
        ax: 1 + n_factors Axes to draw into.

    Returns:
        (1 + n_factors,) Axes, the picture's first.
    """
    checked_scene(scene)
    top = checks.integer("top", top, 0, scene.n_features, hint="give 0 to name no feature")
    labels = labels_of(painter)
    axes = several(ax, 1, 1 + scene.n_factors, (2.3, 3.0))
    show_picture(axes[0], painter.render(scene), scene.grid)
    axes[0].set_title(textwrap.fill(scene.prompt, 24) or "picture", fontsize="medium", **AS_IT_STANDS)
    most = max(1.0, float(np.abs(scene.strengths).max())) if scene.n_factors else 1.0
    for f, axis in enumerate(axes[1:]):
        image = show_map(axis, scene.strengths[..., f], most=most, cmap=HEAT)
        axis.set_title(scene.names[f], fontsize="medium", **AS_IT_STANDS)
        for spine in axis.spines.values():
            spine.set(color=scene.colors[f], linewidth=3)
        weights = scene.weights(f, top) if top else {}
        lines = [
            f"{weight:.2f} × {name_of(feature, labels)}"
            for feature, weight in weights.items()
            if abs(weight) >= 0.005
        ]
        axis.set_xlabel("\n".join(lines), fontsize="small", loc="left", **AS_IT_STANDS)
        if f == scene.n_factors - 1:
            ramp(axis, image, "strength")
    return axes


def plot_sweep(
    painter: PainterProtocol,
    scene: Scene,
    factor: int | str,
    *,
    gains: Sequence[float] = GAINS,
    ax: Any = None,
) -> NDArray[Any]:
    """The picture with one factor made weaker and stronger.

    Args:
        painter: draws.
        scene: the scene.
        factor: index or name.
        gains: what its strengths are multiplied by.
        ax: as many Axes as gains.

    Returns:
        (len(gains),) Axes.
    """
    checked_scene(scene)
    gains = checks.listed("gains", gains, hint="give one number or more, such as (0, 1, 2)")
    name = scene.names[checks.factor_index(factor, scene.names)]
    if not gains:
        raise ValueError("gains is empty; give at least one, e.g. (0, 0.5, 1, 2)")
    axes = several(ax, 1, len(gains), (2.2, 2.5))
    for axis, gain in zip(axes, gains, strict=True):
        show_picture(axis, painter.render(scene.scale(factor, gain)), scene.grid)
        axis.set_title(f"{name} × {gain:g}", fontsize="medium", **AS_IT_STANDS)
    return axes


def plot_difference(painter: PainterProtocol, before: Scene, after: Scene, *, ax: Any = None) -> NDArray[Any]:
    """Two scenes, and where their pictures differ.

    Args:
        painter: draws.
        before: one scene.
        after: the other.
        ax: 3 Axes to draw into.

    Returns:
        (3,) Axes: before, after, and the mean absolute difference of each pixel's channels, 0..255. Where
        `before` is the unedited scene of `after` (`after.original()`), its title says how far the picture
        changed inside the edited patches, and how far beyond them and their rim of one patch.
    """
    checked_scene(before, "before")
    checked_scene(after, "after")
    axes = several(ax, 1, 3, (3.0, 3.0))
    pictures = [painter.render(scene).convert("RGB") for scene in (before, after)]
    for axis, picture, title in zip(axes, pictures, ("before", "after"), strict=False):
        show_picture(axis, picture, before.grid)
        axis.set_title(title)
    first, second = (np.asarray(picture, np.float64) for picture in pictures)
    difference = np.abs(second - first).mean(axis=2)
    top = max(1.0, float(difference.max()))
    image = axes[2].imshow(difference, cmap=HEAT, vmin=0, vmax=top, extent=extent(before.grid))
    bare(axes[2])
    is_edit = np.array_equal(before.strengths, after.base_strengths) and not edited_patches(before).any()
    change = pixel_change(first, second, edited_patches(after)) if is_edit else None
    axes[2].set_title(
        f"difference (mean {difference.mean():.1f})"
        if change is None
        else f"difference ({change[0]:.1f} in the edit, {change[1]:.2f} beyond)"
    )
    ramp(axes[2], image, "of 255")
    return axes


def plot_basis(scene: Scene, painter: object = None, *, top: int = 4, ax: Any = None) -> Any:
    """Which features each factor is made of, as a table of weights.

    Args:
        scene: the scene.
        painter: whose labels are shown; None = numbers only.
        top: how many features of each factor, 1..n_features.
        ax: Axes to draw into.

    Returns:
        The Axes; a row per feature, a column per factor. 1.0 = the feature's typical activation.
    """
    checked_scene(scene)
    top = checks.integer("top", top, 1, scene.n_features, hint="4 are easy to read")
    chosen = list(dict.fromkeys(f for k in range(scene.n_factors) for f in scene.weights(k, top)))
    ax = one(ax, (2.2 + 0.6 * max(2, scene.n_factors), 1.2 + 0.26 * max(3, len(chosen))))
    if not chosen:
        ax.text(0.5, 0.5, "the scene has no factors", ha="center", va="center", transform=ax.transAxes)
        bare(ax)
        return ax
    weights = (scene.basis[:, chosen] / scene.unit[chosen]).T
    most = float(np.abs(weights).max())
    image = ax.imshow(weights, cmap=CHANGE, vmin=-most, vmax=most, aspect="auto")
    for (row, column), weight in np.ndenumerate(weights):
        if abs(weight) >= 0.05 * most:
            ink = "white" if abs(weight) > 0.6 * most else "black"
            ax.text(column, row, f"{weight:.2g}", ha="center", va="center", fontsize="small", color=ink)
    labels = labels_of(painter)
    ax.set_yticks(range(len(chosen)), [name_of(feature, labels) for feature in chosen], **AS_IT_STANDS)
    ax.set_xticks(
        range(scene.n_factors), scene.names, rotation=30, ha="right", rotation_mode="anchor", **AS_IT_STANDS
    )
    ramp(ax, image, "weight (1 = typical)")
    return ax


def contact_sheet(
    pictures: Sequence[Image.Image], titles: Sequence[str] = (), *, columns: int | None = None, ax: Any = None
) -> Any:
    """Many pictures side by side, each with its title below.

    Args:
        pictures: PIL images; they are made as large as the first.
        titles: a text for each, or none at all.
        columns: how many stand side by side; None = at most 8.
        ax: Axes to draw into.

    Returns:
        The Axes.

    Example:
        >>> contact_sheet([painter.icon(f) for f in (3, 7)], ["sky", "lion"])      # doctest: +SKIP
    """
    pictures = checks.listed("pictures", pictures, hint="give PIL images")
    if not pictures:
        raise ValueError("pictures is empty; give at least one PIL image")
    if titles and len(titles) != len(pictures):
        raise ValueError(
            f"titles holds {len(titles)}, but there are {len(pictures)} pictures; give one for each"
        )
    columns = (
        min(8, len(pictures))
        if columns is None
        else checks.integer(
            "columns", columns, 1, len(pictures), hint=f"there are {checks.plural(len(pictures), 'picture')}"
        )
    )
    rows = -(-len(pictures) // columns)
    width, height = pictures[0].size
    titles = ["\n".join(textwrap.fill(line, WRAP) for line in title.split("\n")) for title in titles]
    foot = 0.06 + 0.14 * max((title.count("\n") + 1 for title in titles), default=0)
    ax = one(ax, (1.3 * columns, 1.3 * rows * (height / width + foot)))
    for i, picture in enumerate(pictures):
        left, top = 1.05 * (i % columns), (i // columns) * (height / width + foot)
        ax.imshow(
            picture.convert("RGB"),
            extent=(left, left + 1, top + height / width, top),
            interpolation="bilinear",
        )
        if titles:
            place = left + 0.5, top + height / width + 0.02
            ax.text(*place, titles[i], ha="center", va="top", fontsize="small", **AS_IT_STANDS)
    ax.set(xlim=(-0.02, 1.05 * columns - 0.03), ylim=(rows * (height / width + foot), -0.02), aspect="equal")
    ax.axis("off")
    return ax
