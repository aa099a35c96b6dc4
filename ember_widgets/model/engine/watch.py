"""Notices every change of a network, so that what was derived from it is never outdated."""

from __future__ import annotations

import operator
from collections.abc import Callable
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

_VERSION = operator.attrgetter("_version")
SAMPLED = 8
"""How many values of each weight are compared, because writing to `weight.data` leaves no other sign."""


class Watch:
    """Numbers the versions of a network.

    It notices parts and attributes of any module that are added, replaced or removed, hooks, and weights that
    are moved or changed. It does not look inside attributes, except dicts.

    Attributes:
        current: The last result of `version`.
    """

    def __init__(self) -> None:
        self.current: int | None = None
        self._network: nn.Module | None = None
        self._readers: list[tuple[Callable[[dict[str, Any]], tuple[Any, ...]], dict[str, Any]]] = []
        self._states: list[dict[str, Any]] = []
        self._dicts: list[dict[str, Any]] = []
        self._values: list[Any] = []  # held, so that no other object can have the same identity
        self._sizes: list[int] = []
        self._weights: list[Tensor] = []
        self._samples: list[list[Tensor]] = []  # by dtype
        self._state: object = None
        self._hooks: list[Any] = []
        self._kinds: set[str] = set()
        self._silent = False
        self._version = 0

    def version(self, network: Any) -> int | None:
        """A number for the network's present state.

        None if nothing may be derived from it: while it has hooks, if it is compiled, under autocast, and in
        inference mode, whose tensors do not show changes.
        """
        self.current = self._find(network)
        return self.current

    def _find(self, network: Any) -> int | None:
        if torch.is_inference_mode_enabled() or _hooked_everywhere():
            return None
        if self._network is not network or not self._is_as_it_was():
            self._remember(network)
        if any(self._hooks) or self._silent or any(map(torch.is_autocast_enabled, self._kinds)):
            return None
        state = self._weights_now()
        if state != self._state:
            self._state = state
            self._version += 1
        return self._version

    def _is_as_it_was(self) -> bool:
        if self._sizes != list(map(len, self._states)):
            return False
        try:
            now = self._read()
        except KeyError:  # an attribute is gone
            return False
        return len(now) == len(self._values) and all(map(operator.is_, now, self._values))

    def _read(self) -> list[Any]:
        own = [value for read, state in self._readers for value in read(state)]
        return [*own, *chain.from_iterable(map(dict.values, self._dicts))]

    def _remember(self, network: nn.Module) -> None:
        states = [module.__dict__ for module in network.modules()]
        inner = [(k, v) for state in states for k, v in state.items() if isinstance(v, dict)]
        # Adding and removing a hook leaves the network as it was.
        self._network, self._dicts = network, [v for k, v in inner if "_hooks" not in k]
        self._states, self._sizes = states, list(map(len, states))
        self._readers = [
            (operator.itemgetter("training", *(k for k in state if "_hooks" not in k)), state)
            for state in states
        ]
        self._values = self._read()
        self._hooks = [v for k, v in inner if k in ("_forward_hooks", "_forward_pre_hooks")]
        self._hooks += [state.get("_compiled_call_impl") for state in states]
        self._weights = [*network.parameters(), *network.buffers()]
        self._silent = any(weight.is_inference() for weight in self._weights)
        self._kinds = {weight.device.type for weight in self._weights} & {"cpu", "cuda", "mps"}
        samples: dict[torch.dtype, list[Tensor]] = {}
        for weight in self._weights:
            if weight.device.type == "cpu":
                samples.setdefault(weight.dtype, []).append(_sample(weight))
        self._samples = list(samples.values())
        self._state = None

    def _weights_now(self) -> tuple[Any, ...]:
        values = b"".join(_bytes(samples) for samples in self._samples)
        return list(map(Tensor.data_ptr, self._weights)), list(map(_VERSION, self._weights)), values


def _sample(weight: Tensor) -> Tensor:
    """A view of some of the values; the whole tensor if it allows no such view."""
    found = weight.detach()
    n = min(SAMPLED, found.numel())
    try:
        return found.as_strided((n,), (max(1, found.numel() // max(1, n)),))
    except RuntimeError:  # a kind of tensor without views
        return found.flatten()


def _bytes(samples: list[Tensor]) -> bytes:
    return torch.cat(samples).view(torch.uint8).numpy().tobytes()


def _hooked_everywhere() -> bool:
    module = nn.modules.module
    return bool(module._global_forward_hooks or module._global_forward_pre_hooks)


def version_of(tensor: Tensor) -> int | None:
    """How often a tensor was changed in place; None if it does not count that."""
    return None if tensor.is_inference() else tensor._version
