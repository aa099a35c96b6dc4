"""What holds for every scene and every edit, whatever the numbers and the grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ember_widgets.scene.grid import Grid
from ember_widgets.scene.scene import Scene
from tests.unit.properties import tries
from tests.unit.scene.scenes import alone, filled, make_scene

N_FACTORS = 3
Pairs = list[tuple[int, int]]


class Start(NamedTuple):
    """A scene, and patches of its grid."""

    scene: Scene
    patches: Pairs


class Shift(NamedTuple):
    """A scene, patches of its grid, and a move that its grid allows."""

    scene: Scene
    patches: Pairs
    d_row: int
    d_col: int


def scene_of(grid: Grid, seed: int) -> Scene:
    """A scene with random strengths of both signs and a random remainder."""
    random = np.random.default_rng(seed)
    return make_scene(
        N_FACTORS,
        grid=grid,
        strengths=random.normal(size=(*grid.shape, N_FACTORS)).astype(np.float32),
        remainder=random.uniform(size=grid.shape).astype(np.float32),
    )


def patches_of(grid: Grid) -> st.SearchStrategy[Pairs]:
    patch = st.tuples(st.integers(0, grid.rows - 1), st.integers(0, grid.cols - 1))
    return st.lists(patch, max_size=40)


def scenes_on(grid: Grid) -> st.SearchStrategy[Scene]:
    return st.builds(scene_of, st.just(grid), seeds)


def shifts_on(grid: Grid) -> st.SearchStrategy[Shift]:
    rows, cols = st.integers(1 - grid.rows, grid.rows - 1), st.integers(1 - grid.cols, grid.cols - 1)
    return st.builds(Shift, scenes_on(grid), patches_of(grid), rows, cols)


GRIDS = (Grid(16, 16), Grid(24, 24), Grid(12, 20), Grid(3, 2))
grids = st.sampled_from(GRIDS)
factors = st.integers(0, N_FACTORS - 1)
strengths = st.floats(-4, 4, width=32)
opacities = st.floats(0, 1)
seeds = st.integers(0, 2**32 - 1)
scenes = grids.flatmap(scenes_on)
starts = grids.flatmap(lambda grid: st.builds(Start, scenes_on(grid), patches_of(grid)))
shifts = grids.flatmap(shifts_on)


def code(scene: Scene) -> NDArray[np.float64]:
    """The change of the code that the painter makes of a scene: (rows, cols, n_features)."""
    added = scene.strengths.astype(np.float64) @ scene.basis.astype(np.float64)
    analysed = scene.base_strengths.astype(np.float64) @ scene.base_basis.astype(np.float64)
    return added - analysed


class TestIdentity:
    """Edits that change nothing give an equal scene, bit for bit."""

    @given(starts, factors)
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
    def test_of(self, edit: Callable[[Scene, int, Pairs], Scene], start: Start, factor: int) -> None:
        edited = edit(start.scene, factor, start.patches)
        assert edited == start.scene
        assert edited.factor_ids == start.scene.factor_ids

    @pytest.mark.parametrize("grid", GRIDS, ids=str)
    def test_an_analysed_scene_changes_no_code(self, grid: Grid) -> None:
        assert (code(make_scene(grid=grid)) == 0).all()

    def test_a_factor_that_is_nowhere_changes_no_code(self) -> None:
        assert (code(make_scene().add_factor({1: 2.0})) == 0).all()


class TestLinearity:
    """The code change is linear in the strengths, so gains commute, add and mix."""

    @given(scenes, factors, strengths, strengths)
    def test_gains_multiply(self, scene: Scene, factor: int, first: float, second: float) -> None:
        twice = scene.scale(factor, first).scale(factor, second)
        once = scene.scale(factor, first * second)
        np.testing.assert_allclose(twice.strengths, once.strengths, rtol=1e-5, atol=1e-6)

    @given(starts, factors, strengths, strengths)
    def test_added_strokes_add(self, start: Start, factor: int, first: float, second: float) -> None:
        scene, patches = start

        def stroke(strength: float) -> NDArray[np.float64]:
            return code(scene.paint(factor, patches, strength, mode="add")) - code(scene)

        np.testing.assert_allclose(stroke(first) + stroke(second), stroke(first + second), atol=1e-4)

    @given(starts, factors, strengths, opacities)
    def test_opacity_mixes_the_scene_with_the_full_stroke(
        self, start: Start, factor: int, strength: float, opacity: float
    ) -> None:
        scene, patches = start
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

    @given(starts, factors)
    def test_scaling_to_zero_is_erasing_the_factor(self, start: Start, factor: int) -> None:
        scene, patches = start
        assert scene.scale(factor, 0, patches) == scene.erase(patches, factor)

    @given(starts, factors)
    def test_painting_with_zero_strength_is_erasing_everything(self, start: Start, factor: int) -> None:
        scene, patches = start
        assert scene.paint(factor, patches, 0.0) == scene.erase(patches)


class TestMove:
    @given(grids, st.floats(0.5, 1, width=32), st.data())
    def test_there_and_back_is_identity_where_nothing_is_covered(
        self, grid: Grid, strength: float, data: st.DataObject
    ) -> None:
        """A factor alone in the picture, moved within the grid: nothing is lost on the way."""
        patches = data.draw(patches_of(grid), "patches")
        scene = alone(patches, strength, grid)
        rows, cols = [row for row, _ in patches] or [0], [col for _, col in patches] or [0]
        d_row = data.draw(st.integers(-min(rows), grid.rows - 1 - max(rows)), "d_row")
        d_col = data.draw(st.integers(-min(cols), grid.cols - 1 - max(cols)), "d_col")
        there = scene.move("sky", d_row, d_col, heal=False)
        assert there.move("sky", -d_row, -d_col, heal=False) == scene

    @given(shifts, factors, st.booleans())
    def test_touches_only_where_it_was_and_where_it_goes(self, shift: Shift, factor: int, heal: bool) -> None:
        scene, patches, d_row, d_col = shift
        moved = scene.move(factor, d_row, d_col, patches, heal)
        shifted = [(row + d_row, col + d_col) for row, col in patches]
        rows, cols = scene.grid.shape
        landed = [p for p in shifted if 0 <= p[0] < rows and 0 <= p[1] < cols]
        elsewhere = ~scene.grid.mask([*patches, *landed])
        assert (moved.strengths[elsewhere] == scene.strengths[elsewhere]).all()
        assert (moved.remainder[elsewhere] == scene.remainder[elsewhere]).all()

    @given(shifts, factors)
    def test_carries_each_strength_that_stays_in_the_grid(self, shift: Shift, factor: int) -> None:
        scene, patches, d_row, d_col = shift
        moved = scene.move(factor, d_row, d_col, patches)
        rows, cols = scene.grid.shape
        for row, col in patches:
            if 0 <= row + d_row < rows and 0 <= col + d_col < cols:
                there, here = moved.strengths[row + d_row, col + d_col], scene.strengths[row, col]
                assert there[factor] == here[factor]


class TestHeal:
    @given(starts)
    def test_stays_between_what_surrounds_it(self, start: Start) -> None:
        scene, patches = start
        hole = scene.grid.mask(patches)
        healed, known = scene.grid.heal(scene.strengths, hole), scene.strengths[~hole]
        if not len(known):
            assert (healed == 0).all()
            return
        assert (healed >= known.min(axis=0)).all()
        assert (healed <= known.max(axis=0)).all()

    @given(starts, strengths)
    def test_of_an_even_picture_leaves_no_trace(self, start: Start, level: float) -> None:
        grid = start.scene.grid
        even, hole = filled(level, *grid.shape, 2), grid.mask(start.patches)
        expected = np.zeros_like(even) if hole.all() else even
        np.testing.assert_allclose(grid.heal(even, hole), expected, rtol=1e-6)

    @given(starts, st.sampled_from([0, 1]))
    def test_favours_neither_left_nor_right_and_neither_up_nor_down(self, start: Start, axis: int) -> None:
        scene, patches = start
        hole = scene.grid.mask(patches)
        healed = scene.grid.heal(scene.strengths, hole)
        turned = scene.grid.heal(np.flip(scene.strengths, axis), np.flip(hole, axis))
        np.testing.assert_allclose(turned, np.flip(healed, axis), atol=1e-5)


class TestWeights:
    @given(scenes, factors, st.integers(0, 7), strengths)
    def test_reads_what_was_set(self, scene: Scene, factor: int, feature: int, weight: float) -> None:
        read = scene.set_weight(factor, feature, weight).weights(factor).get(feature, 0.0)
        assert read == pytest.approx(weight, rel=1e-6, abs=1e-37)

    @given(scenes, factors)
    def test_rebuild_the_factor(self, scene: Scene, factor: int) -> None:
        rebuilt = scene.add_factor(scene.weights(factor))
        np.testing.assert_allclose(rebuilt.basis[-1], scene.basis[factor], rtol=1e-6)


palette_edits = st.lists(
    st.sampled_from(("add", "remove first", "duplicate last", "borrow", "turn", "rename")), max_size=12
)


@given(scenes, palette_edits)
@tries(50)
def test_ids_stay_with_their_factors_and_are_never_given_twice(scene: Scene, edits: list[str]) -> None:
    edited, ever = scene, set(scene.factor_ids or ())
    rows = dict(zip(scene.factor_ids or (), scene.basis.tolist(), strict=True))
    for i, edit in enumerate(edits):
        before = set(edited.factor_ids or ())
        if edit == "add" or not edited.n_factors:
            edited = edited.add_factor({i % 8: 1.0 + i})
        elif edit == "remove first":
            edited = edited.remove(0)
        elif edit == "duplicate last":
            edited = edited.duplicate(edited.n_factors - 1)
        elif edit == "borrow":
            edited = edited.borrow(scene, 1)
        elif edit == "turn":
            edited = edited.reorder([*range(1, edited.n_factors), 0])
        else:
            edited = edited.rename(0, f"renamed {i}")
        edited = Scene.from_bytes(edited.to_bytes())
        ids = edited.factor_ids or ()
        new = set(ids) - before
        assert not new & ever
        ever |= new
        for id_, row in zip(ids, edited.basis.tolist(), strict=True):
            assert rows.setdefault(id_, row) == row
