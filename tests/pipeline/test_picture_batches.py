"""Batches from a model's pictures: as single runs have them, bad prompts skipped, resumed exactly."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from ember_widgets.model.runs import Run
from ember_widgets.model.sdxl.backbone import SDXL
from ember_widgets.training.ranks import Ranks
from ember_widgets.training.stream import PictureBatches, Prompts, Source

SITES = ("down_blocks.2.attentions.1", "up_blocks.0.attentions.1")
TEXTS = ["a lion", "a boat on the sea", "a castle at night"]


@pytest.fixture(scope="module")
def model(painter: Any) -> SDXL:
    return SDXL(painter.pipeline, *SITES)


def batches(model: SDXL, prompts: Any, **settings: Any) -> PictureBatches:
    given = {"buffer": 512, "at_once": 2} | settings
    return PictureBatches(model, Source(SITES), Prompts(prompts), 256, **given)


@pytest.mark.parametrize(("n_steps", "guidance", "step"), [(1, 0.0, 0), (2, 3.0, 0), (2, 3.0, 1)])
def test_states_are_those_of_single_runs(model: SDXL, n_steps: int, guidance: float, step: int) -> None:
    runs = [Run(text, 5 + i, n_steps, guidance) for i, text in enumerate(TEXTS[:2])]
    (together,) = model.states(runs, [step])
    for i, run in enumerate(runs):
        start = model.start(run)
        for site in SITES:
            one = model.reach(start, (), step, site) if step else start.states[SITES.index(site)]
            torch.testing.assert_close(
                together[site].hidden_out[i].float(), one.hidden_out[-1].float(), rtol=0.05, atol=0.05
            )
    if step == 0 and not guidance:
        (alone,) = model.states(runs[:1])
        assert torch.equal(alone[SITES[1]].hidden_out, model.start(runs[0]).states[1].hidden_out)


def test_bad_prompts_are_skipped_and_counted(model: SDXL, monkeypatch: pytest.MonkeyPatch) -> None:
    first_states = model.sampler.first_states

    def failing(runs: Any) -> Any:
        if any(run.prompt == "fails" for run in runs):
            raise RuntimeError("no such token")
        return first_states(runs)

    monkeypatch.setattr(model.sampler, "first_states", failing)
    one = batches(model, ["a lion", None, "fails", "a boat"])
    one.next()
    assert (one.n_pictures, one.n_skipped) == (4, 2)  # 512 patches are two pictures
    again = batches(model, ["a lion", None, "fails", "a boat"])
    again.load_state(one.state())
    assert again.n_skipped == 2


def test_a_state_gives_the_same_batches(model: SDXL) -> None:
    one, other = batches(model, TEXTS), batches(model, TEXTS)
    one.next()
    other.load_state(one.state())
    for _ in range(2):
        here, there = one.next(), other.next()
        assert all(torch.equal(here[site], there[site]) for site in SITES)


def test_values_that_are_not_finite_stop_and_name_the_prompt(
    model: SDXL, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode_all = model.sampler.texts.encode_all

    def overflowing(prompts: list[str], guided: bool = False) -> Any:
        text, pooled = encode_all(prompts, guided)
        text = text.clone()
        text[[i for i, prompt in enumerate(prompts) if prompt == "a boat"]] = torch.nan
        return text, pooled

    monkeypatch.setattr(model.sampler.texts, "encode_all", overflowing)
    with pytest.raises(FloatingPointError, match="not finite for the prompt 'a boat' with seed 1"):
        batches(model, ["a lion", "a boat"]).next()


def test_each_process_draws_its_own_pictures(model: SDXL) -> None:
    ranks = [dataclasses.replace(Ranks(), rank=rank, world=2) for rank in (0, 1)]
    drawn = [[next(one._coming) for _ in range(3)] for one in (batches(model, TEXTS, ranks=r) for r in ranks)]
    assert [seed for _, seed in drawn[0]] == [0, 2, 4]
    assert [seed for _, seed in drawn[1]] == [1, 3, 5]
