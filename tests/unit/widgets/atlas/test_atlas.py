"""FeatureAtlas without a browser: what is found, selected, filtered and told, against plain computations."""

from __future__ import annotations

import dataclasses
import gc
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import traitlets
from ipywidgets.widgets.widget import _instances

from ember_widgets import FeatureAtlas, PaintWidget
from ember_widgets.features.collection import Collection
from ember_widgets.features.feature_map import make_map
from ember_widgets.features.icons import Icons
from ember_widgets.features.labels import Labels
from ember_widgets.features.statistics import Statistics
from ember_widgets.scene.feature_space import FeatureSpace
from ember_widgets.widgets.atlas import arrangement
from ember_widgets.widgets.atlas.catalogue import Catalogue
from ember_widgets.widgets.atlas.colors import MODES, coloring
from tests.unit.scene.scenes import make_scene
from tests.unit.widgets.atlas.atlas_bench import (
    DEAD,
    POSITIONAL,
    Client,
    LabellingPainter,
    N,
    Painter,
    make_collection,
    make_sae,
)
from tests.unit.widgets.paint.paint_bench import FakePainter


@pytest.fixture
def source() -> Painter:
    return Painter()


@pytest.fixture
def atlas(source: Painter, tmp_path: Path) -> Iterator[FeatureAtlas]:
    atlas = FeatureAtlas(source, method="pca", cache=tmp_path)
    yield atlas
    atlas.close()


def tiles(atlas: FeatureAtlas) -> list[int]:
    return [tile["feature"] for tile in atlas._panel.tiles]


def tell(atlas: FeatureAtlas, **content: Any) -> None:
    """As the panel in the browser does."""
    atlas._panel._handle_custom_msg(content, [])


def marked(atlas: FeatureAtlas) -> list[int]:
    """The points that the map marks as selected."""
    return sorted(int(point) for point in atlas._scatter.widget.selection)


def test_a_label_set_from_python_shows_at_once(atlas: FeatureAtlas, source: Painter) -> None:
    atlas.search("cat")
    atlas._panel.query = "cat"
    atlas.feature = 7
    source.labels.set(7, "a tabby")
    shown = {tile["feature"]: tile["label"] for tile in atlas._panel.tiles}
    assert shown[7] == atlas._panel.details["label"] == "a tabby"
    atlas.close()
    source.labels.set(7, "a tomcat")  # a closed atlas is not told
    assert atlas.last_error is None


class TestSearch:
    def test_finds_labels_numbers_and_likenesses(self, atlas: FeatureAtlas, source: Painter) -> None:
        assert atlas.search("cat") == [7, 9, 3]
        assert atlas.search("7") == atlas.search("#7") == [7]
        assert atlas.search("99") == []
        assert atlas.search("") == []
        rows = source.saes["down_blocks.2.attentions.1"].W_dec.numpy().astype(np.float64)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        nearest = [int(f) for f in np.argsort(-(rows @ rows[12])) if f != 12]
        assert atlas.search("like 12") == atlas.search("~12") == [12, *nearest[:24]]
        assert [f for f, _ in atlas.like(12, 5)] == nearest[:5]
        assert np.allclose([c for _, c in atlas.like(12, 5)], (rows @ rows[12])[nearest[:5]], atol=1e-5)
        assert len(atlas.like(12, 1000)) == N - 1

    def test_in_the_panel_selects_what_passes_the_filters(self, atlas: FeatureAtlas) -> None:
        atlas._panel.query = "cat"
        assert list(atlas.selected) == [7, 9]  # 3 is dead
        assert tiles(atlas) == [7, 9]
        assert atlas._panel.title == "2 found"
        assert marked(atlas) == [7, 9]
        atlas._panel.filters = []
        atlas._panel.query = "cath"
        assert list(atlas.selected) == [3]
        atlas._panel.query = "nothing of the kind"
        assert (atlas.selected, atlas._panel.title, tiles(atlas)) == ((), "Nothing found", [])
        atlas._panel.query = ""
        assert len(tiles(atlas)) == N

    def test_for_likenesses_shows_how_alike(self, atlas: FeatureAtlas) -> None:
        tell(atlas, do="like", feature=12)
        assert atlas.selected[0] == 12
        second = atlas._panel.tiles[1]
        assert second["note"] == f"{dict(atlas.like(12))[second['feature']]:.2f}"


