"""Rows of features for the browser: those of a factor, and those that a search finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ember_widgets.features.labels import Labels
from ember_widgets.features.typed_number import number_in
from ember_widgets.scene import factor_edits, site_names
from ember_widgets.scene.feature_space import FeatureSpace
from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.shared import label_words
from ember_widgets.widgets.shared.feature_icons import key_of_feature

SHOWN = 12
MAX_HITS = 30


def made_of(scene: Scene, factor: int, labels: Labels) -> list[dict[str, Any]]:
    """A factor's features, those that add most first, with their share of what all of them add (0..1)."""
    row, unit = scene.basis[factor], scene.unit
    total = float(np.abs(row).sum(dtype=np.float64))
    return [
        {
            **row_of(feature, labels),
            "weight": weight,
            "share": abs(weight) * float(unit[feature]) / total,
        }
        for feature, weight in factor_edits.weights(row, unit, SHOWN).items()
    ]


def row_of(feature: int, labels: Labels) -> dict[str, Any]:
    """A feature as a row: label, icon; if there is something to say of the label, a mark and all about it."""
    label = labels.entry(feature) if feature in labels else None
    row = {"feature": feature, "label": label.text if label else "", "icon": key_of_feature(feature)}
    mark = label_words.mark(label)
    return {**row, "mark": mark, "about": label_words.about(label)} if mark else row


def search_features(
    text: str, n_features: int, labels: Labels, sites: Mapping[str, int] | None = None, site: str = ""
) -> list[dict[str, Any]]:
    """Features for a text: the one of that number first, then those whose label holds all its words.

    Those found by meaning come last and are marked as similar.

    Args:
        text: what to look for.
        n_features: how many there are.
        labels: of these.
        sites: how many of them each site has, if there are several.
        site: short name of the only site to search; "" = all sites.
    """
    number = number_in(text)
    numbered = [] if number is None else [number]
    space = FeatureSpace.of(sites) if sites else None
    # A number means nothing else.
    found = labels.find(text, by_meaning=number is None)
    similar = {hit.feature for hit in found if hit.reason == "meaning"}
    hits: list[dict[str, Any]] = []
    for f in dict.fromkeys([*numbered, *(hit.feature for hit in found)]):
        if 0 <= f < n_features and len(hits) < MAX_HITS:
            where = site_names.short(space.site(f)) if space else ""
            if site in ("", where):
                more = {"site": where} if where else {}
                hits.append(row_of(f, labels) | more | ({"similar": True} if f in similar else {}))
    return hits
