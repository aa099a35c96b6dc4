"""A twin gives its network's own bits, and notices whatever is done to the network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ember_widgets.model.engine.twin import CachedLinear, Convolution, Twin


class Block(nn.Module):
    """A residual block as diffusers has them, with what time and text add."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(8, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 8, 3, padding=1))
        self.time_emb_proj = nn.Linear(16, 8)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        out: Tensor = x + self.conv(x) + self.time_emb_proj(emb)[:, :, None, None]
        return out


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=str)
def block(request: pytest.FixtureRequest) -> Block:
    torch.manual_seed(0)
    return Block().to(request.param, memory_format=torch.channels_last).eval()  # type: ignore[call-overload,no-any-return]


def inputs(block: Block, seed: int = 0, n: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    dtype = block.time_emb_proj.weight.dtype
    x = torch.randn(n, 8, 16, 16, generator=generator).to(dtype, memory_format=torch.channels_last)
    return x, torch.randn(n, 16, generator=generator).to(dtype)


def same(twin: Any, block: Block, *given: Tensor) -> bool:
    with torch.no_grad():
        return torch.equal(twin(*given), block(*given))


def test_gives_the_networks_own_bits(block: Block) -> None:
    twin = Twin().of(block)
    assert twin is not block
    for seed in range(3):
        assert same(twin, block, *inputs(block, seed))
        assert same(twin, block, *inputs(block, seed, n=2))


def test_leaves_the_network_as_it_is_and_shares_its_weights(block: Block) -> None:
    before = [type(module) for module in block.modules()]
    twin = Twin().of(block)
    assert [type(module) for module in block.modules()] == before
    assert {Convolution, CachedLinear} <= {type(module) for module in twin.modules()}
    assert {id(p) for p in twin.parameters()} == {id(p) for p in block.parameters()}


def test_is_kept(block: Block) -> None:
    twins = Twin()
    assert twins.of(block) is twins.of(block)


def test_follows_weights_that_change_in_place(block: Block) -> None:
    twin, given = Twin().of(block), inputs(block)
    assert same(twin, block, *given)
    with torch.no_grad():
        for p in block.parameters():
            p.mul_(1.5)
    assert same(twin, block, *given)


def test_follows_weights_that_are_cast(block: Block) -> None:
    twins = Twin()
    assert same(twins.of(block), block, *inputs(block))
    block.to(torch.float64)
    assert same(twins.of(block), block, *inputs(block))


def test_is_another_one_when_a_part_is(block: Block) -> None:
    twins, given = Twin(), inputs(block)
    assert same(twins.of(block), block, *given)
    block.conv[2] = nn.Conv2d(32, 8, 1).to(given[0].dtype)
    assert same(twins.of(block), block, *given)
    block.time_emb_proj.weight = nn.Parameter(torch.ones_like(block.time_emb_proj.weight))
    assert same(twins.of(block), block, *given)


def test_stands_back_while_hooks_are_in_the_network(block: Block) -> None:
    twins = Twin()
    twin = twins.of(block)
    handle = block.conv[0].register_forward_hook(lambda *_: None)
    assert twins.of(block) is block
    handle.remove()
    assert twins.of(block) is twin
    everywhere = nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        assert twins.of(block) is block
    finally:
        everywhere.remove()


def test_stands_back_from_what_is_compiled(block: Block) -> None:
    twins = Twin()
    twins.of(block)
    block.conv.compile()
    assert twins.of(block) is block


def test_layers_keep_their_attributes(block: Block) -> None:
    twin = Twin().of(block)
    assert twin.conv[0].weight is block.conv[0].weight
    assert twin.time_emb_proj.in_features == 16
    assert not hasattr(twin.conv[0], "absent")


def test_learns_of_settings(block: Block) -> None:
    twins = Twin()
    block.use_tiling = False  # type: ignore[assignment]
    first = twins.of(block)
    block.use_tiling = True  # type: ignore[assignment]
    assert twins.of(block) is not first
    assert twins.of(block).use_tiling


class TestRemembered:
    @pytest.fixture
    def layer(self) -> nn.Linear:
        return nn.Linear(4, 3)

    def cached_input(self, layer: nn.Linear) -> list[Tensor]:
        calls: list[Tensor] = []
        layer.register_forward_hook(lambda _, args, out: calls.append(args[0]))
        return calls

    def test_answers_at_once_what_it_was_asked_before(self, layer: nn.Linear) -> None:
        calls, remembered, x = self.cached_input(layer), CachedLinear(layer), torch.ones(1, 4)
        with torch.no_grad():
            answers = [remembered(x), remembered(x), remembered(x.clone())]
        assert len(calls) == 1
        assert all(result is answers[0] for result in answers)

    def test_remembers_one_answer_per_step(self, layer: nn.Linear) -> None:
        calls, remembered = self.cached_input(layer), CachedLinear(layer)
        with torch.no_grad():
            for step in (0, 1, 2, 3, 0, 1, 2, 3):
                assert torch.equal(
                    remembered(torch.full((1, 4), float(step))), layer(torch.full((1, 4), float(step)))
                )
        assert len(calls) == 4 + 8

    def test_asks_again_when_anything_changed(self, layer: nn.Linear) -> None:
        remembered, x = CachedLinear(layer), torch.ones(1, 4)
        with torch.no_grad():
            remembered(x)
            x.add_(1)
            assert torch.equal(remembered(x), layer(x))
            layer.weight.add_(1)
            assert torch.equal(remembered(x), layer(x))
            layer.bias.add_(1)
            assert torch.equal(remembered(x), layer(x))