class TestSelection:
    def test_by_python_shows_in_sheet_card_and_map(self, atlas: FeatureAtlas) -> None:
        seen: list[tuple[int, ...]] = []
        atlas.observe(lambda change: seen.append(change["new"]), "selected")
        atlas.select([20, 7])
        assert seen == [(20, 7)]
        assert tiles(atlas) == [20, 7]
        assert atlas.feature == 20
        assert atlas._panel.details["label"] == "<b>dog</b>"
        assert marked(atlas) == [7, 20]

    def test_by_hand_comes_back(self, atlas: FeatureAtlas) -> None:
        atlas._panel.query = "cat"
        atlas._scatter.widget.selection = np.array([40, 9, 8], np.uint32)
        assert atlas.selected == (9, 8, 40)  # with a label first, then the frequent ones
        assert atlas._panel.query == ""
        assert atlas._panel.title == "3 features selected"

    def test_by_hand_is_marked_and_ends_by_hand(self, atlas: FeatureAtlas) -> None:
        atlas._panel.query = "cat"
        atlas._scatter.widget.selection = np.array([40, 9, 8], np.uint32)
        assert marked(atlas) == [8, 9, 40]
        atlas._scatter.widget.selection = np.array([], np.uint32)  # a click beside all points
        assert (atlas.selected, marked(atlas)) == ((), [])

    def test_by_hand_takes_no_hidden_feature(self, atlas: FeatureAtlas) -> None:
        atlas._scatter.widget.selection = np.array([DEAD[0], 9], np.uint32)
        assert atlas.selected == (9,)

    def test_stays_for_new_colours_and_a_new_map(self, atlas: FeatureAtlas) -> None:
        atlas._scatter.widget.selection = np.array([8, 9], np.uint32)
        atlas._panel.color_by = "typical"
        assert (sorted(atlas.selected), marked(atlas)) == ([8, 9], [8, 9])
        atlas._scatter.move(atlas.map)
        assert (sorted(atlas.selected), marked(atlas)) == ([8, 9], [8, 9])

    def test_and_all_else_is_told_again_in_a_way_that_the_browser_looks_at(self, atlas: FeatureAtlas) -> None:
        atlas.select([9, 8])
        widget = atlas._scatter.widget
        points, hidden = widget.points, sorted(set(range(N)) - set(widget.filter.tolist()))
        told: list[str] = []
        widget.observe(lambda change: told.append(change["name"]))
        atlas._scatter._repeat()
        assert {"points", "color", "filter", "selection"} <= set(told)
        assert hidden == list(DEAD)
        assert sorted(set(range(N)) - set(widget.filter.tolist())) == hidden
        assert np.array_equal(widget.points[:, :3], points[:, :3])
        assert (list(atlas.selected), marked(atlas)) == ([9, 8], [8, 9])

    def test_that_a_filter_hid_is_marked_again_without_it(self, atlas: FeatureAtlas) -> None:
        atlas.select([8, 9])
        told: list[list[int]] = []
        atlas._scatter.widget.observe(lambda change: told.append(change["new"].tolist()), "selection")
        atlas._panel.filters = ["labelled"]  # 8 has no label, and the browser forgets it
        atlas._panel.filters = []
        assert told[-1] == [8, 9]
        assert [8, 9] in told[:-1]

    def test_sends_the_map_nothing_but_its_points(self, atlas: FeatureAtlas) -> None:
        told: list[str] = []
        atlas._scatter.widget.observe(lambda change: told.append(change["name"]))
        atlas._panel.query = "cat"
        assert told == ["selection"]

    def test_of_one_by_hand_opens_its_card(self, atlas: FeatureAtlas) -> None:
        atlas._scatter.widget.selection = np.array([9], np.uint32)
        assert atlas.feature == 9

    def test_of_nothing_shows_all(self, atlas: FeatureAtlas) -> None:
        atlas.select([7])
        atlas.select([])
        assert atlas.selected == ()
        assert atlas._panel.title == f"All {N - len(DEAD)} features"
        assert tiles(atlas)[:3] == [7, 9, 20]
        assert not set(DEAD) & set(tiles(atlas))

    def test_of_a_hidden_feature_shows_it(self, atlas: FeatureAtlas) -> None:
        atlas.select([3])
        assert atlas._panel.filters == []
        assert tiles(atlas) == [3]
        assert atlas._panel.tiles[0]["dead"]
        assert ("active in", "no patch: dead") in atlas._panel.details["facts"]

    def test_by_the_trait_is_as_by_the_method(self, atlas: FeatureAtlas) -> None:
        atlas.select([5])
        atlas._panel.query = "cat"
        atlas.selected = (8, 20)
        assert (atlas.selected, atlas._panel.query) == ((8, 20), "")
        assert (tiles(atlas), marked(atlas)) == ([8, 20], [8, 20])
        assert (atlas.feature, atlas._panel.details["feature"]) == (8, 8)
        atlas.selected = (3,)  # a dead one, which a filter hides
        assert (atlas._panel.filters, tiles(atlas), marked(atlas)) == ([], [3], [3])
        atlas.selected = ()
        assert (marked(atlas), len(tiles(atlas))) == ([], N)

    def test_of_an_observer_is_shown_too(self, atlas: FeatureAtlas) -> None:
        atlas.observe(lambda change: setattr(atlas, "selected", (9,)), "selected")
        atlas.select([7, 20])
        assert (atlas.selected, tiles(atlas), marked(atlas)) == ((9,), [9], [9])

    def test_can_be_linked(self, source: Painter, atlas: FeatureAtlas, tmp_path: Path) -> None:
        other = FeatureAtlas(source, method="pca", cache=tmp_path)
        traitlets.link((atlas, "selected"), (other, "selected"))
        atlas._scatter.widget.selection = np.array([40, 9], np.uint32)
        assert (other.selected, marked(other)) == ((9, 40), [9, 40])
        other.select([8])
        assert (atlas.selected, marked(atlas), tiles(atlas)) == ((8,), [8], [8])
        other.close()

    def test_of_a_card_by_the_trait_opens_and_closes_it(self, atlas: FeatureAtlas) -> None:
        atlas.feature = 20
        assert (atlas._panel.details["label"], atlas.selected) == ("<b>dog</b>", ())
        atlas.feature = None
        assert atlas._panel.details is None
        with pytest.raises(ValueError, match=r"is outside 0\.\.59; the SAE has 60 features"):
            atlas.feature = N
        assert atlas.feature is None

    def test_by_the_trait_of_features_that_there_are_not_is_refused(self, atlas: FeatureAtlas) -> None:
        atlas.selected = (5,)
        with pytest.raises(ValueError, match=r"is outside 0\.\.59; the SAE has 60 features"):
            atlas.selected = (99,)
        assert (atlas.selected, tiles(atlas)) == ((5,), [5])

    @pytest.mark.parametrize("features", [[60], [-1]])
    def test_of_features_that_there_are_not_is_refused(
        self, atlas: FeatureAtlas, features: list[int]
    ) -> None:
        with pytest.raises(ValueError, match=r"is outside 0\.\.59; the SAE has 60 features"):
            atlas.select(features)
        with pytest.raises(TypeError, match="is not a list of features; give e.g"):
            atlas.select("7")  # type: ignore[arg-type]

    def test_of_very_many_counts_what_is_not_shown(self, tmp_path: Path) -> None:
        atlas = FeatureAtlas(make_sae(500), method="pca", cache=tmp_path)
        assert (len(tiles(atlas)), atlas._panel.more) == (96, 404)
        atlas.close()


