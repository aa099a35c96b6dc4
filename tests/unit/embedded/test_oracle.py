"""The oracles: what they give, how they are trained and written, and what is counted in what they read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ember_widgets.embedded import captions, oracle, scenes, train_oracle, vocabulary
from ember_widgets.embedded.card import filling, odd_shapes
from ember_widgets.embedded.vocabulary import FIRST_THING, LABELS
from tests.benchmarks.fidelity_table import interval
from tests.benchmarks.fidelity_verdicts import exactly_once, is_moved, whole

CAT, LION, SUN = (LABELS.index(name) for name in ("cat", "lion", "sun"))
New = Callable[..., oracle.Oracle]
BOTH = pytest.mark.parametrize("new", [oracle.new_oracle, oracle.new_judge])


@BOTH
def test_an_oracle_reads_every_patch_and_always_the_same(new: New) -> None:
    torch.manual_seed(0)
    reader = new().eval()
    pictures = train_oracle.drawn(range(2), 5)[0]
    labels, logarithms, styles = reader.read(pictures)
    assert labels.shape == (2, 16, 16)
    assert logarithms.shape == (2, len(LABELS), 16, 16)
    np.testing.assert_allclose(np.exp(logarithms).sum(1), 1, rtol=1e-4)
    assert styles.shape == (2,)
    assert set(styles) <= set(range(-1, len(vocabulary.STYLES)))
    for again, first in zip(reader.read(pictures), (labels, logarithms, styles), strict=True):
        assert np.array_equal(again, first)
    assert np.array_equal(reader.read(pictures[1:])[0][0], labels[1])


@BOTH
def test_an_oracle_is_small(new: New) -> None:
    assert sum(p.numel() for p in new().parameters()) <= 1_000_000


@BOTH
def test_labels_that_an_oracle_was_not_trained_on_are_never_read(
    new: New,
) -> None:
    reader = new(oracle.LABELS_OF_4).eval()
    labels, logarithms, _ = reader.read(train_oracle.drawn(range(1), 5)[0])
    assert {LABELS[i] for i in np.unique(labels)} <= set(oracle.LABELS_OF_4)
    assert np.all(np.isneginf(logarithms[0, LABELS.index("rainbow")]))


def test_version_4_had_39_labels() -> None:
    assert len(oracle.LABELS_OF_4) == 39
    assert oracle.LABELS_OF_4[-1] == "balloon"


def test_training_writes_a_small_file_that_names_its_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_oracle, "N_TEST", 2)
    weights = tmp_path / "judge.safetensors"
    train_oracle.train_oracle(tmp_path, 2, stage="judge", batch=2, weights=weights)
    assert weights.stat().st_size <= 2_000_000
    reader = oracle.load_judge(weights)
    assert reader.names == LABELS
    assert (tmp_path / "judge.pt").exists()


def test_a_scene_does_not_depend_on_those_drawn_with_it() -> None:
    for together, alone in zip(train_oracle.drawn(range(3), 5), train_oracle.drawn([2], 5), strict=True):
        assert np.array_equal(together[2:], alone)


def test_disturbed_pictures_are_still_the_same_pictures() -> None:
    x = oracle.pixels_of(train_oracle.drawn(range(3), 5)[0])
    torch.manual_seed(0)
    for seed in range(4):
        changed = train_oracle.disturbed(x, np.random.default_rng(seed))
        assert changed.shape == x.shape
        assert 0.01 < float((changed - x).abs().mean()) < 0.25
    torch.testing.assert_close(train_oracle.as_jpeg(x, 1e-4), x, atol=1e-2, rtol=0)
    coarse = train_oracle.as_jpeg(x, 0.1)
    assert 0.001 < float((coarse - x).abs().mean()) < 0.1


@pytest.mark.parametrize("size", [0, 1, -1])
def test_every_look_that_the_world_draws_is_counted_once(size: int) -> None:
    rng = np.random.default_rng(size + 1)
    for label in range(FIRST_THING, len(LABELS)):
        spec = captions.Spec((label,), (size,))
        layout = captions.caption_layout(spec, rng.standard_normal((4, 64, 64)))
        shown = scenes.label_patches(layout)
        assert exactly_once(shown, spec), LABELS[label]
        assert not exactly_once(layout.background, spec)
        assert not exactly_once(shown, captions.Spec((FIRST_THING + (label == FIRST_THING),)))


def test_strays_and_doubles_count() -> None:
    labels = np.full((16, 16), LABELS.index("grass"))
    labels[10:14, 1:5] = CAT
    spec = captions.Spec((CAT,))
    assert exactly_once(labels, spec)
    assert not exactly_once(labels, captions.Spec((CAT, CAT)))
    specks = labels.copy()
    specks[2, 2] = specks[12, 3] = LION
    assert exactly_once(specks, spec)  # too little to be a thing
    double = labels.copy()
    double[10:14, 9:13] = CAT
    assert not exactly_once(double, spec)
    assert exactly_once(double, captions.Spec((CAT, CAT)))
    stray = labels.copy()
    stray[1:5, 9:13] = SUN
    assert not exactly_once(stray, spec)
    assert exactly_once(stray, replace(spec, things=(CAT, SUN)))


def test_odd_shapes_hold_whole_things() -> None:
    assert len(odd_shapes()) == 12
    for mask in odd_shapes().values():
        assert mask.shape == (16, 16)
        thing = filling(CAT, mask)
        labels = scenes.label_patches(scenes.Layout(np.zeros((16, 16), int), (thing,)))
        assert (labels == CAT).sum() >= 0.4 * mask.sum()
        assert not (labels == CAT)[~mask].sum() > 0.2 * mask.sum()


def test_what_most_of_a_place_is_read_as_counts() -> None:
    read = np.full((1, 16, 16), CAT)
    read[0, 0, :3], read[0, 1, :] = LION, LION
    first, second = np.zeros((16, 16), bool), np.zeros((16, 16), bool)
    first[0, :8], second[1, :8] = True, True
    assert whole(read, [first, second], CAT).tolist() == [0.5]


def test_a_thing_is_moved_if_it_left_and_arrived() -> None:
    before, after = np.zeros((16, 16), bool), np.zeros((16, 16), bool)
    before[5:9, 1:5], after[5:9, 9:13] = True, True
    assert is_moved(after, before, after)
    assert not is_moved(before, before, after)
    assert not is_moved(before | after, before, after)


def test_an_interval_is_of_the_ratio_of_sums_and_wilsons_for_yes_and_no() -> None:
    values, ones = np.array([[0.5, 0.3], [0.9, 0.5]]), np.ones((2, 2))
    assert interval(values, 2 * ones)[0] == pytest.approx(0.275)
    mean, low, high = interval(np.ones((20, 1)), np.ones((20, 1)))
    assert mean == 1
    assert high == pytest.approx(1)
    assert low == pytest.approx(0.839, abs=0.001)
