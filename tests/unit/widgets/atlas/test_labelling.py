"""Labels with scores in the atlas, and labelling from it: what it shows, asks, and does with what comes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ember_widgets import FeatureAtlas
from ember_widgets.features.labels import Labels
from ember_widgets.labelling.forecast import LabelForecast
from ember_widgets.widgets.atlas.batch_labelling import in_words
from ember_widgets.widgets.atlas.catalogue import Catalogue
from ember_widgets.widgets.atlas.colors import coloring, modes
from tests.unit.widgets.atlas.atlas_bench import (
    DEAD,
    SAE_NAME,
    SITE,
    Client,
    LabellingPainter,
    N,
    Painter,
    label,
    make_collection,
)
from tests.unit.widgets.paint.paint_bench import make_bank


@pytest.fixture
def source() -> LabellingPainter:
    painter = LabellingPainter({8: label("a round thing", 0.5, 0.6, "texture", "may be a wheel")})
    painter.labels.set(7, "my cat")
    return painter


@pytest.fixture
def atlas(source: LabellingPainter, tmp_path: Path) -> Iterator[FeatureAtlas]:
    pictures = make_collection(tmp_path / "c")
    atlas = FeatureAtlas(source, pictures, client=Client(), method="pca", cache=tmp_path / "maps")
    yield atlas
    atlas.close()


def tell(atlas: FeatureAtlas, do: str, **more: Any) -> None:
    """As the panel in the browser does."""
    atlas._panel._handle_custom_msg({"do": do, **more}, [])


def soon(check: Callable[[], Any]) -> None:
    end = time.monotonic() + 10
    while not check():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


def stage(atlas: FeatureAtlas) -> str:
    said: str = atlas._panel.labelling["stage"]
    return said


def marked(atlas: FeatureAtlas) -> list[int]:
    """The points that the map marks as selected."""
    return sorted(int(point) for point in atlas._scatter.widget.selection)


def wait(atlas: FeatureAtlas) -> None:
    assert atlas._batch is not None
    assert atlas._batch.wait(10)


class TestLabelling:
    def test_asks_first_then_labels_what_is_selected(
        self, atlas: FeatureAtlas, source: LabellingPainter
    ) -> None:
        atlas.select([8, 12, 7, DEAD[0]])  # 7 has a label by the user, and a dead one cannot be shown
        assert atlas._panel.n_to_label == 2
        tell(atlas, "forecast")
        wait(atlas)
        assert (stage(atlas), source.asked) == ("asking", [])
        assert atlas._panel.labelling["text"] == (
            "2 features: 6 calls to a-judge, 98 pictures, about 20 s, about 8,120 tokens."
        )
        atlas.select([20])  # what was asked about stays
        tell(atlas, "start_labels")
        wait(atlas)
        assert source.asked == [[8, 12]]
        assert (stage(atlas), atlas._panel.labelling["text"]) == ("done", "2 of 2 features labelled.")
        tell(atlas, "dismiss")
        assert stage(atlas) == "idle"

    def test_of_what_is_shown_leaves_out_dead_ones_and_the_users_own(
        self, atlas: FeatureAtlas, source: LabellingPainter
    ) -> None:
        assert atlas._panel.n_to_label == N - len(DEAD) - 1
        atlas._panel.query = "cat"
        atlas.label()
        wait(atlas)
        assert source.asked == [[9]]
        assert source.labels[7] == "my cat"

    def test_can_be_turned_down(self, atlas: FeatureAtlas, source: LabellingPainter) -> None:
        tell(atlas, "forecast")
        wait(atlas)
        tell(atlas, "dismiss")
        assert (stage(atlas), source.asked) == ("idle", [])
        tell(atlas, "start_labels")  # a page that did not notice
        wait(atlas)
        assert source.asked == []

    def test_shows_each_label_as_it_comes(self, atlas: FeatureAtlas, source: LabellingPainter) -> None:
        atlas.select([8, 12])
        tell(atlas, "look", feature=8)
        source.script[12] = "the server refused"
        source.each_s = 0.5  # more than the atlas waits before it shows the next
        atlas.label()
        soon(lambda: atlas._panel.tiles[0]["label"])
        assert stage(atlas) == "running"
        assert atlas._panel.labelling["text"] == "1 of 2 features · “a round thing”"
        assert atlas._panel.labelling["share"] == 0.5
        soon(lambda: atlas._panel.details["label"] == "a round thing")
        assert atlas._scatter._frame.at[8, "label"] == "a round thing"
        wait(atlas)
        assert atlas._panel.labelling["text"] == "1 of 2 features labelled, 1 refused."
        assert atlas._panel.labelling["fault"] == "Feature 12: the server refused"
        assert atlas.search("round") == [8]

    def test_stops_after_what_is_open_and_keeps_all(
        self, atlas: FeatureAtlas, source: LabellingPainter
    ) -> None:
        source.each_s = 0.05
        atlas.label([8, 10, 12, 14])
        soon(lambda: 8 in source.labels)
        tell(atlas, "stop_labels")
        assert stage(atlas) in ("stopping", "done")
        wait(atlas)
        assert stage(atlas) == "done"
        assert atlas._panel.labelling["text"].startswith("Stopped. ")
        assert atlas._panel.labelling["text"].endswith("features labelled. All answers are kept.")
        assert 8 in source.labels
        assert 14 not in source.labels

    def test_one_at_a_time(self, atlas: FeatureAtlas, source: LabellingPainter) -> None:
        source.steps.clear()
        atlas.label([8])
        with pytest.raises(RuntimeError, match="being labelled; wait, or call atlas.stop_labelling"):
            atlas.label([9])
        tell(atlas, "forecast")
        assert stage(atlas) == "running"
        atlas.stop_labelling()
        source.steps.set()
        wait(atlas)
        assert source.asked == [[8]]

    @pytest.mark.parametrize("action", ["forecast", "label"])
    def test_that_fails_says_why(self, action: str, atlas: FeatureAtlas, source: LabellingPainter) -> None:
        source.breaks = ConnectionError("no server at http://127.0.0.1:9; start it")
        atlas.select([8, 10])
        tell(atlas, "forecast") if action == "forecast" else atlas.label()
        wait(atlas)
        assert stage(atlas) == "done"
        assert "no server at http://127.0.0.1:9; start it" in atlas._panel.labelling["fault"]
        assert atlas._panel.labelling["text"].startswith("2 features not labelled")
        assert atlas.last_error is source.breaks
        source.breaks = None
        atlas.label()
        wait(atlas)
        assert atlas._panel.labelling["text"] == "2 of 2 features labelled."

    def test_ends_with_the_atlas(self, source: LabellingPainter, tmp_path: Path) -> None:
        pictures = make_collection(tmp_path / "c")
        atlas = FeatureAtlas(source, pictures, client=Client(), method="pca", cache=tmp_path)
        source.steps.clear()
        atlas.label([8, 10])
        soon(lambda: source.asked)
        atlas.close()
        source.steps.set()
        soon(lambda: not any(thread.name == "atlas labels" for thread in threading.enumerate()))
        assert not {8, 10} & set(source.labels)

    def test_is_offered_where_painter_collection_and_client_can(
        self, source: LabellingPainter, tmp_path: Path
    ) -> None:
        pictures = make_collection(tmp_path / "c")
        for painter, client in ((source, None), (Painter(), Client())):
            atlas = FeatureAtlas(painter, pictures, client=client, method="pca", cache=tmp_path)
            assert atlas._panel.n_to_label == 0
            with pytest.raises(TypeError, match="this atlas cannot label; make it with FeatureAtlas"):
                atlas.label([8])
            atlas.stop_labelling()  # nothing runs
            atlas.close()
        with pytest.raises(ValueError, match="client= needs collection="):
            FeatureAtlas(source, client=Client(), method="pca", cache=tmp_path)
        with pytest.raises(TypeError, match="client='gpt-4o' cannot be asked; give e.g. ember.OpenAIClient"):
            FeatureAtlas(source, make_collection(tmp_path / "c"), client="gpt-4o")  # type: ignore[arg-type]

    def test_of_nothing_is_refused(self, atlas: FeatureAtlas) -> None:
        with pytest.raises(ValueError, match="there is no feature to label; give features="):
            atlas.label([])
        with pytest.raises(ValueError, match=r"is outside 0\.\.59"):
            atlas.label([60])


class TestScores:
    @pytest.fixture(autouse=True)
    def labels(self, source: LabellingPainter) -> None:
        source.labels.add(
            Labels(
                {
                    8: label("a round thing", 0.5, 0.6, "texture", "may be a wheel"),
                    9: label("a cat", 0.95, 1.0),
                    10: label("a dog", 0.9, 0.7),
                }
            )
        )

    def test_stand_in_the_card_and_as_a_mark_of_the_tile(self, atlas: FeatureAtlas) -> None:
        atlas.select([8, 9, 7])
        marks = [(tile["mark"], tile["trusted"]) for tile in atlas._panel.tiles]
        assert marks == [
            ("painting shows it: 5 of 10, near chance", False),
            ("painting shows it: 9.5 of 10", True),
            ("labelled by you", True),
        ]
        card = atlas._panel.details
        assert card["source"] == "labelled by a-judge, 2026-11-29"
        assert card["comment"] == "may be a wheel"
        assert card["facts"][:3] == [
            ("painting shows it", "5 of 10 (24–76\u00a0%)"),
            ("recognised in pictures", "6 of 10 (31–83\u00a0%)"),
            ("category", "texture"),
        ]

    @pytest.mark.parametrize(
        ("filters", "left"),
        [
            (["trusted"], {7, 9}),
            (["category:texture"], {8}),
            (["category:object"], {9, 10}),
            (["trusted", "category:object"], {9}),
        ],
    )
    def test_are_a_filter(self, filters: list[str], left: set[int], atlas: FeatureAtlas) -> None:
        atlas._panel.filters = filters
        assert {tile["feature"] for tile in atlas._panel.tiles} == left
        assert set(atlas._scatter.widget.filter.tolist()) == left

    def test_are_counted_beside_the_filter(self, atlas: FeatureAtlas) -> None:
        choices = {choice["key"]: choice["count"] for choice in atlas._panel.filter_choices}
        assert choices["trusted"] == 2
        assert atlas._panel.categories == [
            ["category:object", "object", 2],
            ["category:texture", "texture", 1],
        ]

    def test_colour_the_map_from_chance_to_always_right(self, source: LabellingPainter) -> None:
        features = Catalogue(source)
        assert "score" in modes(features)
        colors = coloring("score", features, dark=False)
        assert colors.values[[8, 9, 10]] == pytest.approx([0.1, 0.91, 0.46])
        assert not np.delete(colors.values, [8, 9, 10]).any()

    def test_that_come_are_offered_as_filter_and_colour(self, tmp_path: Path) -> None:
        source = LabellingPainter()
        atlas = FeatureAtlas(
            source, make_collection(tmp_path / "c"), client=Client(), method="pca", cache=tmp_path
        )

        def keys() -> set[str]:
            return {choice["key"] for choice in atlas._panel.filter_choices}

        assert "trusted" not in keys()
        assert "score" not in dict(atlas._panel.color_modes)
        atlas.label([8])
        wait(atlas)
        assert "trusted" in keys()
        assert "score" in dict(atlas._panel.color_modes)
        atlas.close()


def test_a_forecast_says_what_it_costs_and_that_nothing_is_left_to_ask() -> None:
    forecast = LabelForecast(1, 3, 49, 4000, 60, None, 0.5, "EUR")
    assert in_words(forecast, "m") == (
        "1 feature: 3 calls to m, 49 pictures, time not known yet, about 0.50 EUR."
    )
    assert "no call is made" in in_words(LabelForecast(0, 0, 0, 0, 0, None, None), "m")


class TestConcepts:
    @pytest.fixture(autouse=True)
    def bank(self, source: LabellingPainter) -> None:
        source.concepts = make_bank(N, SITE, SAE_NAME)
        source.labels.add({2: "a mane", 5: "a paw"})

    def test_are_all_listed_until_something_is_searched(self, atlas: FeatureAtlas) -> None:
        assert atlas._panel.concepts == [["lion", "a mane, a paw, #1"], ["night", "my cat"]]
        atlas._panel.query = "nig"
        assert atlas._panel.concepts == [["night", "my cat"]]
        atlas._panel.query = "7"
        assert atlas._panel.concepts == []

    def test_opened_show_their_features_together(self, atlas: FeatureAtlas) -> None:
        tell(atlas, "concept", name="lion")
        assert atlas._panel.query == "concept lion"
        assert atlas.selected == (2, 5, 1)
        assert marked(atlas) == [1, 2, 5]
        assert atlas._panel.title == "Concept “lion”: 3 features"
        assert [(tile["label"], tile["note"]) for tile in atlas._panel.tiles] == [
            ("a mane", "73 %"),
            ("a paw", "24 %"),
            ("", "2.2 %"),
        ]
        assert atlas.search("Concept LION") == [2, 5, 1]

    def test_that_there_are_not_find_nothing(self, atlas: FeatureAtlas, source: LabellingPainter) -> None:
        assert atlas.search("concept cat") == []
        source.concepts = None
        assert atlas.search("concept lion") == []
        atlas._panel.query = "lion"
        assert atlas._panel.concepts == []
