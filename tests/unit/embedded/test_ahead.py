"""What worker processes make ahead is what the training itself would have made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info
from torch.utils.data import Dataset

from ember_widgets.embedded import architecture
from ember_widgets.embedded.ahead import Ahead, workers_for
from ember_widgets.embedded.batches import CaptionBatches


class Squares(Dataset[dict[str, Any]]):
    """Item n holds n² and a name."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, n: int) -> dict[str, Any]:
        return {"square": torch.tensor(n * n), "name": f"item {n}"}


@pytest.mark.parametrize("workers", [0, 2])
def test_items_come_by_number_from_anywhere(workers: int) -> None:
    items = Ahead(Squares(), "cpu", workers)
    for n in (0, 1, 2, 5, 3, 4, 5, 0):  # a training that goes on starts in the middle
        assert items[n] == {"square": torch.tensor(n * n), "name": f"item {n}"}


def test_the_randomness_of_the_steps_is_left_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    items = Ahead(Squares(), "cpu")
    items[0], items[4]
    assert torch.equal(torch.rand(2), expected)


class Threads(Dataset[dict[str, Any]]):
    """Every item says how many threads numpy's matrix products take."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, n: int) -> dict[str, Any]:
        np.ones((8, 8)) @ np.ones((8, 8))
        return {"threads": max(pool["num_threads"] for pool in threadpool_info())}


def test_a_worker_takes_one_core() -> None:
    assert Ahead(Threads(), "cpu", 2)[0] == {"threads": 1}


def test_a_cpu_that_trains_has_no_workers() -> None:
    assert workers_for("cpu") == 0
    assert workers_for("cuda") >= 1


@pytest.fixture(scope="module")
def captions(tmp_path_factory: pytest.TempPathFactory) -> CaptionBatches:
    tokenizer = architecture.build_tokenizer(tmp_path_factory.mktemp("tokenizer"))
    return CaptionBatches(tokenizer, 40, 2, (30, 10), 0.5, 0.75, 0)


def test_a_batch_of_captions_depends_on_its_number_alone(captions: CaptionBatches) -> None:
    alone = {n: captions[n] for n in (7, 3)}
    items = Ahead(captions, "cpu", 2)
    for n, wanted in alone.items():
        made = items[n]
        assert made.keys() == wanted.keys()
        for name, value in wanted.items():
            assert torch.equal(torch.as_tensor(made[name]), torch.as_tensor(value)), name
    assert not torch.equal(alone[7]["noise"], alone[3]["noise"])


def test_later_timesteps_show_encoded_scenes_and_become_fewer(captions: CaptionBatches) -> None:
    batches = [captions[n] for n in range(40)]
    later = [n for n, batch in enumerate(batches) if batch["t"] != 999]
    assert sum(n < 20 for n in later) > sum(n >= 20 for n in later) > 0
    for n, batch in enumerate(batches):
        b, things, n_places, *patches = batch["labels"].shape
        assert (b, things, patches) == (2, 4, [16, 16])
        assert n_places == 1 or n not in later  # there, only the place in the picture is right
        assert ("scenes" in batch) == (n in later)
        if n in later:
            assert 200 <= batch["t"] <= 800
            assert ((batch["scenes"] >= 30) & (batch["scenes"] < 40)).all()
    assert max(batch["labels"].shape[2] for batch in batches) > 1


def test_processes_that_train_together_see_different_captions(
    captions: CaptionBatches, tmp_path: Path
) -> None:
    other = CaptionBatches(architecture.build_tokenizer(tmp_path), 40, 2, (30, 10), 0.5, 0.75, 1)
    assert not torch.equal(captions[0]["noise"], other[0]["noise"])
