"""Rows of features for the browser."""

from __future__ import annotations

import numpy as np
import pytest

from ember_widgets.features.labels import Labels
from ember_widgets.widgets.shared.feature_rows import made_of
from tests.unit.scene.scenes import filled, make_scene


def test_a_factor_without_features_has_no_rows() -> None:
    assert made_of(make_scene(1, n_features=0), 0, Labels()) == []


def test_shares_of_the_largest_weights_are_numbers() -> None:
    scene = make_scene(1, 4, basis=filled(np.finfo(np.float32).max, 1, 4))
    assert [row["share"] for row in made_of(scene, 0, Labels())] == pytest.approx([0.25] * 4)