class TestFilters:
    @pytest.mark.parametrize(
        ("filters", "hidden"),
        [
            ([], set()),
            (["live"], set(DEAD)),
            (["not positional"], set(POSITIONAL)),
            (["live", "not positional"], {*DEAD, *POSITIONAL}),
            (["labelled"], set(range(N)) - {3, 7, 9, 20}),
        ],
    )
    def test_hide_features(self, atlas: FeatureAtlas, filters: list[str], hidden: set[int]) -> None:
        atlas._panel.filters = filters
        left = set(range(N)) - hidden
        assert set(tiles(atlas)) == left
        shown = atlas._scatter.widget.filter
        assert set(range(N) if shown is None else shown.tolist()) == left

    def test_have_the_names_that_the_panel_shows(self, atlas: FeatureAtlas) -> None:
        atlas.filters = ["live", "not positional"]
        assert atlas.filters == ("live", "not positional")
        names = {choice["key"]: choice["title"] for choice in atlas._panel.filter_choices}
        assert all(title.lower() == name for name, title in names.items())

    def test_take_the_old_name_of_one(self, atlas: FeatureAtlas) -> None:
        atlas.filters = ["placeless"]
        assert atlas.filters == ("not positional",)

    def test_say_how_many_and_why_not(self, atlas: FeatureAtlas, tmp_path: Path) -> None:
        assert [choice["count"] for choice in atlas._panel.filter_choices] == [58, 4, 58]
        bare = FeatureAtlas(make_sae(), method="pca", cache=tmp_path)
        advice = [choice["advice"] for choice in bare._panel.filter_choices]
        assert advice[0].startswith("Not measured")
        assert advice[1] == "This SAE has no labels"
        bare.close()


