"""Layers: factors that act at some sampling steps only, and what a scene is at one step.

A layer lies over what is there, at its own steps. Its strokes leave the rest as it is, because the rest acts
at other steps too; how much it covers follows from its strengths when a step is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ember_widgets.scene.factor_edits import writable
from ember_widgets.util.checks import FloatArray

Steps = tuple[int, int] | tuple[int, int, str]
"""(start, stop), as `range` counts; with "add" as a third item, the layer covers nothing."""

Maps = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Strengths (rows, cols, n_factors) and remainder (rows, cols)."""

GONE = 1e-6
"""A patch of which less than this is visible is hidden."""


def acts(steps: Steps | None, step: int) -> bool:
    """Whether a factor with these steps (None = all) acts at a step."""
    return steps is None or steps[0] <= step < steps[1]


def includes(steps: Steps | None, others: Steps | None) -> bool:
    """Whether all of ``others`` are among ``steps``; None = all steps."""
    if steps is None or others is None:
        return steps is None
    return steps[0] <= others[0] and others[1] <= steps[1]


def said(steps: Steps) -> str:
    """Steps as people count them, from 1: "steps 3-4" or "step 4"."""
    first, last = steps[0] + 1, steps[1]
    text = f"step {last}" if first == last else f"steps {first}-{last}"
    return text if len(steps) == 2 else f"{text}, added"


@dataclass(frozen=True)
class Drawn:
    """What is drawn at one step.

    Args:
        strengths: (rows, cols, n) float32.
        remainder: (rows, cols) float32.
        basis: (n, n_features) float32.
        analysed: {index into base_basis: index here}, as in ``Scene.analysed_factors``.
        factors: for each row of ``basis``, which of the scene's factors it is.
    """

    strengths: FloatArray
    remainder: FloatArray
    basis: FloatArray
    analysed: Mapping[int, int]
    factors: Sequence[int]


@dataclass(frozen=True, kw_only=True)
class Layers:
    """A scene's factors, as layers over each other.

    Args:
        steps: per factor its steps; None = all.
        sites: per factor its site.
        first_site: the site that the remainder belongs to.
        analysed: {index into base_basis: factor}.
        strengths, remainder, basis, base_strengths, base_basis: the scene's.
    """

    steps: Sequence[Steps | None]
    sites: Sequence[str]
    first_site: str
    analysed: Mapping[int, int]
    strengths: FloatArray
    remainder: FloatArray
    basis: FloatArray
    base_strengths: FloatArray
    base_basis: FloatArray

    def acting(self, step: int) -> tuple[int, ...]:
        """The layers that act at a step."""
        return tuple(f for f, one in enumerate(self.steps) if one is not None and acts(one, step))

    def unpainted(self, factor: int) -> NDArray[np.float64]:
        """(rows, cols), how strong a layer is at the steps that it does not act at.

        An added factor is 0 there. An analysed one is as strong as in the picture, as far as the picture was
        not covered at all steps: at the first site the remainder says how far.
        """
        origin = self._origins.get(factor)
        if origin is None:
            return np.zeros(self.remainder.shape)
        strengths = writable(self.base_strengths[..., origin])
        return strengths * self.remainder if self.sites[factor] == self.first_site else strengths

    def covers(self, factor: int) -> NDArray[np.float64]:
        """(rows, cols), how much a factor hides, 0..1: as much as was painted; 0 if it is only added."""
        if len(self.steps[factor] or ()) == 3:
            return np.zeros(self.remainder.shape)
        cover: NDArray[np.float64] = (writable(self.strengths[..., factor]) - self.unpainted(factor)).clip(
            0, 1
        )
        return cover

    def drawn(self, acting: Sequence[int]) -> Drawn:
        """What is drawn at a step at which these layers act.

        Other layers are as they were analysed, and added ones are left out.
        """
        strengths, remainder, basis = writable(self.strengths), writable(self.remainder), self.basis.copy()
        every, origins = range(len(self.steps)), self._origins
        resting = [f for f in every if self.steps[f] is not None and f not in acting]
        for f in resting:
            strengths[..., f] = self.unpainted(f)
            if f in origins:
                basis[f] = self.base_basis[origins[f]]
        # A layer that rests is part of the picture below.
        steps = [None if f in resting else self.steps[f] for f in every]
        for layer in acting:
            self._cover(layer, strengths, remainder, steps)
        kept = [f for f in every if f not in resting or f in origins]
        return Drawn(
            strengths[..., kept].astype(np.float32),
            remainder.astype(np.float32),
            basis[kept],
            {origins[f]: i for i, f in enumerate(kept) if f in origins},
            kept,
        )

    def folded(self, layer: int) -> Maps:
        """Strengths and remainder less what a layer hides, so that it can act at all steps."""
        strengths, remainder = writable(self.strengths), writable(self.remainder)
        self._cover(layer, strengths, remainder, self.steps)
        return strengths, remainder

    def uncovered(self, factor: int) -> Maps:
        """Strengths and remainder with what a factor hides given back, so that it can become a layer.

        What its strokes have faded goes back by as much, but not beyond what was analysed. Where they left
        nothing, it is what was analysed.
        """
        strengths, remainder = writable(self.strengths), writable(self.remainder)
        visible = 1 - self.covers(factor)
        gone = visible < GONE
        share = np.where(gone, 1, visible)
        for f, origin in self._origins.items():
            if f == factor or self.sites[f] != self.sites[factor]:
                continue
            now, then = strengths[..., f], writable(self.base_strengths[..., origin])
            back = np.where(gone, then, now / share)
            strengths[..., f] = back.clip(np.minimum(now, then), np.maximum(now, then))
        if self.sites[factor] == self.first_site and len(self.base_basis):
            remainder = np.where(gone, 1, (remainder / share).clip(0, 1))
        return strengths, remainder

    @property
    def _origins(self) -> dict[int, int]:
        return {f: origin for origin, f in self.analysed.items()}

    def _cover(
        self,
        layer: int,
        strengths: NDArray[np.float64],
        remainder: NDArray[np.float64],
        steps: Sequence[Steps | None],
    ) -> None:
        """Fade what lies below a layer, in place."""
        visible = 1 - self.covers(layer)
        below = [
            f
            for f, site in enumerate(self.sites)
            if site == self.sites[layer] and _rank(steps[f]) < _rank(steps[layer])
        ]
        strengths[..., below] *= visible[..., None]
        if self.sites[layer] == self.first_site:
            remainder *= visible


def _rank(steps: Steps | None) -> tuple[int, int]:
    """Which of two factors lies above: the one that starts later, then the one that stops earlier."""
    return (-1, 0) if steps is None else (steps[0], -steps[1])
