"""What a labelling run will ask, take and cost, before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ember_widgets.labelling.question import LabelClient, Price


@dataclass(frozen=True)
class LabelForecast:
    """What is still to be asked. Journaled answers are not counted.

    Args:
        n_features: Features with open questions.
        n_calls: Questions, without those asked once more because an answer cannot be read.
        n_pictures: Pictures on their sheets.
        tokens_in: Of questions and sheets, estimated.
        tokens_out: Of answers, estimated.
        seconds: Estimated from the calls in the journal; None = there are none yet.
        cost: None without a price.
        currency: Of the cost.
        is_measured: Whether tokens are those of earlier answers in this folder, not a rule of thumb.
    """

    n_features: int
    n_calls: int
    n_pictures: int
    tokens_in: int
    tokens_out: int
    seconds: float | None
    cost: float | None
    currency: str = "USD"
    is_measured: bool = False


def label_forecast(
    features: Sequence[int],
    identity: str,
    client: LabelClient,
    *,
    folder: Path,
    scores: bool = True,
    price: Price | None = None,
    retry: bool = False,
) -> LabelForecast:
    """Count and estimate; draws nothing and asks nothing.

    Args:
        features: As for `label_features`.
        identity: Of the source.
        client: Which would answer.
        folder: Of the journal; need not exist.
        scores: Whether each label is scored.
        price: For the cost.
        retry: Whether refused and unreadable questions are asked again.
    """
    raise NotImplementedError