class TestColors:
    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("dark", [False, True])
    def test_have_a_value_per_feature_and_a_legend(self, source: Painter, mode: str, dark: bool) -> None:
        colors = coloring(mode, Catalogue(source), dark=dark)
        assert colors.values.shape == (N,)
        assert len(colors.map) == 256
        assert colors.values.min() >= 0
        assert colors.values.max() <= 1
        assert bool(colors.legend["ramp"]) != bool(colors.legend["kinds"])

    def test_follow_the_logarithm_of_the_frequency(self, source: Painter) -> None:
        colors = coloring("frequency", Catalogue(source), dark=False)
        alive = np.setdiff1d(np.arange(N), DEAD)
        assert (np.diff(colors.values[alive]) < 0).all()
        assert (colors.values[list(DEAD)] == 0).all()
        assert (colors.legend["low"], colors.legend["high"]) == ("0.1 %", "50 %")

    def test_of_sources_count_them(self, source: Painter) -> None:
        source.labels.set(11, "mine")
        legend = coloring("source", Catalogue(source), dark=False).legend
        assert [(kind["name"], kind["count"]) for kind in legend["kinds"]] == [
            ("unknown source", 4),
            ("you", 1),
            ("no label", 55),
        ]

    def test_follow_the_theme(self, atlas: FeatureAtlas) -> None:
        atlas._panel.ground = "#111111"
        assert atlas._scatter.widget.background_color[:3] == pytest.approx([1 / 15] * 3)
        dark = atlas._panel.legend
        atlas._panel.ground = "#ffffff"
        assert atlas._panel.legend != dark
        assert not atlas._scatter.widget.axes
        assert not atlas._scatter.widget.legend
        assert not atlas._scatter.widget.reticle

    @pytest.mark.parametrize(("ground", "is_dark"), [("#ffffff", False), ("#111111", True)])
    def test_the_box_at_a_point_is_dark_only_in_a_dark_theme(
        self, atlas: FeatureAtlas, ground: str, is_dark: bool
    ) -> None:
        atlas._panel.ground = ground
        assert (max(atlas._scatter.widget.tooltip_color[:3]) < 0.5) == is_dark


class TestLabels:
    def test_given_in_the_panel_are_the_painters(self, atlas: FeatureAtlas, source: Painter) -> None:
        tell(atlas, do="look", feature=11)
        tell(atlas, do="label", feature=11, text="a lantern")
        assert source.labels[11] == "a lantern"
        assert atlas._panel.details["source"] == "labelled by you"
        assert atlas.search("lantern") == [11]

    def test_left_as_they_are_set_nothing(self, atlas: FeatureAtlas, source: Painter) -> None:
        tell(atlas, do="label", feature=7, text="cat")
        assert source.labels.entry(7).source == ""


class TestPanelFromPython:
    def test_filters_are_set(self, atlas: FeatureAtlas, source: Painter) -> None:
        assert atlas.filters == ("live",)
        atlas.filters = ("live", "labelled")
        assert (atlas._panel.filters, sorted(tiles(atlas))) == (["live", "labelled"], [7, 9, 20])
        atlas.filters = ()
        assert len(tiles(atlas)) == N
        with pytest.raises(
            ValueError, match="filters holds 'alive', which is unknown; choose from live, lab"
        ):
            atlas.filters = ["alive"]
        with pytest.raises(TypeError, match="filters='live' is not a list; give a list of live, labelled"):
            atlas.filters = "live"
        assert atlas.filters == ()

    def test_colours_are_chosen(self, atlas: FeatureAtlas) -> None:
        atlas.color_by = "source"
        assert (atlas.color_by, atlas._panel.color_by) == ("source", "source")
        assert atlas._panel.legend["kinds"]
        with pytest.raises(ValueError, match="color_by='site' is unknown; choose one of frequency, typical"):
            atlas.color_by = "site"  # there is one only

    def test_the_map_is_zoomed(self, atlas: FeatureAtlas) -> None:
        everything = atlas._panel.title
        atlas.zoom(12)
        assert "in view" in atlas._panel.title
        atlas.zoom()
        assert atlas._panel.title == everything
        with pytest.raises(ValueError, match="the SAE has 60 features"):
            atlas.zoom(N)


