"""What a browser may do to the palette, and the features and thumbnails that it is shown."""

from __future__ import annotations

import base64
import io
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ember_widgets.features.concepts import ConceptBank
from ember_widgets.features.icons import Icons, packed
from ember_widgets.features.label import Label
from ember_widgets.features.labels import LabelHit, Labels
from ember_widgets.scene.grid import Grid
from ember_widgets.scene.scene import Scene
from ember_widgets.util import worker
from ember_widgets.widgets.paint.widget import PaintWidget
from tests.unit.scene.scenes import make_scene
from tests.unit.widgets.paint.paint_bench import SOON_S, Browser, FakePainter, make_bank


class LabelledPainter(FakePainter):
    labels = Labels({2: "pine tree", 5: "tree", 7: "night sky"})
    concepts = make_bank()


@pytest.fixture
def painter() -> FakePainter:
    return LabelledPainter()


@pytest.fixture
def browser(browser: Browser) -> Browser:
    browser.ask("hello")
    return browser


def change(browser: Browser, verb: str, *, commit: bool = True, **arguments: Any) -> int:
    revision = browser.state()["revision"]
    return browser.ask("palette", revision=revision, commit=commit, verb=verb, arguments=arguments)


CHANGES: list[tuple[str, dict[str, Any], Callable[[Scene], Scene]]] = [
    ("rename", {"factor": 1, "name": "a cat"}, lambda s: s.rename(1, "a cat")),
    ("recolor", {"factor": 1, "color": "#123456"}, lambda s: s.recolor(1, "#123456")),
    ("duplicate", {"factor": 1}, lambda s: s.duplicate(1)),
    ("remove", {"factor": 1}, lambda s: s.remove(1)),
    ("reorder", {"order": [2, 0, 1]}, lambda s: s.reorder([2, 0, 1])),
    ("set_weight", {"factor": 1, "feature": 3, "weight": 1.5}, lambda s: s.set_weight(1, 3, 1.5)),
    ("add_factor", {"features": {"7": 1}, "name": None}, lambda s: s.add_factor({7: 1})),
    ("add_concept", {"concept": "lion"}, lambda s: s.add_factor(make_bank()["lion"])),
]


@pytest.mark.parametrize(("verb", "arguments", "wanted"), CHANGES, ids=[case[0] for case in CHANGES])
def test_a_change_is_the_scenes_verb_and_a_step_of_the_history(
    verb: str,
    arguments: dict[str, Any],
    wanted: Callable[[Scene], Scene],
    widget: PaintWidget,
    browser: Browser,
    scene: Scene,
) -> None:
    seq = change(browser, verb, **arguments)
    widget.wait(SOON_S)

    assert widget.scene == wanted(scene)
    assert browser.state()["names"] == list(wanted(scene).names)
    assert browser.frames()[-1][0]["seq"] == seq
    assert widget.undo()
    assert widget.scene == scene


def test_weights_can_be_reset(widget: PaintWidget, browser: Browser, scene: Scene) -> None:
    change(browser, "set_weight", factor=0, feature=2, weight=9.0)
    change(browser, "reset_weights", factor=0)
    assert widget.scene == scene


@pytest.mark.parametrize(
    ("verb", "arguments", "gains"),
    [
        ("remove", {"factor": 0}, [2, 3]),
        ("reorder", {"order": [2, 0, 1]}, [3, 1, 2]),
        ("duplicate", {"factor": 2}, [1, 2, 3, 1]),
    ],
)
def test_sliders_go_along_with_their_factors(
    verb: str, arguments: dict[str, Any], gains: list[float], browser: Browser, scene: Scene
) -> None:
    browser.edit(scene, [1, 2, 3])
    change(browser, verb, **arguments)
    assert browser.state()["gains"] == gains


