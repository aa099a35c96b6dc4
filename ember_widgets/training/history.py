"""What a training says while it runs: rows of numbers, and who receives them."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Row(NamedTuple):
    """What a training found in the steps since the row before, on average.

    Attributes:
        dictionary: Which of the dictionaries that are trained together.
        step: Steps done.
        n_patches: Patches seen.
        seconds: Since the training began, without the time in which it was stopped.
        fvu: Fraction of variance unexplained of the training's batches.
        l0: Codes kept per patch.
        dead: Share of dead features.
        threshold: Codes up to this one are 0.
        lr: Learning rate.
    """

    dictionary: str
    step: int
    n_patches: int
    seconds: float
    fvu: float
    l0: float
    dead: float
    threshold: float
    lr: float


class Reporter(Protocol):
    """Shows how far a training is."""

    def step(self, n_steps_done: int, seconds: float) -> None:
        """After every step."""

    def rows(self, rows: list[Row]) -> None:
        """Some rows more, one of each dictionary."""

    def close(self) -> None:
        """The training has ended, or was stopped."""
