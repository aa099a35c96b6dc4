"""Rows of features for the browser."""

from __future__ import annotations

import numpy as np
import pytest

from ember_widgets.features.labels import Labels
from ember_widgets.widgets.shared.feature_rows import made_of, search_features
from tests.unit.scene.scenes import filled, make_scene


def test_a_factor_without_features_has_no_rows() -> None:
    assert made_of(make_scene(1, n_features=0), 0, Labels()) == []


def test_shares_of_the_largest_weights_are_numbers() -> None:
    scene = make_scene(1, 4, basis=filled(np.finfo(np.float32).max, 1, 4))
    assert [row["share"] for row in made_of(scene, 0, Labels())] == pytest.approx([0.25] * 4)


@pytest.mark.parametrize(("text", "feature"), [(" #12 ", 12), ("999999999", 999_999_999), ("12 cats", None)])
def test_a_typed_number_is_a_feature(text: str, feature: int | None) -> None:
    found = [] if feature is None else [feature]
    assert [row["feature"] for row in search_features(text, 1_000_000_000, Labels())] == found
