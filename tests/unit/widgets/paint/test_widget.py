"""PaintWidget as Python sees it."""

from __future__ import annotations

import base64
import gc
import io
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import traitlets
from PIL import Image

from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint.parts import FactorSliders, Picture
from ember_widgets.widgets.paint.widget import PaintWidget
from tests.unit.scene.scenes import make_scene
from tests.unit.widgets.paint.paint_bench import SOON_S, Browser, FakePainter


def picture(widget: PaintWidget) -> Image.Image:
    return Image.open(io.BytesIO(widget.image))


# What it starts with


def test_it_shows_the_scene_it_is_given(widget: PaintWidget, scene: Scene, painter: FakePainter) -> None:
    assert widget.scene is scene
    np.testing.assert_array_equal(np.asarray(picture(widget)), np.asarray(painter.render(scene)))
    assert (widget.prompt, widget.seed, widget.n_steps, widget.n_factors) == ("a lion in a meadow", 3, 1, 3)


def test_without_a_scene_it_analyses_one(painter: FakePainter) -> None:
    widget = PaintWidget(painter)
    assert painter.calls[0] == ("analyze", ("", 0, 1, 5))
    assert widget.scene.n_factors == 5
    widget.close()


def test_keywords_say_what_to_analyse(painter: FakePainter) -> None:
    widget = PaintWidget(painter, prompt="a boat", seed=9, n_steps=2, n_factors=3)
    assert painter.calls[0] == ("analyze", ("a boat", 9, 2, 3))
    assert (widget.prompt, widget.seed, widget.n_steps, widget.n_factors) == ("a boat", 9, 2, 3)
    widget.close()


def test_a_blank_canvas_has_no_factors(painter: FakePainter) -> None:
    blank = make_scene(0)
    widget = PaintWidget(painter, blank)
    browser = Browser(widget)
    browser.ask("hello")
    assert browser.state()["names"] == []
    assert widget.n_factors == 5  # what the form offers
    browser.edit(blank.replace(remainder=np.zeros((16, 16))))
    widget.wait(SOON_S)
    assert widget.scene.remainder.max() == 0
    widget.close()


def test_a_saved_notebook_shows_the_picture(widget: PaintWidget) -> None:
    bundle = widget._repr_mimebundle_()
    assert bundle is not None
    assert base64.b64decode(bundle[0]["image/png"]) == widget.image
    assert "application/vnd.jupyter.widget-view+json" in bundle[0]


def test_the_picture_holds_the_scene_so_that_it_outlives_the_kernel(
    widget: PaintWidget, scene: Scene
) -> None:
    assert Scene.from_bytes(widget.image) == scene
    widget.scene = scene.scale(0, 0.5).rename(1, "a boat")
    widget.wait(SOON_S)
    assert Scene.from_bytes(widget.image) == widget.scene


def test_a_picture_that_a_browser_restores_is_read_and_not_sent_back(widget: PaintWidget) -> None:
    png = widget.image[::-1]
    widget.set_state({"image": memoryview(png)})
    assert widget.image == png
    assert widget.trait_metadata("image", "echo_update") is False


def test_the_front_end_is_text_and_small() -> None:
    # A path would tie every instance to a file watcher that outlives it; the text is saved once per instance.
    script, style = PaintWidget._esm.default_value, PaintWidget._css.default_value
    assert script.rstrip().endswith("};")
    assert ".ember-paint" in style
    assert len(script.encode()) <= 69_632
    assert len(style.encode()) <= 12 * 1024


def test_its_folder_holds_what_it_ships() -> None:
    static = Path(__file__).parents[4] / "ember_widgets" / "widgets" / "static"
    shipped = {"atlas.css", "atlas.js", "inspect.css", "keys.js", "paint.css", "paint.js", "panels.js"}
    assert {path.name for path in static.iterdir()} == shipped


# What Python does


