"""A labelling run: every feature's questions are asked, a bounded number at once, and nothing twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ember_widgets.features.labels import Label, Labels
from ember_widgets.labelling.question import LabelClient, Price


class Source(Protocol):
    """Draws what questions show. Called in worker threads, one call at a time.

    The order on the sheets of scores is random, but the same for the same identity and feature. What a score
    is measured against is kept in the journal beside the answer, so that a resumed run draws nothing again.
    """

    @property
    def identity(self) -> str:
        """Of painter, collection and how sheets are drawn; part of every question's id."""

    def label_sheet(self, feature: int) -> bytes | None:
        """The sheet of a label question, encoded; None = the feature is active in no picture."""

    def detection_sheet(self, feature: int) -> tuple[bytes, list[bool]] | None:
        """The sheet, and per picture whether the feature is active there; None = too few pictures."""

    def causal_sheet(self, feature: int) -> tuple[bytes, list[str]] | None:
        """The sheet, and per pair "A" or "B", where the feature was painted; None = it cannot be painted."""


@dataclass(frozen=True)
class LabelProgress:
    """A feature is done.

    Args:
        n_done: How many features are done, of those that were to be labelled.
        n: How many were to be labelled.
        feature: The one that is done.
        label: Its label, with its scores; None = it has got none.
        fault: Why it has no label, or lacks a score; "" = nothing is wrong.
    """

    n_done: int
    n: int
    feature: int
    label: Label | None
    fault: str = ""


@dataclass(frozen=True)
class LabelRun:
    """What a labelling run did.

    Args:
        labels: The labels, those of earlier runs in the same folder included, if these features were asked for.
        counts: Of features: "labelled", "resumed" (among these, answered by an earlier run altogether),
            "refused", "unreadable", "failed", "silent" (active in no picture).
        faults: {feature: why it has no label, or lacks a score}.
        is_finished: Whether every feature was dealt with; False after a stop.
        tokens_in: Tokens of questions and pictures in this run, as the server counted them.
        tokens_out: Tokens of answers in this run.
        cost: What this run cost; None without a price.
        currency: Of the cost.
        seconds: How long it took.
        folder: Where journal.jsonl and labels.json are.
        stopped: Why it ended early; "" = it did not.
    """

    labels: Labels
    counts: Mapping[str, int]
    faults: Mapping[int, str]
    is_finished: bool
    tokens_in: int
    tokens_out: int
    cost: float | None
    currency: str
    seconds: float
    folder: Path
    stopped: str = ""


def label_features(
    features: Sequence[int],
    source: Source,
    client: LabelClient,
    *,
    folder: Path,
    scores: bool = True,
    price: Price | None = None,
    progress: bool = True,
    on_label: Callable[[LabelProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    retry: bool = False,
) -> LabelRun:
    """Label features; what the journal of the folder already answers is not asked again.

    Args:
        features: Which ones, in the order in which they are asked.
        source: Draws the sheets.
        client: Answers.
        folder: Made if missing; gets journal.jsonl and labels.json.
        scores: Whether each label is scored with a detection and a causal question.
        price: For the cost.
        progress: Whether to print a forecast and show a progress bar.
        on_label: Called from a worker thread after each feature.
        cancelled: Asked between calls; once it says True no new question is asked, open ones are finished.
        retry: Whether to ask again what was refused or could not be read.

    Raises:
        ConnectionError: The server cannot be reached or does not know the key or the model; what was answered
            before is kept.
        BlockingIOError: Another process labels into this folder.
    """
    raise NotImplementedError
