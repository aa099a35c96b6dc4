"""Shards: which pictures they hold, in which order they come, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ember_widgets.training.ranks import Ranks
from ember_widgets.training.shards import PICTURES, Shards, n_bytes

SETTINGS = {"model": "abc", "sites": ["mid"], "first_seed": 3}


def test_each_pass_has_each_shard_once_and_the_first_one_after_another(tmp_path: Path) -> None:
    shards = Shards(tmp_path / "kept", SETTINGS, 5 * PICTURES + 1, seed=1)
    passes = [[shards.at(turn * 6 + place) for place in range(6)] for turn in range(3)]

    assert shards.n == 6
    assert passes[0] == list(range(6))
    assert all(sorted(one) == passes[0] for one in passes)
    assert passes[1] != passes[2]
    again = Shards(tmp_path / "kept", SETTINGS, 5 * PICTURES + 1, seed=1)
    assert [again.at(6 + place) for place in range(6)] == passes[1]


@pytest.mark.parametrize("world", [1, 3])
def test_all_processes_together_have_each_prompt_once(tmp_path: Path, world: int) -> None:
    n = 2 * PICTURES * world + 5
    found = []
    for rank in range(world):
        shards = Shards(
            tmp_path / str(world), SETTINGS, n, ranks=Ranks(0, 1) if world == 1 else _rank(rank, world)
        )
        found += [prompt for shard in range(shards.n) for prompt in shards.prompts_of(shard)]
    assert sorted(found) == list(range(n))


def _rank(rank: int, world: int) -> Ranks:
    class Apart(Ranks):
        """One of several processes that need not wait for each other."""

        def first_does(self, act: object) -> None:
            assert callable(act)
            act()

    return Apart(rank, world)


def test_what_is_written_is_read_bit_by_bit(tmp_path: Path) -> None:
    shards = Shards(tmp_path, SETTINGS, 10)
    patches = {"mid": torch.randn(20, 4, dtype=torch.bfloat16), "up": torch.randn(20, 6)}
    assert shards.read(0) is None

    shards.write(0, patches, 2)

    found = shards.read(0)
    assert found is not None
    assert found[1] == 2
    assert all(torch.equal(found[0][site], values) for site, values in patches.items())


def test_a_folder_of_other_pictures_is_refused(tmp_path: Path) -> None:
    Shards(tmp_path, SETTINGS, 10)
    with pytest.raises(ValueError, match=r"other pictures \(first_seed: 3 there, 4 here\); give another"):
        Shards(tmp_path, SETTINGS | {"first_seed": 4}, 10)
    with pytest.raises(ValueError, match="n_prompts: 10 there, 11 here"):
        Shards(tmp_path, SETTINGS, 11)


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    shards = Shards(tmp_path, SETTINGS, 10)
    (tmp_path / "shard-000000.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(ValueError, match=r"shard-000000.safetensors is damaged .*; remove it"):
        shards.read(0)


def test_its_size_is_known_before() -> None:
    assert n_bytes(1000, 256, [1280, 640], 2) == 1000 * 256 * 1920 * 2
