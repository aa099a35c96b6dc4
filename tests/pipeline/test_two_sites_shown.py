"""Atlas and inspector of the embedded model with both its SAEs: labels and numbers are the scene's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import ember_widgets as ember

UP = "up_blocks.0.attentions.1"


@pytest.fixture(scope="module")
def both() -> ember.Painter:
    return ember.Painter.embedded(sites=("down.2.1", "up.0.1"))


@pytest.fixture
def widget(both: ember.Painter) -> Iterator[ember.PaintWidget]:
    scene = both.analyze("a lion in a meadow", seed=3, n_factors={"down.2.1": 3, "up.0.1": 2})
    widget = ember.PaintWidget(both, scene)
    yield widget
    widget.close()


@pytest.fixture
def atlas(both: ember.Painter, widget: ember.PaintWidget, tmp_path: Path) -> Iterator[ember.FeatureAtlas]:
    atlas = ember.FeatureAtlas(both, paint=widget, method="tsne", cache=tmp_path)
    yield atlas
    atlas.close()


def test_what_came_with_the_saes_is_known_of_both(
    painter: ember.Painter, both: ember.Painter, atlas: ember.FeatureAtlas
) -> None:
    n = painter.n_features
    found = ember.Painter.embedded(sites="up.0.1")
    assert both.statistics is not None
    assert painter.statistics is not None
    assert found.statistics is not None
    assert np.array_equal(both.statistics.frequency[:n], painter.statistics.frequency)
    assert np.array_equal(both.statistics.frequency[n:], found.statistics.frequency)
    assert set(painter.icons) <= set(both.icons)
    assert atlas.wait(0)  # nothing is laid out anew
    assert np.flatnonzero(atlas._all.positional[n:]).tolist() == list(found.saes[UP].positional)


def test_a_feature_of_the_second_site_becomes_a_brush_of_it(
    both: ember.Painter, atlas: ember.FeatureAtlas, widget: ember.PaintWidget
) -> None:
    n = both.saes["down_blocks.2.attentions.1"].n_features
    feature = next(f for f in atlas.search("grass") if f >= n)
    name = atlas.brush(feature)
    assert widget.scene.site(name) == UP
    assert widget.scene.weights(name) == {feature: pytest.approx(1.0)}
    assert widget.scene.feature(feature - n, "up.0.1") == feature


def test_the_inspector_speaks_of_the_same_features(
    both: ember.Painter, atlas: ember.FeatureAtlas, widget: ember.PaintWidget
) -> None:
    inspector = ember.PatchInspector(both, widget.scene, brush=widget, atlas=atlas)
    inspector.site = "up.0.1"
    inspector.patch = (12, 3)
    here = inspector.features[0]
    n = both.saes["down_blocks.2.attentions.1"].n_features
    inspector.selected_feature = here
    inspector._parts.show.click()  # type: ignore[union-attr]
    assert atlas.selected == (n + here,)
    inspector._parts.use.click()  # type: ignore[union-attr]
    assert widget.scene.site(-1 + widget.scene.n_factors) == UP
    label = both.labels.get(n + here)
    assert (label or f"feature <small>#{here}") in inspector._parts.list.value  # type: ignore[union-attr]
    assert dict(inspector._parts.sites.options) == {  # type: ignore[union-attr]
        "down.2.1": "down_blocks.2.attentions.1",
        "up.0.1": UP,
    }
    assert inspector.last_error is None
    inspector.close()


def test_icons_of_found_features_are_strong_enough_to_be_seen(both: ember.Painter) -> None:
    n = both.saes["down_blocks.2.attentions.1"].n_features
    blank = np.asarray(both.render(both.blank()), float)

    def change(feature: int, strength: float | None) -> float:
        return float(np.abs(np.asarray(both.icon(feature, strength=strength), float) - blank).mean())

    # Some of them are never strong in any picture, and neither are their icons.
    cats = [f for f in both.labels.search("cat") if f >= n]
    assert max(change(cat, None) / change(cat, 1.0) for cat in cats) > 3
    assert np.array_equal(np.asarray(both.icon(7)), np.asarray(both.icon(7, strength=1.0)))
