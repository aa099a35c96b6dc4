"""Variations, borrowing, style, moving pictures, saved pages, and widgets that share a scene."""

from __future__ import annotations

import base64
import io
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets
import numpy as np
import pytest
import traitlets
from PIL import Image

import ember_widgets as ember
from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint.parts import FactorSliders, Picture
from ember_widgets.widgets.paint.widget import PaintWidget
from tests.unit.scene.scenes import make_scene
from tests.unit.widgets.paint.paint_bench import SOON_S, Browser, FakePainter


class VaryingPainter(FakePainter):
    """Offers styles and variations."""

    styles = True

    def analyze(
        self, prompt: str = "", *, seed: int = 0, n_steps: int = 1, n_factors: int = 5, style: str = ""
    ) -> Scene:
        return super().analyze(prompt, seed=seed, n_steps=n_steps, n_factors=n_factors).replace(style=style)

    def refit(self, scene: Scene, n_factors: int) -> Scene:
        self._begin("refit", n_factors)
        fresh = make_scene(n_factors, prompt=scene.prompt, seed=scene.seed, style=scene.style)
        return fresh.replace(remainder=scene.remainder)

    def reseed(self, scene: Scene, seed: int) -> Scene:
        return scene.replace(seed=seed)

    def sweep(self, scene: Scene, factor: int | str) -> Image.Image:
        return Image.new("RGB", (7, 5), scene.colors[int(factor)])


@pytest.fixture
def painter() -> VaryingPainter:
    return VaryingPainter()


@pytest.fixture
def browser(browser: Browser) -> Browser:
    browser.ask("hello")
    return browser


def soon(found: Callable[[], Any]) -> Any:
    end = time.monotonic() + SOON_S
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.01)
    raise TimeoutError


def file(browser: Browser, form: str, factor: int = 0) -> tuple[dict[str, Any], bytes]:
    revision = browser.state()["revision"]
    browser.heard.clear()
    browser.ask("export", form=form, factor=factor, revision=revision)
    found: list[tuple[dict[str, Any], bytes]]
    found = soon(lambda: [(m, b[0]) for m, b in list(browser.heard) if m["type"] == "file"])
    return found[0]


def run(program: str, painter: Any) -> Scene:
    """What a program from the widget leads to."""
    space: dict[str, Any] = {"painter": painter}
    exec(program, space)
    scene: Scene = space["scene"]
    return scene


# Other factors, other seeds


def test_another_number_of_factors_is_a_step_of_the_history(
    widget: PaintWidget, browser: Browser, scene: Scene
) -> None:
    browser.ask("vary", verb="refit", value=7)
    widget.wait(SOON_S)
    assert widget.scene.n_factors == widget.n_factors == 7
    assert browser.state()["can_undo"]
    assert widget.undo()
    assert widget.scene == scene


def test_another_seed_keeps_what_was_painted(widget: PaintWidget, browser: Browser, scene: Scene) -> None:
    painted = scene.paint(0, [(1, 1)])
    browser.edit(painted)
    browser.ask("vary", verb="reseed", value="9223372036854775807")
    widget.wait(SOON_S)
    assert widget.scene == painted.replace(seed=2**63 - 1)


def test_what_is_painted_while_the_factors_are_sought_is_not_lost(
    widget: PaintWidget, browser: Browser, scene: Scene, painter: VaryingPainter
) -> None:
    painter.hold()
    browser.ask("vary", verb="refit", value=4)
    assert painter.entered.wait(SOON_S)
    browser.edit(scene.paint(0, [(1, 1)]))
    painter.gate.set()
    widget.wait(SOON_S)
    assert widget.scene.n_factors == 4
    assert widget.scene.remainder[1, 1] == 0


def test_a_variation_goes_on_from_the_sliders_and_python_says_so(
    widget: PaintWidget, browser: Browser, scene: Scene, painter: VaryingPainter
) -> None:
    browser.edit(scene, [1, 0.5, 1])
    browser.ask("vary", verb="reseed", value=8)
    widget.wait(SOON_S)
    assert browser.state()["gains"] == [1, 1, 1]
    assert widget.scene == scene.scale(1, 0.5).replace(seed=8)
    program = widget.to_python()
    assert "painter.reseed(scene, seed=8)" in program
    assert run(program, painter) == widget.scene


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"verb": "explode", "value": 1},
            "vary: verb='explode' is unknown; choose one of refit, reseed, reseed_edit",
        ),
        (
            {"verb": "refit", "value": 0},
            "vary: n_factors=0, but an image has 256 patches; choose 1..256 (3..8 reads best)",
        ),
    ],
)
def test_a_wrong_variation_says_what_to_do(
    content: dict[str, Any], message: str, widget: PaintWidget, browser: Browser, scene: Scene
) -> None:
    browser.ask("vary", **content)
    assert browser.of("error")[-1]["message"] == message
    assert widget.scene is scene


def test_a_painter_that_cannot_vary_is_not_asked_to(scene: Scene) -> None:
    widget = PaintWidget(FakePainter(), scene)
    browser = Browser(widget)
    browser.ask("hello")
    assert browser.state()["capabilities"] == []
    browser.ask("vary", verb="refit", value=3)
    with pytest.raises(RuntimeError, match=re.escape("this painter has no refit(); ember.Painter has")):
        widget.wait(SOON_S)
    assert widget.scene is scene
    widget.close()


