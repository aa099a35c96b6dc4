"""Factors: parts of a picture that were put in come out, in painter's units, and the same every time."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ember_widgets.dictionary.factors import Factors, n_distinct, typical_strength
from ember_widgets.util.checks import FloatArray

N_FEATURES = 40


def parts(n_parts: int = 3) -> tuple[FloatArray, FloatArray]:
    """Maps (16, 16, n_parts) of stripes, weaker towards the right, and features (n_parts, 40), three each."""
    maps = np.zeros((16, 16, n_parts), np.float32)
    features = np.zeros((n_parts, N_FEATURES), np.float32)
    height = 16 // n_parts
    for part in range(n_parts):
        maps[part * height : (part + 1) * height, :, part] = np.linspace(2, 1, 16)
        features[part, 4 * part : 4 * part + 3] = [1, 2, 1 + part]
    return maps, features


def noise(n_features: int) -> FloatArray:
    """Activations without any parts, which NMF finds hard."""
    return np.random.default_rng(0).exponential(size=(16, 16, n_features)).astype(np.float32)


@pytest.fixture
def picture() -> FloatArray:
    maps, features = parts()
    product: FloatArray = maps @ features
    return product


class TestFit:
    def test_finds_the_parts_a_picture_was_made_of(self, picture: FloatArray) -> None:
        maps, _ = parts()
        factors = Factors.fit(picture, 3)
        for factor in range(3):
            found = factors.strengths[..., factor] > 0.1
            assert any((found == (maps[..., part] > 0)).all() for part in range(3))

    def test_strengths_times_basis_is_the_picture(self, picture: FloatArray) -> None:
        factors = Factors.fit(picture, 3)
        np.testing.assert_allclose(factors.strengths @ factors.basis, picture, atol=1e-3)

    def test_strength_one_is_the_factors_own_typical_activation(self, picture: FloatArray) -> None:
        for strengths in Factors.fit(picture, 3).strengths.reshape(256, 3).T:
            assert typical_strength(strengths.astype(np.float64)) == pytest.approx(1, abs=1e-5)

    def test_does_not_depend_on_the_unit_of_the_codes(self, picture: FloatArray) -> None:
        once, more = Factors.fit(picture, 3), Factors.fit(picture * 100, 3)
        np.testing.assert_allclose(more.strengths, once.strengths, atol=1e-3)
        np.testing.assert_allclose(more.basis, 100 * once.basis, atol=1e-1)

    def test_puts_the_largest_share_of_the_picture_first(self, picture: FloatArray) -> None:
        factors = Factors.fit(picture, 3)
        energy = [((factors.strengths[..., [f]] @ factors.basis[[f]]) ** 2).sum() for f in range(3)]
        assert energy == sorted(energy, reverse=True)
        assert factors.basis[0].argmax() == 10  # the last part has the strongest features

    def test_gives_the_same_factors_every_time(self) -> None:
        first, second = Factors.fit(noise(60), 5), Factors.fit(noise(60), 5)
        assert (first.strengths == second.strengths).all()
        assert (first.basis == second.basis).all()

    def test_gives_non_negative_read_only_float32(self, picture: FloatArray) -> None:
        factors = Factors.fit(picture, 3)
        for array, shape in ((factors.strengths, (16, 16, 3)), (factors.basis, (3, N_FEATURES))):
            assert array.dtype == np.float32
            assert array.shape == shape
            assert array.min() >= 0
            assert not array.flags.writeable

    def test_leaves_features_that_are_nowhere_at_zero(self, picture: FloatArray) -> None:
        assert (Factors.fit(picture, 3).basis[:, (picture == 0).all(axis=(0, 1))] == 0).all()

    def test_does_not_warn_when_it_stops_early(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            Factors.fit(noise(300), 8)  # needs more than 400 iterations

    def test_as_many_factors_as_features_leave_nothing(self) -> None:
        # A small thing in a large landscape, where the search stops before it has seen it.
        sky, ball, ground = np.zeros((3, 16, 16))
        sky[:8], ground[8:], ball[2, 3:6] = 3, 4, 1.6
        codes = np.stack([ball, sky, ground], axis=2).astype(np.float32)
        factors = Factors.fit(codes, 3)
        np.testing.assert_allclose(factors.strengths @ factors.basis, codes, atol=1e-5)

    def test_survives_parts_that_are_the_same(self) -> None:
        """Three features always together are one part, so two of three factors find nothing."""
        picture = np.ones((16, 16, 3), np.float32) * [1, 2, 3]
        factors = Factors.fit(picture.astype(np.float32), 3)
        np.testing.assert_allclose(factors.strengths @ factors.basis, picture, atol=1e-4)

    def test_of_ten_thousand_features_is_quick(self) -> None:
        random = np.random.default_rng(0)
        picture = np.zeros((16, 16, 10_240), np.float32)
        for patch in picture.reshape(256, -1):
            patch[random.choice(600, 20)] = random.exponential(size=20)
        Factors.fit(picture, 2)  # loads scikit-learn
        start = time.process_time()
        Factors.fit(picture, 5)
        assert time.process_time() - start < 1.0


def test_maps_that_are_alike_count_once() -> None:
    maps = np.zeros((16, 16, 4), np.float32)
    maps[2:6, 2:6, 0] = 1
    maps[2:6, 2:6, 1] = np.random.default_rng(0).uniform(1.8, 2.2, (4, 4))  # the same thing's other feature
    maps[2:6, :, 2] = 1  # around it
    maps[10:, :, 3] = 1
    assert n_distinct(maps) == 3


class TestIgnore:
    """A feature that marks a border, say, must not decide what the parts are."""

    @pytest.fixture
    def bordered(self, picture: FloatArray) -> FloatArray:
        bordered: FloatArray = picture.copy()
        bordered[:, 0, 39] = bordered[:, 15, 39] = 4
        return bordered

    def test_unless_ignored_it_becomes_a_part(self, bordered: FloatArray) -> None:
        factors = Factors.fit(bordered, 4)
        border = factors.strengths[..., factors.basis[:, 39].argmax()]
        assert border[:, [0, 15]].min() > 0.9
        assert border[:, 1:15].max() < 0.1

    @pytest.mark.parametrize("as_mask", [False, True])
    def test_ignored_it_leaves_the_parts_alone(
        self, picture: FloatArray, bordered: FloatArray, as_mask: bool
    ) -> None:
        ignore: Any = np.arange(N_FEATURES) == 39 if as_mask else [39]
        factors, plain = Factors.fit(bordered, 3, ignore=ignore), Factors.fit(picture, 3)
        assert factors.ignore == (39,)
        np.testing.assert_array_equal(factors.basis[:, :39] > 0.01, plain.basis[:, :39] > 0.01)

    def test_it_still_gets_its_weight_in_the_basis(self, bordered: FloatArray) -> None:
        assert (Factors.fit(bordered, 3, ignore=[39]).basis[:, 39] > 0).all()


class TestTransform:
    def test_of_what_was_fitted_gives_its_strengths(self, picture: FloatArray) -> None:
        factors = Factors.fit(picture, 3, ignore=[1])
        np.testing.assert_allclose(factors.transform(picture), factors.strengths, atol=1e-5)

    def test_of_another_picture_of_the_same_parts_finds_them(self, picture: FloatArray) -> None:
        factors = Factors.fit(picture, 3)
        np.testing.assert_allclose(
            factors.transform(picture[::-1] * 0.5), factors.strengths[::-1] * 0.5, atol=1e-4
        )

    def test_of_factors_without_features_is_nothing(self, picture: FloatArray) -> None:
        empty = Factors(
            strengths=np.zeros((16, 16, 2), np.float32), basis=np.zeros((2, N_FEATURES), np.float32)
        )
        assert (empty.transform(picture) == 0).all()

    def test_of_nothing_is_nothing(self, picture: FloatArray) -> None:
        assert (Factors.fit(picture, 3).transform(np.zeros_like(picture)) == 0).all()

    @given(st.integers(0, 2**32 - 1), st.integers(1, 6))
    @example(1880198, 5)  # of which SciPy 1.15 gives other strengths
    @settings(max_examples=25, deadline=None)
    def test_no_other_strengths_come_nearer(self, seed: int, n_factors: int) -> None:
        random = np.random.default_rng(seed)
        basis = random.exponential(size=(n_factors, 12)) * (random.random((n_factors, 12)) < 0.5)
        factors = Factors(strengths=np.zeros((16, 16, n_factors), np.float32), basis=basis.astype(np.float32))
        picture = random.exponential(size=(16, 16, 12)).astype(np.float32)
        strengths = factors.transform(picture)
        assert strengths.min() >= 0

        def distance(tried: FloatArray) -> FloatArray:
            return np.asarray(
                ((tried.astype(np.float64) @ factors.basis - picture) ** 2).sum(axis=2), np.float32
            )

        for step in (-0.01, 0.01):
            for factor in range(n_factors):
                nudged = strengths.copy()
                nudged[..., factor] = np.maximum(nudged[..., factor] + step, 0)
                assert (distance(nudged) >= distance(strengths) - 1e-4).all()


class TestTypicalStrength:
    def test_does_not_depend_on_how_many_patches_are_empty(self) -> None:
        assert typical_strength(np.array([2.0, 2.0])) == typical_strength(np.array([2.0, 2.0, 0, 0, 0])) == 2

    def test_counts_strong_patches_more(self) -> None:
        assert typical_strength(np.array([1.0, 3.0])) == 2.5

    def test_of_a_factor_that_is_nowhere_is_one(self) -> None:
        assert typical_strength(np.zeros(4)) == 1


WRONG: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    (
        "more factors than patches",
        {"n_factors": 300},
        ValueError,
        "n_factors=300, but an image has 256 patches; choose 1..256 (3..8 reads best)",
    ),
    (
        "no factors",
        {"n_factors": 0},
        ValueError,
        "n_factors=0, but an image has 256 patches; choose 1..256 (3..8 reads best)",
    ),
    (
        "half a factor",
        {"n_factors": 2.5},
        TypeError,
        "n_factors=2.5 is not a whole number; give an int 1..256",
    ),
    (
        "more factors than active features",
        {"n_factors": 10},
        ValueError,
        "n_factors=10, but this image has only 9 active features in 240 patches; choose 1..9",
    ),
    (
        "more factors than active patches",
        {"activations": np.eye(2, 256, dtype=np.float32).sum(0).reshape(16, 16, 1) * np.ones(20, np.float32)},
        ValueError,
        "n_factors=3, but this image has only 20 active features in 2 patches; choose 1..2",
    ),
    (
        "nothing active",
        {"activations": np.zeros((16, 16, 5), np.float32)},
        ValueError,
        "activations are all zero: this image has no active features; give another image",
    ),
    (
        "all ignored",
        {"ignore": range(N_FEATURES)},
        ValueError,
        "ignore names every active feature of this image; ignore fewer",
    ),
    (
        "ignored unknown",
        {"ignore": [40]},
        ValueError,
        "feature=40 is outside 0..39; the SAE has 40 features",
    ),
    (
        "mask of another size",
        {"ignore": np.zeros(5, bool)},
        ValueError,
        "ignore has shape (5,); give indices, or bool (40,)",
    ),
    (
        "flat activations",
        {"activations": np.zeros((256, 5), np.float32)},
        ValueError,
        "activations has shape (256, 5); give an array of shape (rows, cols, n_features)",
    ),
    (
        "nan",
        {"activations": np.full((16, 16, 2), np.nan, np.float32)},
        ValueError,
        "activations holds nan at (0, 0, 0); give finite numbers only",
    ),
    (
        "negative",
        {"activations": np.full((16, 16, 2), -0.5, np.float32)},
        ValueError,
        "activations go down to -0.5; SAE codes are never negative, give those",
    ),
]


@pytest.mark.parametrize(
    ("arguments", "error", "message"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG]
)
def test_bad_input_says_what_to_do(
    picture: FloatArray, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        Factors.fit(**{"activations": picture, "n_factors": 3, **arguments})
    assert str(caught.value) == message


def test_transform_wants_the_features_it_was_fitted_on(picture: FloatArray) -> None:
    with pytest.raises(ValueError) as caught:
        Factors.fit(picture, 3).transform(picture[..., :5])
    assert str(caught.value) == "activations has shape (16, 16, 5); give an array of shape (rows, cols, 40)"


@pytest.mark.parametrize("shape", [(24, 24), (6, 10)])
def test_pictures_of_other_grids_are_factorised(shape: tuple[int, int]) -> None:
    activations = np.zeros((*shape, 20), np.float32)
    activations[: shape[0] // 2, :, 3] = 2
    activations[shape[0] // 2 :, :, 7] = 1
    factors = Factors.fit(activations, np.int64(2))
    assert factors.strengths.shape == (*shape, 2)
    assert factors.basis.argmax(axis=1).tolist() == [3, 7]
    assert np.allclose(factors.transform(activations), factors.strengths, atol=1e-4)
    n = shape[0] * shape[1]
    with pytest.raises(ValueError, match=f"but an image has {n} patches"):
        Factors.fit(activations, n + 1)