def test_an_assigned_scene_is_drawn_and_sent(
    widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    new = scene.paint("lion", [(2, 3)], 2.0).rename("sky", "night")

    widget.scene = new
    widget.wait(SOON_S)

    assert widget.scene is new
    assert painter.rendered[-1] is new
    assert picture(widget).getpixel((3, 2)) == (0, 200, 0)
    assert browser.state()["why"] == "scene"
    assert browser.state()["names"] == ["night", "lion", "meadow"]
    np.testing.assert_array_equal(browser.maps()[0], new.strengths)
    assert browser.frames()[-1][0]["kind"] == "final"


def test_assigning_does_not_wait_for_the_painter(
    widget: PaintWidget, painter: FakePainter, scene: Scene
) -> None:
    painter.hold()
    widget.scene = scene.scale(0, 0.5)
    assert widget.busy
    assert widget.scene == scene.scale(0, 0.5)
    painter.gate.set()
    widget.wait(SOON_S)
    assert not widget.busy


def test_analyze_draws_a_new_scene_and_keeps_what_is_left_out(
    widget: PaintWidget, painter: FakePainter
) -> None:
    widget.analyze(seed=8)
    widget.wait(SOON_S)
    assert ("analyze", ("a lion in a meadow", 8, 1, 3)) in painter.calls
    assert widget.scene.seed == widget.seed == 8
    assert widget.scene.prompt == widget.prompt == "a lion in a meadow"


def test_undo_and_redo_go_through_the_scenes(widget: PaintWidget, scene: Scene) -> None:
    second, third = scene.scale(0, 0.5), scene.scale(0, 0.25)
    widget.scene = second
    widget.scene = third
    assert widget.undo()
    assert widget.scene == second
    assert widget.undo()
    assert widget.scene == scene
    assert not widget.undo()
    assert widget.redo()
    assert widget.scene == second
    widget.wait(SOON_S)
    assert picture(widget).getpixel((0, 0)) == tuple(
        (100 * second.strengths[0, 0]).clip(0, 255).astype(np.uint8)
    )


def test_a_new_step_forgets_what_was_undone(widget: PaintWidget, scene: Scene) -> None:
    widget.scene = scene.scale(0, 0.5)
    widget.undo()
    widget.scene = scene.scale(0, 0.25)
    assert not widget.redo()


def test_a_step_that_changes_nothing_is_none(widget: PaintWidget, scene: Scene) -> None:
    widget.scene = scene.scale(0, 1.0)
    assert not widget.undo()


def test_an_analysis_can_be_undone(widget: PaintWidget, scene: Scene) -> None:
    widget.analyze("a boat", n_factors=4)
    widget.wait(SOON_S)
    assert (widget.prompt, widget.n_factors) == ("a boat", 4)
    widget.undo()
    assert widget.scene == scene
    assert (widget.prompt, widget.n_factors) == ("a lion in a meadow", 3)


def test_a_scene_assigned_during_an_analysis_is_the_newer_wish(
    widget: PaintWidget, painter: FakePainter, scene: Scene
) -> None:
    painter.hold()
    widget.analyze("a boat")
    assert painter.entered.wait(SOON_S)
    new = scene.scale(0, 0.5)
    widget.scene = new
    painter.gate.set()
    widget.wait(SOON_S)
    assert widget.scene == new
    assert painter.rendered[-1] == new


def test_the_scenes_traits_can_be_observed(widget: PaintWidget) -> None:
    seen: list[tuple[str, object]] = []
    widget.observe(lambda change: seen.append((change["name"], change["new"])), ["prompt", "seed"])
    widget.analyze("a boat", seed=4)
    widget.wait(SOON_S)
    assert seen == [("prompt", "a boat"), ("seed", 4)]


def test_an_observer_that_fails_does_not_cost_the_picture(widget: PaintWidget, browser: Browser) -> None:
    def fail(change: object) -> None:
        raise KeyError("observer")

    widget.observe(fail, ["seed"])
    widget.analyze(seed=4)
    widget.wait(SOON_S)
    assert browser.frames()[-1][0]["kind"] == "final"
    assert browser.of("error")[-1]["message"] == "KeyError: 'observer'"


def test_wait_says_when_it_was_not_in_time(widget: PaintWidget, painter: FakePainter, scene: Scene) -> None:
    painter.hold()
    widget.scene = scene.scale(0, 0.5)
    with pytest.raises(TimeoutError) as error:
        widget.wait(0.01)
    assert str(error.value) == "the picture was not ready after 0.01 s; wait longer, or look at widget.busy"


def test_wait_says_when_the_picture_could_not_be_drawn(
    widget: PaintWidget, painter: FakePainter, scene: Scene
) -> None:
    painter.fault = OSError("first line\nout of paint\n")
    widget.scene = new = scene.scale(0, 0.5)
    with pytest.raises(RuntimeError) as error:
        widget.wait(SOON_S)
    assert str(error.value) == "the picture could not be drawn: OSError: out of paint"
    assert widget.last_error is painter.fault
    assert widget.scene == new

    painter.fault = None
    widget.scene = scene
    widget.wait(SOON_S)
    assert widget.last_error is None


@pytest.mark.parametrize(
    ("give", "message"),
    [
        (
            lambda p, s: PaintWidget(cast(Any, 3)),
            "painter=3 has no analyze(); give a Painter, e.g. ember.Painter.embedded()",
        ),
        (
            lambda p, s: PaintWidget(p, cast(Any, "scene.json")),
            "scene='scene.json' is not a Scene; make one with painter.analyze() or Scene.load(path)",
        ),
        (
            lambda p, s: PaintWidget(p, s, n_factor=5),
            "PaintWidget has no keyword n_factor=; did you mean n_factors=?",
        ),
        (
            lambda p, s: PaintWidget(p, s, zoom=5),
            "PaintWidget has no keyword zoom=; choose from prompt, style, seed, n_steps, n_factors, layout",
        ),
        (
            lambda p, s: PaintWidget(p, s, seed=5),
            "a scene was given, so seed= has no effect; leave out one of the two",
        ),
        (lambda p, s: PaintWidget(p, prompt=cast(Any, 5)), "prompt=5 is not text; give a str"),
        (
            lambda p, s: PaintWidget(p, seed=cast(Any, "3")),
            "seed='3' is not a whole number; give an int 0..9223372036854775807",
        ),
    ],
)
def test_a_wrong_construction_says_what_to_do(
    give: Callable[[Any, Any], PaintWidget], message: str, painter: FakePainter, scene: Scene
) -> None:
    with pytest.raises(TypeError) as error:
        give(painter, scene)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            {"n_factors": 300},
            "n_factors=300, but an image has 256 patches; choose 1..256 (3..8 reads best)",
        ),
        (
            {"n_steps": 99},
            "n_steps=99 is outside 1..4; the model is made for 1 to 4 steps (1 is the fastest to edit)",
        ),
        ({"seed": -1}, "seed=-1 is outside 0..9223372036854775807; the same seed gives the same picture"),
        ({"prompt": "x" * 10_001}, "prompt has 10,001 characters; 10,000 are the most"),
    ],
)
def test_values_out_of_range_say_what_is_allowed(
    wanted: dict[str, Any], message: str, widget: PaintWidget, painter: FakePainter
) -> None:
    if "n_factors" not in wanted:  # before the first scene, only the painter knows how many patches there are
        with pytest.raises(ValueError) as error:
            PaintWidget(painter, **wanted)
        assert str(error.value) == message
    with pytest.raises(ValueError) as error:
        widget.analyze(**wanted)
    assert str(error.value) == message


