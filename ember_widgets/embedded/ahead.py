"""Items that worker processes make while the network trains on those before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.utils.data import DataLoader, Dataset


class Ahead:
    """The items of a dataset, asked for one after the other.

    An item must depend on its number alone. So a training that was stopped gets the same ones again, and the
    number of workers changes nothing but the time.

    Args:
        items: Gives dicts of arrays by number.
        device: Where they go. Beside a GPU there are workers; a CPU's own cores train, so there are none.
        workers: How many processes; None = as the device says.
    """

    def __init__(self, items: Dataset[dict[str, Any]], device: str, workers: int | None = None) -> None:
        self._items, self._device = items, device
        self._workers = workers_for(device) if workers is None else workers
        self._next = -1
        self._made: Iterator[dict[str, Any]] = iter(())

    def __getitem__(self, n: int) -> dict[str, Any]:
        """Item n: its tensors on the device, all else as it is."""
        if n != self._next:
            loader = DataLoader(
                self._items,
                batch_size=None,
                sampler=range(n, len(self._items)),  # type: ignore[arg-type]
                num_workers=self._workers,
                generator=torch.Generator(),  # the steps' own randomness is left alone
                pin_memory=self._device == "cuda",
                worker_init_fn=_one_thread,
            )
            self._made = iter(loader)
        self._next = n + 1
        item = next(self._made)
        return {
            name: value.to(self._device, non_blocking=True) if isinstance(value, Tensor) else value
            for name, value in item.items()
        }


def _one_thread(worker: int) -> None:
    """Each worker has one core; numpy's matrix products would start a thread on every core in each."""
    threadpool_limits(1)


def workers_for(device: str) -> int:
    """How many worker processes feed a training on this device."""
    return 0 if device == "cpu" else max(1, (os.cpu_count() or 2) - 1)
