"""What a vision-language model is shown of the embedded model's features, and what comes of its answers."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ember_widgets as ember
from ember_widgets.cli import label as command
from ember_widgets.cli import main
from ember_widgets.features.collection import Collection
from ember_widgets.features.hit import Hit
from ember_widgets.labelling import sheet
from ember_widgets.labelling.question import Question, Reply
from ember_widgets.labelling.run import LabelProgress
from ember_widgets.model.runs import Run
from ember_widgets.painter import analysis
from ember_widgets.painter.labelling import FeatureSheets, difference
from ember_widgets.painter.painted_pictures import DISC, draw_painted, lone_strength

# Half of them in a meadow, half in the snow: features of both grounds are active in six and silent in six.
PROMPTS = (
    "a lion in a meadow",
    "a cat in a meadow",
    "a house in a meadow",
    "a dog in the snow",
    "a pine in the snow",
    "a castle in the snow",
)


class Judge:
    """Answers as it is told to."""

    in_flight = 2

    def __init__(self, name: str = "test/judge:1") -> None:
        self.model = name
        self.asked: list[Question] = []

    async def ask(self, question: Question) -> Reply:
        self.asked.append(question)
        answer = {
            "label": {"label": "a thing", "category": "object", "note": ""},
            "detection": {"pictures": [1, 2, 3, 4, 5]},
            "causal": {"pairs": ["A"] * sheet.N_PAIRS},
        }[question.kind]
        return Reply(json.dumps(answer), 100, 10)

    async def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def painter() -> ember.Painter:
    """Of its own: it gets labels."""
    return ember.Painter.embedded()


@pytest.fixture(scope="module")
def pictures(painter: ember.Painter, tmp_path_factory: pytest.TempPathFactory) -> Collection:
    folder = tmp_path_factory.mktemp("labelling") / "pictures"
    return painter.collect(PROMPTS, folder, seeds=(0, 1), progress=False)


@pytest.fixture(scope="module")
def sheets(painter: ember.Painter, pictures: Collection) -> FeatureSheets:
    return FeatureSheets(painter.model, pictures)


@pytest.fixture(scope="module")
def feature(pictures: Collection) -> int:
    """One that is active in half of the pictures."""
    live: list[int] = np.flatnonzero(pictures.statistics.frequency).tolist()
    counts = {one: len(pictures.spread(one, len(pictures))) for one in live}
    return next(one for one, n in counts.items() if 5 <= n <= 7 and len(pictures.silent(one, 12)) >= 5)


@pytest.fixture(scope="module")
def two_sites() -> ember.Painter:
    return ember.Painter.embedded(sites=("down.2.1", "up.0.1"))


def tile(data: bytes | Image.Image, place: tuple[int, int]) -> np.ndarray:
    picture = Image.open(io.BytesIO(data)) if isinstance(data, bytes) else data
    return np.asarray(picture.convert("RGB").crop(sheet.box(*place)), float)


def differ(a: np.ndarray, b: np.ndarray) -> float:
    return float(abs(a - b).mean())


def changed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Which patches differ, (16, 16) bool."""
    return np.asarray(abs(a - b).mean(2).reshape(16, 16, 16, 16).mean((1, 3)) > 3)


def test_a_label_sheet_shows_what_it_says(painter: ember.Painter, pictures: Collection, feature: int) -> None:
    picture = painter.label_sheet(feature, pictures)
    assert picture.size == sheet.size(4, 6) == (1592, 1168)
    hits = pictures.spread(feature, sheet.N_ACTIVE)
    for place, hit in zip(sheet.ACTIVE, hits, strict=False):
        plain = np.asarray(pictures.picture(hit.index), float)
        marked = changed(tile(picture, place), plain)
        # The frame lies around the patch, so it shows in the patches beside it.
        assert marked[max(0, hit.row - 1) : hit.row + 2, max(0, hit.col - 1) : hit.col + 2].any()
        assert marked.sum() <= 9
    for place, index in zip(sheet.SILENT, pictures.silent(feature, sheet.N_SILENT), strict=False):
        assert differ(tile(picture, place), np.asarray(pictures.picture(index), float)) == 0
    alone = np.asarray(painter.icon(feature), float)
    blank = np.asarray(painter.render(painter.blank()), float)
    assert differ(tile(picture, sheet.ALONE), alone) < 1
    assert differ(tile(picture, sheet.BLANK), blank) < 1
    disc = painter.grid.mask(DISC)
    for before, after, change in zip(sheet.WITHOUT, sheet.WITH, sheet.DIFFERENCE, strict=True):
        there = changed(tile(picture, before), tile(picture, after))
        assert there[disc].mean() > 0.5 > there[~disc].mean()
        before_picture, after_picture = (picture.crop(sheet.box(*place)) for place in (before, after))
        assert (
            differ(tile(picture, change), np.asarray(difference(before_picture, after_picture), float)) == 0
        )


