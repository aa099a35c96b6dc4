"""What holds for every scene and every edit, whatever the numbers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ember_widgets.scene.scene import GRID, Scene, heal
from tests.unit.scene.scenes import alone, filled, make_scene

# A busy machine is slow; that is no property of a scene.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

N_FACTORS = 3
index = st.integers(0, GRID - 1)
factors = st.integers(0, N_FACTORS - 1)
patch_lists = st.lists(st.tuples(index, index), max_size=40)
strengths = st.floats(-4, 4, width=32)
opacities = st.floats(0, 1)
seeds = st.integers(0, 2**32 - 1)


def scene_of(seed: int) -> Scene:
    """A scene with random strengths of both signs and a random remainder."""
    random = np.random.default_rng(seed)
    return make_scene(
        N_FACTORS,
        strengths=random.normal(size=(GRID, GRID, N_FACTORS)).astype(np.float32),
        remainder=random.uniform(size=(GRID, GRID)).astype(np.float32),
    )


scenes = st.builds(scene_of, seeds)


def code(scene: Scene) -> NDArray[np.float64]:
    """The change of the code that the painter makes of a scene: (16, 16, n_features)."""
    added = scene.strengths.astype(np.float64) @ scene.basis.astype(np.float64)
    analysed = scene.base_strengths.astype(np.float64) @ scene.base_basis.astype(np.float64)
    return added - analysed


def mask_of(patches: list[tuple[int, int]]) -> NDArray[np.bool_]:
    mask = np.zeros((GRID, GRID), bool)
    for patch in patches:
        mask[patch] = True
    return mask


class TestIdentity:
    """Edits that change nothing give an equal scene, bit for bit."""

    @given(scenes, factors, patch_lists)
    @pytest.mark.parametrize(
        "edit",
        [
            lambda s, f, p: s.scale(f, 1.0, p),
            lambda s, f, p: s.paint(f, p, 2.0, opacity=0.0),
            lambda s, f, p: s.paint(f, p, 0.0, mode="add"),
            lambda s, f, p: s.move(f, 0, 0, p),
            lambda s, f, p: s.paint(f, []),
            lambda s, f, p: s.erase([], f, heal=True),
            lambda s, f, p: s.rename(f, s.names[f]),
            lambda s, f, p: s.replace(),
        ],
        ids=["scale 1", "opacity 0", "add 0", "move 0", "paint none", "erase none", "rename", "replace"],
    )
    def test_of(
        self,
        edit: Callable[[Scene, int, list[tuple[int, int]]], Scene],
        scene: Scene,
        factor: int,
        patches: list[tuple[int, int]],
    ) -> None:
        assert edit(scene, factor, patches) == scene

    def test_an_analysed_scene_changes_no_code(self) -> None:
        assert (code(make_scene()) == 0).all()

    def test_a_factor_that_is_nowhere_changes_no_code(self) -> None:
        assert (code(make_scene().add_factor({1: 2.0})) == 0).all()


class TestLinearity:
    """The code change is linear in the strengths, so gains commute, add and mix."""

    @given(scenes, factors, strengths, strengths)
    def test_gains_multiply(self, scene: Scene, factor: int, first: float, second: float) -> None:
        twice = scene.scale(factor, first).scale(factor, second)
        once = scene.scale(factor, first * second)
        np.testing.assert_allclose(twice.strengths, once.strengths, rtol=1e-5, atol=1e-6)

    @given(scenes, factors, patch_lists, strengths, strengths)
    def test_added_strokes_add(
        self, scene: Scene, factor: int, patches: list[tuple[int, int]], first: float, second: float
    ) -> None:
        def stroke(strength: float) -> NDArray[np.float64]:
            return code(scene.paint(factor, patches, strength, mode="add")) - code(scene)

        np.testing.assert_allclose(stroke(first) + stroke(second), stroke(first + second), atol=1e-4)

    @given(scenes, factors, patch_lists, strengths, opacities)
    def test_opacity_mixes_the_scene_with_the_full_stroke(
        self, scene: Scene, factor: int, patches: list[tuple[int, int]], strength: float, opacity: float
    ) -> None:
        mixed = scene.paint(factor, patches, strength, opacity=opacity)
        full = scene.paint(factor, patches, strength)
        for name in ("strengths", "remainder"):
            before, after = getattr(scene, name), getattr(full, name)
            expected = (1 - opacity) * before + opacity * after
            np.testing.assert_allclose(getattr(mixed, name), expected, atol=1e-5)


class TestAblation:
    """Zero strength is the same as not being there."""

    @given(scenes, factors)
    def test_scaling_to_zero_takes_the_factor_out_of_the_code(self, scene: Scene, factor: int) -> None:
        others = [f for f in range(N_FACTORS) if f != factor]
        without = scene.strengths[..., others].astype(np.float64) @ scene.basis[others].astype(np.float64)
        analysed = code(scene) - scene.strengths.astype(np.float64) @ scene.basis.astype(np.float64)
        np.testing.assert_allclose(code(scene.scale(factor, 0)), without + analysed, atol=1e-5)

    @given(scenes, factors, patch_lists)
    def test_scaling_to_zero_is_erasing_the_factor(
        self, scene: Scene, factor: int, patches: list[tuple[int, int]]
    ) -> None:
        assert scene.scale(factor, 0, patches) == scene.erase(patches, factor)

    @given(scenes, factors, patch_lists)
    def test_painting_with_zero_strength_is_erasing_everything(
        self, scene: Scene, factor: int, patches: list[tuple[int, int]]
    ) -> None:
        assert scene.paint(factor, patches, 0.0) == scene.erase(patches)


class TestMove:
    @given(patch_lists, st.floats(0.5, 1, width=32), st.data())
    def test_there_and_back_is_identity_where_nothing_is_covered(
        self, patches: list[tuple[int, int]], strength: float, data: st.DataObject
    ) -> None:
        """A factor alone in the picture, moved within the grid: nothing is lost on the way."""
        scene = alone(patches, strength)
        rows, cols = [row for row, _ in patches] or [0], [col for _, col in patches] or [0]
        d_row = data.draw(st.integers(-min(rows), GRID - 1 - max(rows)), "d_row")
        d_col = data.draw(st.integers(-min(cols), GRID - 1 - max(cols)), "d_col")
        there = scene.move("sky", d_row, d_col, heal=False)
        assert there.move("sky", -d_row, -d_col, heal=False) == scene

    @given(scenes, factors, patch_lists, st.integers(-15, 15), st.integers(-15, 15), st.booleans())
    def test_touches_only_where_it_was_and_where_it_goes(
        self, scene: Scene, factor: int, patches: list[tuple[int, int]], d_row: int, d_col: int, heal: bool
    ) -> None:
        moved = scene.move(factor, d_row, d_col, patches, heal)
        shifted = [(row + d_row, col + d_col) for row, col in patches]
        landed = [p for p in shifted if 0 <= p[0] < GRID and 0 <= p[1] < GRID]
        elsewhere = ~mask_of([*patches, *landed])
        assert (moved.strengths[elsewhere] == scene.strengths[elsewhere]).all()
        assert (moved.remainder[elsewhere] == scene.remainder[elsewhere]).all()

    @given(scenes, factors, patch_lists, st.integers(-15, 15), st.integers(-15, 15))
    def test_carries_each_strength_that_stays_in_the_grid(
        self, scene: Scene, factor: int, patches: list[tuple[int, int]], d_row: int, d_col: int
    ) -> None:
        moved = scene.move(factor, d_row, d_col, patches)
        for row, col in patches:
            if 0 <= row + d_row < GRID and 0 <= col + d_col < GRID:
                there, here = moved.strengths[row + d_row, col + d_col], scene.strengths[row, col]
                assert there[factor] == here[factor]


class TestHeal:
    @given(scenes, patch_lists)
    def test_stays_between_what_surrounds_it(self, scene: Scene, patches: list[tuple[int, int]]) -> None:
        hole = mask_of(patches)
        healed, known = heal(scene.strengths, hole), scene.strengths[~hole]
        assert (healed >= known.min(axis=0)).all()
        assert (healed <= known.max(axis=0)).all()

    @given(patch_lists, strengths)
    def test_of_an_even_picture_leaves_no_trace(self, patches: list[tuple[int, int]], level: float) -> None:
        even = filled(level, GRID, GRID, 2)
        np.testing.assert_allclose(heal(even, mask_of(patches)), even, rtol=1e-6)

    @given(scenes, patch_lists)
    def test_favours_no_direction(self, scene: Scene, patches: list[tuple[int, int]]) -> None:
        hole = mask_of(patches)
        healed = heal(scene.strengths, hole)
        turned = heal(np.rot90(scene.strengths), np.rot90(hole))
        np.testing.assert_allclose(turned, np.rot90(healed), atol=1e-5)


class TestWeights:
    @given(scenes, factors, st.integers(0, 7), strengths)
    def test_reads_what_was_set(self, scene: Scene, factor: int, feature: int, weight: float) -> None:
        read = scene.set_weight(factor, feature, weight).weights(factor).get(feature, 0.0)
        assert read == pytest.approx(weight, rel=1e-6, abs=1e-37)

    @given(scenes, factors)
    def test_rebuild_the_factor(self, scene: Scene, factor: int) -> None:
        rebuilt = scene.add_factor(scene.weights(factor))
        np.testing.assert_allclose(rebuilt.basis[-1], scene.basis[factor], rtol=1e-6)


@given(scenes, st.text(), seeds)
@settings(max_examples=25)
def test_a_saved_scene_comes_back_exactly(scene: Scene, prompt: str, seed: int) -> None:
    scene = scene.replace(prompt=prompt, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.json"
        scene.save(path)
        assert Scene.load(path) == scene