def test_the_next_four_seeds_have_thumbnails(browser: Browser, painter: VaryingPainter) -> None:
    seeds = browser.state()["seeds"]
    assert [seed for seed, _ in seeds] == ["4", "5", "6", "7"]
    browser.ask("icons", keys=[key for _, key in seeds])
    soon(lambda: len(browser.of("icon")) == 4)
    assert {scene.seed for scene in painter.rendered} >= {4, 5, 6, 7}


# Borrowing


def test_concepts_of_a_prompt_are_shown_and_borrowed(
    widget: PaintWidget, browser: Browser, painter: VaryingPainter, scene: Scene
) -> None:
    browser.ask("borrow_source", prompt="a pyramid", file="")
    loan = soon(lambda: browser.of("borrow_source"))[-1]["source"]
    assert loan["name"] == "a pyramid"
    assert [factor["name"] for factor in loan["factors"]] == list(scene.names)
    assert widget.scene is scene

    browser.ask("palette", revision=0, commit=True, verb="borrow", arguments={"factor": "lion"})
    widget.wait(SOON_S)
    assert widget.scene == scene.borrow(painter.analyze("a pyramid", seed=3, n_factors=3), "lion")
    assert run(widget.to_python(), painter) == widget.scene


def test_factors_of_a_file_are_borrowed(
    widget: PaintWidget, browser: Browser, painter: VaryingPainter, scene: Scene
) -> None:
    other = make_scene(2).rename(0, "castle")
    browser.seq += 1
    content = {
        "type": "borrow_source",
        "client": "page",
        "seq": browser.seq,
        "prompt": "",
        "file": "boat.json",
    }
    browser.say(content, [other.to_bytes()])
    browser.ask("palette", revision=0, commit=True, verb="borrow", arguments={"factor": "castle"})
    widget.wait(SOON_S)
    assert widget.scene == scene.borrow(other, "castle")
    assert run(widget.to_python(), painter) == widget.scene


def test_thumbnails_of_what_may_be_borrowed_are_drawn(browser: Browser) -> None:
    browser.ask("borrow_source", prompt="a pyramid", file="")
    (message,) = soon(lambda: browser.of("borrow_source"))
    key = message["source"]["factors"][1]["icon"]
    browser.ask("icons", keys=[key])
    assert soon(lambda: [m for m in browser.of("icon") if m["key"] == key])


def test_a_scene_of_another_sae_lends_nothing(browser: Browser, widget: PaintWidget) -> None:
    other = make_scene(model={"sae": "another"})
    browser.seq += 1
    content = {
        "type": "borrow_source",
        "client": "page",
        "seq": browser.seq,
        "prompt": "",
        "file": "boat.json",
    }
    browser.say(content, [other.to_bytes()])
    assert "their features mean different things" in browser.of("error")[-1]["message"]
    browser.ask("palette", revision=0, commit=True, verb="borrow", arguments={"factor": 0})
    assert "There is nothing to borrow from" in browser.of("error")[-1]["message"]


# Style


def test_a_style_is_an_edit_and_keeps_the_painting(
    widget: PaintWidget, browser: Browser, scene: Scene, painter: VaryingPainter
) -> None:
    browser.edit(scene.paint(0, [(1, 1)]))
    browser.ask("palette", revision=0, commit=True, verb="restyle", arguments={"style": "in sepia"})
    widget.wait(SOON_S)
    assert widget.scene == scene.paint(0, [(1, 1)]).restyle("in sepia")
    assert widget.style == browser.state()["style"] == "in sepia"
    assert run(widget.to_python(), painter) == widget.scene


def test_a_new_scene_keeps_the_style_unless_told(widget: PaintWidget) -> None:
    widget.scene = widget.scene.restyle("in sepia")
    widget.analyze("a boat")
    widget.wait(SOON_S)
    assert (widget.prompt, widget.style) == ("a boat", "in sepia")
    widget.analyze(style="")
    widget.wait(SOON_S)
    assert widget.style == ""


def test_a_program_begins_with_the_style_it_was_drawn_in(painter: VaryingPainter) -> None:
    widget = PaintWidget(painter, prompt="a boat", style="in sepia", n_factors=3)
    assert "style='in sepia'" in widget.to_python()
    assert run(widget.to_python(), painter) == widget.scene
    widget.close()


# Files


@pytest.mark.parametrize("form", ["gif", "webp"])
def test_the_film_holds_every_step(
    form: str, widget: PaintWidget, browser: Browser, scene: Scene, tmp_path: Path
) -> None:
    browser.edit(scene.scale(0, 0.0))
    browser.edit(scene.scale(1, 0.0))
    message, data = file(browser, form)
    assert message["mime"] == f"image/{form}"
    path = tmp_path / f"film.{form}"
    widget.record(path, ms=200)
    for content in (data, path.read_bytes()):
        with Image.open(io.BytesIO(content)) as film:
            assert film.format == form.upper()
            assert getattr(film, "n_frames", 1) == 3