def test_scores_are_of_other_pictures_with_the_same_places_marked(
    sheets: FeatureSheets, pictures: Collection, feature: int
) -> None:
    found = sheets.detection_sheet(feature)
    assert found is not None
    data, truth = found
    assert Counter(truth) == {True: 5, False: 5}
    n_active = len(pictures.spread(feature, 15))
    hits = pictures.spread(feature, 5, skip=n_active - 5)
    silent = pictures.silent(feature, 5, skip=len(pictures.silent(feature, 8)) - 5)

    def is_shown(hit: Hit, is_active: bool) -> bool:
        marked = np.asarray(pictures.marked(hit, sheet.TILE), float)
        places = [place for place, one in zip(sheet.DETECTION, truth, strict=True) if one is is_active]
        # A frame at another place, or another picture, differs by much more somewhere.
        return any(abs(tile(data, place) - marked).mean(2).max() < 80 for place in places)

    for hit, index in zip(hits, silent, strict=True):
        assert is_shown(hit, True)
        assert is_shown(Hit(index, "", 0, hit.row, hit.col, 0.0), False)
        assert not is_shown(Hit(index, "", 0, 15 - hit.row, 15 - hit.col, 0.0), False)


def test_a_causal_sheet_says_where_the_feature_is_painted(
    painter: ember.Painter, sheets: FeatureSheets, feature: int
) -> None:
    found = sheets.causal_sheet(feature)
    assert found is not None
    data, truth = found
    assert set(truth) == {"A", "B"}
    runs = [Run("", 1 + i, 1) for i in range(5)]
    alone = [np.asarray(draw_painted(painter.model, run, [feature], blank=True)[0], float) for run in runs]
    n_blank = 0
    for a, b, letter in zip(sheet.PAIR_A, sheet.PAIR_B, truth, strict=True):
        mine, other = (a, b) if letter == "A" else (b, a)
        assert differ(tile(data, a), tile(data, b)) > 0.5  # the foil is another feature
        if min(differ(tile(data, mine), one) for one in alone) < 2:
            n_blank += 1
            assert min(differ(tile(data, other), one) for one in alone) > 2
    assert n_blank == 5


@pytest.mark.parametrize(("guidance", "blank"), [(0.0, True), (0.0, False), (2.0, False)])
def test_painting_is_the_same_as_in_a_scene(two_sites: ember.Painter, guidance: float, blank: bool) -> None:
    run, model = Run(PROMPTS[0], 3, 1, guidance), two_sites.model
    features = [7, two_sites.space.index(40, "up.0.1")]
    drawn = draw_painted(model, run, features, blank=blank)
    canvas = analysis.scene_of(model, run, analysis.no_factors(model), [], remainder=0.0 if blank else 1.0)
    for one, picture in zip(features, drawn, strict=True):
        scene = canvas.add_factor({one: 1.0}).paint(0, DISC, lone_strength(model, one))
        assert np.array_equal(np.asarray(picture), np.asarray(two_sites.render(scene)))


def test_a_batch_is_drawn_as_scenes_are(painter: ember.Painter, feature: int) -> None:
    run = Run(PROMPTS[0], 3, 1)
    drawn = draw_painted(painter.model, run, [feature, feature + 1], blank=False)
    nothing = analysis.no_factors(painter.model)
    for one, picture in zip((feature, feature + 1), drawn, strict=True):
        scene = analysis.scene_of(painter.model, run, nothing, []).add_factor({one: 1.0})
        expected = np.asarray(painter.render(scene.paint(0, DISC, 1.0)), float)
        assert differ(np.asarray(picture, float), expected) < 0.5


def test_labels_and_scores_come_into_the_painter_and_nothing_is_asked_twice(
    painter: ember.Painter, pictures: Collection, sheets: FeatureSheets, feature: int
) -> None:
    dead = int(np.flatnonzero(pictures.statistics.frequency == 0)[0])
    judge = Judge()
    done: list[LabelProgress] = []
    forecast = painter.label_forecast([feature, dead], collection=pictures, client=judge)
    assert forecast.n_calls == 3  # nothing is asked of a feature that is active nowhere
    assert not judge.asked
    with pytest.raises(TypeError, match="folder=5 is not a path; give a str or a pathlib.Path"):
        painter.label(collection=pictures, client=judge, folder=5, progress=False)  # type: ignore[arg-type]
    run = painter.label(
        [feature, dead], collection=pictures, client=judge, progress=False, on_label=done.append
    )
    assert run.is_finished
    assert run.counts["labelled"] == run.counts["silent"] == 1
    assert run.folder == pictures.folder / "labels-test-judge-1"
    assert sorted(one.feature for one in done) == sorted([feature, dead])
    # Sheets that are drawn again are the same ones, in the same order.
    detection, causal = sheets.detection_sheet(feature), sheets.causal_sheet(feature)
    assert detection is not None
    assert causal is not None
    shown = {question.kind: question.picture for question in judge.asked}
    assert shown == {"label": sheets.label_sheet(feature), "detection": detection[0], "causal": causal[0]}
    entry = painter.labels.entry(feature)
    assert (entry.text, entry.model) == ("a thing", judge.model)
    assert entry.counts == {"detection": 10, "causal": 10}
    assert entry.scores == {
        "detection": (sum(detection[1][:5]) + 5 - sum(detection[1][5:])) / 10,
        "causal": causal[1].count("A") / 10,
    }
    assert painter.label([feature], collection=pictures, client=judge, progress=False).counts["resumed"] == 1
    assert len(judge.asked) == 3


