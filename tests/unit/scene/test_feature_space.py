"""FeatureSpace: from a scene's index to a site's and back."""

from __future__ import annotations

import pytest

from ember_widgets.scene.feature_space import FeatureSpace

DOWN, UP = "down_blocks.2.attentions.1", "up_blocks.0.attentions.1"
SPACE = FeatureSpace.of({DOWN: 5, UP: 3})


@pytest.mark.parametrize("feature", range(8))
def test_every_feature_is_found_and_comes_back(feature: int) -> None:
    site, local = SPACE.locate(feature)
    assert SPACE.index(local, site) == feature
    assert feature in range(*SPACE.columns(site).indices(8))
    assert local in range(SPACE.size(site))


def test_the_second_sites_features_follow_the_firsts() -> None:
    assert [SPACE.locate(f) for f in (0, 4, 5, 7)] == [(DOWN, 0), (DOWN, 4), (UP, 0), (UP, 2)]
    assert SPACE.columns("up.0.1") == slice(5, 8)
    assert SPACE.columns() == slice(0, 5)
    assert SPACE.n_features == 8


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="feature=8 is outside 0..7"):
        SPACE.locate(8)
    with pytest.raises(ValueError, match="feature=3 is outside 0..2"):
        SPACE.index(3, UP)
    with pytest.raises(ValueError, match="site='mid.0' is not steered here; choose one of"):
        SPACE.columns("mid.0")


def test_a_scene_may_call_its_sites_by_their_short_names() -> None:
    space = FeatureSpace.of({"down.2.1": 5, "up.0.1": 3})
    assert space.columns("up.0.1") == slice(5, 8)
    assert space.index(2, "up.0.1") == 7
