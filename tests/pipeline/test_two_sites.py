"""The embedded model with its supervised and its unsupervised SAE, each alone and both."""

from __future__ import annotations

import numpy as np
import pytest

import ember_widgets as ember

WORDS = "a lion in a meadow"


@pytest.fixture(scope="module")
def both() -> ember.Painter:
    return ember.Painter.embedded(sites=("up.0.1", "down.2.1"))


def test_features_and_labels_of_the_second_site_come_after_those_of_the_first(
    painter: ember.Painter, both: ember.Painter
) -> None:
    found = ember.Painter.embedded(sites="up.0.1")
    assert list(both.saes) == [*painter.saes, *found.saes]
    n = painter.n_features
    assert both.n_features == n + found.n_features
    assert {f: text for f, text in both.labels.items() if f < n} == dict(painter.labels)
    assert {f - n: text for f, text in both.labels.items() if f >= n} == dict(found.labels)
    assert any(", " in text for text in found.labels.values())  # parts of things


def test_nothing_is_drawn_otherwise_until_something_is_edited(
    painter: ember.Painter, both: ember.Painter
) -> None:
    plain = np.asarray(painter.render(painter.analyze(WORDS, seed=3)))
    assert np.array_equal(np.asarray(both.render(both.analyze(WORDS, seed=3))), plain)


def test_the_unsupervised_site_explains_its_patches_and_changes_details(both: ember.Painter) -> None:
    scene = both.analyze(WORDS, seed=3, n_factors={"down.2.1": 3, "up.0.1": 5})
    inspection = both.inspect(scene, site="up.0.1")
    assert inspection.explained() > 0.9
    assert 4 < inspection.counts.mean() < 20
    before = np.asarray(both.render(scene), float)
    first = 3
    assert scene.site(first) == "up_blocks.0.attentions.1"
    after = np.asarray(both.render(scene.scale(first, 0)), float)
    assert abs(after - before).max() > 20


def test_a_site_without_an_sae_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"sites='mid\.0', but the embedded model has SAEs of down\.2\.1, up"
    ):
        ember.Painter.embedded(sites="mid.0")
