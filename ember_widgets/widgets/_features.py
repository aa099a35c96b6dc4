"""What a factor is made of, and finding features to paint with, in words for the browser."""

from __future__ import annotations

from typing import Any

import numpy as np

from ember_widgets.labels import Labels
from ember_widgets.scene import Scene

SHOWN = 12
FOUND = 30


def made_of(scene: Scene, factor: int, labels: Labels) -> list[dict[str, Any]]:
    """A factor's features, those that add most first, with their share of what all of them add (0..1)."""
    total = float(np.abs(scene.basis[factor]).sum())
    return [
        {
            "feature": feature,
            "label": labels.get(feature, ""),
            "weight": weight,
            "share": abs(weight) * float(scene.unit[feature]) / total,
        }
        for feature, weight in scene.weights(factor, min(SHOWN, scene.n_features)).items()
    ]


def found(text: str, n_features: int, labels: Labels) -> list[dict[str, Any]]:
    """Features for a text: the one of that number first, then those whose label holds all its words."""
    number = text.strip().removeprefix("#")
    numbered = [int(number)] if number.isdecimal() and len(number) < 10 else []
    features = [f for f in [*numbered, *labels.search(text)] if 0 <= f < n_features]
    return [{"feature": f, "label": labels.get(f, "")} for f in dict.fromkeys(features)][:FOUND]
