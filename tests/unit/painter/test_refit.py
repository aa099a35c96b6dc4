"""What a scene's painting becomes over other factors and other seeds."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from ember_widgets import Painter, RemotePainter
from ember_widgets.dictionary.factors import Factors
from ember_widgets.painter.refit import refitted, reseeded
from ember_widgets.scene.scene import Scene
from ember_widgets.util.checks import FloatArray
from tests.unit.scene.scenes import make_scene

N_FEATURES = 6
GRID = 16
SKY, MEADOW, TREE = 0, 1, 2


@pytest.fixture
def activations() -> FloatArray:
    """Sky above, meadow below, and a tree of two features that always go together."""
    codes = np.zeros((GRID, GRID, N_FEATURES), np.float32)
    codes[:8, :, 0], codes[8:, :, 1] = 2.0, 1.0
    codes[6:12, 2:5, 2], codes[6:12, 2:5, 3] = 3.0, 1.5
    return codes


def scene_of(factors: Factors, names: tuple[str, ...]) -> Scene:
    return make_scene(
        len(names),
        N_FEATURES,
        strengths=factors.strengths,
        basis=factors.basis,
        base_strengths=factors.strengths,
        base_basis=factors.basis,
        names=names,
    )


@pytest.fixture
def scene(activations: FloatArray) -> Scene:
    factors = Factors.fit(activations, 3)
    order = [int(factors.basis[:, feature].argmax()) for feature in (0, 1, 2)]
    arranged = Factors(strengths=factors.strengths[..., order], basis=factors.basis[order])
    return scene_of(arranged, ("sky", "meadow", "tree"))


@pytest.fixture
def fewer(activations: FloatArray) -> Factors:
    return Factors.fit(activations, 2)


def codes_of(scene: Scene) -> FloatArray:
    return np.asarray(scene.strengths @ scene.basis, np.float32)


def test_a_scene_that_nobody_painted_is_the_new_analysis(scene: Scene, fewer: Factors) -> None:
    refit = refitted(scene, fewer, ["a", "b"])
    np.testing.assert_array_equal(refit.strengths, fewer.strengths)
    assert refit.strengths.shape == refit.base_strengths.shape == (GRID, GRID, 2)
    assert refit == refit.original()


def test_factors_that_stay_alike_keep_name_and_colour(scene: Scene, activations: FloatArray) -> None:
    scene = scene.rename("tree", "my oak").recolor("my oak", "#123456")
    refit = refitted(scene, Factors.fit(activations, 3), ["a", "b", "c"])
    assert sorted(refit.names) == ["meadow", "my oak", "sky"]
    oak = refit.names.index("my oak")
    assert refit.colors[oak] == "#123456"
    assert refit.basis[oak].argmax() == 2


def test_ids_stay_with_factors_that_stay_alike(scene: Scene, activations: FloatArray) -> None:
    scene = scene.add_factor({4: 1.0}).reorder(["tree", "sky", "feature 4", "meadow"])
    refit = refitted(scene, Factors.fit(activations, 3), ["a", "b", "c"])
    before = dict(zip(scene.names, scene.factor_ids or (), strict=True))
    assert dict(zip(refit.names, refit.factor_ids or (), strict=True)) == before


def test_a_factor_that_is_new_gets_a_new_id(scene: Scene, activations: FloatArray) -> None:
    two = scene_of(Factors.fit(activations, 2), ("sky", "rest"))
    refit = refitted(two, Factors.fit(activations, 3), ["a", "b", "c"])
    ids = dict(zip(refit.names, refit.factor_ids or (), strict=True))
    kept = [ids[name] for name in two.names if name in ids]
    fresh = [number for name, number in ids.items() if name not in two.names]
    assert kept
    assert all(number in (0, 1) for number in kept)
    assert min(fresh) >= 2
    assert refit.add_factor({4: 1.0}).factor_ids[-1] not in ids.values()  # type: ignore[index]


def test_a_new_factor_gets_a_free_name_and_a_free_colour(scene: Scene, activations: FloatArray) -> None:
    two = scene_of(Factors.fit(activations, 2), ("sky", "rest"))
    refit = refitted(two, Factors.fit(activations, 3), ["sky", "sky", "sky"])
    assert len(set(refit.names)) == len(set(refit.colors)) == 3


def test_what_was_moved_stays_moved(scene: Scene, activations: FloatArray) -> None:
    moved = scene.move("tree", 0, 8)
    refit = refitted(moved, Factors.fit(activations, 3), ["a", "b", "c"])
    np.testing.assert_allclose(codes_of(refit), codes_of(moved), atol=0.05)
    np.testing.assert_array_equal(refit.remainder, moved.remainder)
    untouched = np.ones((GRID, GRID), np.bool_)
    untouched[6:12, 2:13] = False
    np.testing.assert_array_equal(refit.strengths[untouched], refit.base_strengths[untouched])


def test_added_and_reweighted_factors_stay_as_they_are(scene: Scene, fewer: Factors) -> None:
    painted = scene.add_factor({5: 1.0}, name="star").paint("star", [(1, 1)], 0.7).set_weight("tree", 4, 2.0)
    refit = refitted(painted, fewer, ["a", "b"])
    assert refit.names[2:] == ("tree", "star")
    np.testing.assert_array_equal(refit.basis[2:], painted.basis[2:])
    np.testing.assert_array_equal(refit.strengths[..., 2:], painted.strengths[..., 2:])
    assert refit.origins == (0, 1, -1, -1)


def test_a_removed_factor_stays_away(scene: Scene, activations: FloatArray) -> None:
    refit = refitted(scene.remove("tree"), Factors.fit(activations, 3), ["a", "b", "c"])
    assert codes_of(refit)[..., 2].max() < 0.05 * activations[..., 2].max()


def test_negative_strengths_stay_negative(scene: Scene, activations: FloatArray) -> None:
    refit = refitted(scene.scale("sky", -1.0), Factors.fit(activations, 3), ["a", "b", "c"])
    np.testing.assert_allclose(codes_of(refit)[0, 10, 0], -2.0, atol=0.05)


def test_another_seed_keeps_the_painting_and_knows_what_it_replaces(
    scene: Scene, activations: FloatArray
) -> None:
    painted = scene.paint("tree", [(2, 12)])
    mirrored = activations[:, ::-1]
    other = reseeded(painted, 9, mirrored)
    assert other.seed == 9
    np.testing.assert_array_equal(other.strengths, painted.strengths)
    np.testing.assert_allclose(other.base_strengths @ other.base_basis, mirrored, atol=0.05)
    assert not other.remainder.any()


def test_layers_stay_layers_over_other_factors(scene: Scene, fewer: Factors) -> None:
    painted = scene.replace(n_steps=4).paint("tree", "right", 0.7, steps=(2, 4))
    refit = refitted(painted, fewer, ["a", "b"])
    assert refit.names[-1] == "tree (steps 3-4)"
    assert refit.factor_steps == (None, None, (2, 4))
    assert refit.at_step(0) == refitted(painted.at_step(0), fewer, ["a", "b"])
    np.testing.assert_array_equal(refit.strengths[..., -1], painted.strengths[..., -1])


def test_what_was_painted_with_an_analysed_factor_at_some_steps_becomes_a_factor_of_its_own(
    scene: Scene, fewer: Factors, activations: FloatArray
) -> None:
    late = scene.replace(n_steps=4).set_steps("tree", (2, 4)).paint("tree", "right", 0.7)
    for other in (refitted(late, fewer, ["a", "b"]), reseeded(late, 9, activations)):
        assert other.names[-1] == "tree (steps 3-4)"
        assert other.factor_steps == (*(None for _ in other.names[1:]), (2, 4))
        np.testing.assert_allclose(
            other.strengths[..., -1], late.strengths[..., TREE] - late.base_strengths[..., TREE]
        )
    unpainted = reseeded(scene.replace(n_steps=4).set_steps("tree", (2, 4)), 9, activations)
    assert unpainted == reseeded(scene.replace(n_steps=4), 9, activations)


def test_a_refit_takes_the_numbers_that_an_analysis_takes() -> None:
    local, remote = (inspect.signature(one.refit) for one in (Painter, RemotePainter))
    assert local.parameters["n_factors"].annotation == "int | Mapping[str, int]"
    assert local == remote
