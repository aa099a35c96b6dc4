"""Edits of factors on rows of a basis, without a scene."""

from __future__ import annotations

import numpy as np
import pytest

from ember_widgets.scene import factor_edits
from ember_widgets.scene.feature_space import FeatureSpace

SPACE = FeatureSpace(("down_blocks.2.attentions.1", "up_blocks.0.attentions.1"), (3, 2))
ROW = np.array([0, 1, -4, 0, 2], np.float32)
UNIT = np.array([1, 2, 2, 1, 4], np.float32)


def test_weights_are_in_units_and_the_largest_activation_comes_first() -> None:
    assert factor_edits.weights(ROW, UNIT, None) == {2: -2.0, 4: 0.5, 1: 0.5}
    assert list(factor_edits.weights(ROW, UNIT, None)) == [2, 4, 1]
    assert factor_edits.weights(ROW, UNIT, 1) == {2: -2.0}
    assert factor_edits.weights(np.zeros(5, np.float32), UNIT, 2) == {}


def test_the_site_is_that_of_the_features() -> None:
    assert factor_edits.site(np.array([0, 0, 0, 1, 0]), SPACE) == SPACE.sites[1]
    assert factor_edits.site(np.zeros(5), SPACE) == SPACE.sites[0]


def test_features_of_two_sites_are_refused() -> None:
    factor_edits.check_one_site(np.array([1, 1, 1, 0, 0]), "sky", SPACE)
    with pytest.raises(
        ValueError, match=r"'sky' would have features of down_blocks\.2\.attentions\.1 and up"
    ):
        factor_edits.check_one_site(ROW, "sky", SPACE)
