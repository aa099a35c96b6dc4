"""A network's twin: its weights and its arithmetic, bit by bit, in less time.

Three things are computed again and again though they never change, and the twin keeps them:

- On a CPU every convolution first turns its weights into the layout that the processor's matrix units read,
  which takes up to two thirds of its time. The twin's lie in it, by the operators that `torch.compile` uses
  for this. They are taken only where they give the very bits that the plain operator gives on this machine.
- A ReLU that follows such a convolution is done with it.
- Keys and values of the text, and what time and text add in a residual block, are the same for every edit.

It is for CPUs; what a GPU gains from is in `_graphs`.

The network itself is not touched: the twin shares its weights and has leaves of its own. When weights or
parts of the network change, there is a new twin; of a network that others run hooks in, there is none.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from contextvars import ContextVar
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ember_widgets.model.engine.watch import Watch, version_of

LARGE = 2_000_000
"""Weights in a convolution from which on their layout costs little beside the arithmetic, but much memory."""
ANSWERS = 4
"""One for each step."""
SHAPES = 4
"""A layout is for an input's shape; so many are kept, for pictures one by one and in batches."""


class Twin:
    """Makes a network's twin, and makes it anew when the network has changed."""

    def __init__(self) -> None:
        self.watch = Watch()
        self._made: tuple[int, nn.Module] | None = None

    def of(self, network: Any) -> Any:
        """A network's twin; the network itself where it is compiled, or has hooks, which a twin would miss.

        Args:
            network: Any module. It is not changed.
        """
        version = self.watch.version(network)
        if version is None:
            return network
        if self._made is None or self._made[0] != version:
            self._made = version, _twin(network)
        return self._made[1]


def _twin(network: nn.Module) -> nn.Module:
    shared = {id(p): p for p in (*network.parameters(), *network.buffers())}
    twin = copy.deepcopy(network, shared)
    modules: list[Any] = list(twin.modules())
    for module in modules:
        if isinstance(module, nn.Sequential):
            for i, (one, then) in enumerate(pairwise(module)):
                if type(one) is nn.Conv2d and type(then) is nn.ReLU:
                    module[i], module[i + 1] = Convolution(one, relu=True), nn.Identity()
        for name, child in module.named_children():
            if type(child) is nn.Conv2d:
                setattr(module, name, Convolution(child))
        if getattr(module, "is_cross_attention", False) and type(module.to_k) is nn.Linear:
            module.to_k, module.to_v = Remembered(module.to_k), Remembered(module.to_v)
        if type(getattr(module, "time_emb_proj", None)) is nn.Linear:
            module.time_emb_proj = Remembered(module.time_emb_proj)
    return twin


class Convolution(nn.Module):
    """A convolution whose weights lie as the processor reads them.

    Args:
        plain: The convolution.
        relu: Whether a ReLU follows it.
    """

    def __init__(self, plain: nn.Conv2d, *, relu: bool = False) -> None:
        super().__init__()
        self.plain = plain
        self.relu = relu
        self._packed: dict[Any, Tensor | None] = {}

    def forward(self, x: Tensor) -> Tensor:
        weight = self.plain.weight
        key = (x.shape, x.stride(), x.dtype, weight.data_ptr(), version_of(weight))
        if key not in self._packed:
            while len(self._packed) >= SHAPES:
                del self._packed[next(iter(self._packed))]
            self._packed[key] = self._pack(x)
        packed = self._packed[key]
        return self._plainly(x) if packed is None else self._fast(x, packed)

    def _plainly(self, x: Tensor) -> Tensor:
        made: Tensor = self.plain(x)
        return torch.relu(made) if self.relu else made

    def _fast(self, x: Tensor, packed: Tensor) -> Tensor:
        conv = self.plain
        made: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, packed, conv.bias, conv.padding, conv.stride, conv.dilation, conv.groups,
            "relu" if self.relu else "none", [], "",
        )  # fmt: skip
        return made

    def _pack(self, x: Tensor) -> Tensor | None:
        """The weights in another layout; None where that is not to be had, or is not the same to the bit."""
        conv = self.plain
        if x.device.type != "cpu" or x.dtype not in (torch.float32, torch.bfloat16):
            return None
        if torch.is_grad_enabled() or conv.padding_mode != "zeros" or conv.weight.numel() >= LARGE:
            return None
        reorder: Any = getattr(torch._C._nn, "mkldnn_reorder_conv2d_weight", None)
        if reorder is None or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
            return None
        try:
            packed: Tensor = reorder(
                conv.weight.detach().to_mkldnn(),
                conv.padding, conv.stride, conv.dilation, conv.groups, list(x.shape),
            )  # fmt: skip
            ours, plain = self._fast(x, packed), self._plainly(x)
        except (AttributeError, RuntimeError, TypeError):  # another processor, or another torch
            return None
        return packed if ours.stride() == plain.stride() and torch.equal(ours, plain) else None


class Remembered(nn.Module):
    """A layer that remembers its last answers, for as long as its weights are the same.

    Args:
        plain: The layer. Its input is compared by value on a CPU, and by identity elsewhere, where looking at
            values would wait for the device.
    """

    def __init__(self, plain: nn.Linear) -> None:
        super().__init__()
        self.plain = plain
        self._weights: tuple[int | None, ...] = ()
        self._answers: list[tuple[Tensor, int, Tensor]] = []

    def forward(self, x: Tensor) -> Tensor:
        if _FORGETFUL.get():
            fresh: Tensor = self.plain(x)
            return fresh
        parts = [p for p in (self.plain.weight, self.plain.bias) if p is not None]
        weights = tuple(number for p in parts for number in (p.data_ptr(), version_of(p)))
        if weights != self._weights:
            self._weights, self._answers = weights, []
        for asked, version, answer in self._answers:
            if version == version_of(asked) and same(x, asked):
                return answer
        made: Tensor = self.plain(x)
        if (now := version_of(x)) is not None:
            self._answers = [(x, now, made), *self._answers[: ANSWERS - 1]]
        return made


_FORGETFUL = ContextVar("forgetful", default=False)


@contextlib.contextmanager
def forgetful() -> Iterator[None]:
    """No layer answers from memory here."""
    token = _FORGETFUL.set(True)
    try:
        yield
    finally:
        _FORGETFUL.reset(token)


def same(x: Tensor, asked: Tensor) -> bool:
    """Whether two tensors hold the same; on a GPU, whether they are the same, since looking would wait."""
    if x is asked:
        return True
    return x.device.type == "cpu" and x.dtype == asked.dtype and torch.equal(x, asked)
