"""A trace gives the bits of the work, does what lasts once, and stands back where it cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ember_widgets.model.engine import traces
from ember_widgets.model.engine.graphs import Graphs
from ember_widgets.model.engine.traces import Trace, Traced


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 32), nn.SiLU(), nn.LayerNorm(32), nn.Linear(32, 16))


@pytest.fixture(autouse=True)
def _without_gradients() -> Any:
    with torch.no_grad():
        yield


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gives_the_bits_of_the_work_for_any_input(network: nn.Module, dtype: torch.dtype) -> None:
    network.to(dtype)

    def work(x: Tensor, words: Tensor) -> Tensor:
        made: Tensor = network(x) / 1.0 + network(words).mean(0) * x
        return made

    traced = Traced(work, (draw(5, 16), draw(3, 16)), 1)
    for seed in range(4):
        given = draw(5, 16, seed=seed).to(dtype), draw(3, 16, seed=seed // 3).to(dtype)
        assert torch.equal(traced(*given), work(*given))
    assert traced._trace is not None


def test_an_answer_stays_when_the_next_is_made(network: nn.Module) -> None:
    def work(x: Tensor) -> tuple[Tensor, Tensor]:
        y = network(x)
        return y, y / 1.0

    trace = Trace(work, (draw(5, 16),), 1)
    first, second = trace(draw(5, 16, seed=1))
    kept = first.clone()
    second.zero_()
    trace(draw(5, 16, seed=2))
    assert torch.equal(first, kept)


def test_what_lasts_is_worked_on_once_until_it_changes(network: nn.Module) -> None:
    words = draw(3, 16)
    trace = Trace(lambda x, words: x + network(words).sum(), (draw(5, 16), words), 1)
    runs: list[int] = []
    first = trace._first

    def counted(*given: Tensor) -> Any:
        runs.append(1)
        return first(*given)

    trace._first = counted
    x = draw(5, 16, seed=1)
    for _ in range(3):
        assert torch.equal(trace(x, words), x + network(words).sum())
    assert len(runs) == 1
    assert torch.equal(trace(x, words.clone()), trace(x, words))
    assert len(runs) == 1  # it says the same
    words.mul_(2)
    other = words.clone()
    assert torch.equal(trace(x, other), x + network(other).sum())
    assert torch.equal(trace(x, words), x + network(words).sum())
    assert len(runs) == 2


WORKS: dict[str, Callable[[Tensor], Tensor]] = {
    "read again": lambda x: (y := x * 2) + torch.nn.functional.silu(y) + y,
    "an input": lambda x: torch.nn.functional.silu(x) + x,
    "seen through a view": lambda x: (y := x * 2).view(-1)[:1] + torch.nn.functional.silu(y),
    "a view of an input": lambda x: torch.nn.functional.silu(x.view(4, -1)) + x.view(4, -1),
    "the result twice": lambda x: (y := x * 2) + y,
    "wider than what it is added to": lambda x: x.mean(0) * 1 + x,
    "an input divided by one": lambda x: x / 1.0,
    "other strides": lambda x: x[:, ::2] / 1.0 + 1,
    "what an operator was given": lambda x: x * torch.tensor([2.0]),
    "several answers": lambda x: torch.stack([part + 1 for part in (x * 3).chunk(2, -1)]),
}


@pytest.mark.parametrize("name", WORKS)
def test_overwrites_nothing_that_is_read_again(name: str) -> None:
    work, x = WORKS[name], draw(4, 16)
    before = x.clone()
    trace = Trace(work, (x,), 1)
    for _ in range(2):
        result = trace(x)
        assert torch.equal(result, work(x))
        assert result.stride() == work(x).stride()
        assert result.data_ptr() != x.data_ptr()
        assert torch.equal(x, before)


def test_overwrites_what_nobody_reads_again() -> None:
    names = [str(n.target) for n in _nodes(Trace(lambda x: torch.nn.functional.silu(x * 2), (draw(4),), 1))]
    assert names == ["aten.mul.Tensor", "aten.silu_.default"]


def test_divisions_by_one_are_gone() -> None:
    names = [str(n.target) for n in _nodes(Trace(lambda x: x.exp() / 1.0 / 2, (draw(4),), 1))]
    assert names == ["aten.exp.default", "aten.div.Tensor"]


def _nodes(trace: Trace) -> list[Any]:
    graph = trace._then.__self__.graph  # type: ignore[attr-defined]
    return [node for node in graph.nodes if node.op == "call_function"]


def test_several_answers_some_of_what_lasts(network: nn.Module) -> None:
    def work(x: Tensor, words: Tensor) -> tuple[Tensor, ...]:
        shift = network(words).mean(0)
        y = x + shift
        return y, torch.nn.functional.silu(y), shift

    trace = Trace(work, (draw(5, 16), draw(3, 16)), 1)
    for seed in range(3):
        given = draw(5, 16, seed=seed), draw(3, 16, seed=seed)
        for made, expected in zip(trace(*given), work(*given), strict=True):
            assert torch.equal(made, expected)


def _changes_its_input(x: Tensor) -> Tensor:
    x.add_(0)
    return x * 2


def _depends_on_values(x: Tensor) -> Tensor:
    return x * 2 if float(x.sum()) > 0 else x * 3


def test_the_same_tensor_given_twice_is_not_traced() -> None:
    x, y = draw(4), draw(4, seed=1)
    traced = Traced(lambda a, b, c: a * b + c, (x, y, y))
    for last in (y, y, y, x):
        assert torch.equal(traced(x, y, last), x * y + last)


def test_work_that_computes_too_much_to_hold_is_not_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "HELD", 1000)
    traced = Traced(lambda x: x * 2 + 1, (draw(4),))
    large = Traced(lambda x: x * 2 + 1, (draw(200),))
    for n, work in ((4, traced), (200, large)):
        for _ in range(3):
            assert torch.equal(work(draw(n)), draw(n) * 2 + 1)
    assert traced._trace is not None
    assert large._trace is None


@pytest.mark.parametrize("work", [_changes_its_input, _depends_on_values])
def test_what_cannot_be_traced_is_done_as_ever(work: Callable[[Tensor], Tensor]) -> None:
    traced = Traced(work, (draw(4),))
    for seed in range(4):
        x = draw(4, seed=seed)
        assert torch.equal(traced(x.clone()), work(x.clone()))
    assert traced._trace is None


def test_is_made_anew_when_weights_change(network: Any) -> None:
    graphs = Graphs(Traced)
    x = draw(5, 16)
    for change in (lambda: None, lambda: network[0].weight.mul_(2), lambda: network[3].weight.data.add_(1)):
        change()
        for _ in range(3):
            assert torch.equal(graphs.run(network, network, x), network(x))
    (traced,) = graphs._recorded.values()
    assert isinstance(traced, Traced)
    assert traced._trace is not None


def test_what_is_done_once_is_not_traced(network: nn.Module) -> None:
    traced = Traced(network, (draw(5, 16),))
    for call in range(1, 4):
        assert torch.equal(traced(draw(5, 16, seed=call)), network(draw(5, 16, seed=call)))
        assert (traced._trace is not None) == (call >= 2)
