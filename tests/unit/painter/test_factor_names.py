"""Names of factors that nobody named."""

from __future__ import annotations

import numpy as np
import pytest

from ember_widgets.dictionary.factor_names import free_factor_name
from ember_widgets.dictionary.factors import Factors
from ember_widgets.painter.refit import refitted
from tests.unit.scene.scenes import make_scene


@pytest.mark.parametrize(
    ("name", "taken", "free"),
    [
        ("lion", [], "lion"),
        ("lion", ["lion"], "lion 2"),
        ("factor 5", [], "factor 5"),
        ("factor 5", ["factor 5"], "factor 6"),
        ("factor 5", ["factor 5", "factor 6"], "factor 7"),
        ("up.0.1 factor 1", ["up.0.1 factor 1", "factor 2"], "up.0.1 factor 2"),
        ("my factor", ["my factor"], "my factor 2"),
    ],
)
def test_a_taken_name_gets_a_number_of_its_own(name: str, taken: list[str], free: str) -> None:
    assert free_factor_name(name, taken) == free


def test_a_refit_does_not_number_a_numbered_name() -> None:
    """The scene's last factor stays the one it was, first among the new ones, and keeps its name."""
    scene = make_scene(names=("factor 1", "factor 2", "factor 3"))
    basis = np.stack([scene.basis[2], np.eye(1, scene.n_features, scene.n_features - 1, dtype=np.float32)[0]])
    factors = Factors(strengths=scene.base_strengths[..., :2], basis=basis)
    assert refitted(scene, factors, ["factor 1", "factor 3"]).names == ("factor 3", "factor 4")
