"""Layers: factors that act at some sampling steps only, and what a scene is at one step.

A layer lies over what is there, at its own steps. Its strokes leave the rest as it is, because the rest acts
at other steps too; how much it covers follows from its strengths when a step is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ember_widgets.scene.factor_edits import writable
from ember_widgets.util.checks import FloatArray

if TYPE_CHECKING:
    from ember_widgets.scene.scene import Scene

Steps = tuple[int, int] | tuple[int, int, str]
"""(start, stop), as `range` counts; with "add" as a third item, the layer covers nothing."""


def acts(steps: Steps | None, step: int) -> bool:
    """Whether a factor with these steps (None = all) acts at a step."""
    return steps is None or steps[0] <= step < steps[1]


def includes(steps: Steps | None, others: Steps | None) -> bool:
    """Whether all of ``others`` are among ``steps``; None = all steps."""
    if steps is None or others is None:
        return steps is None
    return steps[0] <= others[0] and others[1] <= steps[1]


def covers(scene: Scene, factor: int) -> NDArray[np.float64]:
    """(rows, cols), how much a factor hides in each patch, 0..1: as much as was painted of it."""
    cover: NDArray[np.float64] = (writable(scene.strengths[..., factor]) - unpainted(scene, factor)).clip(
        0, 1
    )
    return cover


def unpainted(scene: Scene, factor: int) -> NDArray[np.float64]:
    """(rows, cols), how strong a layer is at the steps that it does not act at.

    An added factor is 0 there. An analysed one is as strong as in the picture, as far as the picture was not
    covered at all steps: at the first site the remainder says how far.
    """
    origin = (scene.origins or ())[factor]
    if origin < 0 or scene.analysed_factors[origin] != factor:
        return np.zeros(scene.grid.shape)
    strengths = writable(scene.base_strengths[..., origin])
    return strengths * scene.remainder if scene.site(factor) == scene.space.sites[0] else strengths


@dataclass(frozen=True)
class Drawn:
    """What is drawn at one step.

    Args:
        strengths: (rows, cols, n) float32.
        remainder: (rows, cols) float32.
        basis: (n, n_features) float32.
        analysed: {index into base_basis: index here}, as in ``Scene.analysed_factors``.
        factors: of each row of ``basis``, which of the scene's factors it is.
    """

    strengths: FloatArray
    remainder: FloatArray
    basis: FloatArray
    analysed: Mapping[int, int]
    factors: Sequence[int]


def acting(scene: Scene, step: int) -> tuple[int, ...]:
    """The layers that act at a step."""
    layers = enumerate(scene.factor_steps or ())
    return tuple(f for f, steps in layers if steps is not None and acts(steps, step))


def drawn(scene: Scene, layers: Sequence[int]) -> Drawn:
    """What is drawn at a step at which these layers act. Other layers are left out, or as they were analysed.

    Without layers it is the scene itself, bit by bit.
    """
    every = range(scene.n_factors)
    if scene.factor_steps is None:
        return Drawn(scene.strengths, scene.remainder, scene.basis, scene.analysed_factors, every)
    strengths, remainder, basis = (writable(scene.strengths), writable(scene.remainder), scene.basis.copy())
    resting = [f for f, steps in enumerate(scene.factor_steps) if steps is not None and f not in layers]
    analysed = {f: origin for origin, f in scene.analysed_factors.items()}
    for f in resting:
        strengths[..., f] = unpainted(scene, f)
        if f in analysed:
            basis[f] = scene.base_basis[analysed[f]]
    # A layer that rests is part of the picture below.
    ranks = [_rank(None if f in resting else steps) for f, steps in enumerate(scene.factor_steps)]
    sites = [scene.site(f) for f in every]
    for layer in layers:
        visible = 1 - hidden_by(scene, layer)
        below = [f for f in every if sites[f] == sites[layer] and ranks[f] < ranks[layer]]
        strengths[..., below] *= visible[..., None]
        if sites[layer] == scene.space.sites[0]:
            remainder *= visible
    kept = [f for f in every if f not in resting or f in analysed]
    return Drawn(
        strengths[..., kept].astype(np.float32),
        remainder.astype(np.float32),
        basis[kept],
        {analysed[f]: i for i, f in enumerate(kept) if f in analysed},
        kept,
    )


def hidden_by(scene: Scene, layer: int) -> NDArray[np.float64]:
    """(rows, cols), how much a layer hides at its steps; 0 if it is only added."""
    steps = (scene.factor_steps or ())[layer]
    is_added = steps is not None and len(steps) == 3
    return np.zeros(scene.grid.shape) if is_added else covers(scene, layer)


def folded(scene: Scene, layer: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Strengths and remainder with what a layer hides taken out, so that it can act at all steps."""
    strengths, remainder = writable(scene.strengths), writable(scene.remainder)
    steps, visible = scene.factor_steps or (), 1 - hidden_by(scene, layer)
    below = [
        f
        for f in range(scene.n_factors)
        if scene.site(f) == scene.site(layer) and _rank(steps[f]) < _rank(steps[layer])
    ]
    strengths[..., below] *= visible[..., None]
    if scene.site(layer) == scene.space.sites[0]:
        remainder *= visible
    return strengths, remainder


def uncovered(scene: Scene, factor: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Strengths and remainder with what a factor hides given back, so that it can become a layer.

    What its strokes have faded goes back by as much, but not beyond what was analysed. Where they left
    nothing, it is what was analysed.
    """
    strengths, remainder = writable(scene.strengths), writable(scene.remainder)
    visible = 1 - covers(scene, factor)
    gone = visible < 1e-6
    share = np.where(gone, 1, visible)
    analysed = {f: origin for origin, f in scene.analysed_factors.items()}
    for f in range(scene.n_factors):
        if f == factor or f not in analysed or scene.site(f) != scene.site(factor):
            continue
        now, then = strengths[..., f], writable(scene.base_strengths[..., analysed[f]])
        back = np.where(gone, then, now / share)
        strengths[..., f] = back.clip(np.minimum(now, then), np.maximum(now, then))
    if scene.site(factor) == scene.space.sites[0] and len(scene.base_basis):
        remainder = np.where(gone, 1, (remainder / share).clip(0, 1))
    return strengths, remainder


def said(steps: Steps) -> str:
    """Steps as people count them, from 1: "steps 3-4" or "step 4"."""
    first, last = steps[0] + 1, steps[1]
    text = f"step {last}" if first == last else f"steps {first}-{last}"
    return text if len(steps) == 2 else f"{text}, added"


def _rank(steps: Steps | None) -> tuple[int, int]:
    """Which of two factors lies above: the one that starts later, then the one that stops earlier."""
    return (-1, 0) if steps is None else (steps[0], -steps[1])
