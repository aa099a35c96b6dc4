"""Runner: runs a fixed part of a model, tensors in and tensors out. How it does that is its own matter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Runner(Protocol):
    """A fixed part of a model."""

    def fits(self, given: Sequence[Tensor]) -> bool:
        """Whether it can be called with tensors of these shapes."""

    def __call__(self, *given: Tensor) -> tuple[Tensor, ...]:
        """The part's outputs for these inputs, in their dtype and on their device."""


class Torch:
    """Calls the module itself: the same bits as the pipeline's.

    Args:
        part: Tensors in, a tensor or several tensors out.
    """

    def __init__(self, part: nn.Module) -> None:
        self._call: Any = part

    def fits(self, given: Sequence[Tensor]) -> bool:
        """Any shapes."""
        return True

    def __call__(self, *given: Tensor) -> tuple[Tensor, ...]:
        """See `Runner`."""
        made = self._call(*given)
        return made if isinstance(made, tuple) else (made,)


class Compiled(Torch):
    """The module compiled by `torch.compile`; on a GPU its kernels are launched together, as CUDA graphs.

    Args:
        part: As for `Torch`. It is not changed.
        options: As for `torch.compile`; by default mode="reduce-overhead".
    """

    def __init__(self, part: nn.Module, **options: Any) -> None:
        self._call = torch.compile(part, **(options or {"mode": "reduce-overhead"}))

    def __call__(self, *given: Tensor) -> tuple[Tensor, ...]:
        """See `Runner`."""
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        return tuple(made.clone() for made in super().__call__(*given))  # the next call overwrites them
