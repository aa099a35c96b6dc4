"""Factors that act at some sampling steps only: what they do to a scene, and what a scene is at a step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ember_widgets.scene.scene import Scene
from tests.unit.scene.scene_strategies import edited, edits, scenes
from tests.unit.scene.scenes import filled, make_scene

HERE = [(4, 7)]
PATCH = (4, 7)
DOWN, UP = "down_blocks.2.attentions.1", "up_blocks.0.attentions.1"


@pytest.fixture
def scene() -> Scene:
    """Every strength 0.5, no remainder gone, four steps."""
    return plain()


def plain(**fields: Any) -> Scene:
    return make_scene(
        strengths=filled(0.5, 16, 16, 3), base_strengths=filled(0.5, 16, 16, 3), n_steps=4, **fields
    )


def at(scene: Scene, step: int) -> list[float]:
    """The strengths of all factors and the remainder, in one patch at a step."""
    now = scene.at_step(step)
    return [*now.strengths[PATCH].tolist(), float(now.remainder[PATCH])]


class TestPaintAtSteps:
    def test_a_copy_of_the_factor_is_painted_and_nothing_else_changes(self, scene: Scene) -> None:
        painted = scene.paint("lion", HERE, steps=(2, 4))
        assert painted.names == ("sky", "lion", "meadow", "lion (steps 3-4)")
        assert painted.factor_steps == (None, None, None, (2, 4))
        assert painted.strengths[PATCH].tolist() == [0.5, 0.5, 0.5, 1]
        assert np.array_equal(painted.strengths[..., :3], scene.strengths)
        assert np.array_equal(painted.remainder, scene.remainder)
        assert np.array_equal(painted.basis[3], scene.basis[1])

    def test_it_covers_at_its_steps_only(self, scene: Scene) -> None:
        painted = scene.paint("lion", HERE, 0.75, steps=(2, 4))
        assert [at(painted, step) for step in range(4)] == [
            *([[0.5, 0.5, 0.5, 0, 1]] * 2),
            *([[0.125, 0.125, 0.125, 0.75, 0.25]] * 2),
        ]

    def test_added_it_covers_nothing(self, scene: Scene) -> None:
        painted = scene.paint("lion", HERE, steps=(3, 4), mode="add")
        assert painted.names[3] == "lion (step 4, added)"
        assert at(painted, 3) == [0.5, 0.5, 0.5, 1, 1]

    def test_the_copy_is_found_again(self, scene: Scene) -> None:
        painted = scene.paint("lion", HERE, steps=(2, 4)).paint("lion", "left", steps=(2, 4))
        assert painted.n_factors == 4
        assert painted.paint("lion (steps 3-4)", "right", steps=(2, 4)).n_factors == 4
        assert painted.paint("lion", "right", steps=(0, 2)).names[4] == "lion (steps 1-2)"
        # Other weights are another factor.
        assert painted.set_weight("lion", 0, 9.0).paint("lion", HERE, steps=(2, 4)).n_factors == 5

    def test_all_steps_are_no_steps(self, scene: Scene) -> None:
        assert scene.paint("lion", HERE, steps=(0, 4)) == scene.paint("lion", HERE)

    @pytest.mark.parametrize(
        ("steps", "message"),
        [
            ((2, 5), r"steps=\(2, 5\) is not a range of the 4 steps; give \(start, stop\) with 0 <= start"),
            ((2, 2), r"steps=\(2, 2\) is not a range"),
            (3, "steps=3 is not a pair"),
            (("a", 2), "steps='a' is not a whole number"),
        ],
    )
    def test_steps_that_are_not_there_are_refused(self, scene: Scene, steps: Any, message: str) -> None:
        with pytest.raises((TypeError, ValueError), match=message):
            scene.paint("lion", HERE, steps=steps)
        with pytest.raises((TypeError, ValueError), match=message):
            scene.set_steps("lion", steps)


class TestSetSteps:
    def test_an_unedited_scene_stays_the_unedited_picture_at_every_step(self, scene: Scene) -> None:
        late = scene.set_steps("lion", (2, 4)).set_steps("sky", (0, 1))
        for step in range(4):
            assert late.at_step(step) == scene

    def test_an_analysed_factor_is_as_analysed_at_other_steps(self, scene: Scene) -> None:
        late = scene.set_steps("lion", (2, 4)).paint("lion", HERE).set_weight("lion", 0, 9.0)
        assert at(late, 0) == [0.5, 0.5, 0.5, 1]
        assert np.array_equal(late.at_step(0).basis, scene.basis)
        # It covers as much as was painted: 1 less the 0.5 that it was.
        assert at(late, 2) == [0.25, 1, 0.25, 0.5]
        assert np.array_equal(late.at_step(2).basis, late.basis)

    def test_what_covers_it_at_all_steps_covers_it_at_its_other_steps_too(self, scene: Scene) -> None:
        late = scene.set_steps("lion", (2, 4)).paint("sky", HERE)
        assert [at(late, step) for step in (0, 2)] == [[1, 0, 0, 0]] * 2
        gone = scene.set_steps("lion", (2, 4)).erase(HERE)
        assert [at(gone, step) for step in (0, 2)] == [[0, 0, 0, 0]] * 2

    def test_what_it_had_covered_is_given_back_at_other_steps(self, scene: Scene) -> None:
        added = scene.add_factor({2: 1.0}, "castle").paint("castle", HERE)
        late = added.set_steps("castle", (2, 4))
        assert at(late, 0) == [0.5, 0.5, 0.5, 0, 1]
        assert at(late, 2) == at(added, 2) == [0, 0, 0, 1, 0]
        assert late.set_steps("castle", None) == added

    def test_half_covered_is_given_back_by_half(self, scene: Scene) -> None:
        added = scene.add_factor({2: 1.0}, "castle").paint("castle", HERE, opacity=0.5)
        late = added.set_steps("castle", (2, 4))
        assert at(late, 0) == [0.5, 0.5, 0.5, 0, 1]
        assert at(late, 3) == [0.25, 0.25, 0.25, 0.5, 0.5]
        assert late.set_steps("castle", None) == added

    def test_nothing_is_given_back_that_was_not_covered(self, scene: Scene) -> None:
        strong = scene.scale("sky", 2.0).scale("meadow", 1.5)
        late = strong.set_steps("sky", (2, 4))
        assert at(late, 0) == [0.5, 0.5, 0.75, 1]
        blank = plain(remainder=filled(0, 16, 16)).replace(
            strengths=filled(0, 16, 16, 0), basis=filled(0, 0, 8), names=(), colors=(), origins=(),
            base_strengths=filled(0, 16, 16, 0), base_basis=filled(0, 0, 8),
        )  # fmt: skip
        painted = blank.add_factor({1: 1.0}, "sky").paint("sky", HERE).set_steps("sky", (2, 4))
        assert [at(painted, 0), at(painted, 3)] == [[0, 0], [1, 0]]

    def test_all_steps_keep_the_look_at_its_steps(self, scene: Scene) -> None:
        layered = scene.paint("lion", HERE, 0.75, steps=(2, 4))
        everywhere = layered.set_steps(3, None)
        assert everywhere.factor_steps is None
        assert at(everywhere, 0) == at(layered, 3)

    def test_the_mode_stays_until_it_is_changed(self, scene: Scene) -> None:
        added = scene.set_steps("lion", (2, 4), mode="add")
        assert added.factor_steps == (None, (2, 4, "add"), None)
        assert added.set_steps("lion", (1, 4)).factor_steps == (None, (1, 4, "add"), None)
        assert added.set_steps("lion", (2, 4), mode="over").factor_steps == (None, (2, 4), None)
        assert at(added.paint("lion", HERE), 3) == [0.5, 1, 0.5, 1]
        with pytest.raises(ValueError, match="mode='under' is unknown; choose 'over'"):
            scene.set_steps("lion", (2, 4), mode="under")  # type: ignore[arg-type]

    def test_none_of_a_factor_without_steps_changes_nothing(self, scene: Scene) -> None:
        assert scene.set_steps("lion", None) is scene

    def test_fewer_steps_lose_nothing(self, scene: Scene) -> None:
        painted = scene.paint("lion", HERE, steps=(2, 4))
        fewer = painted.replace(n_steps=2)
        assert at(fewer, 1) == [0.5, 0.5, 0.5, 0, 1]
        assert fewer.replace(n_steps=4) == painted


class TestSeveralLayers:
    def test_the_later_one_lies_above_whatever_the_palette(self, scene: Scene) -> None:
        layered = scene.paint("lion", HERE, steps=(1, 3)).paint("sky", HERE, steps=(2, 4))
        assert at(layered, 1) == [0, 0, 0, 1, 0, 0]
        assert at(layered, 2) == [0, 0, 0, 0, 1, 0]
        assert at(layered, 3) == [0, 0, 0, 0, 1, 0]
        turned = layered.reorder([4, 3, 2, 1, 0])
        for step in range(4):
            assert at(turned, step)[:5] == at(layered, step)[4::-1]

    def test_strokes_at_the_same_steps_cover_each_other(self, scene: Scene) -> None:
        layered = scene.paint("lion", HERE, steps=(2, 4)).paint("sky", HERE, opacity=0.75, steps=(2, 4))
        assert layered.strengths[PATCH].tolist() == [0.5, 0.5, 0.5, 0.25, 0.75]

    def test_a_stroke_covers_only_what_acts_at_its_steps(self, scene: Scene) -> None:
        short = scene.paint("lion", HERE, steps=(3, 4))
        assert short.paint("sky", HERE, steps=(2, 4)).strengths[PATCH].tolist() == [0.5, 0.5, 0.5, 0, 1]
        assert short.paint("sky", HERE, steps=(2, 3)).strengths[PATCH].tolist() == [0.5, 0.5, 0.5, 1, 1]
        assert short.paint("sky", HERE).strengths[PATCH].tolist() == [1, 0, 0, 0]


class TestOtherEdits:
    def test_an_eraser_of_everything_erases_layers(self, scene: Scene) -> None:
        layered = scene.paint("lion", HERE, steps=(2, 4))
        assert [at(layered.erase(HERE), step) for step in (0, 3)] == [[0, 0, 0, 0, 0]] * 2

    def test_erasing_a_layer_leaves_the_rest(self, scene: Scene) -> None:
        layered = scene.paint("lion", HERE, steps=(2, 4))
        for heal in (False, True):
            assert layered.erase(HERE, 3, heal=heal).at_step(3).replace(names=(*scene.names[:3], "x")) == (
                scene.duplicate("lion").replace(
                    names=(*scene.names[:3], "x"), colors=layered.colors, origins=(0, 1, 2, -1)
                )
            )

    def test_moving_a_layer_leaves_the_rest(self, scene: Scene) -> None:
        moved = scene.paint("lion", HERE, steps=(2, 4)).move(3, 1, 1)
        assert np.array_equal(moved.strengths[..., :3], scene.strengths)
        assert np.array_equal(moved.remainder, scene.remainder)
        assert moved.strengths[5, 8, 3] == 1
        assert moved.strengths[PATCH][3] == 0

    def test_negative_strengths_cover_nothing(self, scene: Scene) -> None:
        assert at(scene.paint("lion", HERE, -1.0, steps=(2, 4)), 3) == [0.5, 0.5, 0.5, -1, 1]

    def test_a_slider_makes_it_cover_less(self, scene: Scene) -> None:
        assert at(scene.paint("lion", HERE, steps=(2, 4)).scale(3, 0.5), 3) == [0.25, 0.25, 0.25, 0.5, 0.5]

    def test_the_palette_keeps_steps_with_their_factors(self, scene: Scene) -> None:
        late = scene.set_steps("lion", (2, 4))
        assert late.reorder(["meadow", "sky", "lion"]).factor_steps == (None, None, (2, 4))
        assert late.remove("sky").factor_steps == ((2, 4), None)
        assert late.remove("lion").factor_steps is None
        assert late.duplicate("lion").factor_steps == (None, (2, 4), None, (2, 4))
        assert late.add_factor({1: 1.0}).factor_steps == (None, (2, 4), None, None)
        assert scene.borrow(late, "lion").factor_steps is None
        assert late.original().factor_steps is None

    def test_a_copy_is_not_there_at_other_steps(self, scene: Scene) -> None:
        late = scene.set_steps("lion", (2, 4)).duplicate("lion").paint("lion 2", HERE)
        assert at(late, 0) == [0.5, 0.5, 0.5, 0, 1]
        assert at(late.reorder([3, 2, 1, 0]), 0) == [0, 0.5, 0.5, 0.5, 1]

    def test_another_sites_factors_are_not_covered(self) -> None:
        basis = filled(0, 3, 8)
        basis[0, 1] = basis[1, 2] = basis[2, 6] = 1
        scene = plain(basis=basis, base_basis=basis, sites={DOWN: 5, UP: 3}, model={"site": f"{DOWN},{UP}"})
        assert at(scene.paint("lion", HERE, steps=(2, 4)), 3) == [0, 0, 0.5, 1, 0]
        assert at(scene.paint("meadow", HERE, steps=(2, 4)), 3) == [0.5, 0.5, 0, 1, 1]


class TestAsAValue:
    def test_it_is_in_the_file_only_if_it_is_used(self, scene: Scene, tmp_path: Path) -> None:
        late = scene.set_steps("lion", (2, 4), mode="add").set_steps("sky", (0, 1))
        late.save(tmp_path / "scene.json")
        assert Scene.load(tmp_path / "scene.json") == late
        assert b"factor_steps" not in scene.to_bytes()

    def test_scenes_with_other_steps_differ(self, scene: Scene) -> None:
        late = scene.set_steps("lion", (2, 4))
        assert late != scene
        assert late != scene.set_steps("lion", (2, 3))
        assert scene.replace(factor_steps=[None, None, None]) == scene
        # Which of two copies was analysed decides what is drawn.
        copied = late.duplicate("lion")
        assert copied.replace(factor_ids=(0, 3, 2, 1), next_factor_id=None) != copied

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            (7, "factor_steps=7 does not fit"),
            (((0, 1),), r"does not fit; give \(start, stop\) or None for each of the 3 factors"),
            (((0, 1, "over"), None, None), "is not a pair"),
            (((2, 1), None, None), "is not a range of the 100 steps"),
            (((0, 101), None, None), "is not a range of the 100 steps"),
            ((5, None, None), "factor_steps=5 is not a pair"),
        ],
    )
    def test_steps_that_make_no_sense_are_refused(self, scene: Scene, value: Any, message: str) -> None:
        with pytest.raises((TypeError, ValueError), match=message):
            scene.replace(factor_steps=value)


@given(st.data())
def test_layers_change_nothing_at_other_steps(data: st.DataObject) -> None:
    """Whatever is painted with an added layer, all else is the same where it does not act."""
    before = data.draw(scenes().filter(lambda s: s.n_factors and s.n_steps > 1))
    f = data.draw(st.integers(0, before.n_factors - 1))
    assume(before.next_factor_id != 2**53)  # there is no id for one more factor
    after = before.paint(f, "everything", data.draw(st.floats(-2, 2)), steps=(1, before.n_steps))
    if after.n_factors == before.n_factors:
        return
    first = after.at_step(0)
    assert np.array_equal(first.strengths[..., :-1], before.at_step(0).strengths)
    assert np.array_equal(first.remainder, before.at_step(0).remainder)
    assert not first.strengths[..., -1].any()


@given(st.data())
def test_every_edit_leaves_a_scene_that_can_be_drawn_at_each_step(data: st.DataObject) -> None:
    scene = data.draw(scenes())
    for _ in range(3):
        scene = edited(scene, *data.draw(edits(scene)))
        now = scene.at_step(scene.n_steps - 1)
        assert now.factor_steps is None
        assert now.names == scene.names
