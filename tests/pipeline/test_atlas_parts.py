"""What the atlas shows of the embedded model: icons, statistics, collections, against the model itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ember_widgets as ember
from ember_widgets.features.feature_map import FILE as MAP_FILE
from ember_widgets.features.feature_map import FeatureMap
from ember_widgets.features.icons import Icons, packed
from ember_widgets.painter.open import ASSETS

PROMPTS = ["a dog in the snow", "a cat on a beach"]
AGAIN = "make it anew: python -m ember_widgets.embedded.train icons"


def test_several_icons_drawn_at_once_are_the_icons(painter: ember.Painter) -> None:
    features = list(painter.labels)[:3]
    for feature, picture in zip(features, painter.draw_icons(features), strict=True):
        difference = np.abs(np.asarray(picture, np.int16) - np.asarray(painter.icon(feature), np.int16))
        assert difference.mean() < 1  # in bfloat16 a batch rounds otherwise


class TestWhatIsShipped:
    def test_belongs_to_the_shipped_weights(self, painter: ember.Painter) -> None:
        sae = next(iter(painter.saes.values()))
        assert painter.statistics is not None, AGAIN
        assert FeatureMap.load(ASSETS / "sae" / MAP_FILE, sae.sha256) is not None, AGAIN
        assert len(painter.icons) > 0, AGAIN

    def test_has_an_icon_of_every_live_feature(self, painter: ember.Painter) -> None:
        assert painter.statistics is not None
        assert set(np.flatnonzero(~painter.statistics.dead).tolist()) <= set(painter.icons)

    def test_icons_are_what_the_model_draws(self, painter: ember.Painter) -> None:
        feature = next(f for f in painter.labels if f in painter.icons and not painter.icons.is_blank(f))
        drawn = Icons(10_000, lambda features: [painter.icon(f) for f in features])
        drawn.make([feature], progress=False)
        difference = np.abs(np.asarray(drawn[feature], float) - np.asarray(painter.icons[feature], float))
        assert difference.mean() < 3  # they are compressed
        assert len(packed(painter.icon(feature))) < 4000

    def test_typical_activation_is_near_the_saes_unit(self, painter: ember.Painter) -> None:
        """Both are Σa²/Σa; the statistics are over crowded scenes, where things are fainter."""
        assert painter.statistics is not None
        unit = next(iter(painter.saes.values())).unit.numpy()
        often = painter.statistics.frequency > 0.01
        ratio = painter.statistics.typical[often] / unit[often]
        assert ratio.min() > 0.5
        assert ratio.max() < 1.1


def test_a_collection_is_of_the_models_own_codes(painter: ember.Painter, tmp_path: Path) -> None:
    collection = painter.collect(PROMPTS, tmp_path / "c", seeds=[3, 4], progress=False)
    assert collection.runs == [(prompt, seed) for prompt in PROMPTS for seed in (3, 4)]
    codes = [painter.activations(painter.blank(prompt, seed=seed)) for prompt, seed in collection.runs]
    for index, wanted in enumerate(codes):
        assert np.array_equal(collection.codes(index), wanted)
    frequency = (np.stack(codes) > 0).mean((0, 1, 2))
    assert np.allclose(collection.statistics.frequency, frequency)
    feature = int(frequency.argmax())
    strongest = [code[..., feature].max() for code in codes]
    assert collection.top(feature, 1)[0].index == int(np.argmax(strongest))
    shown = painter.render(painter.analyze(PROMPTS[0], seed=3, n_factors=1))
    assert np.abs(np.asarray(collection.picture(0), float) - np.asarray(shown, float)).mean() < 3
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "c").iterdir()}
    painter.collect(PROMPTS, tmp_path / "c", seeds=[3, 4], progress=False)
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "c").iterdir()} == before


def test_the_progress_bar_is_shown(
    painter: ember.Painter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    painter.collect(PROMPTS[:1], tmp_path / "c", pictures=False)
    assert "1/1" in capsys.readouterr().err


def test_prompts_that_cannot_be_are_refused(painter: ember.Painter, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="prompts='a dog' is one text; give a list of them"):
        painter.collect("a dog", tmp_path / "c")
    with pytest.raises(ValueError, match="make no pictures; give at least one of each"):
        painter.collect([], tmp_path / "c")
    with pytest.raises(TypeError, match="prompts=3 is not text"):
        painter.collect([3], tmp_path / "c")  # type: ignore[list-item]
    assert not (tmp_path / "c").exists()


def test_labels_that_the_user_sets_are_there_in_the_next_painter() -> None:
    painter = ember.Painter.embedded()
    feature = painter.labels.search("cat")[0]
    given = painter.labels[feature]
    painter.labels.set(feature, "my cat")
    try:
        again = ember.Painter.embedded()
        assert (again.labels[feature], again.labels.entry(feature).source) == ("my cat", "you")
        assert again.labels.search("my cat") == [feature]
    finally:
        painter.labels.set(feature, "")
    assert ember.Painter.embedded().labels[feature] == given


def test_labels_have_their_scores(painter: ember.Painter) -> None:
    label = painter.labels.entry(painter.labels.search("cat")[0])
    assert set(label.scores) == {"precision", "recall"}
    assert label.source
