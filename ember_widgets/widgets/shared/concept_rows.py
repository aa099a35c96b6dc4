"""Concepts for the browser: those that a search finds, and what each is made of."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from ember_widgets.features.labels import Labels
from ember_widgets.features.typed_number import number_in
from ember_widgets.painter.protocol import HasConcepts, offered
from ember_widgets.scene.feature_space import FeatureSpace

if TYPE_CHECKING:
    from ember_widgets.features.concepts import Concept, ConceptBank

MAX_HITS = 8
MAX_FEATURES = 24
LEAST_SHARE = 0.01
"""Features that add less to a concept are not shown with it."""


@dataclass(frozen=True)
class FoundConcept:
    """A concept that a search found.

    Args:
        concept: The concept.
        similar: Its name has other words; it was found by what they mean.
    """

    concept: Concept
    similar: bool


def bank_of(painter: object) -> ConceptBank | None:
    """A painter's concepts; None if it has none."""
    has = offered(painter, HasConcepts)
    return None if has is None else has.concepts


def search_concepts(text: str, bank: ConceptBank | None) -> list[FoundConcept]:
    """Concepts for a text, those with its words in their names first."""
    if bank is None or number_in(text) is not None:
        return []
    hits = bank.find(text)[:MAX_HITS]
    return [FoundConcept(bank[hit.feature], hit.reason == "meaning") for hit in hits]


def features_of(concept: Concept, space: FeatureSpace) -> dict[int, float]:
    """{feature of a scene: its share of the concept's codes, 0..1}, the strongest first."""
    total = float(concept.row.sum(dtype="float64")) or 1.0
    shares = {feature: code / total for feature, code in islice(concept.weights.items(), MAX_FEATURES)}
    is_known = concept.site in space.sites
    return {
        space.index(feature, concept.site) if is_known else feature: share
        for feature, share in shares.items()
        if share >= LEAST_SHARE
    }


def hint(concept: Concept, space: FeatureSpace, labels: Labels) -> str:
    """What a concept is made of: the labels of its three strongest features."""
    return ", ".join(
        labels.get(feature) or f"#{feature}" for feature in list(features_of(concept, space))[:3]
    )
