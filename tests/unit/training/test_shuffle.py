"""The shuffling buffer: every patch is given out once, pictures mix, and it goes on from a state exactly."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ember_widgets.training.shuffle import ShuffleBuffer

CAPACITY, BATCH = 64, 8


class Fed:
    """A buffer that is fed numbered patches, in portions of 10, as pictures come in portions."""

    def __init__(self, seed: int = 0) -> None:
        self.buffer = ShuffleBuffer(CAPACITY, seed)
        self.n_made = 0
        self.rest: dict[str, Tensor] | None = None

    def next(self) -> dict[str, Tensor]:
        if not self.buffer.can_give(BATCH):
            self.buffer.empty_half()
            while self.buffer.room:
                if self.rest is None:
                    numbers = torch.arange(self.n_made, self.n_made + 10, dtype=torch.float32)
                    self.n_made += 10
                    self.rest = {"a": numbers[:, None].repeat(1, 3), "b": -numbers[:, None]}
                self.rest = self.buffer.put(self.rest)
        return self.buffer.take(BATCH)

    def numbers(self, n: int) -> list[int]:
        return [int(x) for _ in range(n) for x in self.next()["a"][:, 0]]


def test_no_patch_is_given_out_twice_and_none_is_lost() -> None:
    fed = Fed()
    given = fed.numbers(100)

    state = fed.buffer.state()
    waiting = [int(x) for x in state["patches.a"][:, 0]]
    rest = [] if fed.rest is None else [int(x) for x in fed.rest["a"][:, 0]]
    assert len(given) == 800
    assert sorted(given + waiting + rest) == list(range(fed.n_made))


def test_a_patch_keeps_its_vectors_at_all_sites() -> None:
    fed = Fed()
    for _ in range(20):
        batch = fed.next()
        assert torch.equal(batch["a"], -batch["b"].repeat(1, 3))


def test_half_of_the_buffer_stays_so_that_early_and_late_patches_meet() -> None:
    fed = Fed()
    first = set(fed.numbers(CAPACITY // 2 // BATCH))  # until it asks to be filled again
    assert not fed.buffer.can_give(BATCH)

    later = fed.numbers(CAPACITY // 2 // BATCH)
    assert any(n < CAPACITY for n in later)  # some that stayed
    assert any(n >= CAPACITY for n in later)  # some that are new
    assert first.isdisjoint(later)


def test_the_order_is_not_that_in_which_patches_came_and_depends_on_the_seed() -> None:
    one, same, other = (Fed(seed).numbers(3) for seed in (0, 0, 1))
    assert one == same != other
    assert one != sorted(one)


@pytest.mark.parametrize("n", [1, 3, 4, 5, 11])
def test_it_goes_on_from_a_state_exactly(n: int) -> None:
    """Also from right before it is filled again (4 batches are half of it)."""
    fed = Fed()
    fed.numbers(n)
    state = {name: value.clone() for name, value in fed.buffer.state().items()}
    resumed = Fed(seed=99)
    resumed.buffer.load_state(state)
    resumed.n_made = fed.n_made
    resumed.rest = None if fed.rest is None else {k: v.clone() for k, v in fed.rest.items()}

    assert resumed.numbers(30) == fed.numbers(30)


def test_a_half_filled_buffer_goes_on_from_its_state() -> None:
    """A training that is stopped while its next batch is made saves such a one."""
    fed = Fed()
    fed.numbers(4)
    fed.buffer.empty_half()
    rest = fed.buffer.put({"a": torch.full((10, 3), 900.0), "b": torch.full((10, 1), -900.0)})
    assert rest is None
    assert fed.buffer.room == CAPACITY // 2 - 10

    resumed = ShuffleBuffer(CAPACITY, 5)
    resumed.load_state(fed.buffer.state())
    assert resumed.room == CAPACITY // 2 - 10
    for buffer in (fed.buffer, resumed):
        buffer.put({"a": torch.zeros(22, 3), "b": torch.zeros(22, 1)})
    assert torch.equal(fed.buffer.take(BATCH)["a"], resumed.take(BATCH)["a"])


def test_a_state_leaves_out_what_was_given_out() -> None:
    fed = Fed()
    fed.numbers(3)
    assert len(fed.buffer.state()["patches.a"]) == CAPACITY - 3 * BATCH


def test_a_buffer_that_is_too_small_for_a_batch_says_so() -> None:
    buffer = ShuffleBuffer(10, 0)
    buffer.put({"a": torch.zeros(10, 3)})
    with pytest.raises(ValueError, match="a buffer of 10 patches cannot give 12 at once; give buffer=24"):
        buffer.take(12)