def test_a_weight_on_its_way_is_no_step_of_the_history(
    widget: PaintWidget, browser: Browser, scene: Scene
) -> None:
    for weight in (0.5, 0.7, 0.9):
        change(browser, "set_weight", commit=False, factor=0, feature=1, weight=weight)
    change(browser, "set_weight", factor=0, feature=1, weight=1.0)

    assert widget.scene == scene.set_weight(0, 1, 1.0)
    assert widget.undo()
    assert widget.scene == scene
    assert not widget.undo()


def test_a_change_of_a_scene_that_is_gone_is_refused(
    widget: PaintWidget, browser: Browser, scene: Scene
) -> None:
    widget.scene = scene.rename(0, "the sky")
    browser.ask("palette", revision=0, commit=True, verb="remove", arguments={"factor": 0})
    assert browser.state()["why"] == "refused"
    assert widget.scene.n_factors == 3


def test_a_state_says_what_each_factor_is_made_of(browser: Browser, scene: Scene) -> None:
    (first, *_) = browser.state()["features"]
    weights = scene.weights(0)
    assert [item["feature"] for item in first] == list(weights)
    assert [item["weight"] for item in first] == pytest.approx(list(weights.values()))
    assert sum(item["share"] for item in first) == pytest.approx(1)
    assert first[0]["share"] == pytest.approx(float(scene.basis[0].max() / scene.basis[0].sum()))
    assert {item["feature"]: item["label"] for item in first}[5] == "tree"


def test_only_the_strongest_features_are_told(widget: PaintWidget, browser: Browser) -> None:
    widget.scene = make_scene(1, n_features=40)
    (first,) = browser.state()["features"]
    assert len(first) == 12
    assert sum(item["share"] for item in first) < 1


def test_what_was_added_was_never_analysed(browser: Browser) -> None:
    change(browser, "add_factor", features={"5": 1}, name="oak")
    state = browser.state()
    assert state["analysed"] == [True, True, True, False]
    assert state["seen"][-1] == 1
    (part,) = state["features"][-1]
    named = {"feature": 5, "label": "tree", "icon": "feature 5"}
    assert part == {**named, "weight": pytest.approx(1), "share": 1}


@pytest.mark.parametrize(
    ("text", "features"),
    [("tree", [5, 2]), ("TREE pine", [2]), ("3", [3]), ("#7", [7]), ("8", []), ("", []), ("²", [])],
)
def test_features_are_found_by_label_and_number(text: str, features: list[int], browser: Browser) -> None:
    seq = browser.ask("search", text=text)
    answer = browser.of("found")[-1]
    assert [item["feature"] for item in answer["features"]] == features
    assert (answer["client"], answer["seq"]) == ("page", seq)


def test_a_painter_without_labels_finds_numbers(scene: Scene) -> None:
    widget = PaintWidget(FakePainter(), scene)
    browser = Browser(widget)
    browser.ask("search", text="3")
    assert browser.of("found")[-1]["features"] == [{"feature": 3, "label": "", "icon": "feature 3"}]
    widget.close()


def icons(browser: Browser, count: int) -> list[dict[str, Any]]:
    """The thumbnails heard, once there are so many."""
    end = time.monotonic() + SOON_S
    while len(browser.of("icon")) < count and time.monotonic() < end:
        time.sleep(0.01)
    return browser.of("icon")


