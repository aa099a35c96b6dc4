"""What is no scene, path, list or tensor is refused in one sentence, wherever it is given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

import ember_widgets as ember
from ember_widgets import plots
from ember_widgets.dictionary.factors import feature_mask
from ember_widgets.features.icons import Icons
from ember_widgets.painter import feature_data, recording, variations
from ember_widgets.painter.open import open_embedded, open_pretrained
from ember_widgets.painter.sae_evaluation import evaluate_sae
from ember_widgets.training.config import TrainConfig
from ember_widgets.util import checks, files
from tests.unit.scene.scenes import make_scene

NOTHING: Any = None
FIVE: Any = 5
TEXT: Any = "text"
PATH = r"=5 is not a path; give a str or a pathlib.Path$"
LIST = "=5 is not a list; give "
SCENE = r"=None is not a Scene; make one with painter.analyze or painter.blank, or load one with ember"


@pytest.mark.parametrize(
    "call",
    [
        lambda: ember.Scene.load(FIVE),
        lambda: make_scene().save(FIVE),
        lambda: ember.Labels.load(FIVE),
        lambda: ember.Labels().export(FIVE),
        lambda: ember.Collection.open(FIVE),
        lambda: ember.ConceptBank.load(FIVE),
        lambda: ember.load_sae(FIVE),
        lambda: open_pretrained(FIVE, sae="sae"),
        lambda: recording.checked_form(FIVE),
        lambda: ember.train_sae([], TrainConfig(8, batch=8), folder=FIVE),
    ],
)
def test_no_path(call: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match=PATH):
        call()


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^{tmp_path} is a folder; give a file$"):
        files.read(tmp_path, 10)
    with pytest.raises(ValueError, match=f"cannot load {tmp_path}: {tmp_path} is a folder; give a file$"):
        ember.Scene.load(tmp_path)


@pytest.mark.parametrize(
    "call",
    [
        lambda: make_scene().reorder(FIVE),
        lambda: ember.Labels({1: "cat"}).features(category=FIVE),
        lambda: Icons(3).make(FIVE),
        lambda: Icons(3).want(FIVE),
        lambda: feature_mask(FIVE, 3),
        lambda: open_embedded(sites=FIVE),
        lambda: feature_data.collect(NOTHING, ["a lion"], seeds=FIVE),
        lambda: feature_data.collect(NOTHING, FIVE),
        lambda: plots.contact_sheet(FIVE),
        lambda: plots.plot_sae_report(NOTHING, FIVE),
        lambda: plots.plot_sweep(NOTHING, make_scene(), 0, gains=FIVE),
    ],
)
def test_no_list(call: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match=LIST):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: variations.sweep(NOTHING, NOTHING, 0),
        lambda: plots.plot_factors(NOTHING, NOTHING),
        lambda: plots.plot_basis(NOTHING),
        lambda: plots.plot_sweep(NOTHING, NOTHING, 0),
        lambda: plots.plot_difference(NOTHING, make_scene(), NOTHING),
        lambda: plots.plot_difference(NOTHING, NOTHING, make_scene()),
        lambda: plots.plot_features(NOTHING, NOTHING, (0, 0)),
        lambda: plots.plot_feature_map(NOTHING, NOTHING, 0),
        lambda: plots.plot_feature_count(NOTHING, NOTHING),
        lambda: plots.plot_sae_report(NOTHING, [NOTHING]),
    ],
)
def test_no_scene(call: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match=SCENE):
        call()
    assert not plt.get_fignums(), "a figure was begun"


def test_no_result_of_seeds() -> None:
    with pytest.raises(TypeError, match=r"^result=None is not a Robustness; give painter.robustness"):
        plots.plot_robustness(NOTHING)


def sae() -> ember.SAE:
    return ember.SAE(
        W_enc=torch.eye(2),
        b_enc=torch.zeros(2),
        W_dec=torch.eye(2),
        b_dec=torch.zeros(2),
        activation="topk",
        k=1,
        threshold=None,
        target="update",
        site="down_blocks.2.attentions.1",
        unit=torch.ones(2),
    )


def test_no_sae_and_no_tensor(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="^sae=None is not an SAE; load one with ember.load_sae$"):
        ember.save_sae(NOTHING, tmp_path)
    with pytest.raises(TypeError, match=PATH):
        ember.save_sae(sae(), FIVE)
    codes: Any = np.zeros((1, 2), np.float32)
    with pytest.raises(TypeError, match=r"^x=array\(.*\) is not a tensor; give torch.as_tensor\(x\)$"):
        sae().encode(codes)
    with pytest.raises(TypeError, match=r"is not a tensor; give torch.as_tensor\(codes\)$"):
        sae().decode(codes)
    with pytest.raises(TypeError, match=r"^painter=None is not an ember\.Painter; evaluate an SAE where"):
        evaluate_sae(NOTHING, sae(), ["a lion"])


@pytest.mark.parametrize("config", [None, {}])
def test_no_configuration_and_no_stream(config: Any) -> None:
    with pytest.raises(TypeError, match=r"is not a configuration; give ember.TrainConfig\(n_patches=...\)$"):
        ember.train_sae([], config)
    with pytest.raises(TypeError, match=r"^stream=None is not a stream; give tensors \(n, d_model\)$"):
        ember.train_sae(NOTHING, config)


@pytest.mark.parametrize("data", [None, "{}"])
def test_no_bytes_and_no_picture(data: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r" is not bytes; give what scene.to_bytes\(\) gave$"):
        ember.Scene.from_bytes(data)
    with pytest.raises(TypeError, match=r"^picture='x' is not a picture; give painter.render\(scene\)$"):
        make_scene().save(tmp_path / "scene.png", picture="x")  # type: ignore[arg-type]


def test_what_becomes_infinite_was_too_large() -> None:
    with pytest.raises(
        ValueError, match=r"^strengths holds \S*e\+\d+ at .*, too large for float32; give smaller"
    ):
        make_scene().scale(0, 3e38).scale(0, 3e38)


def test_a_side_is_as_large_as_there_is_room_for() -> None:
    assert checks.side(8192) == 8192
    assert checks.side(160, 10_000) == 160
    for side, n, most in ((0, 1, 8192), (8193, 1, 8192), (8192, 12, 4729), (-5, 400, 819)):
        with pytest.raises(ValueError, match=f"^side={side} is outside 1..{most}; it is the width of "):
            checks.side(side, n)
    with pytest.raises(TypeError, match="^side='x' is not a whole number; give an int 1..8192$"):
        checks.side("x")
