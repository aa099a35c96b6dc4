"""The processes that train one SAE together: each has its own patches, all have the same weights."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


class OtherProcessFailed(RuntimeError):
    """Another process cannot go on, so this one ends too."""


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

    @property
    def device_of_messages(self) -> torch.device:
        """Where a tensor lies that is only a message between processes."""
        # NCCL alone carries nothing that lies in main memory.
        if self.world == 1 or "cpu:" in dist.get_backend_config():
            return torch.device("cpu")
        return torch.device("cuda", torch.cuda.current_device())

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

    def any(self, *statements: bool) -> list[bool]:
        """Which of some statements are true in any process."""
        if self.world == 1:
            return list(statements)
        values = torch.tensor(statements, dtype=torch.int32, device=self.device_of_messages)
        dist.all_reduce(values, dist.ReduceOp.MAX)
        return [bool(value) for value in values.tolist()]

    def together(self, act: Callable[[], T]) -> T:
        """Do something in every process; if it fails in one, no other waits for that one without end.

        Raises:
            OtherProcessFailed: It failed in another process; there, its own error is raised.
        """
        fault = result = None
        try:
            result = act()
        except Exception as error:
            fault = error
        (failed,) = self.any(fault is not None)
        if fault is not None:
            raise fault
        if failed:
            raise OtherProcessFailed("another process of this training failed; its error says why")
        return result  # type: ignore[return-value]  # it succeeded

    def first_does(self, act: Callable[[], object]) -> None:
        """Do something in the first process, while the others wait; errors as for `together`."""
        self.together(lambda: act() if self.is_first else None)


@contextlib.contextmanager
def joined() -> Iterator[Ranks]:
    """The processes that `torchrun` or `accelerate launch` started, in a block; else this one alone.

    Each takes the GPU of its `LOCAL_RANK` as its current one, if there are GPUs.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Ranks()
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(local_rank())
        dist.init_process_group("cpu:gloo,cuda:nccl")
    else:
        dist.init_process_group("gloo")
    yield Ranks.now()
    # Not after an error: it would wait for the others. The end of the process tells them.
    dist.destroy_process_group()


def local_rank() -> int:
    """Which of its machine's processes this one is."""
    return int(os.environ.get("LOCAL_RANK", "0"))