class TestIcons:
    def test_of_the_sheet_are_made_and_sent(self, atlas: FeatureAtlas, source: Painter) -> None:
        atlas.select([7, 9])
        assert source.icons.wait(10)
        assert atlas._panel.icons == {"7": source.icons.address(7), "9": "blank"}
        assert atlas._scatter._frame.at[7, "icon"] == source.icons.address(7)

    def test_of_dead_features_are_not_made(self, atlas: FeatureAtlas, source: Painter) -> None:
        atlas.select([3])
        assert source.icons.wait(10)
        assert 3 not in source.icons


class TestBrush:
    def test_adds_the_feature_to_the_palette(self, source: Painter, tmp_path: Path) -> None:
        widget = PaintWidget(FakePainter(), make_scene(n_features=N, model={"sae": "ab" * 8}))
        atlas = FeatureAtlas(source, brush=widget, method="pca", cache=tmp_path)
        before = widget.scene
        tell(atlas, do="brush", feature=9)
        name = widget.scene.names[-1]
        assert atlas._panel.notice == f"“{name}” is your brush now: paint on the picture."
        assert widget.scene == before.add_factor({9: 1.0}, name=widget.scene.names[-1])
        assert atlas.brush(7) == widget.scene.names[-1]
        atlas.close()
        widget.close()

    def test_without_a_widget_says_what_to_do(self, atlas: FeatureAtlas) -> None:
        with pytest.raises(RuntimeError, match=r"make the atlas with FeatureAtlas\(painter, brush=widget\)"):
            atlas.brush(7)
        tell(atlas, do="brush", feature=7)
        assert "no PaintWidget is linked" in atlas._panel.notice
        assert isinstance(atlas.last_error, RuntimeError)

    def test_of_another_sae_is_refused(self, source: Painter, atlas: FeatureAtlas) -> None:
        widget = PaintWidget(FakePainter(), make_scene())
        with pytest.raises(ValueError, match=r"\(8 features\), but this atlas shows 'abab.*\(60 features\)"):
            atlas.link(widget)
        with pytest.raises(TypeError, match="is not a PaintWidget"):
            atlas.link(3)  # type: ignore[arg-type]
        widget.scene = make_scene(n_features=N, model={"sae": "x"})
        with pytest.raises(ValueError, match="is of SAE 'x'"):
            atlas.link(widget)
        widget.close()


class TestMap:
    def test_is_pca_until_the_real_one_is_there(self, source: Painter, tmp_path: Path) -> None:
        atlas = FeatureAtlas(source, method="tsne", cache=tmp_path)
        assert atlas.wait(60)
        assert atlas.map.method == "tsne"
        assert atlas._panel.status == "60 features · t-SNE (scikit-learn)"
        points = atlas._scatter.widget.points[:, :2]
        assert np.corrcoef(points[:, 0], atlas.map.positions[:, 0])[0, 1] > 0.999
        again = FeatureAtlas(source, cache=tmp_path)
        assert np.array_equal(again.map.positions, atlas.map.positions)
        assert again.wait(0)
        atlas.close()
        again.close()

    def test_is_a_picture_in_a_saved_notebook(self, atlas: FeatureAtlas) -> None:
        bundle = atlas._repr_mimebundle_()
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        assert data["image/png"].startswith("iVBOR")
        colors = np.asarray(atlas.picture(300)).reshape(-1, 3)
        assert len(np.unique(colors, axis=0)) > 20

    def test_of_no_features_at_all_is_a_picture_too(self, atlas: FeatureAtlas, source: Painter) -> None:
        source.labels = Labels()
        atlas._all.labels = Labels()
        atlas._panel.filters = ["labelled"]
        assert atlas._panel.title == "No features"
        assert atlas.picture(300).size[0] == 300


class Both(Painter):
    """With a second site, whose features are counted on from the first's."""

    n_features = N + 20

    def __init__(self) -> None:
        super().__init__()
        second = dataclasses.replace(make_sae(20), site="up_blocks.0.attentions.1", sha256="cd" * 32)
        # One put in later is of a site to look at.
        look = dataclasses.replace(make_sae(30), site="mid_block.attentions.0", sha256="ef" * 32)
        self.saes |= {second.site: second, look.site: look}
        self.space = FeatureSpace(("down_blocks.2.attentions.1", second.site), (N, 20))
        self.labels = Labels({7: "cat", N + 3: "cat, bottom"}, n_features=self.n_features)
        self.icons = Icons(self.n_features, self.draw_icons)
        frequency = np.linspace(0.5, 0.001, self.n_features, dtype=np.float32)
        self.statistics = Statistics(frequency, frequency + 1, 100)


