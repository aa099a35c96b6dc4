"""Hit: where in a collection something is strong."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hit:
    """A picture in which a feature is active, or a concept present.

    Args:
        index: the index of the picture in the collection.
        prompt: what it was generated from.
        seed: its seed.
        row: of the patch where the feature, or the concept, is strongest.
        col: of that patch.
        activation: the feature's code there, in the SAE's own unit; of a concept, its strength there.
    """

    index: int
    prompt: str
    seed: int
    row: int
    col: int
    activation: float
