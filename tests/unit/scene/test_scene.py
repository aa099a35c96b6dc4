"""What each edit of a scene does, patch by patch, and what it says to bad input."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ember_widgets.scene.grid import Grid
from ember_widgets.scene.palette import PALETTE, palette
from ember_widgets.scene.scene import Scene
from tests.unit.scene.make_parity import PATH as PARITY
from tests.unit.scene.make_parity import text as parity_text
from tests.unit.scene.scenes import alone, filled, make_scene

PATCH = (4, 7)
OTHER = (4, 8)
HERE = [PATCH]


@pytest.fixture
def scene() -> Scene:
    return make_scene()


class TestPaint:
    def test_over_replaces_what_the_patch_held(self, scene: Scene) -> None:
        painted = scene.paint("lion", HERE, 0.5)
        assert painted.strengths[PATCH].tolist() == [0, 0.5, 0]
        assert painted.remainder[PATCH] == 0

    def test_over_at_half_opacity_meets_half_way(self) -> None:
        scene = make_scene(strengths=filled(1, 16, 16, 3))
        painted = scene.paint(1, HERE, 2.0, opacity=0.5)
        assert painted.strengths[PATCH].tolist() == [0.5, 1.5, 0.5]
        assert painted.remainder[PATCH] == 0.5

    def test_a_soft_edge_counts_patch_by_patch(self) -> None:
        scene = make_scene(strengths=filled(1, 16, 16, 3))
        opacity = filled(0, 16, 16)
        opacity[PATCH], opacity[OTHER] = 0.5, 1
        painted = scene.paint(1, HERE, 2.0, opacity=opacity)
        assert painted.strengths[PATCH].tolist() == [0.5, 1.5, 0.5]
        assert painted.remainder[PATCH] == 0.5
        assert painted.strengths[OTHER].tolist() == [1, 1, 1]

    def test_areas_have_names(self, scene: Scene) -> None:
        painted = scene.paint(0, "left", 9)
        assert (painted.strengths[:, :5, 0] == 9).all()
        assert (painted.strengths[:, 5:] == scene.strengths[:, 5:]).all()

    def test_add_leaves_the_other_factors_and_the_remainder(self) -> None:
        scene = make_scene(strengths=filled(1, 16, 16, 3))
        painted = scene.paint(1, HERE, 2.0, opacity=0.5, mode="add")
        assert painted.strengths[PATCH].tolist() == [1, 2, 1]
        assert painted.remainder[PATCH] == 1

    def test_is_as_strong_as_the_model_itself_by_default(self, scene: Scene) -> None:
        assert scene.paint(0, HERE).strengths[PATCH][0] == 1

    def test_negative_strength_subtracts(self, scene: Scene) -> None:
        assert scene.paint(0, HERE, -0.25).strengths[PATCH].tolist() == [-0.25, 0, 0]

    @pytest.mark.parametrize("mode", ["over", "add"])
    def test_leaves_all_other_patches(self, scene: Scene, mode: Any) -> None:
        painted = scene.paint(0, HERE, 0.3, mode=mode)
        elsewhere = np.ones((16, 16), bool)
        elsewhere[PATCH] = False
        assert (painted.strengths[elsewhere] == scene.strengths[elsewhere]).all()
        assert (painted.remainder[elsewhere] == scene.remainder[elsewhere]).all()

    def test_leaves_the_scene_it_came_from(self, scene: Scene) -> None:
        before = copy.deepcopy(scene)
        assert scene.paint(0, HERE) != before
        assert scene == before

    def test_no_patches_change_nothing(self, scene: Scene) -> None:
        assert scene.paint(0, []) == scene


class TestPatches:
    def test_mask_pairs_arrays_and_generators_mean_the_same(self, scene: Scene) -> None:
        mask = np.zeros((16, 16), bool)
        mask[4, 7] = mask[0, 15] = True
        expected = scene.erase(mask)
        assert scene.erase([(4, 7), (0, 15)]) == expected
        assert scene.erase({(4, 7), (0, 15)}) == expected
        assert scene.erase(pair for pair in [(4, 7), (0, 15)]) == expected
        # numpy's own ways to name patches
        assert scene.erase(np.argwhere(mask)) == expected
        assert scene.erase(zip(*np.nonzero(mask), strict=True)) == expected


class TestErase:
    def test_leaves_nothing(self, scene: Scene) -> None:
        erased = scene.erase(HERE)
        assert erased.strengths[PATCH].tolist() == [0, 0, 0]
        assert erased.remainder[PATCH] == 0

    def test_of_one_factor_keeps_the_rest_of_the_patch(self, scene: Scene) -> None:
        erased = scene.erase(HERE, "lion")
        assert erased.strengths[PATCH][1] == 0
        assert erased.strengths[PATCH][[0, 2]].tolist() == scene.strengths[PATCH][[0, 2]].tolist()
        assert erased.remainder[PATCH] == 1

    def test_with_heal_closes_the_surroundings_over_the_gap(self) -> None:
        scene = make_scene(strengths=filled(0.5, 16, 16, 3)).paint("lion", HERE, 2.0)
        assert scene.erase(HERE, heal=True).strengths[PATCH].tolist() == [0.5, 0.5, 0.5]

    def test_of_one_factor_with_heal_fills_all_others(self) -> None:
        scene = make_scene(strengths=filled(0.5, 16, 16, 3)).paint("lion", HERE, 2.0)
        erased = scene.erase(HERE, "lion", heal=True)
        assert erased.strengths[PATCH].tolist() == [0.5, 0, 0.5]

    @pytest.mark.parametrize("factor", [None, "lion"])
    def test_with_heal_takes_away_what_is_left_of_the_original(
        self, scene: Scene, factor: str | None
    ) -> None:
        assert scene.erase(HERE, factor, heal=True).remainder[PATCH] == 0


class TestScale:
    def test_multiplies_one_factor_everywhere(self, scene: Scene) -> None:
        scaled = scene.scale("lion", 2)
        assert (scaled.strengths[..., 1] == 2 * scene.strengths[..., 1]).all()
        assert (scaled.strengths[..., [0, 2]] == scene.strengths[..., [0, 2]]).all()
        assert (scaled.remainder == scene.remainder).all()

    def test_multiplies_in_the_given_patches_only(self, scene: Scene) -> None:
        scaled = scene.scale("lion", -1, HERE)
        assert scaled.strengths[PATCH][1] == -scene.strengths[PATCH][1]
        assert scaled.strengths[OTHER][1] == scene.strengths[OTHER][1]


class TestMove:
    def test_carries_the_strengths_and_the_remainder(self) -> None:
        scene = make_scene().paint("sky", HERE, opacity=0.25)
        moved = scene.move("lion", 2, -3, HERE)
        assert moved.strengths[6, 4].tolist() == [0, scene.strengths[PATCH][1], 0]
        assert moved.remainder[6, 4] == 0.75
        assert moved.remainder[PATCH] == 0

    def test_fills_what_it_leaves_from_around(self) -> None:
        scene = make_scene(strengths=filled(0.5, 16, 16, 3)).paint("lion", HERE, 2.0)
        assert scene.move("lion", 0, 5).strengths[PATCH].tolist() == [0.5, 0, 0.5]

    def test_without_heal_leaves_nothing(self, scene: Scene) -> None:
        assert scene.move("lion", 0, 5, HERE, heal=False).strengths[PATCH].tolist() == [0, 0, 0]

    def test_heals_with_the_surroundings_as_they_were_before_it_lands(self) -> None:
        """Else the empty rim of the region at its new place would be dragged into the gap."""
        scene = make_scene(strengths=filled(0.5, 16, 16, 3)).paint("lion", [(4, 7), (4, 8)], 2.0)
        moved = scene.move("lion", 0, 1)
        assert moved.strengths[4, 7].tolist() == [0.5, 0, 0.5]
        assert moved.strengths[4, 8].tolist() == [0, 2, 0]

    def test_takes_the_patches_above_a_quarter_of_the_strongest(self) -> None:
        scene = alone([(5, 5)], 1.0).paint("sky", [(5, 6)], 0.26).paint("sky", [(5, 7)], 0.25)
        moved = scene.move("sky", 1, 0)
        assert moved.strengths[6, 5:8, 0].tolist() == [1, np.float32(0.26), 0]
        assert moved.strengths[5, 5:8, 0].tolist() == [0, 0, 0.25]

    def test_takes_negative_strengths_by_their_size(self) -> None:
        moved = alone([(5, 5)], -1.0).move("sky", 1, 0)
        assert moved.strengths[6, 5, 0] == -1

    def test_loses_what_leaves_the_grid(self) -> None:
        moved = alone([(5, 14), (5, 15)]).move("sky", 0, 1)
        assert np.argwhere(moved.strengths[..., 0]).tolist() == [[5, 15]]

    def test_of_no_factor_carries_all_of_them(self, scene: Scene) -> None:
        moved = scene.move(None, 2, -3, HERE)
        assert (moved.strengths[6, 4] == scene.strengths[PATCH]).all()
        assert moved.remainder[PATCH] == 0

    def test_by_nothing_is_the_same_scene(self, scene: Scene) -> None:
        assert scene.move("lion", 0, 0) == scene

    def test_of_a_factor_that_is_nowhere_changes_nothing(self, scene: Scene) -> None:
        scene = scene.add_factor({1: 1.0})
        assert scene.move("feature 1", 2, 2) == scene


class TestWeights:
    def test_a_weight_counts_in_typical_activations(self, scene: Scene) -> None:
        weighted = scene.set_weight("lion", 4, 2.0)
        assert weighted.basis[1, 4] == 2 * scene.unit[4]
        assert weighted.weights("lion")[4] == 2.0

    def test_a_weight_changes_one_entry_of_the_basis(self, scene: Scene) -> None:
        changed = scene.set_weight("lion", 4, 2.0).basis != scene.basis
        assert np.argwhere(changed).tolist() == [[1, 4]]

    def test_the_analysed_basis_stays(self, scene: Scene) -> None:
        assert (scene.set_weight("lion", 4, 2.0).base_basis == scene.base_basis).all()

    def test_are_listed_by_what_they_add_to_the_code(self) -> None:
        scene = make_scene(unit=np.array([10, 1, 1, 1, 1, 1, 1, 1], np.float32))
        scene = scene.add_factor({0: 0.5, 1: 1.0, 2: -3.0}, name="mix")
        assert list(scene.weights("mix").items()) == [(0, 0.5), (2, -3.0), (1, 1.0)]
        assert list(scene.weights("mix", top=2)) == [0, 2]


class TestAddFactor:
    def test_adds_a_factor_that_is_nowhere_yet(self, scene: Scene) -> None:
        more = scene.add_factor({2: 1.0, 5: -0.5})
        assert more.n_factors == 4
        assert np.argwhere(more.basis[3]).ravel().tolist() == [2, 5]
        assert (more.strengths[..., 3] == 0).all()
        assert (more.strengths[..., :3] == scene.strengths).all()
        assert more.base_strengths.shape == (16, 16, 3)

    def test_names_it_after_its_feature_or_its_index(self, scene: Scene) -> None:
        assert scene.add_factor({2: 1.0}).names[-1] == "feature 2"
        assert scene.add_factor({2: 1.0, 5: 1.0}).names[-1] == "factor 3"

    def test_numbers_a_name_that_is_taken(self, scene: Scene) -> None:
        more = scene.add_factor({2: 1.0}, name="sky").add_factor({2: 1.0}, name="sky")
        assert more.names[-2:] == ("sky 2", "sky 3")

    def test_gives_the_first_colour_not_taken(self, scene: Scene) -> None:
        scene = scene.replace(colors=(PALETTE[0], PALETTE[2], PALETTE[3]))
        assert scene.add_factor({2: 1.0}).colors[-1] == PALETTE[1]
        assert scene.add_factor({2: 1.0}, color="#ABCDEF").colors[-1] == "#abcdef"

    def test_starts_from_a_blank_canvas(self) -> None:
        blank = make_scene(n_factors=0)
        painted = blank.add_factor({2: 1.0}, name="tree").paint("tree", HERE)
        assert (painted.n_factors, painted.strengths.sum()) == (1, 1)


class TestBorrow:
    def test_appends_the_factor_as_it_is_there(self, scene: Scene) -> None:
        other = make_scene(seed=9).add_factor({1: 1.0}, name="castle", color="#112233")
        borrowed = scene.borrow(other, "castle")
        assert (borrowed.names[-1], borrowed.colors[-1]) == ("castle", "#112233")
        assert (borrowed.basis[-1] == other.basis[-1]).all()
        assert (borrowed.strengths[..., -1] == 0).all()

    def test_numbers_a_name_that_is_taken(self, scene: Scene) -> None:
        again = scene.borrow(scene, "lion")
        assert again.names[-1] == "lion 2"
        assert len(set(again.colors)) == again.n_factors  # one that is taken is not taken twice


class TestThePalette:
    def test_a_copy_is_nowhere_yet_and_knows_what_it_was_analysed_as(self, scene: Scene) -> None:
        copied = scene.duplicate("lion")
        assert copied.names[-1] == "lion 2"
        assert copied.colors[-1] not in scene.colors
        assert (copied.basis[-1] == scene.basis[1]).all()
        assert not copied.strengths[..., -1].any()
        assert copied.origins == (0, 1, 2, 1)

    def test_what_is_removed_leaves_the_others_as_they_are(self, scene: Scene) -> None:
        less = scene.remove("sky")
        assert less.names == scene.names[1:]
        assert (less.strengths == scene.strengths[..., 1:]).all()
        assert less.colors == scene.colors[1:]
        assert less.origins == (1, 2)
        assert less.base_basis is scene.base_basis

    def test_another_order_takes_everything_along(self, scene: Scene) -> None:
        turned = scene.reorder(["meadow", 0, "lion"])
        assert turned.names == ("meadow", "sky", "lion")
        assert (turned.strengths == scene.strengths[..., [2, 0, 1]]).all()
        assert (turned.basis == scene.basis[[2, 0, 1]]).all()
        assert turned.origins == (2, 0, 1)
        assert turned.reorder([1, 2, 0]) == scene

    def test_recolor_changes_one_colour(self, scene: Scene) -> None:
        assert scene.recolor("lion", "#ABCDEF").colors == (scene.colors[0], "#abcdef", scene.colors[2])

    def test_weights_can_be_set_back_to_the_analysed_ones_wherever_the_factor_stands(
        self, scene: Scene
    ) -> None:
        changed = scene.set_weight("lion", 3, 9.0).reorder([1, 0, 2])
        assert changed.reset_weights("lion") == scene.reorder([1, 0, 2])
        assert changed.duplicate("lion").reset_weights("lion 2").basis[-1].tolist() == scene.basis[1].tolist()


def test_the_original_is_what_was_analysed(scene: Scene) -> None:
    edited = scene.rename("lion", "cat").remove("sky").duplicate("cat").paint(0, "left").set_weight(0, 1, 5)
    original = edited.original()
    assert (original.strengths == scene.strengths).all()
    assert (original.basis == scene.basis).all()
    assert (original.remainder == 1).all()
    assert original.names == ("factor 1", "cat", "meadow")
    assert original.colors == scene.colors
    assert scene.recolor("lion", "#123456").original().colors[1] == "#123456"
    assert original.origins == (0, 1, 2)


def test_an_edit_since_the_original_has_no_names_colours_and_style(scene: Scene) -> None:
    edited = scene.rename("lion", "cat").recolor("sky", "#123456").restyle("pixel art")
    assert not edited - edited.original()
    assert scene.apply(edited - scene) == edited


def test_rename_changes_one_name(scene: Scene) -> None:
    renamed = scene.rename(1, "cat")
    assert renamed.names == ("sky", "cat", "meadow")
    assert renamed.rename("cat", "lion") == scene


class TestHeal:
    def test_keeps_what_is_outside_the_hole(self, scene: Scene) -> None:
        hole = np.zeros((16, 16), bool)
        hole[3:9, 3:9] = True
        assert (Grid().heal(scene.strengths, hole)[~hole] == scene.strengths[~hole]).all()

    def test_does_not_look_at_what_the_hole_held(self, scene: Scene) -> None:
        hole = np.zeros((16, 16), bool)
        hole[3:9, 3:9] = True
        other = scene.scale(0, -7, hole).strengths
        assert (Grid().heal(scene.strengths, hole) == Grid().heal(other, hole)).all()

    def test_of_sky_over_the_horizon_is_sky_above_and_ground_below(self) -> None:
        """Filled from the rim inwards, ground climbed into the sky in steps, and sky into the ground."""
        sky, ground = [1, 0, 0], [0, 1, 0]
        strengths = filled(0, 16, 16, 3)
        strengths[:8], strengths[8:] = sky, ground
        strengths[1:6, 2:6] = [0.2, 0, 1.5]  # a sun
        for bottom in (8, 11):
            hole = Grid().mask([(row, col) for row in range(bottom) for col in range(1, 8)])
            healed = Grid().heal(strengths, hole)
            assert (
                np.abs(healed[:bottom] - np.where(np.arange(bottom)[:, None, None] < 8, sky, ground)).max()
                < 0.1
            )

    def test_does_not_let_a_thing_beside_the_hole_grow_into_it(self) -> None:
        strengths = filled(0, 16, 16, 2)
        strengths[..., 0] = 1
        strengths[:, 8:11] = [0, 1]
        hole = Grid().mask([(row, col) for row in range(4, 9) for col in range(5, 8)])
        assert Grid().heal(strengths, hole)[hole][:, 1].max() < 0.1

    def test_does_not_take_a_thing_at_that_height_for_background(self) -> None:
        """A tree that takes up most of what the hole leaves of its rows filled the hole with trees."""
        strengths = filled(0, 16, 16, 2)
        strengths[..., 0] = 1
        strengths[10:15, 9:15] = [0, 1]
        hole = Grid().mask([(row, col) for row in range(8, 16) for col in range(8)])
        assert Grid().heal(strengths, hole)[hole][:, 1].max() < 0.1

    def test_does_not_take_a_thing_at_a_side_for_background(self) -> None:
        """A house that reached the right border in one patch filled the gap that a lion left with houses."""
        strengths = filled(0, 16, 16, 3)
        strengths[:8], strengths[8:] = [1, 0, 0], [0, 1, 0]
        strengths[8:13, 12:15] = strengths[10:13, 11:16] = [0, 0, 1]
        for rows, cols in ((range(10, 15), range(8)), (range(9, 16), range(8)), (range(8, 16), range(6))):
            hole = Grid().mask([(row, col) for row in rows for col in cols])
            healed = Grid().heal(strengths, hole)[hole]
            assert healed[:, 2].max() < 0.05
            assert healed[:, 1].min() > 0.9

    def test_takes_what_is_left_of_the_ground_at_the_sides_for_background(self) -> None:
        strengths = filled(0, 16, 16, 3)
        strengths[:9], strengths[9:] = [1, 0, 0], [0, 1, 0]
        strengths[6:9, 0] = [0, 1, 0]  # the ground rises at the left
        strengths[9:13, 4:7] = [0, 0, 1]
        for cols in (range(1, 15), range(1, 16), range(15)):
            hole = Grid().mask([(row, col) for row in range(8, 16) for col in cols])
            assert Grid().heal(strengths, hole)[10:, :, 1].min() > 0.9

    def test_of_the_narrower_of_two_grounds_side_by_side_is_still_that_ground(self) -> None:
        strengths = filled(0, 16, 16, 3)
        strengths[:8], strengths[8:, :7], strengths[8:, 7:] = np.eye(3, dtype=np.float32)
        hole = Grid().mask([(row, 1) for row in range(10, 14)])
        assert Grid().heal(strengths, hole)[hole][:, 1].min() > 0.5

    def test_of_a_whole_row_is_what_is_above_and_below(self) -> None:
        strengths = filled(1, 16, 16, 1)
        strengths[8:] = 3
        hole = Grid().mask([(row, col) for row in (7, 8) for col in range(16)])
        levels = Grid().heal(strengths, hole)[6:10, 5, 0]
        assert (np.diff(levels) >= 0).all()
        assert levels[1] < 1.5
        assert levels[2] > 2.5

    def test_keeps_a_gradient_along_the_row(self) -> None:
        strengths = filled(1, 16, 16, 1)
        strengths[..., 0] = np.linspace(1, 2, 16)
        hole = Grid().mask([(4, col) for col in range(3, 13)])
        levels = Grid().heal(strengths, hole)[4, 3:13, 0]
        assert (np.diff(levels) > 0).all()

    def test_excluded_factor_is_zero_in_the_hole_only(self, scene: Scene) -> None:
        hole = np.zeros((16, 16), bool)
        hole[4, 4] = True
        healed = Grid().heal(scene.strengths, hole, exclude=1)
        assert healed[4, 4, 1] == 0
        assert (healed[4, 4, [0, 2]] > 0).all()
        assert (healed[~hole, 1] == scene.strengths[~hole, 1]).all()

    def test_has_nothing_to_fill_the_whole_grid_from(self, scene: Scene) -> None:
        assert (Grid().heal(scene.strengths, np.ones((16, 16), bool)) == 0).all()


class TestValue:
    def test_arrays_are_read_only_float32(self, scene: Scene) -> None:
        for name in ("strengths", "remainder", "basis", "base_strengths", "base_basis", "unit"):
            array = getattr(scene, name)
            assert array.dtype == np.float32
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0

    def test_fields_and_the_model_cannot_be_set(self, scene: Scene) -> None:
        with pytest.raises(AttributeError):
            scene.seed = 1  # type: ignore[misc]
        with pytest.raises(TypeError):
            scene.model["id"] = "other"  # type: ignore[index]

    def test_does_not_see_later_changes_of_what_it_was_made_from(self) -> None:
        strengths = filled(1, 16, 16, 3)
        locked = strengths.view()
        locked.flags.writeable = False
        scenes = make_scene(strengths=strengths), make_scene(strengths=locked)
        strengths[:] = 5
        assert all((scene.strengths == 1).all() for scene in scenes)

    def test_shares_what_an_edit_does_not_touch(self, scene: Scene) -> None:
        """So a long history of edits costs strengths only, not a basis each."""
        assert scene.paint(0, HERE).basis is scene.basis

    def test_equals_by_value(self, scene: Scene) -> None:
        assert scene == make_scene()
        assert scene != make_scene(seed=4)
        assert scene != make_scene(remainder=filled(0.5, 16, 16))
        assert scene != "scene"

    @pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
    def test_copies_are_equal_and_read_only(self, scene: Scene, copied: Callable[[Scene], Scene]) -> None:
        assert copied(scene) == scene
        assert not copied(scene).strengths.flags.writeable

    def test_prints_as_one_line(self, scene: Scene) -> None:
        names = "('sky', 'lion', 'meadow')"
        assert (
            repr(scene)
            == f"Scene(prompt='a lion in a meadow', seed=3, n_steps=1, names={names}, n_features=8)"
        )

    def test_colours_are_lower_case(self) -> None:
        assert make_scene(1, colors=("#AaBbCc",)).colors == ("#aabbcc",)

    def test_palette_comes_round(self) -> None:
        assert len(set(PALETTE)) == 10
        assert palette(12) == (*PALETTE, *PALETTE[:2])


def test_the_browsers_parity_file_is_up_to_date() -> None:
    assert PARITY.read_text(encoding="utf-8") == parity_text(), "run: python tests/unit/scene/make_parity.py"