class TestTwoSites:
    @pytest.fixture
    def atlas(self, tmp_path: Path) -> Iterator[FeatureAtlas]:
        atlas = FeatureAtlas(Both(), method="pca", cache=tmp_path)
        yield atlas
        atlas.close()

    def test_lie_side_by_side(self, atlas: FeatureAtlas) -> None:
        positions = atlas.map.positions
        assert positions.shape == (N + 20, 2)
        assert positions[:N, 0].max() < 0 < positions[N:, 0].min()
        assert np.abs(positions).max() <= 1
        assert atlas._panel.status.startswith("80 features of down.2.1, up.0.1 · PCA")

    def test_are_searched_together_and_filtered_apart(self, atlas: FeatureAtlas) -> None:
        assert atlas.search("cat") == [7, N + 3]
        atlas._panel.filters = ["up.0.1"]
        assert set(tiles(atlas)) == set(range(N, N + 20))
        atlas._panel.query = "cat"
        assert list(atlas.selected) == [N + 3]
        atlas._panel.filters = ["up.0.1", "down.2.1"]
        atlas._panel.query = ""
        assert len(tiles(atlas)) == N + 20
        assert [choice["count"] for choice in atlas._panel.filter_choices[-2:]] == [N, 20]

    def test_have_directions_that_are_not_compared(self, atlas: FeatureAtlas) -> None:
        assert set(atlas.search("like 2")) <= set(range(N))
        rows = atlas._all.directions[1].astype(np.float64)
        nearest = [N + int(f) for f in np.argsort(-(rows @ rows[2])) if f != 2]
        assert [f for f, _ in atlas.like(N + 2, 5)] == nearest[:5]
        assert len(atlas.like(N + 2, 1000)) == 19

    def test_are_told_apart_by_card_and_colour(self, atlas: FeatureAtlas) -> None:
        atlas.select([N + 3])
        assert ("site", "up.0.1") in atlas._panel.details["facts"]
        assert atlas._panel.details["label"] == "cat, bottom"
        atlas._panel.color_by = "site"
        legend: dict[str, Any] = atlas._panel.legend
        kinds = {kind["name"]: kind["count"] for kind in legend["kinds"]}
        assert kinds == {"down.2.1": N, "up.0.1": 20}

    def test_positional_features_are_those_of_their_site(self, atlas: FeatureAtlas) -> None:
        assert np.flatnonzero(atlas._all.positional).tolist() == [5, 6, N + 5, N + 6]

    def test_brushes_are_of_the_scene_s_feature(self, tmp_path: Path) -> None:
        model = {"sae": "ab" * 8 + "," + "cd" * 8}
        widget = PaintWidget(FakePainter(), make_scene(n_features=N + 20, model=model))
        atlas = FeatureAtlas(Both(), brush=widget, method="pca", cache=tmp_path)
        name = atlas.brush(N + 3)
        assert widget.scene.weights(name) == {N + 3: pytest.approx(1.0)}
        atlas.close()
        widget.close()

    def test_one_alone_has_no_site_to_choose(self, source: Painter, tmp_path: Path) -> None:
        atlas = FeatureAtlas(source, method="pca", cache=tmp_path)
        keys = [choice["key"] for choice in atlas._panel.filter_choices]
        assert keys == ["live", "labelled", "not positional"]
        assert "site" not in dict(atlas._panel.color_modes)
        atlas.close()


