"""Checkpoints: exact, the newest two, and whole whatever happens to the disk."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ember_widgets.training.checkpoint import Checkpoints
from ember_widgets.training.ranks import Ranks
from tests.lab.full_disk import mounted


def tensors(seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "float32": torch.randn(5, 7, generator=generator),
        "bfloat16": torch.randn(5, 7, generator=generator).bfloat16(),
        "one": torch.tensor(seed),
        "none": torch.empty(0, 3),
        "bytes": generator.get_state(),
        "part": torch.arange(10)[3:5],
    }


@pytest.fixture
def store(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "checkpoints", Ranks())


def names(store: Checkpoints) -> list[str]:
    return sorted(path.name for path in store.folder.iterdir())


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(
        value.dtype == expected[name].dtype and torch.equal(value, expected[name])
        for name, value in found.items()
    )


def test_what_is_read_is_what_was_written_bit_by_bit(store: Checkpoints) -> None:
    assert store.newest() is None
    store.save(7, tensors(1), tensors(2))

    found = store.newest()
    assert found is not None
    step, common, own = found
    assert step == 7
    assert same(common, tensors(1))
    assert same(own, tensors(2))


def test_the_newest_two_are_kept(store: Checkpoints) -> None:
    for step in (9, 10, 100, 101):  # not in the order of their names
        store.save(step, tensors(step), {})
    assert names(store) == ["step-100.checkpoint", "step-101.checkpoint"]

    store.clear()
    assert store.newest() is None
    assert names(store) == []


def test_later_ones_do_not_count_once_it_went_on_from_an_earlier_one(store: Checkpoints) -> None:
    """Those of steps 8 and 9 were damaged, so it went on from step 5."""
    for step in (4, 5, 8, 9):
        store.save(step, tensors(step), {})
    for step in (6, 7):
        store.save(step, tensors(step), {})
    assert names(store) == ["step-6.checkpoint", "step-7.checkpoint"]


@pytest.mark.parametrize("damage", ["cut", "changed", "empty"])
def test_a_damaged_one_gives_way_to_the_one_before(
    store: Checkpoints, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    for step in (1, 2):
        store.save(step, tensors(step), {})
    newest = store.folder / "step-2.checkpoint"
    data = bytearray(newest.read_bytes())
    if damage == "changed":  # one bit of a weight
        data[-9] ^= 1
    newest.write_bytes(bytes({"cut": data[: len(data) // 2], "changed": data, "empty": b""}[damage]))

    found = store.newest()
    assert found is not None
    assert found[0] == 1
    assert same(found[1], tensors(1))
    assert "the checkpoint of step 2 is left out" in caplog.text

    (store.folder / "step-1.checkpoint").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="no checkpoint in .* can be read; give another folder, or"):
        store.newest()


def test_what_a_killed_process_left_half_written_is_removed(store: Checkpoints) -> None:
    store.save(1, tensors(1), {})
    (store.folder / ".step-2.checkpoint.abcdef.tmp").write_bytes(b"half")

    assert names(Checkpoints(store.folder, Ranks())) == ["step-1.checkpoint"]


@contextlib.contextmanager
def full(folder: Path) -> Iterator[None]:
    """A disk without room for 1 MB: a small one that is full, or if none may be mounted, a limit."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with mounted(folder) as is_mounted:
        if not is_mounted:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path: Path) -> None:
    with full(tmp_path):
        store = Checkpoints(tmp_path / "checkpoints", Ranks())
        store.save(1, tensors(1), {})
        with pytest.raises(OSError, match=r"cannot write .*step-2\.checkpoint.*free some space"):
            store.save(2, {"large": torch.zeros(2 << 20)}, {})

        assert names(store) == ["step-1.checkpoint"]
        found = store.newest()
        assert found is not None
        assert same(found[1], tensors(1))