def test_a_wrong_assignment_leaves_the_scene(widget: PaintWidget, scene: Scene) -> None:
    with pytest.raises(TypeError) as error:
        widget.scene = 3  # type: ignore[assignment]
    assert str(error.value) == "scene=3 is not a Scene; make one with painter.analyze() or Scene.load(path)"
    assert widget.scene is scene


def test_a_trait_of_the_scene_cannot_be_set_alone(widget: PaintWidget) -> None:
    with pytest.raises(traitlets.TraitError) as error:
        widget.seed = 12
    assert str(error.value) == "seed belongs to the scene; draw another one with analyze(seed=12)"
    assert widget.seed == 3


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("picture", "painter.render() gave 'picture'; it has to give a PIL image"),
        (None, "painter.render() gave None; it has to give a PIL image"),
    ],
)
def test_a_painter_that_gives_no_picture_is_told_so(
    what: object, message: str, painter: FakePainter, scene: Scene
) -> None:
    painter.render = lambda scene: what  # type: ignore[method-assign,assignment,return-value]
    with pytest.raises(TypeError) as error:
        PaintWidget(painter, scene)
    assert str(error.value) == message


def test_a_painter_that_gives_no_scene_is_told_so(painter: FakePainter) -> None:
    painter.analyze = lambda *args, **kwargs: "scene"  # type: ignore[method-assign,assignment]
    with pytest.raises(TypeError) as error:
        PaintWidget(painter)
    assert str(error.value) == "painter.analyze() gave 'scene'; it has to give a Scene"


