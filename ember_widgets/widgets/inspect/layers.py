"""What PatchInspector lays over the picture: a colour and an alpha for each patch, and a legend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ember_widgets.scene.grid import Grid, Patches
from ember_widgets.scene.palette import PALETTE
from ember_widgets.scene.scene import Scene

if TYPE_CHECKING:
    from ember_widgets.painter.inspection import Inspection

LAYERS: Mapping[str, tuple[str, str]] = {
    "picture": ("Picture", "nothing over the picture"),
    "count": ("Feature count", "how many features are active in each patch"),
    "strongest": ("Strongest", "each patch in the colour of its strongest feature"),
    "factors": ("Factors", "the scene's factors, each in its colour, by strength"),
    "unexplained": ("Missed by SAE", "the share that the SAE does not explain"),
    "unexplained_by_factors": (
        "Missed by factors",
        "the share that the factors do not explain",
    ),
    "similarity": ("Similar", "how similar each patch's features are to those of the patch shown"),
    "change": ("Changed", "how far the edit changed each patch's features"),
    "feature": ("Feature", "where the selected feature is active, and how strongly"),
}
"""{name of a layer: (text of its button, its tooltip)}."""

# Ramps whose lightness rises too, so that they can be read without colour: cividis, and vermilion to yellow.
CIVIDIS = ("#00224e", "#35456c", "#666970", "#948e77", "#c8b866", "#fee838")
HEAT = ("#d55e00", "#f0a020", "#fff3a0")
OTHERS = "#9a9a9a"
NAMED = 8

Rgb = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Layer:
    """What lies over the picture.

    Args:
        colors: (rows, cols, 3) uint8.
        alphas: (rows, cols) float32, 0..1.
        legend: HTML.
        dim: 0..1, how much the picture is darkened below it.
    """

    colors: Rgb
    alphas: NDArray[np.float32]
    legend: str
    dim: float = 0.55


def layer(
    name: str,
    *,
    scene: Scene,
    now: Inspection,
    before: Inspection,
    names: Mapping[int, str],
    patches: Patches | None,
    feature: int | None,
) -> Layer:
    """A layer of a scene.

    Args:
        name: one of ``LAYERS``.
        scene: the scene, for its factors.
        now: what is inspected.
        before: the same of the unedited run.
        names: the features' labels.
        patches: the patch or region shown, for ``similarity``.
        feature: the selected feature, for ``feature``.
    """
    grid = now.grid
    if name == "count":
        counts = now.counts
        return _ramp(counts, max(1, counts.max()), CIVIDIS, "{:.0f}", "active features", solid=True)
    if name == "strongest":
        return _strongest(now, names)
    if name == "factors":
        return _factors(scene)
    if name == "unexplained":
        return _ramp(now.unexplained(), 1, HEAT, "{:.0%}", "of the patch is not explained by the SAE")
    if name == "unexplained_by_factors":
        if now.missed_by_factors is None:
            return _nothing("the factors belong to another site", grid)
        share = now.unexplained(by_factors=True)
        return _ramp(share, 1, HEAT, "{:.0%}", "of the patch is not explained by the factors")
    if name == "similarity":
        if patches is None:
            return _nothing("point at a patch to see how similar the others are to it", grid)
        return _ramp(now.similarity(patches), 1, HEAT, "{:.1f}", "cosine with the patch shown")
    if name == "change":
        return _ramp(now.change(before), 1, HEAT, "{:.0%}", "of the patch's codes changed by the edit")
    if name == "feature":
        if feature is None:
            return _nothing("click a feature to see where it is active", grid)
        codes, usual = now.codes[..., feature], before.codes[..., feature].max()
        if not codes.any():
            return _nothing(f"{_name(feature, names)} is not active in this picture", grid)
        return _ramp(codes, max(codes.max(), usual), HEAT, "{:.3g}", f"activation of {_name(feature, names)}")
    return _empty(grid, "", dim=0)


def rgb(color: str) -> Rgb:
    """ "#rrggbb" as three numbers."""
    return np.frombuffer(bytes.fromhex(color[1:]), np.uint8)


def _name(feature: int, names: Mapping[int, str]) -> str:
    text = names.get(feature)
    return f"{text} (#{feature})" if text else f"feature {feature}"


def _nothing(text: str, grid: Grid) -> Layer:
    return _empty(grid, f"<span>{escape(text)}</span>", dim=0.25)


def _empty(grid: Grid, legend: str, *, dim: float) -> Layer:
    colors = np.zeros((*grid.shape, 3), np.uint8)
    return Layer(colors, np.zeros(grid.shape, np.float32), legend, dim=dim)


def _ramp(
    values: NDArray[np.generic],
    most: float,
    stops: tuple[str, ...],
    form: str,
    text: str,
    *,
    solid: bool = False,
) -> Layer:
    share = (np.asarray(values, np.float64) / most).clip(0, 1)
    colors = np.array([rgb(stop) for stop in stops], np.float64)
    at = np.linspace(0, 1, len(stops))
    shades = np.stack([np.interp(share, at, channel) for channel in colors.T], axis=-1)
    alphas = np.full_like(share, 0.85) if solid else np.where(share > 0, 0.08 + 0.87 * share, 0)
    bar = f"<i class='ember-ramp' style='background:linear-gradient(90deg,{','.join(stops)})'></i>"
    low, high = form.format(0), form.format(most)
    legend = f"<span>{low}</span>{bar}<span>{high}</span><span>{escape(text)}</span>"
    return Layer(shades.round().astype(np.uint8), alphas.astype(np.float32), legend)


def _strongest(now: Inspection, names: Mapping[int, str]) -> Layer:
    strongest = now.strongest
    features, counts = np.unique(strongest[strongest >= 0], return_counts=True)
    order = features[np.argsort(-counts, kind="stable")][:NAMED]
    if not len(order):
        return _nothing("no feature is active", now.grid)
    colors = np.broadcast_to(rgb(OTHERS), (*now.grid.shape, 3)).copy()
    for color, feature in zip(PALETTE, order, strict=False):
        colors[strongest == feature] = rgb(color)
    alphas = np.where(strongest >= 0, 0.8, 0).astype(np.float32)
    chips = [_chip(color, _name(int(f), names)) for color, f in zip(PALETTE, order, strict=False)]
    if len(features) > len(order):
        chips.append(_chip(OTHERS, f"{len(features) - len(order)} others"))
    return Layer(colors, alphas, "".join(chips))


def _factors(scene: Scene) -> Layer:
    if not scene.n_factors:
        return _nothing("the scene has no factors yet", scene.grid)
    strengths = np.abs(scene.strengths.astype(np.float64))
    total = strengths.sum(axis=2)
    colors = np.array([rgb(color) for color in scene.colors], np.float64)
    mixed = (strengths @ colors) / np.where(total > 0, total, 1)[..., None]
    alphas = (0.9 * strengths.max(axis=2)).clip(0, 0.9)
    chips = "".join(_chip(color, name) for color, name in zip(scene.colors, scene.names, strict=True))
    return Layer(mixed.round().astype(np.uint8), alphas.astype(np.float32), chips)


def _chip(color: str, text: str) -> str:
    return f"<span><i class='ember-chip' style='background:{color}'></i>{escape(text)}</span>"