def test_thumbnails_show_each_factor_alone_and_are_drawn_once(
    browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    keys = browser.state()["icons"]
    browser.ask("icons", keys=keys[:2])

    heard = icons(browser, 2)
    assert {icon["key"] for icon in heard} == set(keys[:2])
    (drawn, *_) = [s for s in painter.rendered if s.remainder.max() == 0]
    assert (drawn.strengths[..., 0] == Grid().areas["centre"]).all()
    assert not drawn.strengths[..., 1:].any()
    code = heard[0]["url"].removeprefix("data:image/jpeg;base64,")
    red, green, _ = np.asarray(Image.open(io.BytesIO(base64.b64decode(code))))[36, 36]
    assert red > 80 > green

    count = len(painter.rendered)
    browser.ask("icons", keys=keys[:2])
    assert len(icons(browser, 4)) == 4
    assert len(painter.rendered) == count


def test_a_features_thumbnail_shows_it_alone(browser: Browser, painter: FakePainter, scene: Scene) -> None:
    browser.ask("icons", keys=["feature 5", "feature 99", "feature x", "feature -1"])
    (icon,) = icons(browser, 1)
    assert icon["key"] == "feature 5"
    (drawn,) = [s for s in painter.rendered if s.remainder.max() == 0]
    assert drawn.weights(drawn.n_factors - 1) == {5: pytest.approx(1)}
    assert not drawn.strengths[..., :-1].any()
    assert (drawn.strengths[..., -1] == Grid().areas["centre"]).all()


def test_a_features_thumbnail_is_the_painters_own_where_it_has_one(browser: Browser, painter: Any) -> None:
    painter.draw_icons = lambda features: [painter.icon(feature) for feature in features]
    painter.icon = lambda feature: Image.new("RGB", (16, 16), (10 * feature, 0, 0))
    painter.icons = Icons(8, shipped={3: packed(Image.new("RGB", (64, 64), (0, 0, 200)))})
    browser.ask("icons", keys=["feature 3", "feature 7"])
    shipped, drawn = icons(browser, 2)
    assert (shipped["key"], shipped["url"]) == ("feature 3", painter.icons.address(3))
    assert (drawn["key"], drawn["url"][:22]) == ("feature 7", "data:image/jpeg;base64")
    assert not [s for s in painter.rendered if s.remainder.max() == 0]


def test_a_factor_made_of_something_else_has_another_thumbnail(browser: Browser) -> None:
    before = browser.state()["icons"]
    change(browser, "set_weight", factor=1, feature=0, weight=5.0)
    change(browser, "rename", factor=0, name="heaven")
    after = browser.state()["icons"]
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True]


def test_a_thumbnail_that_cannot_be_drawn_does_not_stop_the_others(
    browser: Browser, painter: FakePainter
) -> None:
    keys = browser.state()["icons"]
    painter.fault = OSError("out of paint")
    browser.ask("icons", keys=keys[:1])
    end = time.monotonic() + SOON_S
    while not [s for s in painter.rendered if s.remainder.max() == 0] and time.monotonic() < end:
        time.sleep(0.01)
    painter.fault = None
    browser.ask("icons", keys=keys[1:2])
    assert [icon["key"] for icon in icons(browser, 1)] == keys[1:2]
    assert browser.of("error") == []