class TestRefusals:
    def test_of_what_is_no_painter(self) -> None:
        with pytest.raises(TypeError, match="painter=3 has no SAE; give a Painter or an SAE"):
            FeatureAtlas(3)

    def test_of_unknown_keywords(self, source: Painter) -> None:
        with pytest.raises(TypeError, match="FeatureAtlas has no keyword layuot=; did you mean layout="):
            FeatureAtlas(source, layuot=3)
        with pytest.raises(ValueError, match="method='x' is unknown"):
            FeatureAtlas(source, method="x")

    def test_of_a_collection_of_another_sae(self, source: Painter, tmp_path: Path) -> None:
        other = Collection.create(tmp_path / "c", N, {"id": "x", "sae": "other"})
        with pytest.raises(ValueError, match=r"SAE 'other' \(60 features\), but this atlas shows 'abab"):
            FeatureAtlas(source, other)
        # Neither SAE has a name: the numbers of features say what is wrong.
        nameless = dataclasses.replace(make_sae(), sha256="")
        fewer = Collection.create(tmp_path / "d", N - 1, {"id": "x", "sae": ""})
        with pytest.raises(
            ValueError, match=r"SAE '' \(59 features\), but this atlas shows '' \(60 features\)"
        ):
            FeatureAtlas(nameless, fewer)

    def test_of_a_class(self) -> None:
        with pytest.raises(TypeError, match=r"Painter.* is a class; give a painter that is made of it"):
            FeatureAtlas(Painter)

    def test_of_what_is_no_collection(self, source: Painter) -> None:
        with pytest.raises(TypeError, match=r"collection=5 is not a Collection; make one with painter\.coll"):
            FeatureAtlas(source, 5)  # type: ignore[arg-type]

    @pytest.mark.parametrize(("side", "error"), [(0, ValueError), (100_000, ValueError), (9.5, TypeError)])
    def test_of_pictures_too_small_or_too_large(
        self, atlas: FeatureAtlas, side: Any, error: type[Exception]
    ) -> None:
        with pytest.raises(error, match=r"side=.* 82\.\.8192"):
            atlas.picture(side)
        assert atlas.picture(82).width == 82

    def test_of_messages_that_make_no_sense(self, atlas: FeatureAtlas) -> None:
        nonsense: list[tuple[Any, str]] = [
            ({}, "feature=None is not a whole number"),
            ({"do": "look"}, "feature=None is not a whole number"),
            ({"do": "look", "feature": -1}, "feature=-1 is outside 0..59"),
            ({"do": "look", "feature": 1000}, "feature=1000 is outside 0..59"),
            ({"do": "dance", "feature": 1}, "do='dance' is unknown"),
            ({"do": "label", "feature": 1}, "text=None is not text"),
            (
                {"do": "label", "feature": 1, "text": "a \ud800"},
                "text holds '\\ud800' at 2",
            ),
            ("x", "message 'x' is not an object"),
        ]
        for content, notice in nonsense:
            atlas._received(content)
            assert atlas._panel.notice.startswith(notice)


class TestWhatGoesWrong:
    def test_a_card_opens_without_the_pictures_that_cannot_be_read(
        self, source: Painter, tmp_path: Path
    ) -> None:
        collection = make_collection(tmp_path / "pictures")
        atlas = FeatureAtlas(source, collection, method="pca", cache=tmp_path)
        atlas.select([20])
        (tmp_path / "pictures").rename(tmp_path / "moved")
        atlas._scatter._selected({"new": np.array([7])})
        assert (atlas.selected, atlas.feature) == ((7,), 7)
        details = atlas._panel.details
        assert (details["label"], details["pictures"]) == ("cat", [])
        assert details["advice"].startswith("Pictures could not be read: ")
        tell(atlas, do="look", feature=9)
        assert atlas._panel.details["label"] == "cat asleep"
        assert atlas._panel.notice == ""
        (tmp_path / "moved").rename(tmp_path / "pictures")
        tell(atlas, do="look", feature=7)
        assert len(atlas._panel.details["pictures"]) == 2
        assert atlas._panel.details["advice"] == ""
        atlas.close()

    def test_a_text_that_is_too_long_is_an_error_and_forgotten(self, atlas: FeatureAtlas) -> None:
        atlas._panel.query = "cat"
        atlas._panel.query = "x" * 10_001
        assert "10,001 characters" in atlas._panel.notice
        assert isinstance(atlas.last_error, ValueError)
        assert atlas._panel.query == ""
        atlas._panel.query = "cat"
        assert tiles(atlas) == [7, 9]
        assert atlas._panel.notice == ""

    @pytest.mark.parametrize("event", ["selection", "hovering", "query", "filters", "color_by"])
    def test_what_escapes_from_an_event_is_shown(
        self, event: str, atlas: FeatureAtlas, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*given: object, **more: object) -> None:
            raise OSError("the disk is away")

        for name in ("want_icons", "show", "show_concepts"):
            monkeypatch.setattr(atlas._sheet, name, fail)
        monkeypatch.setattr(atlas, "_recolor", fail)
        events = {
            "selection": lambda: atlas._scatter._selected({"new": np.array([7])}),
            "hovering": lambda: atlas._scatter._hovered({"new": 7}),
            "query": lambda: setattr(atlas._panel, "query", "cat"),
            "filters": lambda: setattr(atlas._panel, "filters", ["labelled"]),
            "color_by": lambda: setattr(atlas._panel, "color_by", "positional"),
        }
        events[event]()
        assert atlas._panel.notice == "OSError: the disk is away"
        assert isinstance(atlas.last_error, OSError)


