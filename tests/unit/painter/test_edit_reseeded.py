"""An edit alone, on a picture in which the analysed factors have other strengths."""

from __future__ import annotations

import numpy as np
import pytest

from ember_widgets.painter.refit import on_strengths
from ember_widgets.scene.difference import edited_patches
from ember_widgets.util.checks import FloatArray
from tests.unit.scene.scenes import make_scene

SPOT = (4, 4)
"""A patch in which the other picture has less of each factor, and more of the second."""


@pytest.fixture
def other_base() -> FloatArray:
    """The strengths of the analysed factors in the other picture."""
    return np.random.default_rng(5).uniform(0.1, 1.5, (16, 16, 3)).astype(np.float32)


def test_what_was_not_edited_is_the_other_pictures_own_exactly(other_base: FloatArray) -> None:
    edited = make_scene().paint("lion", [SPOT], 2.0)
    other = on_strengths(edited, 9, other_base)
    elsewhere = ~edited_patches(edited)
    np.testing.assert_array_equal(other.strengths[elsewhere], other_base[elsewhere])
    np.testing.assert_array_equal(edited_patches(other), edited_patches(edited))
    assert other.seed == 9
    assert other.original() == make_scene(seed=9, strengths=other_base, base_strengths=other_base)
    assert on_strengths(make_scene(), 9, other_base) == other.original()


def test_what_was_painted_over_covers_the_other_picture_as_well(other_base: FloatArray) -> None:
    other = on_strengths(make_scene().paint("lion", [SPOT], 2.0), 9, other_base)
    np.testing.assert_array_equal(other.strengths[SPOT], [0, 2, 0])
    assert other.remainder[SPOT] == 0
    half = on_strengths(make_scene().paint("lion", [SPOT], 2.0, opacity=0.5), 9, other_base)
    np.testing.assert_allclose(half.strengths[SPOT], other_base[SPOT] / 2 + [0, 1, 0], rtol=1e-6)
    assert half.remainder[SPOT] == 0.5


def test_what_was_added_is_added(other_base: FloatArray) -> None:
    other = on_strengths(make_scene().paint("lion", [SPOT], 0.25, mode="add"), 9, other_base)
    np.testing.assert_allclose(other.strengths[SPOT], other_base[SPOT] + [0, 0.25, 0], rtol=1e-6)
    assert other.remainder[SPOT] == 1


def test_what_was_erased_or_made_weaker_is_so_too(other_base: FloatArray) -> None:
    erased = on_strengths(make_scene().erase([SPOT]), 9, other_base)
    assert not erased.strengths[SPOT].any()
    assert erased.remainder[SPOT] == 0
    weaker = on_strengths(make_scene().scale("lion", 0.25, [SPOT]), 9, other_base)
    np.testing.assert_allclose(weaker.strengths[SPOT], other_base[SPOT] * [1, 0.25, 1], rtol=1e-6)


def test_a_factor_that_was_scaled_is_scaled_everywhere(other_base: FloatArray) -> None:
    for gain in (0.5, 1.5, -1.0, 0.0):
        other = on_strengths(make_scene().scale("lion", gain), 9, other_base)
        np.testing.assert_allclose(other.strengths, other_base * np.array([1, gain, 1]), rtol=1e-5)


def test_an_added_factor_goes_where_it_was_painted(other_base: FloatArray) -> None:
    edited = make_scene().add_factor({3: 1.0}, name="castle").paint("castle", [SPOT], 1.5)
    other = on_strengths(edited, 9, other_base)
    np.testing.assert_array_equal(other.strengths[..., -1], edited.strengths[..., -1])


def test_on_the_same_picture_an_edit_is_itself() -> None:
    for edited in (
        make_scene().paint("lion", [SPOT], 2.0, opacity=0.3),
        make_scene().paint("lion", [SPOT], -1.0, mode="add"),
        make_scene().move("lion", 2, 3, heal=True),
        make_scene().erase("centre").scale("sky", 1.5),
        make_scene().remove("lion").set_weight("sky", 2, 0.0),
    ):
        again = on_strengths(edited, edited.seed, edited.base_strengths)
        np.testing.assert_allclose(again.strengths, edited.strengths, atol=1e-5)
        assert again.replace(strengths=edited.strengths) == edited