def test_a_film_of_another_kind_is_refused(widget: PaintWidget, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is not a \.gif, \.webp or \.mp4 file; choose one of them"):
        widget.record(tmp_path / "film.avi")
    with pytest.raises(ValueError, match="ms=3"):
        widget.record(tmp_path / "film.gif", ms=3)
    assert not list(tmp_path.iterdir())


def test_a_sweep_comes_as_a_picture(browser: Browser, scene: Scene) -> None:
    message, data = file(browser, "sweep", 2)
    assert message["name"].endswith("-3-sweep.png")
    assert Image.open(io.BytesIO(data)).size == (7, 5)


def test_a_saved_page_holds_all_it_shows_and_asks_for_nothing(
    widget: PaintWidget, scene: Scene, tmp_path: Path
) -> None:
    widget.scene = scene.rename(0, "</script><b>")
    widget.to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert not re.search(r"""(src|href)=["']?https?:|@import|url\(["']?https?:""", page)
    assert "</script><b>" not in page
    messages = json.loads(re.findall(r'id="messages">(.*?)</script>', page, re.S)[0])
    types = [content["type"] for content, _ in messages]
    assert types == ["state", "panels", "frame", "original", "icon", "icon", "icon"]
    png = base64.b64decode(messages[2][1][0])
    assert Scene.from_bytes(png) == widget.scene


# Widgets that share a scene


@pytest.fixture
def sliders(widget: PaintWidget) -> FactorSliders:
    return FactorSliders(widget)


def test_parts_show_the_scene_of_the_widget_they_were_given(
    widget: PaintWidget, sliders: FactorSliders, scene: Scene
) -> None:
    picture = Picture(sliders)
    sliders.scene = scene.scale(0, 0.5)
    widget.wait(SOON_S)
    assert widget.scene is sliders.scene is picture.scene
    assert widget.image == sliders.image == picture.image
    assert ipywidgets.HBox([picture, sliders]).children == (picture, sliders)
    assert picture._esm == widget._esm


def test_a_part_can_begin_with_a_painter(painter: VaryingPainter, scene: Scene) -> None:
    picture = ember.Picture(painter, scene)
    sliders = ember.FactorSliders(picture)
    sliders.analyze("a boat")
    sliders.wait(SOON_S)
    assert picture.scene.prompt == picture.prompt == "a boat"
    picture.close()
    sliders.scene = scene
    sliders.wait(SOON_S)
    sliders.close()
    assert sliders.painter is None


def test_a_browser_of_one_part_is_heard_by_all(
    widget: PaintWidget, sliders: FactorSliders, scene: Scene
) -> None:
    heard: list[str] = []
    for one in (widget, sliders):
        one.send = lambda content, buffers, one=one: heard.append(type(one).__name__)
    page = {"type": "palette", "client": "page", "seq": 1, "revision": 0, "commit": True}
    change = {"verb": "rename", "arguments": {"factor": 0, "name": "dusk"}}
    data = {"method": "custom", "content": {**page, **change}}
    sliders._handle_msg({"content": {"data": data}, "buffers": []})
    assert widget.scene == scene.rename(0, "dusk")
    assert {"PaintWidget", "FactorSliders"} == set(heard)


def test_the_picked_factor_is_shared(widget: PaintWidget, sliders: FactorSliders) -> None:
    sliders.selected_factor = 2
    assert widget.selected_factor == 2
    sliders.close()
    widget.selected_factor = 1
    assert sliders.selected_factor == 2


def test_a_part_that_is_given_a_widget_takes_no_scene(widget: PaintWidget, scene: Scene) -> None:
    with pytest.raises(TypeError, match="Picture shows the scene of the widget it was given, so seed= has"):
        Picture(widget, seed=3)
    with pytest.raises(TypeError, match="so scene= has no effect; leave it out, or give a painter"):
        Picture(widget, scene)


# Traits


def test_a_finished_stroke_and_an_assigned_scene_are_observed(
    widget: PaintWidget, browser: Browser, scene: Scene
) -> None:
    seen: list[tuple[Scene, Scene]] = []
    widget.observe(lambda change: seen.append((change["old"], change["new"])), "scene")
    stroke, other = scene.scale(0, 0.5), scene.scale(0, 2.0)
    browser.edit(scene.scale(0, 0.75), commit=False)
    assert not seen
    browser.edit(stroke)
    widget.scene = other
    assert seen[0] == (scene, stroke)
    assert seen[1] == (stroke, other)
    assert len(seen) == 2


def test_scenes_of_two_painters_can_be_linked(painter: VaryingPainter, widget: PaintWidget) -> None:
    other = PaintWidget(VaryingPainter(), make_scene(2))
    link = traitlets.link((widget, "scene"), (other, "scene"))
    other.scene = other.scene.scale(0, 0.5)
    assert widget.scene == other.scene
    link.unlink()
    other.close()


def test_an_assigned_scene_must_be_one(widget: PaintWidget) -> None:
    with pytest.raises(TypeError, match="is not a Scene"):
        widget.scene = np.zeros(3)  # type: ignore[assignment]
