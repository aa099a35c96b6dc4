"""Scenes between two edits of one picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ember_widgets.scene.scene import Scene
from ember_widgets.scene.tween import Travel
from ember_widgets.util.checks import FloatArray
from tests.unit.scene.scene_strategies import edited, edits
from tests.unit.scene.scenes import filled, make_scene


def meadow() -> Scene:
    """Sky above, a meadow below, no lion yet."""
    strengths = filled(0, 16, 16, 3)
    strengths[:8, :, 0] = strengths[8:, :, 2] = 1
    return make_scene(strengths=strengths, base_strengths=strengths)


def at(col: int, n: int = 3) -> list[tuple[int, int]]:
    """A lion's patches, at another column."""
    return [(row, col + i) for row in range(9, 12) for i in range(n)]


def centre(strengths: FloatArray) -> NDArray[np.float64]:
    """Row and column in the middle of what a map holds."""
    weights = strengths / strengths.sum()
    return np.array([(weights * axis).sum() for axis in np.mgrid[:16, :16]])


def test_the_ends_are_the_scenes_themselves() -> None:
    first = meadow().paint("lion", at(2))
    last = meadow().paint("lion", at(12))
    way = first.tween(last, 5)
    assert len(way) == 5
    assert way[0] is first
    assert way[-1] is last


def test_a_region_travels_as_a_whole() -> None:
    first, last = meadow().paint("lion", at(2)), meadow().paint("lion", at(12))
    way = first.tween(last, 11)  # ten columns in ten steps
    for i, scene in enumerate(way):
        expected = meadow().paint("lion", at(2 + i))
        np.testing.assert_allclose(scene.strengths[..., 1], expected.strengths[..., 1], atol=0.005)
        # Around it the meadow is whole, where the lion was as well as where it will be.
        np.testing.assert_allclose(scene.strengths, expected.strengths, atol=0.005)
        np.testing.assert_allclose(scene.remainder, expected.remainder, atol=0.005)


def test_between_patches_nothing_is_lost() -> None:
    first, last = meadow().paint("lion", at(2)), meadow().paint("lion", at(5))
    way = first.tween(last, 8)
    for t, scene in zip(np.linspace(0, 1, 8), way, strict=True):
        lion = scene.strengths[..., 1]
        assert lion.sum() == pytest.approx(9, abs=1e-3)
        np.testing.assert_allclose(centre(lion), (10, 3 + 3 * t), atol=0.02)


def test_it_grows_while_it_travels() -> None:
    first, last = meadow().paint("lion", at(1, 2)), meadow().paint("lion", at(9, 6))
    sums = [scene.strengths[..., 1].sum() for scene in first.tween(last, 5)]
    np.testing.assert_allclose(sums, np.linspace(6, 18, 5), atol=0.2)
    assert [round(centre(s.strengths[..., 1])[1], 1) for s in first.tween(last, 5)] == [
        1.5,
        4.0,
        6.5,
        9.0,
        11.5,
    ]


def test_what_stays_in_its_place_or_is_new_fades() -> None:
    one = meadow().paint("lion", at(2))
    two = one.paint("lion", at(10))
    middle = one.tween(two, 3)[1]
    np.testing.assert_allclose(middle.strengths, (one.strengths + two.strengths) / 2, atol=1e-6)
    np.testing.assert_allclose(middle.remainder, (one.remainder + two.remainder) / 2, atol=1e-6)


def test_two_things_that_change_places_pass_over_a_healed_meadow() -> None:
    scene = meadow().add_factor({5: 1.0}, "castle")
    first = scene.paint("lion", at(2)).paint("castle", at(12))
    last = scene.paint("lion", at(12)).paint("castle", at(2))
    middle = first.tween(last, 3)[1]
    for patches in (at(2), at(12)):  # covered at both ends, free in the middle
        for patch in patches:
            np.testing.assert_allclose(middle.strengths[patch], (0, 0, 1, 0), atol=0.005)


def test_what_was_added_covers_nothing_on_its_way() -> None:
    first = meadow().paint("lion", at(2), mode="add")
    last = meadow().paint("lion", at(12), mode="add")
    middle = first.tween(last, 3)[1]
    np.testing.assert_allclose(middle.strengths[..., 2], meadow().strengths[..., 2], atol=1e-6)
    np.testing.assert_allclose(middle.remainder, 1, atol=1e-6)


def test_weights_change_evenly_and_names_are_those_of_the_nearer_scene() -> None:
    first = meadow()
    last = first.set_weight("lion", 2, 3.0).rename("sky", "dawn").restyle("in sepia")
    way = first.tween(last, 5)
    weights = [scene.weights("lion")[2] for scene in way]
    np.testing.assert_allclose(weights, np.linspace(weights[0], 3.0, 5), rtol=1e-5)
    assert [scene.style for scene in way] == ["", "", "in sepia", "in sepia", "in sepia"]
    assert [scene.names[0] for scene in way] == ["sky", "sky", "dawn", "dawn", "dawn"]


