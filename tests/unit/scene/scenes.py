"""Scenes for tests: small ones without a model behind them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ember_widgets.scene.grid import Grid
from ember_widgets.scene.palette import palette
from ember_widgets.scene.scene import Scene
from ember_widgets.util.checks import FloatArray

SQUARE = Grid(16, 16)
NAMES = ("sky", "lion", "meadow", "tree", "sun", "house", "path", "boat", "hill", "cloud")


def filled(value: float, *shape: int) -> FloatArray:
    """An array of one value."""
    return np.full(shape, value, np.float32)


def make_scene(n_factors: int = 3, n_features: int = 8, grid: Grid = SQUARE, **fields: Any) -> Scene:
    """A scene as an analysis leaves it: every strength and weight positive, the remainder untouched."""
    random = np.random.default_rng(0)
    strengths = random.uniform(0.1, 1.5, (*grid.shape, n_factors)).astype(np.float32)
    basis = random.uniform(0.1, 2.0, (n_factors, n_features)).astype(np.float32)
    return Scene(
        **{
            "prompt": "a lion in a meadow",
            "seed": 3,
            "n_steps": 1,
            "strengths": strengths,
            "remainder": filled(1, *grid.shape),
            "basis": basis,
            "names": NAMES[:n_factors],
            "colors": palette(n_factors),
            "base_strengths": strengths,
            "base_basis": basis,
            "unit": random.uniform(0.5, 4.0, n_features).astype(np.float32),
            "model": {"id": "embedded", "sae": "sha256:1234"},
            **fields,
        }
    )


def alone(patches: list[tuple[int, int]], strength: float = 1.0, grid: Grid = SQUARE) -> Scene:
    """A scene where nothing is but the factor "sky" on some patches: other factors and remainder are 0."""
    strengths = filled(0, *grid.shape, 3)
    for patch in patches:
        strengths[patch][0] = strength
    return make_scene(
        grid=grid, strengths=strengths, base_strengths=strengths, remainder=filled(0, *grid.shape)
    )
