"""Recorded work is the work, whatever changes; where it cannot be recorded it is done all the same.

Nothing is recorded without a GPU. What can be wrong besides, the buffers and when they are filled, is tested.
"""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ember_widgets.model.engine.graphs import Graphs, Recorded


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def check(graphs: Graphs, network: nn.Module, *given: Tensor) -> None:
    def work(x: Tensor, shift: Tensor) -> Tensor:
        made: Tensor = network(x) + shift
        return made

    with torch.no_grad():
        assert torch.equal(graphs.run(network, work, *given), work(*given))


def test_gives_what_the_work_gives_for_new_and_for_changed_inputs(network: nn.Module) -> None:
    graphs, shift = Graphs(Recorded), torch.ones(2)
    for seed in range(3):
        x = torch.randn(5, 4, generator=torch.Generator().manual_seed(seed))
        check(graphs, network, x, shift)
        check(graphs, network, x.mul_(2), shift)
        check(graphs, network, x, shift.add_(1))
    assert len(graphs._recorded) == 1


def test_works_on_buffers_of_its_own_and_fills_them_only_when_needed() -> None:
    seen: list[int] = []
    x, y = torch.zeros(3), torch.ones(3)
    recorded = Recorded(lambda x, y: seen.append(x.data_ptr()) or x + y, [x, y])  # type: ignore[func-returns-value]
    recorded(x, y)
    recorded(torch.ones(3), y)
    assert seen[0] == seen[1] != x.data_ptr()
    recorded._buffers[1].fill_(7)  # not filled again: y is still the same
    assert recorded(x, y).tolist() == [7, 7, 7]


def test_each_shape_has_its_own_and_few_are_kept(network: nn.Module) -> None:
    graphs = Graphs(Recorded)
    for n in (1, 2, 3, 1):
        check(graphs, network, torch.ones(n, 4), torch.ones(2))
    assert len(graphs._recorded) == 2
    graphs.forget()
    assert not graphs._recorded


def test_follows_what_is_done_to_the_network(network: Any) -> None:
    graphs, given = Graphs(Recorded), (torch.ones(1, 4), torch.ones(2))
    check(graphs, network, *given)
    first = next(iter(graphs._recorded.values()))
    with torch.no_grad():
        network[0].weight.add_(1)
    check(graphs, network, *given)
    assert next(iter(graphs._recorded.values())) is not first
    first = next(iter(graphs._recorded.values()))
    network[0].weight.data = network[0].weight.data.clone()
    check(graphs, network, *given)
    second = next(iter(graphs._recorded.values()))
    assert second is not first
    network[2] = nn.Linear(8, 2)
    check(graphs, network, *given)
    assert next(iter(graphs._recorded.values())) is not second


def test_stands_back_while_hooks_are_in_the_network(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recorded, "__call__", lambda *_: pytest.fail("recorded"))
    handle = network[1].register_forward_hook(lambda _, args, out: out + 1)
    check(Graphs(Recorded), network, torch.ones(1, 4), torch.ones(2))
    handle.remove()
    check(Graphs(None), network, torch.ones(1, 4), torch.ones(2))


def test_what_cannot_be_recorded_is_done_and_said_once(
    network: nn.Module, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Tensor) -> Tensor:
        raise RuntimeError("operation not permitted when stream is capturing\nmany more lines")

    monkeypatch.setattr(Recorded, "__call__", refuse)
    graphs = Graphs(Recorded)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            check(graphs, network, torch.ones(1, 4), torch.ones(2))
    assert [record.getMessage() for record in caplog.records] == [
        "CUDA graphs are off, pictures take a little longer: operation not permitted when stream is capturing"
    ]
