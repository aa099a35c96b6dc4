"""What a factor is made of, and finding features to paint with, in words for the browser."""

from __future__ import annotations

from typing import Any

import numpy as np

from ember_widgets import _sites
from ember_widgets.labels import Labels
from ember_widgets.scene import Scene

SHOWN = 12
FOUND = 30


def labels_of(painter: object) -> Labels:
    """The painter's labels; none where it has none."""
    labels = getattr(painter, "labels", None)
    return labels if isinstance(labels, Labels) else Labels()


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


def found(text: str, scene: Scene, labels: Labels, site: str = "") -> list[dict[str, Any]]:
    """Features for a text: the one of that number first, then those whose label holds all its words.

    Args:
        text: what to look for.
        scene: whose features.
        labels: of these.
        site: short name of the only site whose features will do; "" = any.
    """
    number = text.strip().removeprefix("#")
    numbered = [int(number)] if number.isdecimal() and len(number) < 10 else []
    sites = _sites_of(scene)
    hits = []
    for f in dict.fromkeys([*numbered, *labels.search(text)]):
        if 0 <= f < scene.n_features:
            where = next((name for end, name in sites if f < end), "")
            if site in ("", where):
                hits.append({"feature": f, "label": labels.get(f, ""), **({"site": where} if where else {})})
    return hits[:FOUND]


def _sites_of(scene: Scene) -> list[tuple[int, str]]:
    """Where the features of each site end, and what it is called; nothing where there is one site."""
    sites = scene.sites or {}
    return list(zip(np.cumsum(list(sites.values())).tolist(), map(_sites.short, sites), strict=True))
