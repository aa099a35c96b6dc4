"""A network's twin: the same weights and the same results, bit by bit, in less time on a CPU.

Some values are computed again and again although they never change. The twin keeps them:

- On a CPU every convolution first converts its weights to the layout that the CPU's matrix units read, which
  takes up to two thirds of its time. The twin's weights have this layout already, by the operators that
  `torch.compile` uses. They are used only if they give the same bits as the plain operator on this machine.
- A ReLU after such a convolution runs together with it.
- Keys and values of the text, and what time and text add in a residual block, are the same for every edit.

GPUs gain from `graphs` instead.

The network itself is not changed: the twin shares its weights and has its own leaf modules. If weights or
parts of the network change, a new twin is made. A network with hooks has no twin.
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
"""From so many weights on a convolution is not laid out: it would save little time and take much memory."""
N_RESULTS = 4
"""How many results are cached: one for each step."""
SHAPES = 4
"""How many layouts are kept, one per input shape: for single pictures and for batches."""


class Twin:
    """Makes a network's twin, and a new one if the network has changed.

    Args:
        watch: Watches the network; None = a new one.
    """

    def __init__(self, watch: Watch | None = None) -> None:
        self.watch = watch or Watch()
        self._made: tuple[int, nn.Module] | None = None

    def of(self, network: Any) -> Any:
        """A network's twin; the network itself if it is compiled or has hooks, which a twin would not run.

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
            module.to_k, module.to_v = CachedLinear(module.to_k), CachedLinear(module.to_v)
        if type(getattr(module, "time_emb_proj", None)) is nn.Linear:
            module.time_emb_proj = CachedLinear(module.time_emb_proj)
    return twin


class _Standing(nn.Module):
    """Stands in the place of a layer, and has its attributes: a LoRA around it, for one, reads its weight."""

    plain: Any

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "plain":
                raise
            return getattr(self.plain, name)


class Convolution(_Standing):
    """A convolution whose weights have the layout that the CPU reads.

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
        """The weights in the other layout; None if that is impossible or does not give the same bits."""
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
        except (AttributeError, RuntimeError, TypeError):  # another CPU or another torch
            return None
        return packed if ours.stride() == plain.stride() and torch.equal(ours, plain) else None


class CachedLinear(_Standing):
    """A layer that caches its last outputs while its weights stay the same.

    Args:
        plain: The layer. Its input is compared by value on a CPU, and by identity on other devices, where
            reading values would wait for the device.
    """

    def __init__(self, plain: nn.Linear) -> None:
        super().__init__()
        self.plain = plain
        self._weights: tuple[int | None, ...] = ()
        self._results: list[tuple[Tensor, int, Tensor]] = []

    def forward(self, x: Tensor) -> Tensor:
        if _WITHOUT_CACHES.get():
            fresh: Tensor = self.plain(x)
            return fresh
        parts = [p for p in (self.plain.weight, self.plain.bias) if p is not None]
        weights = tuple(number for p in parts for number in (p.data_ptr(), version_of(p)))
        if weights != self._weights:
            self._weights, self._results = weights, []
        for cached_input, version, result in self._results:
            if version == version_of(cached_input) and same(x, cached_input):
                return result
        made: Tensor = self.plain(x)
        if (now := version_of(x)) is not None:
            self._results = [(x, now, made), *self._results[: N_RESULTS - 1]]
        return made


_WITHOUT_CACHES = ContextVar("without_caches", default=False)


@contextlib.contextmanager
def without_caches() -> Iterator[None]:
    """A block in which no layer uses its cache."""
    token = _WITHOUT_CACHES.set(True)
    try:
        yield
    finally:
        _WITHOUT_CACHES.reset(token)


def same(x: Tensor, cached_input: Tensor) -> bool:
    """Whether two tensors are equal; on a GPU, whether they are one object, since comparing would wait."""
    if x is cached_input:
        return True
    return x.device.type == "cpu" and x.dtype == cached_input.dtype and torch.equal(x, cached_input)
