"""Starts of runs are kept up to a number of bytes, those that were used last."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from ember_widgets.model.runs import Run, SiteState, Start
from ember_widgets.painter.starts import Memory, Starts, n_bytes

pytestmark = pytest.mark.unit

KB = 256
"""How many float32 numbers are 1 KB."""


@dataclass(frozen=True)
class TextStart(Start):
    text: dict[str, Tensor] = field(default_factory=dict)


class Model:
    """As much of a backbone as starts runs: a start has 4 KB of its own, and shares 1 KB of text."""

    def __init__(self) -> None:
        self.n_started = 0
        self.now: object = 1
        self.text = torch.zeros(KB)

    def version(self) -> object:
        return self.now

    def start(self, run: Run) -> Start:
        self.n_started += 1
        both = torch.zeros(2, 2 * KB if run.guidance == 0 else 4 * KB)
        state = SiteState(both[0], both[1])  # two views of the same memory
        return TextStart((state,), {"text": self.text})


def a_run(seed: int, guidance: float = 0.0) -> Run:
    return Run("a lion", seed, 1, guidance)


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def starts(model: Model) -> Starts:
    backbone: Any = model
    return Starts(backbone)


def draw(starts: Starts, *seeds: int) -> None:
    for seed in seeds:
        starts.of(a_run(seed))


def test_memory_that_tensors_share_counts_once(model: Model, starts: Starts) -> None:
    one, two = model.start(a_run(1)), model.start(a_run(2))
    assert n_bytes(one) == 5 * 1024
    assert n_bytes((one, two)) == 9 * 1024
    memory = Memory()
    sizes = []
    for change, start in ((memory.add, one), (memory.add, two), (memory.remove, one), (memory.remove, two)):
        change(start)
        sizes.append(memory.n_bytes)
    assert sizes == [5 * 1024, 9 * 1024, 5 * 1024, 0]


def test_the_oldest_ones_leave_when_the_bytes_are_used_up(model: Model, starts: Starts) -> None:
    starts.memory = 14 * 1024  # three of them: 1 KB of text, three times 4 KB
    draw(starts, 1, 2, 3)
    assert starts.n_bytes == 13 * 1024
    draw(starts, 1)  # used again
    assert model.n_started == 3
    draw(starts, 4)
    assert starts.n_bytes == 13 * 1024
    draw(starts, 1, 3, 4)
    assert model.n_started == 4
    draw(starts, 2)
    assert model.n_started == 5


def test_the_newest_is_kept_though_it_is_too_large(model: Model, starts: Starts) -> None:
    starts.memory = 100
    draw(starts, 1, 1, 1, 2, 2)
    assert model.n_started == 2
    assert starts.n_bytes == 5 * 1024


def test_without_a_number_there_is_room_for_eight_at_least(model: Model, starts: Starts) -> None:
    for seed in range(8):
        starts.of(a_run(seed, guidance=5.0))
    draw(starts, 0)  # a small one does not make less room
    assert len(starts._kept) == 9
    assert starts.n_bytes == (8 * 8 + 4 + 1) * 1024
    for seed in range(30):
        draw(starts, seed)
    assert 8 <= len(starts._kept) <= 10


def test_another_version_of_the_model_frees_all(model: Model, starts: Starts) -> None:
    draw(starts, 1, 2)
    model.now = 2
    draw(starts, 3)
    assert starts.n_bytes == 5 * 1024
    starts.clear()
    assert starts.n_bytes == 0


def test_a_start_that_is_not_to_be_kept_pushes_nothing_out(model: Model, starts: Starts) -> None:
    starts.memory = 6 * 1024
    draw(starts, 1)
    for _ in range(2):
        starts.of(a_run(2), keep=False)
    assert starts.n_bytes == 5 * 1024
    draw(starts, 1)
    assert model.n_started == 2


def test_a_start_is_returned_though_it_is_freed_meanwhile(model: Model, starts: Starts) -> None:
    def version() -> object:
        starts.release()  # as another thread may at any time
        return model.now

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "version", version)
        assert starts.of(a_run(1), keep=False).states
