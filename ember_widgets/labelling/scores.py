"""What a label's scores are: shares of right answers, against what only the source knows."""

from __future__ import annotations

from collections.abc import Sequence


def detection(chosen: set[int], truth: Sequence[bool]) -> tuple[float, int]:
    """How well a label tells pictures with the feature from those without.

    Args:
        chosen: The pictures that the model says show the label, from 0.
        truth: Per picture whether the feature is active there.

    Returns:
        The share of pictures that are right, and of how many. 0.5 = chance.
    """
    right = sum((i in chosen) == is_active for i, is_active in enumerate(truth))
    return right / len(truth), len(truth)


def causal(pairs: Sequence[str], truth: Sequence[str]) -> tuple[float, int]:
    """How well a label tells what painting the feature does from what painting another one does.

    Args:
        pairs: Per pair "A", "B" or "?", as the model says.
        truth: Per pair "A" or "B": where the feature itself was painted.

    Returns:
        The share of pairs that are right, "?" counting half, and of how many. 0.5 = no effect.
    """
    points = sum(0.5 if said == "?" else float(said == t) for said, t in zip(pairs, truth, strict=False))
    return points / len(truth), len(truth)
