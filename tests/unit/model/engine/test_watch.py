"""Whatever is done to a network, it is another version; what leaves it as it was leaves the version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ember_widgets.model.engine.watch import Watch


class Inside:
    """An attribute that is an object of its own, as an attention processor is."""

    def __init__(self) -> None:
        self.numbers = [1.0]


class Other(nn.LayerNorm):
    """Does the same."""


class Scaled(nn.Module):
    """As adapters are: a number by name."""

    scale: float

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 64)
        self.scaling = {"a": 1.0}
        self._settings = {"factor": 1.0}
        self.names, self.inside = ["a"], Inside()
        self.plain, self.array = torch.zeros(3), np.zeros(3)
        self.scale = 1.0
        self.register_buffer("shift", torch.zeros(64))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear(x) * self.scaling["a"] * self.scale + self.shift
        return out


def network() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(Scaled(), nn.Conv2d(4, 8, 3).to(memory_format=torch.channels_last), nn.LayerNorm(8))  # type: ignore[call-overload]


def _swap_storage(net: Any) -> None:
    net[0].linear.weight.data = net[0].linear.weight.data * 1.5


def _exchange(module: Any) -> None:
    del module.scale
    module.size = 1.0


CHANGES: dict[str, Callable[[Any], object]] = {
    "a weight in place": lambda net: net[0].linear.weight.requires_grad_(False).mul_(2),
    "a weight's data": lambda net: net[0].linear.weight.data.mul_(2),
    "another weight's data": lambda net: net[1].weight.data.add_(1e-3),
    "a merged adapter": lambda net: setattr(net[0].linear.weight, "data", net[0].linear.weight.data + 0.1),
    "a weight through numpy": lambda net: net[0].linear.weight.detach().numpy().__imul__(2),
    "another dtype": lambda net: net.to(torch.bfloat16),
    "a buffer": lambda net: net[0].shift.add_(1),
    "a part": lambda net: net.__setitem__(2, nn.LayerNorm(8)),
    "a part more": lambda net: net.append(nn.ReLU()),
    "a part less": lambda net: net.__delitem__(2),
    "a parameter": lambda net: setattr(net[2], "bias", nn.Parameter(torch.zeros(8))),
    "a number": lambda net: setattr(net[2], "eps", 10.0),
    "an adapter's number": lambda net: net[0].scaling.update(a=2.0),
    "settings": lambda net: setattr(net[0], "_settings", {"factor": 2.0}),
    "an attribute for another": lambda net: _exchange(net[0]),
    "numbers inside": lambda net: net[0].inside.numbers.append(2.0),
    "a list": lambda net: net[0].names.append("b"),
    "a class": lambda net: setattr(net[2], "__class__", Other),
    "a plain tensor": lambda net: net[0].plain.add_(1),
    "another plain tensor": lambda net: setattr(net[0], "plain", torch.ones(3)),
    "a plain array": lambda net: net[0].array.__iadd__(1),
    "training": lambda net: net[2].eval(),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_network_is_another_version(name: str) -> None:
    net, watch = network(), Watch()
    before = watch.version(net)
    assert before == watch.version(net)
    CHANGES[name](net)
    after = watch.version(net)
    assert after is not None
    assert after != before
    assert after == watch.version(net)


def test_a_weight_whose_memory_comes_back_is_another_version() -> None:
    net, watch = network(), Watch()
    versions = [watch.version(net)]
    for _ in range(4):
        _swap_storage(net)
        versions.append(watch.version(net))
    assert len(set(versions)) == 5


@pytest.mark.parametrize("dtype", [torch.float16, torch.float8_e4m3fn, torch.int8, torch.bool])
def test_weights_of_any_dtype_are_watched(dtype: torch.dtype) -> None:
    net: Any = nn.Linear(4, 4)
    watch = Watch()
    net.register_buffer("more", torch.zeros(64).to(dtype))
    before = watch.version(net)
    assert watch.version(net) == before
    net.more.data.copy_(torch.ones(64).to(dtype))
    assert watch.version(net) != before


def test_another_network_is_another_version() -> None:
    watch = Watch()
    assert watch.version(network()) != watch.version(network())


def test_using_a_network_leaves_it_as_it_was() -> None:
    net, watch = network()[0], Watch()
    before = watch.version(net)
    for _ in range(2):
        net(torch.ones(2, 64))
    assert watch.version(net) == before


def test_a_network_with_hooks_has_no_version_until_they_are_gone() -> None:
    net, watch = network(), Watch()
    before = watch.version(net)
    for register in (net[0].register_forward_hook, net[0].linear.register_forward_pre_hook):
        handle = register(lambda *_: None)
        assert watch.version(net) is None
        assert watch.current is None
        handle.remove()
        assert watch.version(net) == before
    with_hook = nn.modules.module.register_module_forward_hook(lambda *_: None)
    assert watch.version(net) is None
    with_hook.remove()
    net[0].compile()
    assert watch.version(net) is None


def test_no_version_while_a_users_code_takes_part() -> None:
    net, watch = network(), Watch()
    assert watch.version(net) is not None
    net[2].forward = lambda x: x
    assert watch.version(net) is None
    del net[2].forward
    assert watch.version(net) is not None
    net[0].processor = network  # a function of the user's own
    assert watch.version(net) is None
    net[0].processor = torch.nn.functional.silu
    assert watch.version(net) is not None


def test_other_objects_are_watched_too() -> None:
    net, thing, watch = network(), Inside(), Watch()
    before = watch.version(net, thing)
    assert watch.version(net, thing) == before
    thing.numbers[0] = 3.0
    assert watch.version(net, thing) != before


def test_where_weights_are_moved_a_copy_is_no_change() -> None:
    net, watch, strict = network(), Watch(moving=True), Watch()
    before = watch.version(net), strict.version(net)
    for p in net.parameters():
        p.data = p.data.clone()
    net[0].shift = net[0].shift.clone()
    assert watch.version(net) == before[0]
    assert strict.version(net) != before[1]
    for p in net.parameters():
        p.data = p.data * 2
    now = watch.version(net)
    assert now != before[0]
    net[0].linear.weight.data.mul_(2)  # in the new memory
    assert watch.version(net) != now


def test_no_version_where_tensors_are_of_another_kind() -> None:
    net, watch = network(), Watch()
    before = watch.version(net)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert watch.version(net) is None
    with torch.inference_mode():
        assert watch.version(net) is None
        made_there = network()
    assert watch.version(made_there) is None
    assert watch.version(net) != before  # another network was looked at meanwhile