def test_other_settings_ask_other_questions(
    painter: ember.Painter, pictures: Collection, sheets: FeatureSheets
) -> None:
    assert FeatureSheets(painter.model, pictures).identity == sheets.identity
    assert FeatureSheets(painter.model, pictures, 2.0).identity != sheets.identity


def test_features_with_a_label_of_your_own_are_not_asked_about(
    painter: ember.Painter, pictures: Collection
) -> None:
    live: list[int] = np.flatnonzero(pictures.statistics.frequency).tolist()

    def n_asked() -> int:
        return painter.label_forecast(collection=pictures, client=Judge("other")).n_features

    assert n_asked() == len(live)
    painter.labels.set(live[0], "mine")
    assert n_asked() == len(live) - 1
    painter.labels.set(live[0], "")


def test_what_cannot_be_labelled_is_refused(
    painter: ember.Painter, pictures: Collection, tmp_path: Path
) -> None:
    judge = Judge()

    def label(collection: object) -> None:
        painter.label(collection=collection, client=judge, progress=False)  # type: ignore[arg-type]

    with pytest.raises(
        TypeError, match="features='castle' is text; give numbers, such as painter.labels.search"
    ):
        painter.label_forecast("castle", collection=pictures, client=Judge())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="client='gpt-4o' cannot be asked"):
        painter.label(collection=pictures, client="gpt-4o")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="collection='pictures' is not a Collection"):
        label("pictures")
    with pytest.raises(ValueError, match="holds no pictures yet"):
        label(Collection.create(tmp_path / "empty", painter.n_features, painter.model.identity))
    bare = painter.collect(PROMPTS[:1], tmp_path / "bare", pictures=False, progress=False)
    with pytest.raises(ValueError, match="was collected without pictures"):
        label(bare)
    identity = painter.model.identity | {"sae": "another"}
    other = Collection.create(tmp_path / "other", painter.n_features, identity)
    with pytest.raises(ValueError, match="was made with SAE 'another'"):
        label(other)
    with pytest.raises(ValueError, match="active in none of the 12 pictures"):
        painter.label_sheet(int(np.flatnonzero(pictures.statistics.frequency == 0)[0]), pictures)
    assert not judge.asked


def test_a_change_of_the_pipeline_is_noticed(pictures: Collection, feature: int) -> None:
    changed = ember.Painter.embedded()
    sheets = FeatureSheets(changed.model, pictures)
    assert sheets.label_sheet(feature)
    changed.pipeline.unet.conv_out.bias.data = changed.pipeline.unet.conv_out.bias.data + 1
    for draw in (sheets.label_sheet, sheets.causal_sheet):
        with pytest.raises(RuntimeError, match="the pipeline was changed since this labelling began"):
            draw(feature)


def test_a_change_of_the_pipeline_ends_a_labelling(
    pictures: Collection, feature: int, tmp_path: Path
) -> None:
    changed = ember.Painter.embedded()
    live: list[int] = np.flatnonzero(pictures.statistics.frequency).tolist()[:6]

    def change(done: object) -> None:
        changed.pipeline.unet.conv_out.bias.data = changed.pipeline.unet.conv_out.bias.data + 1

    with pytest.raises(RuntimeError, match="the pipeline was changed since this labelling began"):
        changed.label(
            live,
            collection=pictures,
            client=Judge(),
            folder=tmp_path,
            progress=False,
            scores=False,
            on_label=change,
        )
    assert len(ember.Labels.load(tmp_path / "labels.json")) in range(1, 6)


def test_the_command_labels(
    pictures: Collection, feature: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    judge = Judge()
    monkeypatch.setattr(command, "make_client", lambda options: judge)
    arguments = ["label", "--model", "embedded", "--collection", str(pictures.folder), "--vlm", "x",
                 "--features", str(feature), "--out", str(tmp_path), "--quiet", "--no-scores"]  # fmt: skip
    monkeypatch.setattr("builtins.input", lambda prompt: "n")
    assert main.main(arguments) == 0
    assert not judge.asked
    assert "1 feature to label: 1 call" in capsys.readouterr().out
    assert main.main([*arguments, "--yes"]) == 0
    assert len(judge.asked) == 1
    assert "1 feature labelled" in capsys.readouterr().out
    assert json.loads((tmp_path / "labels.json").read_text())["labels"][str(feature)] == "a thing"
