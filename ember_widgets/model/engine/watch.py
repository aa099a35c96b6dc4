"""Notices every change of networks and of what belongs to them, so that nothing derived is ever outdated."""

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

_VERSION = operator.attrgetter("_version")
SAMPLED = 8
"""How many values of each weight are compared, because writing to `weight.data` leaves no other sign."""
_LIBRARIES = {
    "accelerate",
    "builtins",
    "diffusers",
    "ember_widgets",
    "functools",
    "peft",
    "tokenizers",
    "torch",
    "transformers",
}


class Watch:
    """Numbers the versions of some networks and other objects.

    It notices parts and attributes of any module that are added, replaced or removed, numbers and texts in
    them, classes and patched classes, hooks, and weights that are replaced or changed. It looks inside dicts,
    lists and other objects that are attributes, one level deep.

    Args:
        moving: Whether weights are moved between devices. Then a copy with the same sampled values is not
            a change.

    Attributes:
        current: The last result of `version`.
    """

    def __init__(self, *, moving: bool = False) -> None:
        self.current: int | None = None
        self._moving = moving
        self._roots: tuple[Any, ...] = ()
        self._states: list[dict[str, Any]] = []
        self._copies: list[dict[str, Any]] = []
        self._modules: list[nn.Module] = []
        self._classes: list[type[nn.Module]] = []
        self._code: list[tuple[type, str, object]] = []
        self._stores: list[dict[str, Any]] = []  # each module's parameters and buffers
        self._weights: list[Tensor] = []
        self._others: list[Tensor] = []  # tensors and arrays that are plain attributes
        self._arrays: list[Any] = []
        self._samples: list[list[Tensor]] = []  # by dtype and device
        self._addresses: list[int] = []
        self._state: object = None
        self._hooks: list[dict[int, Any]] = []
        self._is_foreign = False
        self._kinds: set[str] = set()
        self._silent = False
        self._version = 0

    def version(self, *roots: Any) -> int | None:
        """A number for the present state of some modules and other objects.

        None if nothing may be derived from it: while code of the user's own runs inside (hooks, attention
        processors, a method that was replaced), if a module is compiled, under autocast, and in inference
        mode, whose tensors do not show changes.

        Args:
            roots: The same ones, in the same order, at every call; otherwise it is another version.
        """
        self.current = self._find(roots)
        return self.current

    def forget(self) -> None:
        """Make the next version another one."""
        self._roots = ()

    def _find(self, roots: tuple[Any, ...]) -> int | None:
        if torch.is_inference_mode_enabled() or _hooked_everywhere():
            return None
        if not self._is_as_it_was(roots):
            self._remember(roots)
            self._version += 1
        elif not _identical(self._weights_now(), self._weights) or self._addresses != self._addresses_now():
            self._remember_weights()
            self._version += not self._moving
        if (
            self._is_foreign
            or self._silent
            or any(map(_is_used, self._hooks))
            or any(map(torch.is_autocast_enabled, self._kinds))
        ):
            return None
        state = self._values_now()
        if state != self._state:
            self._version += self._state is not None
            self._state = state
        return self._version

    def _is_as_it_was(self, roots: tuple[Any, ...]) -> bool:
        if not _identical(roots, self._roots):
            return False
        try:
            # Dicts are compared by identity first and then by value, at the speed of C.
            if self._states != self._copies:
                return False
        except (RuntimeError, TypeError, ValueError):  # a tensor or an array is another one
            return False
        if not _identical(list(map(type, self._modules)), self._classes):
            return False
        return all(getattr(kind, name, None) is code for kind, name, code in self._code)

    def _remember(self, roots: tuple[Any, ...]) -> None:
        networks = [root for root in roots if isinstance(root, nn.Module)]
        self._roots = roots
        self._modules = list({id(m): m for network in networks for m in network.modules()}.values())
        own = [module.__dict__ for module in self._modules]
        attributes = list(chain.from_iterable(map(dict.values, own)))
        others = [root for root in roots if not isinstance(root, nn.Module)]
        others += filter(_has_a_state, attributes)
        others = list({id(thing): thing for thing in others}.values())
        inside = [state for thing in others if isinstance(state := getattr(thing, "__dict__", None), dict)]
        self._states = [*own, *inside]
        self._copies = list(map(_copied, self._states))
        self._classes = list(map(type, self._modules))
        self._code = [(kind, "forward", kind.forward) for kind in dict.fromkeys(self._classes)]
        self._code += [(type(one), "__call__", type(one).__call__) for one in others if callable(one)]
        self._stores = [state[k] for state in own for k in ("_parameters", "_buffers")]
        attributes += chain.from_iterable(map(dict.values, inside))
        self._others = [value for value in attributes if isinstance(value, Tensor)]
        self._arrays = [v for v in attributes if isinstance(v, np.ndarray) and v.dtype != object]
        # Hooks are looked at, but adding and removing one leaves the network as it was.
        self._hooks = [state[k] for state in own for k in ("_forward_hooks", "_forward_pre_hooks")]
        self._is_foreign = any(map(_is_users_code, attributes)) or any(
            getattr(module.forward, "__func__", None) is not type(module).forward
            or module._compiled_call_impl is not None
            for module in self._modules
        )
        self._remember_weights()
        self._state = None

    def _remember_weights(self) -> None:
        self._weights = self._weights_now()
        found = [weight for weight in (*self._weights, *self._others) if not weight.is_meta]
        self._silent = any(weight.is_inference() for weight in found)
        self._kinds = {weight.device.type for weight in found} & {"cpu", "cuda", "mps"}
        samples: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
        for weight in found:
            samples.setdefault((weight.dtype, weight.device), []).append(sample(weight))
        self._samples = list(samples.values())
        self._addresses = self._addresses_now()

    def _weights_now(self) -> list[Tensor]:
        return [value for store in self._stores for value in store.values() if value is not None]

    def _addresses_now(self) -> list[int]:
        return list(map(Tensor.data_ptr, self._weights))

    def _values_now(self) -> tuple[Any, ...]:
        if self._silent:
            return ()
        weights = [*self._weights, *self._others]
        values = b"".join([*map(_bytes, self._samples), *map(np.ndarray.tobytes, self._arrays)])
        return list(map(_VERSION, weights)), [weight.dtype for weight in weights], values