def test_colours_and_names_of_what_only_one_scene_has_are_those_of_the_nearer_scene() -> None:
    first = meadow().add_factor({5: 1.0}, "castle").paint("castle", at(2))
    last = meadow().rename("sky", "castle").recolor("castle", "#123456").add_factor({6: 1.0}, "boat")
    way = first.tween(last, 5)
    assert [scene.names for scene in way[1:4:2]] == [
        ("sky", "lion", "meadow", "castle", "boat"),
        ("castle", "lion", "meadow", "castle 2", "boat"),
    ]
    assert [scene.colors[0] for scene in way] == [first.colors[0]] * 2 + ["#123456"] * 3


def test_factors_that_only_one_scene_has_fade() -> None:
    first = meadow().add_factor({5: 1.0}, "castle").paint("castle", at(2))
    last = meadow().remove("sky").add_factor({6: 1.0}, "boat").paint("boat", at(10))
    middle = first.tween(last, 3)[1]
    assert middle.names == ("sky", "lion", "meadow", "castle", "boat")
    assert middle.strengths[0, 0, 0] == pytest.approx(0.5)
    assert middle.strengths[9, 2, 3] == pytest.approx(0.5)
    assert middle.strengths[9, 10, 4] == pytest.approx(0.5)


def test_an_added_factor_is_known_again_by_its_name_or_its_weights() -> None:
    first = meadow().add_factor({5: 1.0}, "castle").paint("castle", at(2))
    for last in (
        meadow().add_factor({5: 1.2}, "castle").paint("castle", at(12)),
        meadow().add_factor({5: 1.0}, "keep").paint("keep", at(12)),
    ):
        middle = first.tween(last, 3)[1]
        assert middle.n_factors == 4
        np.testing.assert_allclose(centre(middle.strengths[..., 3]), (10, 8), atol=0.02)


def test_negative_strengths_fade() -> None:
    first, last = meadow().paint("lion", at(2), -1.0), meadow().paint("lion", at(12), -1.0)
    middle = first.tween(last, 3)[1]
    np.testing.assert_allclose(middle.strengths, (first.strengths + last.strengths) / 2, atol=1e-6)


@pytest.mark.parametrize(
    ("other", "error", "said"),
    [
        (make_scene(seed=4), ValueError, "they differ in seed (3 and 4); give two edits of one picture"),
        (
            make_scene(prompt="a boat"),
            ValueError,
            "they differ in prompt ('a lion in a meadow' and 'a boat')",
        ),
        (make_scene(base_strengths=filled(1, 16, 16, 3)), ValueError, "they differ in base_strengths"),
        (make_scene(model={"sae": "another"}), ValueError, "different SAEs"),
        ("a scene", TypeError, "'a scene' is not a Scene"),
    ],
)
def test_another_picture_is_refused(other: object, error: type[Exception], said: str) -> None:
    with pytest.raises(error) as raised:
        make_scene().tween(other, 5)  # type: ignore[arg-type]
    assert said in str(raised.value)


@pytest.mark.parametrize("n", [1, 1001, 2.5])
def test_a_wrong_number_of_scenes_is_refused(n: int) -> None:
    with pytest.raises((TypeError, ValueError), match="n="):
        make_scene().tween(make_scene(), n)


@given(st.data())
def test_any_two_edits_have_a_way_between_them(data: st.DataObject) -> None:
    scene = make_scene()
    first, last = (edited(scene, *data.draw(edits(scene))) for _ in range(2))
    way = first.tween(last, 4)
    assert way[0] == first
    assert way[-1] == last
    for nearby in (way[1], way[2]):
        assert np.isfinite(nearby.strengths).all()
        most = max(np.abs(first.strengths).max(initial=0), np.abs(last.strengths).max(initial=0))
        assert np.abs(nearby.strengths).max(initial=0) <= 2 * most + 1e-3


def test_a_big_grid_has_enough_shares() -> None:
    first, last = filled(0, 40, 40), filled(0, 40, 40)  # more patches than shares
    first[:, :12], last[:, 25:37] = 1, 1
    way = Travel.between(first, last)
    assert way is not None
    assert np.abs(way.fades_out).max() < 0.2
    np.testing.assert_allclose(way.at(0.5)[:, 12:25].sum(), first.sum(), rtol=0.1)


def test_on_a_big_grid_a_small_thing_has_no_more_shares_than_on_a_small_one() -> None:
    """Pairing a share for each of 4,096 patches took 30 seconds."""
    first, last = np.full((2, 64, 64), 1e-3, np.float32)
    first[4:20, 4:20] = last[40:56, 40:56] = 1
    way = Travel.between(first, last)
    assert way is not None
    assert len(way.start) <= 1300
    assert way.fades_out.sum() < 0.02 * first.sum()
    assert np.allclose(way.at(0), first)
    assert np.allclose(way.at(1), last)
