"""Notices changes of networks and of what belongs to them, so that nothing derived is ever outdated."""

from __future__ import annotations

import operator
from functools import partial
from inspect import isfunction, ismethod
from itertools import chain
from types import FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

SAMPLED = 8
"""How many values of each weight are compared, because writing to `weight.data` leaves no other sign."""
_LIBRARIES = {"accelerate", "builtins", "diffusers", "ember_widgets", "functools"}
_LIBRARIES |= {"peft", "tokenizers", "torch", "transformers"}
_VERSION, _DTYPE = operator.attrgetter("_version"), operator.attrgetter("dtype")
_OTHER_KINDS = (nn.Module, Tensor, type, dict, FunctionType, MethodType, partial)


class Watch:
    """Numbers the versions of some networks and other objects.

    It notices parts, attributes and weights that are added, replaced, removed or changed, and looks inside
    dicts, lists and other objects that are attributes, one level deep.

    Args:
        moving: Whether weights are moved between devices, or cast and cast back. Then only sampled values
            tell whether they changed.

    Attributes:
        current: The last result of `version`.
    """

    def __init__(self, *, moving: bool = False) -> None:
        self.current: int | None = None
        self._moving = moving
        self._number = 0
        self._state: object = None
        self._roots: tuple[Any, ...] = ()
        self._structure = 0
        self._weights: list[Tensor] = []
        self._addresses: list[int] = []
        self._samples: list[list[Tensor]] = []
        self._is_silent = False
        self._kinds: set[str] = set()

    def version(self, *roots: Any) -> int | None:
        """A number for the present state of some modules and other objects.

        None if nothing may be derived from it: while code of the user's own runs inside (hooks, attention
        processors, a method that was replaced), if a module is compiled, under autocast, and in inference
        mode, whose tensors do not show changes.

        Args:
            roots: The same ones, in the same order, at every call; otherwise it is another version.
        """
        self.current = None
        every = nn.modules.module
        if (
            torch.is_inference_mode_enabled()
            or every._global_forward_hooks
            or every._global_forward_pre_hooks
        ):
            return None
        if not self._is_as_remembered(roots):
            self._remember(roots)
        weights = [w for store in self._stores for w in store.values() if w is not None] + self._tensors
        addresses = list(map(Tensor.data_ptr, weights))
        if addresses != self._addresses or not _identical(weights, self._weights):
            self._weights, self._addresses = weights, addresses
            self._structure += not self._moving
            self._sample()
        if (
            self._is_foreign
            or self._is_silent
            or any(map(_is_used, filter(None, self._hooks)))
            or any(map(torch.is_autocast_enabled, self._kinds))
        ):
            return None
        values = b"".join([*map(_bytes, self._samples), *map(np.ndarray.tobytes, self._arrays)])
        state = self._structure, list(map(_VERSION, weights)), list(map(_DTYPE, weights)), values
        if state != self._state:
            self._number, self._state = self._number + 1, state
        self.current = self._number
        return self.current

    def forget(self) -> None:
        """Make the next version another one."""
        self._roots = ()

    def _is_as_remembered(self, roots: tuple[Any, ...]) -> bool:
        try:  # dicts are compared by identity first and then by value, at the speed of C
            same = _identical(roots, self._roots) and self._states == self._copies
        except (RuntimeError, TypeError, ValueError):  # a tensor or an array is another one
            return False
        return same and _identical(list(map(type, self._objects)), self._classes)

    def _remember(self, roots: tuple[Any, ...]) -> None:
        self._structure += 1
        self._roots = roots
        networks = [root for root in roots if isinstance(root, nn.Module)]
        modules = list({id(m): m for network in networks for m in network.modules()}.values())
        own = list(map(vars, modules))
        attributes = list(chain.from_iterable(map(dict.values, own)))
        others = [root for root in roots if not isinstance(root, nn.Module)]
        others += filter(_has_a_state, attributes)
        inside = [vars(one) for one in {id(one): one for one in others}.values() if hasattr(one, "__dict__")]
        self._objects = [*modules, *others]
        self._classes = list(map(type, self._objects))
        self._states = [*own, *inside]
        self._copies = list(map(_copied, self._states))
        self._stores = [state[k] for state in own for k in ("_parameters", "_buffers")]
        attributes += chain.from_iterable(map(dict.values, inside))
        self._tensors = [value for value in attributes if isinstance(value, Tensor)]
        self._arrays = [v for v in attributes if isinstance(v, np.ndarray) and v.dtype != object]
        # Hooks are looked at, but adding and removing one leaves the network as it was.
        self._hooks = [state[k] for state in own for k in ("_forward_hooks", "_forward_pre_hooks")]
        self._is_foreign = any(map(_is_users_code, attributes)) or any(
            getattr(module.forward, "__func__", None) is not type(module).forward
            or module._compiled_call_impl is not None
            for module in modules
        )
        self._addresses = []  # so that weights are looked at again

    def _sample(self) -> None:
        found = [weight for weight in self._weights if not weight.is_meta]
        self._is_silent = any(weight.is_inference() for weight in found)
        self._kinds = {weight.device.type for weight in found} & {"cpu", "cuda", "mps"}
        samples: dict[Any, list[Tensor]] = {}
        for weight in found:
            samples.setdefault((weight.dtype, weight.device), []).append(sample(weight))
        self._samples = list(samples.values())


def sample(weight: Tensor) -> Tensor:
    """A view of some of the values; the whole tensor if it allows no such view."""
    found = weight.detach()
    n = min(SAMPLED, found.numel())
    try:
        return found.as_strided((n,), (max(1, found.numel() // max(1, n)),))
    except RuntimeError:  # a kind of tensor without views
        return found.flatten()


def _bytes(samples: list[Tensor]) -> bytes:
    return torch.cat(samples).view(torch.uint8).cpu().numpy().tobytes()


def _identical(some: Any, others: Any) -> bool:
    return len(some) == len(others) and all(map(operator.is_, some, others))


def _has_a_state(value: object) -> bool:
    """Whether an attribute is an object that a module depends on, such as an attention processor."""
    return hasattr(value, "__dict__") and not isinstance(value, _OTHER_KINDS)


def _is_used(hooks: dict[int, Any]) -> bool:
    """Whether there are hooks, except for those by which transformers collects hidden states."""
    return any(
        not str(getattr(hook, "__module__", None)).startswith("transformers.") for hook in hooks.values()
    )


def _is_users_code(value: Any) -> bool:
    """Whether an attribute is a function or a processor that is not of a library: it may do anything."""
    if not callable(value) or isinstance(value, (nn.Module, Tensor, type)):
        return False
    code = value if isfunction(value) or ismethod(value) else type(value)
    return str(getattr(code, "__module__", None)).partition(".")[0] not in _LIBRARIES


def _copied(state: dict[str, Any]) -> dict[str, Any]:
    """A dict's values; of dicts, lists and sets in it, copies. Hooks and weights are looked at elsewhere."""
    apart = ("_parameters", "_buffers")
    return {k: v if "_hooks" in k or k in apart else _content(v) for k, v in state.items()}


def _content(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _content(v) for k, v in value.items()}
    return value.copy() if isinstance(value, (list, set)) else value