def _identical(some: Any, others: Any) -> bool:
    return len(some) == len(others) and all(map(operator.is_, some, others))


_OTHER_KINDS = (nn.Module, Tensor, type, dict, FunctionType, MethodType, partial)


def _has_a_state(value: object) -> bool:
    """Whether an attribute is an object that a module depends on, such as an attention processor."""
    return hasattr(value, "__dict__") and not isinstance(value, _OTHER_KINDS)


def _is_used(hooks: dict[int, Any]) -> bool:
    """Whether there are hooks, except for those by which transformers collects hidden states."""
    return bool(hooks) and any(not _module(hook).startswith("transformers.") for hook in hooks.values())


def _module(code: Any) -> str:
    return str(getattr(code, "__module__", None))


def _is_users_code(value: Any) -> bool:
    """Whether an attribute is a function or a processor that is not of a library: it may do anything."""
    if not callable(value) or isinstance(value, (nn.Module, Tensor, type)):
        return False
    is_function = isfunction(value) or ismethod(value)
    return _module(value if is_function else type(value)).partition(".")[0] not in _LIBRARIES


def _copied(state: dict[str, Any]) -> dict[str, Any]:
    """A dict's values; of dicts, lists and sets in it, copies. Hooks and weights are looked at elsewhere."""
    apart = ("_parameters", "_buffers")
    return {k: v if "_hooks" in k or k in apart else _content(v) for k, v in state.items()}


def _content(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _content(v) for k, v in value.items()}
    if isinstance(value, (list, set)):
        return value.copy()
    return value


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


def _hooked_everywhere() -> bool:
    module = nn.modules.module
    return bool(module._global_forward_hooks or module._global_forward_pre_hooks)


def version_of(tensor: Tensor) -> int | None:
    """How often a tensor was changed in place; None if it does not count that."""
    return None if tensor.is_inference() else tensor._version
