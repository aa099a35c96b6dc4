"""Features get their names by measure: which look, state, place or part of a thing they fire on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("accelerate")  # the training's own dependencies

from ember_widgets.dictionary.sae import SAE
from ember_widgets.embedded import scenes, vocabulary
from ember_widgets.embedded.train_sae import NOWHERE, candidates, label_features, places

CAT, APPLE = (vocabulary.LABELS.index(name) for name in ("cat", "apple"))
LAYOUT = scenes.Layout(np.full((16, 16), 1), (scenes.Thing(CAT, 2, 3, 6, 6), scenes.Thing(APPLE, 5, 7, 4, 4)))


def listener(n: int) -> SAE:
    """An SAE whose feature i is channel i."""
    return SAE(
        W_enc=torch.eye(n), b_enc=torch.zeros(n), W_dec=torch.eye(n), b_dec=torch.zeros(n),
        activation="batchtopk", k=1, threshold=torch.tensor(0.1), site="s", target="update",
        unit=torch.ones(n),
    )  # fmt: skip


def test_places_say_label_and_part() -> None:
    shown = places(LAYOUT)
    assert np.array_equal(shown // (NOWHERE + 1), scenes.label_patches(LAYOUT))
    parts = shown % (NOWHERE + 1)
    assert (parts[scenes.label_patches(LAYOUT) == 1] == NOWHERE).all()
    assert (parts[3, 5:7] == 1).all()  # the cat's top centre, between its ears
    assert parts[4, 3] == 3  # its middle left
    assert parts[8, 9] == 7  # the apple's bottom centre, in front of the cat


def test_a_feature_is_named_by_what_it_fires_on() -> None:
    labels = scenes.label_patches(LAYOUT)
    rows = np.arange(16)[:, None].repeat(16, 1)
    fires = [labels == APPLE, (labels == CAT) & (rows < 4), labels == 1, np.zeros((16, 16), bool)]
    activations = torch.tensor(np.stack(fires, -1)).float().reshape(1, 256, len(fires))
    shown = torch.from_numpy(places(LAYOUT))[None]
    texts, scores = label_features(listener(len(fires)), activations, shown, parts=True)
    assert texts == {"0": "apple", "1": "cat, top", "2": "day"}
    assert scores["1"] == [1.0, 1.0]
    texts, scores = label_features(listener(len(fires)), activations, shown, parts=False)
    assert texts["1"] == "cat"
    assert scores["1"][0] == 1.0
    assert scores["1"][1] < 0.6


@pytest.mark.parametrize("parts", [False, True])
def test_names_are_distinct_and_all_of_them_can_be_seen(parts: bool) -> None:
    names, has = candidates(parts)
    assert len(set(names)) == len(names) == has.shape[1]
    assert has.any(0).all()
    assert ("palm (tree), bottom left" in names) == parts
