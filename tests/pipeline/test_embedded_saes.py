"""How the embedded model's own SAEs are made: from the same pictures that layouts are read from."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import ember_widgets as ember
from ember_widgets.embedded import architecture, captions, train_sae, vocabulary
from ember_widgets.model.runs import Run
from ember_widgets.model.sdxl.backbone import SDXL
from ember_widgets.training.stream import Picture

N = 6


@pytest.fixture(scope="module")
def model() -> SDXL:
    painter = ember.Painter.embedded(dtype="float32")
    return SDXL(painter.pipeline, *(recipe.site for recipe in train_sae.RECIPES))


def test_what_is_collected_is_what_each_run_does_and_where_it_starts(model: SDXL) -> None:
    pictures = [Picture(f"a lion and a car {where}", seed) for seed, where in enumerate(["", "in the snow"])]
    collected = train_sae.collected(model, pictures)
    for i, (prompt, seed) in enumerate(pictures):
        start = model.start(Run(prompt, seed, 1))
        noise = start.latents[0] / start.scheduler.init_noise_sigma
        torch.testing.assert_close(train_sae.first_noise(model, seed), noise.float())
        for site, state in zip(model.sites, start.states, strict=True):
            update = (state.hidden_out - state.hidden_in)[0].flatten(1).T
            torch.testing.assert_close(collected[site][i], update, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("recipe", train_sae.RECIPES, ids=lambda recipe: recipe.folder)
def test_a_recipe_gives_a_labelled_sae_that_loads(
    recipe: train_sae.Recipe, model: SDXL, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    specs = [captions.random_spec(rng) for _ in range(N)]
    pictures = [Picture(spec.words, seed) for seed, spec in enumerate(specs)]
    updates = train_sae.collected(model, pictures)
    supervised = updates[train_sae.RECIPES[0].site]
    scenes = zip(specs, pictures, supervised, strict=True)
    layouts = [
        train_sae.drawn_layout(spec, train_sae.first_noise(model, picture.seed), update)
        for spec, picture, update in scenes
    ]
    short = dataclasses.replace(recipe, steps=20)

    here = updates[recipe.site]
    facts = train_sae.build_sae(short, here, here, layouts, model.grid, tmp_path / "sae")

    sae = ember.load_sae(tmp_path / "sae")
    assert sae.site == recipe.site
    assert 0 < sae.n_features <= 8 * here.shape[-1]
    assert bool(sae.b_dec.any()) != recipe.supervised
    assert facts["labelled"] == len(json.loads((tmp_path / "sae" / "labels.json").read_text())["labels"]) > 5


def test_rare_patches_are_shown_more_often_but_not_as_often_as_others() -> None:
    labels = torch.tensor([0] * 900 + [1] * 100)
    stream = train_sae.balanced(labels[:, None].float(), labels, 4000, seed=0)
    share = float(torch.cat([next(stream) for _ in range(5)]).mean())
    assert share == pytest.approx(0.25, abs=0.02)  # 10 of 30 + 10


def test_at_the_supervised_site_no_two_features_share_a_direction() -> None:
    """Painted alone, each of two would show the thing as pale as if it were half as strong."""
    sae = next(iter(ember.Painter.embedded().saes.values()))
    rows = torch.nn.functional.normalize(sae.W_dec, dim=1)
    assert float((rows @ rows.T - torch.eye(len(rows))).max()) < 0.9


@pytest.mark.parametrize("name", ["sailboat", "cat mouth open", "cat eyes closed", "bicycle", "asleep"])
def test_one_feature_alone_is_nearly_the_code_that_was_trained(name: str) -> None:
    sae = next(iter(ember.Painter.embedded().saes.values()))
    rows = sae.W_dec * sae.unit[:, None]  # painted with strength 1
    if name in vocabulary.LABELS:
        code = architecture.site_codes()[vocabulary.LABELS.index(name)]
    else:
        code = architecture.site_directions()[vocabulary.ATTRIBUTES.index(name)]
    along = rows @ code / code.pow(2).sum()
    aside = (rows - along[:, None] * code).norm(dim=1) / code.norm()
    assert bool(((along > 0.85) & (aside < 0.2)).any())
