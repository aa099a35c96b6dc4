"""Factor ids: a number that stays with a factor, whatever its name and place."""

from __future__ import annotations

from pathlib import Path

import pytest

from ember_widgets.scene.scene import Scene
from tests.unit.scene.scenes import make_scene


@pytest.fixture
def scene() -> Scene:
    return make_scene()


def test_a_new_scene_counts_its_factors(scene: Scene) -> None:
    assert scene.factor_ids == (0, 1, 2)


def test_ids_follow_a_rename_and_a_new_order(scene: Scene) -> None:
    edited = scene.rename("lion", "cat").reorder(["meadow", "sky", "cat"])
    assert edited.factor_ids == (2, 0, 1)


def test_an_id_is_never_given_twice(scene: Scene) -> None:
    edited = scene.remove("meadow").add_factor({1: 1.0}).duplicate("sky").borrow(scene, "meadow")
    assert edited.factor_ids == (0, 1, 3, 4, 5)
    assert edited.remove(4).add_factor({2: 1.0}).factor_ids == (0, 1, 3, 4, 6)


def test_other_factors_get_other_ids(scene: Scene) -> None:
    two = make_scene(2)
    other = scene.replace(
        strengths=two.strengths, basis=two.basis, names=two.names, colors=two.colors, origins=(0, 1)
    )
    assert other.factor_ids == (3, 4)


def test_the_original_gives_removed_factors_new_ids_and_keeps_the_others(scene: Scene) -> None:
    original = scene.remove("lion").add_factor({1: 1.0}).original()
    assert original.names == ("sky", "factor 2", "meadow")
    ids = original.factor_ids or ()
    assert (ids[0], ids[2]) == (0, 2)
    assert ids[1] > 3


def test_in_the_original_a_factor_keeps_a_name_that_a_removed_one_would_get(scene: Scene) -> None:
    original = scene.remove("sky").rename("meadow", "factor 1").original()
    assert original.names == ("factor 1 2", "lion", "factor 1")


def test_ids_are_saved_and_not_compared(scene: Scene, tmp_path: Path) -> None:
    edited = scene.remove("sky").add_factor({1: 1.0})
    edited.save(tmp_path / "scene.json")
    loaded = Scene.load(tmp_path / "scene.json")
    assert loaded.factor_ids == (1, 2, 3)
    assert loaded.add_factor({2: 1.0}).factor_ids == (1, 2, 3, 4)
    assert edited.replace(factor_ids=(7, 8, 9), next_factor_id=10) == edited


def test_factors_that_were_analysed_again_get_other_ids(scene: Scene) -> None:
    again = scene.replace(basis=scene.basis * 2, base_basis=scene.basis * 2)
    assert again.factor_ids == (3, 4, 5)
    assert scene.replace(base_basis=scene.base_basis, seed=9).factor_ids == (0, 1, 2)


def test_undo_and_redo_give_equal_scenes_whatever_the_ids(scene: Scene) -> None:
    assert scene.add_factor({1: 1.0}) == scene.add_factor({2: 1.0}).remove(3).add_factor({1: 1.0})


def test_the_oldest_of_copies_is_the_analysed_factor(scene: Scene) -> None:
    copied = scene.duplicate("sky").reorder([3, 2, 1, 0])
    assert dict(copied.analysed_factors) == {0: 3, 1: 2, 2: 1}
    assert dict(copied.remove("sky").analysed_factors) == {0: 0, 1: 2, 2: 1}


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ((0, 1), r"factor_ids=\(0, 1\) are not 3 different ids; basis has 3 rows"),
        ((0, 1, 1), r"factor_ids=\(0, 1, 1\) are not 3 different ids"),
        ((0, 1, -1), r"factor_ids=-1 is outside 0\.\."),
    ],
)
def test_wrong_ids_are_refused(scene: Scene, ids: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scene.replace(factor_ids=ids)


def test_the_largest_id_leaves_room_for_the_next_one(scene: Scene) -> None:
    largest = scene.replace(factor_ids=(0, 1, 2**53 - 1), next_factor_id=None)
    assert Scene.from_bytes(largest.to_bytes()).next_factor_id == 2**53
    with pytest.raises(ValueError, match="factor_ids=9007199254740992 is outside 0..9007199254740991"):
        scene.replace(factor_ids=(0, 1, 2**53), next_factor_id=None)
