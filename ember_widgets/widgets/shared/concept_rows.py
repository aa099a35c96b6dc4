"""Concepts for the browser: those that a search finds, and what each is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ember_widgets.features.labels import Labels
from ember_widgets.painter.protocol import HasConcepts, offered
from ember_widgets.widgets.shared.by_word import has_words

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
    if bank is None or not text.strip():
        return []
    found = [FoundConcept(concept, not has_words(concept.name, text)) for concept in bank.search(text)]
    return sorted(found, key=lambda one: one.similar)[:MAX_HITS]


def features_of(concept: Concept) -> dict[int, float]:
    """{feature: its share of the concept, 0..1}, the strongest first."""
    total = sum(abs(code) for code in concept.weights.values()) or 1.0
    shares = {feature: abs(code) / total for feature, code in concept.weights.items()}
    strongest = sorted(shares, key=lambda feature: -shares[feature])[:MAX_FEATURES]
    return {feature: shares[feature] for feature in strongest if shares[feature] >= LEAST_SHARE}


def hint(concept: Concept, labels: Labels) -> str:
    """What a concept is made of: the labels of its three strongest features."""
    return ", ".join(labels.get(feature) or f"#{feature}" for feature in list(features_of(concept))[:3])
