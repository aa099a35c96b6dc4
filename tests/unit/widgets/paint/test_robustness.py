"""An edit on other seeds, in the widget: what comes, what ends it, and taking one of the seeds."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint.widget import PaintWidget
from tests.unit.scene.scenes import make_scene
from tests.unit.widgets.paint.paint_bench import SOON_S, Browser, FullPainter
from tests.unit.widgets.paint.test_studio import run

CENTRE = [(row, col) for row in range(6, 10) for col in range(6, 10)]


@pytest.fixture
def painter() -> FullPainter:
    return FullPainter()


@pytest.fixture
def scene() -> Scene:
    return make_scene(strengths=np.full((16, 16, 3), 0.5), base_strengths=np.full((16, 16, 3), 0.5))


@pytest.fixture
def widget(painter: FullPainter, scene: Scene) -> Iterator[PaintWidget]:
    widget = PaintWidget(painter, scene)
    yield widget
    widget.close()


@pytest.fixture
def browser(widget: PaintWidget) -> Browser:
    browser = Browser(widget)
    browser.ask("hello")
    return browser


def until(said: Callable[[], Any]) -> Any:
    end = time.monotonic() + SOON_S
    while not (found := said()):
        assert time.monotonic() < end, "this did not come"
        time.sleep(0.005)
    return found


def ended(browser: Browser) -> list[dict[str, Any]]:
    """All that came, once it is over."""
    until(lambda: any(m["text"] or m["outdated"] for m in browser.of("robustness")))
    return browser.of("robustness")


def picture(url: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))


def paint(widget: PaintWidget, browser: Browser, scene: Scene) -> Scene:
    painted = scene.paint(0, CENTRE, 2.0)
    browser.edit(painted)
    widget.wait(SOON_S)
    return painted


def test_each_seed_comes_as_it_is_drawn_and_the_result_after_them(
    widget: PaintWidget, browser: Browser, painter: FullPainter, scene: Scene
) -> None:
    painted = paint(widget, browser, scene)
    seq = browser.ask("robustness", on=True)
    said = ended(browser)
    assert [message["pair"] and message["pair"][0] for message in said] == [*"456789", "10", "11", None]
    assert {(message["client"], message["seq"], message["n"]) for message in said} == {("page", seq, 8)}
    assert [message["outdated"] for message in said] == [False] * 9
    assert said[-1]["text"] == painter.robustness(painted, 8).summary
    assert said[-1]["text"].startswith("Changed in 8 of 8 seeds. The edited patches changed ")
    assert widget.scene == painted
    assert not browser.of("error")


def test_the_pictures_are_outlined_where_they_change_and_the_map_counts(
    widget: PaintWidget, browser: Browser, scene: Scene
) -> None:
    paint(widget, browser, scene)
    browser.ask("robustness", on=True)
    said = ended(browser)
    before, after = (np.asarray(picture(url).convert("L"), np.int16) for url in said[0]["pair"][1:])
    assert before.shape == after.shape == (112, 112)
    line, beyond = after[40:44, 60], after[20, 60]
    assert line.max() - beyond > 80
    first, last = (np.asarray(picture(said[i]["map"]), np.int16) for i in (0, 7))
    red_minus_blue = last[..., 0] - last[..., 2]
    assert red_minus_blue[120, 120] > 100
    assert abs(red_minus_blue[20, 20]) < 5
    assert first[120, 120, 0] < last[120, 120, 0]  # 1 of 8 seeds, and 8 of 8


def test_a_scene_without_an_edit_says_so(widget: PaintWidget, browser: Browser) -> None:
    browser.ask("robustness", on=True)
    (message,) = ended(browser)
    assert message["text"].startswith("Nothing is painted in this scene")
    assert not browser.of("error")


def test_a_stroke_ends_it(widget: PaintWidget, browser: Browser, painter: FullPainter, scene: Scene) -> None:
    painted = paint(widget, browser, scene)
    painter.hold()
    browser.ask("robustness", on=True)
    assert painter.entered.wait(SOON_S)
    browser.edit(painted.paint(1, [(0, 0)]), commit=False)
    painter.gate.set()
    said = ended(browser)
    assert said[-1]["outdated"]
    assert not any(message["pair"] for message in said)
    widget.wait(SOON_S)
    assert widget.scene == painted.paint(1, [(0, 0)])


def test_it_waits_until_the_picture_is_drawn(
    widget: PaintWidget, browser: Browser, painter: FullPainter, scene: Scene
) -> None:
    painter.hold()
    browser.edit(scene.paint(0, CENTRE, 2.0))
    assert painter.entered.wait(SOON_S)
    browser.ask("robustness", on=True)
    painter.gate.set()
    ended(browser)
    names = [name for name, _ in painter.calls]
    assert names.index("render") < names.index("robustness")


def test_it_can_be_stopped_and_asked_again(
    widget: PaintWidget, browser: Browser, painter: FullPainter, scene: Scene
) -> None:
    paint(widget, browser, scene)
    painter.hold()
    first = browser.ask("robustness", on=True)
    assert painter.entered.wait(SOON_S)
    stop = browser.ask("robustness", on=False)
    assert browser.of("ack")[-1]["seq"] == stop
    second = browser.ask("robustness", on=True)
    painter.gate.set()
    until(lambda: any(message["text"] for message in browser.of("robustness")))
    said = browser.of("robustness")
    assert [message["outdated"] for message in said if message["seq"] == first] == [True]
    assert [message["seq"] for message in said if message["pair"]] == [second] * 8


def test_it_ends_when_the_page_that_asked_shows_the_widget_no_longer(
    widget: PaintWidget, browser: Browser, painter: FullPainter, scene: Scene
) -> None:
    paint(widget, browser, scene)
    n_drawn = len(painter.rendered)
    painter.hold()
    browser.ask("robustness", on=True)
    assert painter.entered.wait(SOON_S)
    browser.say({"type": "views", "client": "another page", "seq": 1, "n": 0})
    browser.ask("views", n=1)
    assert widget._open.queries._trying, "this page still shows it"
    browser.ask("views", n=0)
    painter.gate.set()
    said = ended(browser)
    assert said[-1]["outdated"]
    assert not any(message["pair"] for message in said)
    assert widget._open.idle.wait(SOON_S)
    assert len(painter.rendered) == n_drawn, "no seed is drawn"


def test_an_error_is_shown_and_ends_it(
    widget: PaintWidget, browser: Browser, painter: FullPainter, scene: Scene
) -> None:
    paint(widget, browser, scene)
    painter.fault = RuntimeError("out of order")
    browser.ask("robustness", on=True)
    assert ended(browser)[-1]["outdated"]
    until(lambda: browser.of("error"))
    assert browser.of("error")[-1]["message"] == "RuntimeError: out of order"


def test_a_seed_is_taken_with_the_edit_only_and_python_says_so(
    painter: FullPainter,
) -> None:
    widget = PaintWidget(painter, prompt="a lion", seed=3)
    browser = Browser(widget)
    browser.ask("hello")
    painted = paint(widget, browser, widget.scene)
    browser.ask("vary", verb="reseed_edit", value="9")
    widget.wait(SOON_S)
    assert widget.scene == painter.reseed(painted, 9, edit_only=True)
    program = widget.to_python()
    assert "scene = painter.reseed(scene, seed=9, edit_only=True)" in program
    assert run(program, painter) == widget.scene
    widget.undo()
    widget.reseed(9, edit_only=True)
    widget.wait(SOON_S)
    assert widget.scene == painter.reseed(painted, 9, edit_only=True)
    widget.close()
