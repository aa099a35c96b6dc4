"""`evaluate_sae` on the embedded model: good for the SAE that ships, bad for one that was damaged."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

import ember_widgets as ember
from ember_widgets.model.runs import Run
from ember_widgets.painter import sae_evaluation
from ember_widgets.painter.sae_evaluation import Evaluation
from ember_widgets.painter.steered_model import SteeredModel
from ember_widgets.scene.grid import Grid

PROMPTS = ["a lion in a meadow", "a castle and a moon at night", "a boat on the sea"]


def evaluated(painter: ember.Painter, sae: ember.SAE) -> Evaluation:
    return ember.evaluate_sae(painter, sae, PROMPTS, n_pictures=3, n_features=4)


@pytest.fixture(scope="module")
def sae() -> ember.SAE:
    return ember.Painter.embedded(sites="up.0.1").saes["up_blocks.0.attentions.1"]


def shuffled(sae: ember.SAE) -> ember.SAE:
    order = torch.randperm(sae.n_features, generator=torch.Generator().manual_seed(0))
    return dataclasses.replace(sae, W_dec=sae.W_dec[order])


def test_the_sae_that_ships_is_better_than_one_with_shuffled_rows(
    painter: ember.Painter, sae: ember.SAE
) -> None:
    good, bad = evaluated(painter, sae), evaluated(painter, shuffled(sae))
    print(good, bad, sep="\n")
    assert good.quality.fvu < 0.3 < 0.9 < bad.quality.fvu
    assert good.psnr.mean > 22
    assert good.psnr.mean > bad.psnr.mean + 5
    assert len(good.features) == 4
    assert not set(good.features) & set(sae.positional)
    assert good.effect.mean > 0
    assert good.locality.mean > good.painted_share


def test_it_prints_as_a_table_and_gives_plain_numbers(painter: ember.Painter, sae: ember.SAE) -> None:
    found = ember.evaluate_sae(painter, sae, PROMPTS[:1], n_pictures=2, n_features=1)
    lines = str(found).splitlines()
    assert len(lines) == 9
    assert "up_blocks.0.attentions.1" in lines[0]
    assert "PSNR" in str(found)
    assert found.as_dict()["quality"]["fvu"] == found.quality.fvu
    assert found == ember.evaluate_sae(painter, sae, PROMPTS[:1], n_pictures=2, n_features=1)


def test_painting_a_feature_is_what_the_painter_does(painter: ember.Painter) -> None:
    (sae,) = painter.saes.values()
    patches = sae_evaluation.middle(painter.grid)
    model = SteeredModel(painter.backbone, painter.saes, name="evaluation")
    scene = painter.analyze(PROMPTS[0], seed=3)
    feature = int(scene.basis[-1].argmax())  # the lion: more of a sky is seen in no sky
    theirs = painter.render(
        scene.add_factor({feature: 1.0}).paint(len(scene.basis), patches, 1.0, mode="add")
    )
    ours = sae_evaluation.drawn(model, Run(PROMPTS[0], 3, 1), sae_evaluation.painted(sae, feature, patches))
    assert np.abs(ours - np.asarray(theirs, np.float32)).mean() < 0.1
    assert np.abs(ours - np.asarray(painter.render(scene), np.float32)).mean() > 0.5


def test_what_is_no_sae_is_refused(painter: ember.Painter, sae: ember.SAE) -> None:
    with pytest.raises(TypeError, match="load a file with ember.load_sae"):
        ember.evaluate_sae(painter, "file.safetensors", PROMPTS)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="2..4096|n_pictures"):
        ember.evaluate_sae(painter, sae, PROMPTS, n_pictures=0)
    with pytest.raises(ValueError, match="prompts is empty"):
        ember.evaluate_sae(painter, sae, [])


@pytest.mark.parametrize("side", [64, 70])
def test_sides_need_not_be_multiples_of_the_grid(side: int) -> None:
    patches = sae_evaluation.middle(Grid(16, 16))
    plain = np.zeros((side, side, 3), np.float32)
    edited = plain.copy()
    edited[side // 2 - 5 : side // 2 + 5, side // 2 - 5 : side // 2 + 5] = 10
    effect, locality = sae_evaluation.change_of(plain, edited, patches)
    assert locality == 1
    assert effect == pytest.approx(1000 / (side / 2) ** 2, rel=0.06)
