"""The processes that train one SAE together: each has its own patches, all have the same weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this one is, and what they agree on.

    Attributes:
        rank: 0..world-1.
        world: How many there are.
    """

    rank: int = 0
    world: int = 1

    @classmethod
    def now(cls) -> Ranks:
        """The processes of `torch.distributed`, if it is initialised; else this one alone."""
        if dist.is_available() and dist.is_initialized():
            return cls(dist.get_rank(), dist.get_world_size())
        return cls()

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Sum over the processes, in place."""
        if self.world > 1:
            dist.all_reduce(values)
        return values

    def least(self, values: Tensor) -> Tensor:
        """The least over the processes, in place."""
        if self.world > 1:
            dist.all_reduce(values, dist.ReduceOp.MIN)
        return values

    def gathered(self, values: Tensor) -> Tensor:
        """All processes' values, joined: (n,) of each, of the same length -> (world·n,)."""
        if self.world == 1:
            return values
        parts = [torch.empty_like(values) for _ in range(self.world)]
        dist.all_gather(parts, values)
        return torch.cat(parts)

    def from_first(self, values: Tensor) -> Tensor:
        """The first process's values, in place."""
        if self.world > 1:
            dist.broadcast(values, 0)
        return values

    def wait(self) -> None:
        """Go on when all processes are here."""
        if self.world > 1:
            dist.barrier()