def test_a_picture_in_another_mode_is_shown(painter: FakePainter, scene: Scene) -> None:
    render = painter.render
    painter.render = lambda scene: render(scene).convert("RGBA")  # type: ignore[method-assign]
    widget = PaintWidget(painter, scene)
    widget.scene = scene.scale(0, 0.5)
    widget.wait(SOON_S)
    assert picture(widget).mode == "RGB"
    widget.close()


# How it ends


def test_a_closed_widget_keeps_its_scene_and_nothing_else(
    widget: PaintWidget, scene: Scene, painter: FakePainter
) -> None:
    widget.close()
    assert widget.painter is None
    assert widget.scene is scene
    for act in (
        widget.undo,
        widget.analyze,
        widget.retry,
        lambda: widget.go(0),
        lambda: setattr(widget, "scene", scene),
        lambda: widget.to_page("site"),
    ):
        with pytest.raises(RuntimeError) as error:
            act()
        assert str(error.value) == "this widget is closed; make a new one: PaintWidget(painter, widget.scene)"
    widget.close()


def test_a_closed_widget_cannot_be_shown_by_another_one(widget: PaintWidget) -> None:
    widget.close()
    for make in (PaintWidget, FactorSliders, Picture):
        with pytest.raises(RuntimeError, match="this widget is closed; make a new one: PaintWidget"):
            make(widget)


def test_a_closed_widget_that_is_kept_lets_go_of_its_painter(scene: Scene) -> None:
    others = set(threading.enumerate())
    painter = FakePainter()
    widget = PaintWidget(painter, scene)
    painter.fault = OSError("its traceback holds the frames it went through")
    widget.scene = scene.scale(0, 0.5)
    with pytest.raises(RuntimeError):
        widget.wait(SOON_S)
    gone = weakref.ref(painter)
    widget.close()
    del painter
    for thread in set(threading.enumerate()) - others:
        thread.join(SOON_S)
    gc.collect()
    assert gone() is None
    assert widget.scene == scene.scale(0, 0.5)


def test_closed_widgets_are_freed_with_their_painters_and_threads(scene: Scene) -> None:
    others = set(threading.enumerate())
    gone: list[weakref.ref[object]] = []
    for _ in range(3):
        painter = FakePainter()
        widget = PaintWidget(painter, scene)
        widget.scene = scene.scale(0, 0.5)
        widget.wait(SOON_S)
        painter.fault = OSError("its traceback holds the frames it went through")
        widget.scene = scene
        with pytest.raises(RuntimeError):
            widget.wait(SOON_S)
        gone += [weakref.ref(widget), weakref.ref(painter)]
        widget.close()
        del widget, painter
    for thread in set(threading.enumerate()) - others:
        thread.join(SOON_S)
    gc.collect()
    assert [ref() for ref in gone] == [None] * 6
    assert set(threading.enumerate()) <= others


