"""The SAE of one site: what is of another one is refused, and the message says what, why and what to do."""

from __future__ import annotations

import pytest

from ember_widgets.scene.feature_space import FeatureSpace
from ember_widgets.scene.site_sae import check_site_sae, sae_at

DOWN, UP = "down_blocks.2.attentions.1", "up_blocks.0.attentions.1"
SPACE = FeatureSpace((DOWN, UP), (40, 30))


@pytest.mark.parametrize(
    ("model", "down", "up"),
    [({"sae": "abc,xyz"}, "abc", "xyz"), ({"sae": "abc"}, "abc", ""), ({"sae": ","}, "", ""), ({}, "", "")],
)
def test_each_site_has_its_own(model: dict[str, str], down: str, up: str) -> None:
    assert (sae_at(DOWN, model, SPACE), sae_at(UP, model, SPACE)) == (down, up)


def check(site: str, sae: str, n_features: int) -> None:
    of = (site, sae, n_features)
    check_site_sae("these are", of, "this scene", {"sae": "abc,xyz"}, SPACE, "make others")


def test_the_same_one_is_taken() -> None:
    check(DOWN, "abc", 40)
    check(UP, "xyz", 30)


@pytest.mark.parametrize(
    ("of", "message"),
    [
        (
            ("mid_block.attentions.0", "abc", 40),
            "these are of site 'mid.0', but this scene steers down.2.1, up.0.1; make others",
        ),
        (
            (UP, "abc", 30),
            "these are of the SAE 'abc' with 30 features, but this scene has 'xyz' with 30, whose features "
            "mean different things; make others",
        ),
        (
            (DOWN, "abc", 39),
            "these are of the SAE 'abc' with 39 features, but this scene has 'abc' with 40, whose features "
            "mean different things; make others",
        ),
    ],
)
def test_another_one_is_refused(of: tuple[str, str, int], message: str) -> None:
    with pytest.raises(ValueError) as fault:
        check(*of)
    assert str(fault.value) == message
