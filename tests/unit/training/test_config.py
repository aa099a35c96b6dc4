"""Settings of a training: schedule, what stands in the place of None, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from ember_widgets.training.config import TrainConfig

D_MODEL = 32


def config(**changed: Any) -> TrainConfig:
    return TrainConfig(**{"n_patches": 1000 * 64, "batch": 64, "expansion": 4, "k": 4} | changed)


def test_the_rate_rises_stays_and_falls() -> None:
    rates = [config(lr=1.0, warm_up=0.02, decay=0.2).lr_at(step, D_MODEL) for step in range(1000)]

    assert rates[0] == pytest.approx(1 / 20)
    assert rates[:20] == sorted(rates[:20])
    assert rates[19:801] == [1.0] * 782
    assert rates[800:] == sorted(rates[800:], reverse=True)
    assert rates[-1] == pytest.approx(1 / 200)


def test_a_rate_without_warm_up_and_decay_is_constant() -> None:
    flat = config(lr=0.5, warm_up=0, decay=0)
    assert {flat.lr_at(step, D_MODEL) for step in range(flat.n_steps)} == {0.5}


def test_one_step_is_a_training_too() -> None:
    assert 0 < config(n_patches=64).lr_at(0, D_MODEL) <= config().peak_lr(D_MODEL)


def test_the_usual_peak_falls_with_the_root_of_the_number_of_features() -> None:
    assert TrainConfig(10**6, expansion=8).peak_lr(2048) == pytest.approx(2e-4)
    assert TrainConfig(10**6, expansion=32).peak_lr(2048) == pytest.approx(1e-4)


@pytest.mark.parametrize(
    ("n_patches", "expected"), [(10**9, 10_000_000), (10_000_000, 500_000), (64_000, 3200), (640, 64)]
)
def test_a_feature_is_dead_after_ten_million_or_a_twentieth_but_never_within_a_batch(
    n_patches: int, expected: int
) -> None:
    assert config(n_patches=n_patches).is_dead_after == expected
    assert config(dead_after=5).is_dead_after == 5


def test_the_last_patches_that_make_no_whole_batch_are_left_out() -> None:
    assert config(n_patches=64 * 3 + 63).n_steps == 3


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"batch": "64"}, TypeError, "batch='64' is not a whole number"),
        ({"k": 2.5}, TypeError, "k=2.5 is not a whole number"),
        ({"n_patches": True}, TypeError, "n_patches=True is not a whole number"),
        ({"k": 0}, ValueError, "k=0 is outside 1"),
        ({"batch": -4}, ValueError, "batch=-4 is outside 1"),
        ({"expansion": 5000}, ValueError, "expansion=5000 is outside 1..4096"),
        ({"aux_k": 0}, ValueError, "aux_k=0 is outside 1"),
        ({"n_patches": 63}, ValueError, "n_patches=63, but a batch has 64"),
        ({"lr": 0}, ValueError, "lr=0 must be above 0"),
        ({"lr": math.nan}, ValueError, "lr=nan is not finite"),
        ({"lr": "fast"}, TypeError, "lr='fast' is not a number"),
        ({"clip": -1.0}, ValueError, "clip=-1.0 must be above 0"),
        ({"aux_weight": -1}, ValueError, "aux_weight=-1 must be at least 0"),
        ({"decay": 1.5}, ValueError, r"decay=1.5 is outside 0\.\.1"),
        ({"seed": -1}, ValueError, "seed=-1 is outside"),
        ({"centred": "no"}, TypeError, "centred='no' is not True or False"),
        ({"coarse": 1}, TypeError, "coarse=1 is not True, False or None"),
    ],
)
def test_wrong_settings_are_refused(changed: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        config(**changed)


def test_more_codes_than_features_are_refused() -> None:
    with pytest.raises(ValueError, match=r"k=129, but expansion=4 gives 128 features for 32 channels"):
        config(k=129).n_features(D_MODEL)
    assert config(k=128).n_features(D_MODEL) == 128