def test_a_widget_closed_in_the_middle_of_a_picture_sends_nothing_more(
    widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    painter.hold()
    widget.scene = scene.scale(0, 0.5)
    assert painter.entered.wait(SOON_S)
    widget.close()
    painter.gate.set()
    widget.wait(SOON_S)
    assert browser.frames() == []


def with_a_thing(at: int, n_features: int = 8, **fields: Any) -> Scene:
    """A scene of three factors, of which one is a thing and the others are everywhere."""
    strengths = np.ones((16, 16, 3), np.float32)
    strengths[..., at] = 0
    strengths[6:10, 6:10, at] = 1
    basis = np.random.default_rng(at).uniform(0.5, 1, (3, n_features)).astype(np.float32)
    fields |= {"strengths": strengths, "base_strengths": strengths, "basis": basis, "base_basis": basis}
    return make_scene(3, prompt=f"{at}", **fields)


def test_the_first_thing_is_selected_and_a_users_own_selection_stays() -> None:
    widget = PaintWidget(FakePainter(), with_a_thing(2))
    try:
        assert widget.selected_factor == 2
        widget.selected_factor = 1
        widget.scene = widget.scene.paint(0, "floor").replace(seed=4)
        assert widget.selected_factor == 1
        widget.scene = with_a_thing(0)
        assert widget.selected_factor == 0
        widget.undo()
        assert widget.selected_factor == 2
    finally:
        widget.close()


def test_what_the_user_picked_in_a_new_scene_before_its_picture_stays() -> None:
    class Things(FakePainter):
        def analyze(self, prompt: str = "", **fields: Any) -> Scene:
            return with_a_thing(2, seed=fields["seed"])

    painter = Things()
    widget = PaintWidget(painter, with_a_thing(1))
    try:
        browser = Browser(widget)
        painter.hold()
        widget.analyze("2")
        assert painter.entered.wait(SOON_S)  # the new scene is there, its picture is not
        assert browser.of("state")[-1]["first_thing"] == 2
        widget.selected_factor = 0
        painter.gate.set()
        widget.wait(SOON_S)
        widget.analyze("2", seed=8)  # other noise, the same factors
        widget.wait(SOON_S)
        assert widget.selected_factor == 0
    finally:
        painter.gate.set()
        widget.close()


def test_a_new_scene_selects_its_first_thing_without_a_browser() -> None:
    class Things(FakePainter):
        def analyze(self, prompt: str = "", **fields: Any) -> Scene:
            return with_a_thing(2)

    widget = PaintWidget(Things(), with_a_thing(1))
    try:
        assert widget.selected_factor == 1
        widget.analyze("2")
        widget.wait(SOON_S)
        widget._open.worker.wait(SOON_S)
        deadline = time.monotonic() + SOON_S
        while widget.selected_factor != 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert widget.selected_factor == 2
    finally:
        widget.close()


def test_a_painter_that_is_opened_later_selects_the_first_thing_unless_the_user_did() -> None:
    for own in (None, 1):
        may_open = threading.Event()

        def opened(may_open: threading.Event = may_open) -> FakePainter:
            may_open.wait(SOON_S)
            return FakePainter()

        widget = PaintWidget(opened, with_a_thing(2))
        try:
            if own is not None:
                widget.selected_factor = own
            may_open.set()
            widget.wait(SOON_S)
            assert widget.selected_factor == (2 if own is None else own)
        finally:
            widget.close()


def test_a_factor_beyond_the_last_picks_the_last(widget: PaintWidget, scene: Scene) -> None:
    widget.selected_factor = 99
    assert widget.selected_factor == 2
    with pytest.raises(traitlets.TraitError):
        widget.selected_factor = -1
    widget.scene = scene.remove(2)  # the same picture, so no other factor is picked
    assert widget.selected_factor == 1


def test_what_could_not_be_drawn_is_tried_again(
    widget: PaintWidget, scene: Scene, painter: FakePainter
) -> None:
    painter.fault = OSError("out of paint")
    widget.scene = painted = scene.scale(0, 0.5)
    with pytest.raises(RuntimeError, match="out of paint"):
        widget.wait(SOON_S)
    painter.fault = None
    widget.retry()
    widget.wait(SOON_S)
    assert widget.last_error is None
    np.testing.assert_array_equal(np.asarray(picture(widget)), np.asarray(painter.render(painted)))


def test_a_new_scene_that_could_not_be_made_is_tried_again(widget: PaintWidget, painter: FakePainter) -> None:
    painter.fault = OSError("out of paint")
    widget.analyze("a boat", seed=7)
    with pytest.raises(RuntimeError, match="out of paint"):
        widget.wait(SOON_S)
    painter.fault = None
    widget.retry()
    widget.wait(SOON_S)
    assert (widget.prompt, widget.seed) == ("a boat", 7)


def test_a_seed_as_text_is_refused(widget: PaintWidget) -> None:
    with pytest.raises(TypeError, match="seed='7' is not a whole number"):
        widget.reseed("7")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="seed='7' is not a whole number"):
        widget.analyze(seed="7")  # type: ignore[arg-type]


def test_a_class_of_painters_is_refused() -> None:
    for scene in (None, make_scene()):
        with pytest.raises(TypeError, match=r"FakePainter.*is a class; give a painter that is made of it"):
            PaintWidget(FakePainter, scene)


def test_a_page_is_written_of_the_painter_and_the_scene(
    widget: PaintWidget, scene: Scene, painter: FakePainter, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[Any, ...]] = []
    monkeypatch.setattr("ember_widgets.page.folder.write_page", lambda *given: written.append(given))
    widget.scene = painted = scene.scale(0, 0.5)
    widget.to_page("site")
    assert written == [(painter, painted, "site")]


def test_a_page_of_another_kind_of_painter_is_refused(widget: PaintWidget, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="FakePainter"):
        widget.to_page(tmp_path / "site")
    assert not (tmp_path / "site").exists()
