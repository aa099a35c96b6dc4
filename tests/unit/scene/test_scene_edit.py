"""Edits as values: what was done to one scene, put on another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import ember_widgets as ember
from ember_widgets.scene.scene import Scene
from ember_widgets.scene.scene_edit import SceneEdit
from tests.unit.properties import tries
from tests.unit.scene.scene_strategies import edited, edits, scenes
from tests.unit.scene.scenes import filled, make_scene


def picture(seed: int, *names: str) -> Scene:
    """A picture whose factors are one feature each, the same feature for the same name in every picture."""
    kinds = ("sky", "sun", "castle", "lion")
    names = names or ("sky", "sun")
    basis = np.eye(8, dtype=np.float32)[[kinds.index(name) for name in names]]
    strengths = np.random.default_rng(seed).uniform(0.1, 1, (4, 4, len(names))).astype(np.float32)
    return Scene(
        prompt="",
        seed=seed,
        n_steps=1,
        strengths=strengths,
        remainder=filled(1, 4, 4),
        basis=basis,
        names=names,
        colors=("#56b4e9", "#e69f00", "#009e73", "#cc79a7")[: len(names)],
        base_strengths=strengths,
        base_basis=basis,
        unit=filled(1, 8),
        model={"sae": "a"},
    )


HERE = [(0, 0), (0, 1)]


# Laws

usable = scenes().filter(lambda scene: (scene.next_factor_id or 0) < 2**53 - 100)  # ids are left to give


@tries(40)
@given(st.data())
def test_an_edit_put_on_its_own_scene_gives_the_scene_that_it_was_taken_from(data: st.DataObject) -> None:
    before = data.draw(usable)
    after = before
    for _ in range(data.draw(st.integers(0, 5))):
        after = edited(after, *data.draw(edits(after)))
    assert before.apply(after - before) == after


@tries(40)
@given(st.data())
def test_an_edit_can_be_taken_back(data: st.DataObject) -> None:
    before = data.draw(usable)
    after = edited(before, *data.draw(edits(before)))
    assert after.apply(before - after) == before
    assert before.apply(after - before).apply(before - after) == before


@tries(40)
@given(st.data())
def test_an_empty_edit_changes_nothing(data: st.DataObject) -> None:
    scene = data.draw(usable)
    empty = scene - scene
    assert not empty
    assert scene.apply(empty) == scene
    assert scene.conflicts(empty) == ()
    assert repr(empty) == "SceneEdit(changes nothing)"


def test_an_empty_edit_changes_nothing_in_another_picture() -> None:
    here, there = picture(1), picture(2, "castle", "sky")
    assert there.apply(here - here) == there


@tries(40)
@given(st.data())
def test_the_order_of_edits_in_other_patches_does_not_matter(data: st.DataObject) -> None:
    scene, other = picture(1), picture(2, "sun", "castle", "sky")
    rows = [[(row, col) for row in half for col in range(4)] for half in ((0, 1), (2, 3))]
    one, two = (
        scene.paint(
            data.draw(st.sampled_from(scene.names)),
            data.draw(st.lists(st.sampled_from(half), min_size=1)),
            data.draw(st.floats(-2, 2)),
            opacity=data.draw(st.floats(0, 1)),
            mode=data.draw(st.sampled_from(("over", "add"))),
        )
        for half in rows
    )
    for target in (scene, other):
        assert target.apply(one - scene).apply(two - scene) == target.apply(two - scene).apply(one - scene)


@tries(40)
@given(st.data())
def test_equal_edits_are_equal_and_others_are_not(data: st.DataObject) -> None:
    before = data.draw(usable)
    after = edited(before, *data.draw(edits(before)))
    assert after - before == after - before
    assume(after != before)
    assert after - before != before - before


@tries(40)
@given(scenes())
def test_copied_patches_put_back_hold_the_same(scene: Scene) -> None:
    pasted = scene.apply(scene.copy_patches("everything"))
    assert np.array_equal(pasted.strengths, scene.strengths)
    assert not pasted.remainder.any()


# Strengths on another picture


@pytest.mark.parametrize("opacity", [1, 0.4])
def test_what_was_painted_covers_the_other_picture_by_the_same_share(opacity: float) -> None:
    scene, other = picture(1), picture(2, "lion", "sun")
    edit = scene.paint("sun", HERE, 0.8, opacity=opacity) - scene
    by_hand = other.paint("sun", HERE, 0.8, opacity=opacity)
    assert np.allclose(other.apply(edit).strengths, by_hand.strengths, atol=1e-6)
    assert np.allclose(other.apply(edit).remainder, by_hand.remainder, atol=1e-6)


def test_painting_over_what_was_painted_covers_too() -> None:
    scene, other = picture(1).paint("sky", HERE), picture(2, "lion", "sun", "sky")
    edit = scene.paint("sun", HERE, 0.8) - scene
    assert np.allclose(other.apply(edit).strengths[0, :2], [0, 0.8, 0])
    assert not other.apply(edit).remainder[0, :2].any()


def test_what_was_added_is_added() -> None:
    scene, other = picture(1), picture(2, "lion", "sun")
    edit = scene.paint("sun", HERE, 0.5, mode="add") - scene
    assert np.allclose(other.apply(edit).strengths, other.paint("sun", HERE, 0.5, mode="add").strengths)


def test_what_became_weaker_becomes_weaker_by_the_same_share_and_never_negative() -> None:
    scene, other = picture(1), picture(2, "lion", "sun")
    assert np.allclose(
        other.apply(scene.scale("sun", 0.5, HERE) - scene).strengths, other.scale("sun", 0.5, HERE).strengths
    )
    assert np.array_equal(
        other.apply(scene.erase(HERE, "sun") - scene).strengths, other.erase(HERE, "sun").strengths
    )


def test_a_factor_that_was_multiplied_everywhere_is_multiplied() -> None:
    scene, other = picture(1), picture(2, "lion", "sun")
    edit = scene.scale("sun", 1.5) - scene
    assert np.allclose(other.apply(edit).strengths, other.scale("sun", 1.5).strengths, atol=1e-6)


def test_what_was_erased_with_everything_is_erased_with_everything() -> None:
    scene, other = picture(1), picture(2, "lion", "sun")
    result = other.apply(scene.erase(HERE) - scene)
    assert result == other.erase(HERE)


def test_what_was_moved_covers_the_place_where_it_was_put() -> None:
    scene = picture(1).erase("everything").paint("sky", "everything").paint("sun", [(0, 0)])
    other = picture(2, "lion", "sky", "sun")
    result = other.apply(scene.move("sun", 0, 2, heal=True) - scene)
    assert np.allclose(result.strengths[0, 2], [0, 0, 1])
    assert np.allclose(result.strengths[0, 0], [0, 1, 0])  # healed with sky
    assert np.array_equal(result.strengths[1:], other.strengths[1:])


def test_copied_patches_replace_what_is_there() -> None:
    scene, other = picture(1), picture(2, "sun", "lion")
    result = other.apply(scene.copy_patches(HERE))
    assert result.names == ("sun", "lion", "sky")
    assert np.array_equal(result.strengths[0, :2, 0], scene.strengths[0, :2, 1])
    assert np.array_equal(result.strengths[0, :2, 2], scene.strengths[0, :2, 0])
    assert not result.strengths[0, :2, 1].any()
    assert not result.remainder[0, :2].any()
    assert np.array_equal(result.strengths[1:, :, :2], other.strengths[1:])
    assert (result.remainder[1:] == 1).all()


def test_sites_are_covered_apart() -> None:
    both = make_scene(2).replace(sites={"down.2.1": 3, "up.0.1": make_scene(2).n_features - 3})
    basis = np.zeros_like(both.basis)
    basis[0, 0] = basis[1, 4] = 1
    both = both.replace(basis=basis, base_basis=basis)
    edit = both.paint(0, [(0, 0)], 2.0) - both
    other = both.replace(strengths=both.strengths * 0.5 + 0.1)
    result = other.apply(edit)
    assert result.strengths[0, 0, 0] == 2
    assert result.strengths[0, 0, 1] == other.strengths[0, 0, 1]


# Factors on another picture


def test_a_factor_is_found_by_what_it_is_made_of() -> None:
    scene, other = picture(1), picture(2, "castle", "sun").rename("sun", "the big star")
    result = other.apply(scene.paint("sun", HERE) - scene)
    assert result.names == ("castle", "the big star")
    assert (result.strengths[0, :2, 1] == 1).all()


def test_a_factor_that_is_not_there_is_added_with_a_name_and_colour_of_its_own() -> None:
    scene = picture(1).add_factor({2: 1.0}, "castle")
    edit = scene.paint("castle", HERE) - picture(1)
    other = picture(2, "lion", "sky").rename("lion", "castle")
    result = other.apply(edit)
    assert result.names == ("castle", "sky", "castle 2")
    assert result.colors[2] not in other.colors
    assert result.weights("castle 2") == {2: 1.0}
    assert (result.strengths[0, :2, 2] == 1).all()
    assert not result.strengths[1:, :, 2].any()
    assert other.conflicts(edit) == ("the name 'castle' is taken, so it is called 'castle 2'",)


def test_a_factor_that_is_only_made_weaker_is_not_added() -> None:
    scene, other = picture(1), picture(2, "castle", "lion")
    edit = scene.scale("sun", 0.5) - scene
    assert other.apply(edit) == other
    assert other.conflicts(edit) == ("'sun' is not there, so it is left as it is",)


def test_a_trace_of_a_factor_in_copied_patches_does_not_add_it() -> None:
    scene = picture(1, "sky", "castle").scale("castle", 0.001)
    assert picture(2, "sky", "lion").apply(scene.copy_patches(HERE)).names == ("sky", "lion")


def test_of_two_factors_of_the_same_weights_the_name_decides() -> None:
    scene = picture(1).duplicate("sun")
    other = picture(2).duplicate("sun").reorder(["sun 2", "sky", "sun"])
    result = other.apply(scene.paint("sun 2", HERE) - scene)
    assert (result.strengths[0, :2] == [1, 0, 0]).all()


def test_factors_below_the_threshold_are_others() -> None:
    scene = picture(1)
    near, far = scene.set_weight("sun", 7, 0.7), scene.set_weight("sun", 7, 0.8)  # cosines 0.82, 0.78
    edit = scene.paint("sun", HERE) - scene
    assert near.apply(edit).n_factors == 2
    assert far.apply(edit).n_factors == 3


def test_weights_of_the_edit_are_set_and_others_stay() -> None:
    scene, other = picture(1), picture(2).set_weight("sun", 6, 0.2)
    result = other.apply(scene.set_weight("sun", 5, 0.5) - scene)
    assert result.weights("sun") == pytest.approx({1: 1.0, 5: 0.5, 6: 0.2})


def test_where_both_change_a_weight_the_edit_wins_and_says_so() -> None:
    scene, other = picture(1), picture(2).set_weight("sun", 5, 0.2)
    edit = scene.set_weight("sun", 5, 0.5) - scene
    assert other.apply(edit).weights("sun") == {1: 1.0, 5: 0.5}
    assert other.conflicts(edit) == ("'sun' had other weights of 1 feature; the edit's are kept",)
    assert picture(3).conflicts(edit) == ()


def test_a_removed_factor_is_removed_there_or_it_is_said_that_it_is_not_there() -> None:
    scene = picture(1)
    edit = scene.remove("sun") - scene
    assert picture(2, "sun", "lion").apply(edit).names == ("lion",)
    other = picture(2, "lion", "castle")
    assert other.apply(edit) == other
    assert other.conflicts(edit) == ("'sun' is not there, so it is not removed",)


def test_names_and_colours_and_style_are_carried() -> None:
    scene = picture(1)
    after = scene.rename("sun", "star").recolor("sky", "#123456").restyle("pixel art")
    result = picture(2, "lion", "sky", "sun").restyle("oil").apply(after - scene)
    assert result.names == ("lion", "sky", "star")
    assert result.colors[1] == "#123456"
    assert result.style == "pixel art"
    assert picture(2).restyle("oil").conflicts(after - scene) == ("the style was 'oil'; the edit's is kept",)


def test_an_order_is_carried_only_if_the_edit_changed_it() -> None:
    scene, other = picture(1), picture(2, "sun", "lion", "sky")
    assert other.apply(scene.paint("sun", HERE) - scene).names == other.names
    assert picture(1, "sky", "sun").apply(scene.reorder([1, 0]) - scene).names == ("sun", "sky")


def test_an_edit_lies_over_what_was_painted_there_and_says_so() -> None:
    scene, other = picture(1), picture(2).paint("sky", [(0, 1), (2, 2)])
    edit = scene.paint("sun", HERE) - scene
    assert other.apply(edit) == other.paint("sun", HERE)
    assert other.conflicts(edit) == ("the edit lies over what was painted in 1 patch",)


def test_a_pasted_factor_keeps_its_ids_apart() -> None:
    scene = picture(2, "lion", "sky")
    result = scene.apply(picture(1).copy_patches(HERE))
    assert result.factor_ids == (0, 1, 2)
    assert result.next_factor_id == 3


# What it says


def test_its_text_says_what_it_holds() -> None:
    scene = picture(1)
    after = scene.paint("sun", HERE).set_weight("sky", 3, 1).set_weight("sky", 4, 1)
    assert repr(after - scene) == (
        "SceneEdit(re-weights 2 features of 'sky'; paints 'sun' in 2 patches; covers 2 patches)"
    )
    after = scene.add_factor({2: 1.0}, "castle").paint("castle", [(1, 1)]).rename("sun", "star")
    assert repr(after - scene) == (
        "SceneEdit(renames 'sun' to 'star'; adds 'castle'; paints 'castle' in 1 patch; covers 1 patch)"
    )
    after = scene.paint("sun", HERE, 0.7, opacity=0.35)
    assert repr(after - scene) == "SceneEdit(paints 'sun' in 2 patches; covers 2 patches)"
    assert repr(scene.scale("sun", 1.5) - scene) == "SceneEdit(makes 'sun' stronger in 16 patches)"
    assert repr(scene.scale("sun", 0.5, HERE) - scene) == "SceneEdit(makes 'sun' weaker in 2 patches)"
    assert repr(scene.remove("sun") - scene) == "SceneEdit(removes 'sun')"
    assert bool(scene.recolor("sun", "#000000") - scene)


def test_it_is_public_and_frozen() -> None:
    edit = picture(1) - picture(1)
    assert ember.SceneEdit is SceneEdit
    with pytest.raises(AttributeError):
        edit.style = ("", "x")  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        edit.before[0, 0, 0] = 1


# Refusals


def test_scenes_of_two_pictures_have_no_difference() -> None:
    with pytest.raises(
        ValueError, match=r"two pictures: they differ in seed \(1 and 2\); give two edits of one picture"
    ):
        picture(2) - picture(1)
    with pytest.raises(ValueError, match="they differ in base_strengths; give two edits"):
        picture(1) - picture(2).replace(seed=1)
    from_photo = picture(1).replace(image=np.zeros((4, 64, 64), np.float32))
    for one, other in ((from_photo, picture(1)), (picture(1), from_photo)):
        for refused in (lambda: one - other, lambda: one.tween(other, 3)):  # noqa: B023
            with pytest.raises(ValueError, match="they differ in image; give two edits of one picture"):
                refused()
    with pytest.raises(TypeError):
        picture(1) - 1  # type: ignore[operator]


def test_an_edit_is_not_put_on_another_sae_or_grid() -> None:
    edit = picture(1).copy_patches(HERE)
    with pytest.raises(
        ValueError, match="the edit's SAE is 'a', this one's 'b'; their features mean different"
    ):
        picture(1).replace(model={"sae": "b"}).apply(edit)
    with pytest.raises(ValueError, match="the edit's SAE has 8 features, this one's 9; an edit can"):
        make_scene(2, 9).apply(edit)
    sites = {"down.2.1": 4, "up.0.1": 4}
    with pytest.raises(ValueError, match="the edit steers , this scene down.2.1, up.0.1; an edit can"):
        picture(1).replace(sites=sites).apply(edit)
    wide = {
        "strengths": np.ones((4, 5, 2)),
        "base_strengths": np.ones((4, 5, 2)),
        "remainder": np.ones((4, 5)),
    }
    with pytest.raises(ValueError, match="the edit is of a picture with 4×4 patches, and this one has 4×5"):
        picture(1).replace(**wide).apply(edit)
    with pytest.raises(TypeError, match="edit=3 is not a SceneEdit; make one with after - before"):
        picture(1).apply(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="there are no patches to copy"):
        picture(1).copy_patches([])