def test_a_widget_that_is_closed_draws_no_more_thumbnails(
    widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    painter.hold()
    browser.edit(scene.scale(0, 0.5))
    assert painter.entered.wait(SOON_S)
    browser.ask("icons", keys=browser.state()["icons"])
    widget.close()
    painter.gate.set()
    end = time.monotonic() + SOON_S
    while any(thread.name == "ember-idle" for thread in threading.enumerate()) and time.monotonic() < end:
        time.sleep(0.01)
    assert not any(thread.name == "ember-idle" for thread in threading.enumerate())
    assert browser.of("icon") == []


def test_thumbnails_wait_until_the_picture_is_drawn(
    browser: Browser, painter: FakePainter, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "PATIENCE_S", 0.01)
    painter.hold()
    browser.edit(scene.scale(0, 0.5))
    assert painter.entered.wait(SOON_S)
    browser.ask("icons", keys=browser.state()["icons"])
    time.sleep(0.1)
    assert [s for s in painter.rendered if s.remainder.max() == 0] == []
    painter.gate.set()
    assert len(icons(browser, 3)) == 3


def test_a_concept_is_added_as_it_is_in_the_bank_and_so_says_the_program(
    widget: PaintWidget, browser: Browser
) -> None:
    change(browser, "add_concept", concept="lion")
    assert np.array_equal(widget.scene.basis[-1], make_bank()["lion"].row)
    assert widget.scene.names[-1] != "lion"  # the scene has a lion already
    assert "scene = scene.add_factor(painter.concepts['lion'])" in widget.to_python().splitlines()


def test_concepts_are_found_by_name_with_what_they_are_made_of(browser: Browser) -> None:
    browser.ask("search", text="lion", concepts=True)
    answer = browser.of("found")[-1]
    assert answer["features"] == []
    (found,) = answer["concepts"]
    assert (found["concept"], found["label"]) == ("lion", "pine tree, tree, #1")
    browser.ask("search", text="lion")  # where only a feature can be taken
    assert browser.of("found")[-1]["concepts"] == []
    browser.ask("search", text="7", concepts=True)
    assert browser.of("found")[-1]["concepts"] == []


def test_a_concept_found_has_the_thumbnail_of_its_factor(widget: PaintWidget, browser: Browser) -> None:
    browser.ask("search", text="night", concepts=True)
    (found,) = browser.of("found")[-1]["concepts"]
    browser.ask("icons", keys=[found["icon"]])
    assert widget._open.idle.wait(SOON_S)
    assert [icon["key"] for icon in browser.of("icon")] == [found["icon"]]
    change(browser, "add_concept", concept="night")
    assert browser.state()["icons"][-1] == found["icon"]


@pytest.mark.parametrize(
    ("name", "bank", "message"),
    [
        ("cat", make_bank(), "concept='cat' is not in the bank; choose one of painter.concepts.names"),
        (3, make_bank(), "concept=3 is not in the bank"),
        ("lion", None, "this painter has no concepts; set painter.concepts = collection.concepts()"),
        ("lion", make_bank(sae="other"), "is of the SAE 'other'"),
    ],
)
def test_a_concept_that_there_is_not_is_refused(
    name: object,
    bank: ConceptBank | None,
    message: str,
    widget: PaintWidget,
    browser: Browser,
    painter: LabelledPainter,
    scene: Scene,
) -> None:
    painter.concepts = bank  # type: ignore[assignment]
    change(browser, "add_concept", concept=name)
    assert message.casefold() in browser.of("error")[-1]["message"].casefold()
    assert widget.scene == scene
    browser.ask("search", text="lion", concepts=True)
    assert browser.of("found")[-1]["concepts"] == [] or bank is not None


def test_a_scored_label_has_a_mark_and_all_about_it(browser: Browser, painter: LabelledPainter) -> None:
    scores, counts = {"detection": 1.0, "causal": 0.9}, {"detection": 10, "causal": 10}
    painter.labels = Labels({2: Label("a pine", "", scores, counts, model="a-judge", date="2026-11-29")})
    browser.ask("search", text="pine")
    (row,) = browser.of("found")[-1]["features"]
    assert row["mark"] == "painting shows it: 9 of 10"
    assert row["about"] == (
        "labelled by a-judge, 2026-11-29\n"
        "painting shows it: 9 of 10 (95 % interval 60–98 %, chance 50 %)\n"
        "recognised in pictures: 10 of 10 (95 % interval 72–100 %, chance 50 %)"
    )


def test_what_only_means_the_same_comes_last_and_is_marked(
    browser: Browser, painter: LabelledPainter, monkeypatch: pytest.MonkeyPatch
) -> None:
    painter.labels = Labels({2: "cat", 5: "kitten", 7: "house"})
    found = [*painter.labels.find("kitten"), LabelHit(2, "meaning", 0.8)]
    monkeypatch.setattr(
        Labels, "find", lambda self, text, by_meaning=True: found if by_meaning else found[:1]
    )
    browser.ask("search", text="kitten")
    rows = [(row["feature"], row.get("similar", False)) for row in browser.of("found")[-1]["features"]]
    assert rows == [(5, False), (2, True)]
    browser.ask("search", text="7")  # a number means nothing else
    assert not any("similar" in row for row in browser.of("found")[-1]["features"])