def test_a_closed_atlas_lets_go_of_everything(tmp_path: Path) -> None:
    source = Painter()
    atlas = FeatureAtlas(source, method="pca", cache=tmp_path)
    atlas.select([7])
    source.icons.wait(10)
    atlas.close()
    held = weakref.ref(source)
    del atlas, source
    gc.collect()
    assert held() is None


def test_a_closed_atlas_that_is_kept_lets_go_of_its_painter_and_says_so(tmp_path: Path) -> None:
    source = LabellingPainter()
    collection = make_collection(tmp_path / "pictures")
    atlas = FeatureAtlas(source, collection, client=Client(), method="pca", cache=tmp_path)
    atlas.select([7])
    source.icons.wait(10)
    atlas.close()
    held = weakref.ref(source), weakref.ref(source.saes[next(iter(source.saes))])
    del source
    gc.collect()
    assert [one() for one in held] == [None, None]
    assert (atlas.selected, atlas.feature) == ((7,), 7)
    assert atlas.wait(1)
    atlas.stop_labelling()
    for act in (
        lambda: atlas.search("cat"),
        lambda: atlas.like(7),
        lambda: atlas.select([7]),
        lambda: atlas.brush(7),
        lambda: atlas.link(None),
        lambda: atlas.label([7]),
        lambda: atlas.picture(),
        lambda: setattr(atlas, "selected", (8,)),
        lambda: setattr(atlas, "feature", 8),
        lambda: setattr(atlas, "filters", []),
        lambda: setattr(atlas, "color_by", "source"),
        lambda: atlas.zoom(7),
    ):
        with pytest.raises(RuntimeError, match="this atlas is closed; make a new one: FeatureAtlas"):
            act()


def test_a_map_that_is_still_being_made_keeps_no_closed_atlas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(*args: Any, method: str, **kwargs: Any) -> Any:
        if method == "tsne":
            begun.set()
            assert go.wait(10)
        return make_map(*args, method="pca", **kwargs)

    monkeypatch.setattr(arrangement, "make_map", slow)
    source = Painter()
    atlas = FeatureAtlas(source, method="tsne", cache=tmp_path)
    assert begun.wait(10)
    source.icons.wait(10)
    worker = atlas._places._worker
    atlas.close()
    held = weakref.ref(source), weakref.ref(atlas)
    del atlas, source
    gc.collect()
    assert [one() for one in held] == [None, None]
    go.set()
    assert worker.wait(10)


def test_paint_is_brush_as_in_0_1(source: Painter, tmp_path: Path) -> None:
    widget = PaintWidget(FakePainter(), make_scene(n_features=N, model={"sae": "ab" * 8}))
    atlas = FeatureAtlas(source, paint=widget, method="pca", cache=tmp_path)
    assert atlas._panel.has_paint
    with pytest.raises(TypeError, match="brush= and paint= are the same"):
        FeatureAtlas(source, brush=widget, paint=widget, method="pca", cache=tmp_path)
    atlas.close()
    widget.close()


def test_a_closed_atlas_leaves_no_widget(source: Painter, tmp_path: Path) -> None:
    FeatureAtlas(source, method="pca", cache=tmp_path).close()
    before = set(_instances)
    FeatureAtlas(source, method="pca", cache=tmp_path).close()
    assert set(_instances) == before


def test_a_point_that_does_not_exist_is_not_selected(atlas: FeatureAtlas) -> None:
    atlas._scatter._selected({"new": np.array([-1, 4, N])})
    assert atlas.selected == (4,)


@pytest.mark.parametrize("fault", [OSError("no room"), SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_a_map_that_cannot_be_made_is_an_error_of_the_atlas(
    fault: BaseException, source: Painter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, method: str, **kwargs: Any) -> Any:
        if method == "tsne":
            raise fault
        return make_map(*args, method=method, **kwargs)

    monkeypatch.setattr(arrangement, "make_map", fail)
    atlas = FeatureAtlas(source, method="tsne", cache=tmp_path)
    assert atlas.wait(10)
    assert type(fault).__name__ in repr(atlas.last_error)
    assert type(fault).__name__ in atlas._panel.notice
    assert "under way" not in atlas._panel.status
    atlas.close()


def test_a_closed_atlas_says_so_where_it_is_shown(source: Painter, tmp_path: Path) -> None:
    atlas = FeatureAtlas(source, method="pca", cache=tmp_path)
    atlas.close()
    message = "This FeatureAtlas is closed; make a new one: FeatureAtlas(painter)"
    assert atlas._repr_mimebundle_() == ({"text/plain": message}, {})
