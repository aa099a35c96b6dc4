"""The program of `to_python`, run, makes an equal scene: whatever the scene was made from."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint import history, to_python
from ember_widgets.widgets.paint.widget import PaintWidget
from tests.unit.scene.scenes import make_scene
from tests.unit.widgets.paint.paint_bench import SOON_S, Browser, FullPainter, two_sites

PHOTOGRAPH = np.random.default_rng(1).normal(size=(4, 16, 16)).astype(np.float32)


def run(widget: PaintWidget, painter: Any) -> Scene:
    """What the widget's program leads to."""
    space: dict[str, Any] = {"painter": painter}
    exec(widget.to_python(), space)
    scene: Scene = space["scene"]
    return scene


SCENES: dict[str, Scene] = {
    "analysed": make_scene(),
    "another prompt": make_scene(prompt='it\'s "so"\n\\', seed=2**63 - 1, n_steps=4),
    "style": make_scene(style="in sepia"),
    "guidance": make_scene(guidance=7.123456789, n_steps=30),
    "edit steps": make_scene(n_steps=4, edit_steps=(1, 3)),
    "layers": make_scene(n_steps=4, factor_steps=((2, 4), None, (0, 1, "add"))),
    "photograph": make_scene(image=PHOTOGRAPH, image_strength=0.7, n_steps=4, edit_steps=(0, 2)),
    "photograph, painted": make_scene(image=PHOTOGRAPH, image_strength=0.3).paint(0, "left"),
    "renamed": make_scene().rename(0, "it's heaven").recolor(1, "#123456"),
    "painted before": make_scene().paint(0, "left", 0.3),
    "blank": make_scene(0, remainder=np.zeros((16, 16)), n_steps=2, guidance=3.0, edit_steps=(0, 1)),
    "several sites": two_sites(),
    "several sites, one factor removed": two_sites().remove(0),
}


@pytest.mark.parametrize("own_guidance", [0.0, 7.0])
@pytest.mark.parametrize("name", SCENES)
def test_a_scene_that_was_given(name: str, own_guidance: float) -> None:
    painter = FullPainter(own_guidance)
    widget = PaintWidget(painter, SCENES[name])
    assert run(widget, painter) == widget.scene
    widget.close()


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_that_was_varied(name: str) -> None:
    painter = FullPainter()
    widget = PaintWidget(painter, SCENES[name])
    widget.reseed(11)
    widget.wait(SOON_S)
    assert run(widget, painter) == widget.scene
    widget.refit(2)
    widget.wait(SOON_S)
    assert run(widget, painter) == widget.scene
    widget.close()


@pytest.mark.parametrize("own_guidance", [0.0, 7.0])
def test_a_scene_that_the_widget_had_analysed(own_guidance: float) -> None:
    painter = FullPainter(own_guidance)
    widget = PaintWidget(painter, prompt="a boat", style="in sepia", seed=8, n_steps=3, n_factors=2)
    program = widget.to_python()
    assert "replace(" not in program
    assert run(widget, painter) == widget.scene
    widget.analyze("a lake", n_factors=3)
    widget.wait(SOON_S)
    assert run(widget, painter) == widget.scene
    widget.close()


def test_a_photograph_is_said_not_to_be_in_the_program() -> None:
    widget = PaintWidget(FullPainter(), SCENES["photograph"])
    assert "# This scene comes from a photograph, which is not kept" in widget.to_python()
    assert "painter.analyze" not in widget.to_python()
    widget.close()


def test_sliders_keep_their_exact_values() -> None:
    painter = FullPainter()
    widget = PaintWidget(painter, make_scene())
    browser = Browser(widget)
    for gains in ([0.1, 1.2345678, 1.0], [float(np.float32(1 / 3)), -0.5, 2.0]):
        browser.ask("hello")
        browser.edit(make_scene(), gains)
        np.testing.assert_array_equal(run(widget, painter).strengths, widget.scene.strengths)
    assert "scale('lion', -0.5)" in widget.to_python()
    widget.close()


def test_a_factor_borrowed_from_a_prompt_or_a_photograph() -> None:
    painter = FullPainter(7.0)
    widget = PaintWidget(painter, make_scene(guidance=3.0, n_steps=20))
    browser = Browser(widget)
    browser.ask("hello")
    browser.ask("borrow_source", prompt="a boat", file="")
    widget._open.idle.wait(SOON_S)
    borrow = {"verb": "borrow", "arguments": {"factor": "lion"}}
    browser.ask("palette", revision=0, commit=True, **borrow)
    assert run(widget, painter) == widget.scene
    browser.seq += 1
    content = {"type": "borrow_source", "client": "page", "seq": browser.seq, "prompt": ""}
    browser.say(content | {"file": "photo.json"}, [SCENES["photograph"].to_bytes()])
    browser.ask("palette", revision=1, commit=True, **borrow)
    assert run(widget, painter) == widget.scene
    assert widget.scene.n_factors == 5
    widget.close()


def stroke(widget: PaintWidget, browser: Browser, i: int) -> None:
    """Paint one patch, as a browser does that knows the verb."""
    shares = np.zeros((16, 16))
    shares[i % 16, i // 16 % 16] = 1
    strength = 0.5 + i % 7 / 8
    call = {"verb": "paint", "factor": i % 3, "strength": strength, "opacity": 1.0, "mode": "over"}
    painted = widget.scene.paint(i % 3, shares > 0, strength)
    browser.edit(painted, call={**call, "shares": shares.ravel().tolist()})


def test_a_long_program_keeps_the_edits_that_can_be_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(to_python, "MAX_LINES", 250)
    painter = FullPainter()
    widget = PaintWidget(painter, make_scene())
    browser = Browser(widget)
    browser.ask("hello")
    for i in range(700):
        stroke(widget, browser, i)
        del browser.heard[:-50]
        if i % 25 == 0:
            program = widget.to_python()
            n_lines = program.count("scene.paint(")
            assert min(i + 1, history.LIMIT) <= n_lines <= 250
            assert program.count("opened('") == (i >= 250)
            assert run(widget, painter) == widget.scene
    undone = widget.scene
    while widget.undo():
        pass
    assert run(widget, painter) == widget.scene != undone
    widget.close()


def test_what_the_history_keeps_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(to_python, "MAX_LINES", 250)
    widget = PaintWidget(FullPainter(), make_scene())
    browser = Browser(widget)
    browser.ask("hello")
    sizes = []
    for i in range(1200):
        stroke(widget, browser, i)
        del browser.heard[:-50]
        if i % 300 == 299:
            states = [widget._open.history.state(step) for step in widget._open.history.steps]
            programs = [state.code for state in states if state]
            lines = {id(line): line for code in programs for line in code}
            sizes.append(sum(map(sys.getsizeof, [*programs, *lines.values()])))
    assert sizes[3] < 1.5 * sizes[0]
    widget.close()


def test_a_scene_that_has_the_painters_default_names_keeps_them() -> None:
    painter = FullPainter()  # it names factors otherwise, as a painter with labels does
    widget = PaintWidget(painter, make_scene(names=("factor 1", "factor 2", "factor 3")))
    assert run(widget, painter) == widget.scene
    widget.close()


@pytest.mark.parametrize("n_shares", [3, 30])
@pytest.mark.parametrize("opacity", [1, 0.7])
def test_a_soft_stroke_is_exactly_what_was_painted(n_shares: int, opacity: float) -> None:
    painter, scene = FullPainter(), make_scene()
    widget = PaintWidget(painter, scene)
    shares = np.zeros((16, 16), np.float32)
    shares.flat[:n_shares] = np.linspace(1 / 7, 1, n_shares)
    soft = shares.astype(np.float64) * opacity
    call = {"verb": "paint", "factor": 1, "strength": 0.3, "opacity": opacity, "mode": "over"}
    painted = scene.paint(1, soft > 0, 0.3, opacity=soft)
    Browser(widget).edit(painted, call=call | {"shares": shares.ravel().tolist()})
    assert "scene.paint(" in widget.to_python()
    assert run(widget, painter) == painted
    widget.close()


class TestDuringAStroke:
    """What was painted and is not committed yet is in the program too."""

    @pytest.fixture
    def painter(self) -> FullPainter:
        return FullPainter()

    @pytest.fixture
    def browser(self, widget: PaintWidget, scene: Scene) -> Browser:
        browser = Browser(widget)
        browser.ask("hello")
        browser.edit(scene.paint(0, "left", 0.3), commit=False)
        return browser

    def weigh(self, browser: Browser, feature: int, weight: float, commit: bool) -> None:
        arguments = {"factor": 0, "feature": feature, "weight": weight}
        revision = browser.state()["revision"]
        browser.ask("palette", revision=revision, commit=commit, verb="set_weight", arguments=arguments)

    def test_it_is_there(self, widget: PaintWidget, browser: Browser, painter: FullPainter) -> None:
        assert run(widget, painter) == widget.scene

    def test_under_a_change_of_the_palette(
        self, widget: PaintWidget, browser: Browser, painter: FullPainter
    ) -> None:
        self.weigh(browser, 2, 1.5, commit=True)
        assert run(widget, painter) == widget.scene

    def test_under_a_variation(self, widget: PaintWidget, browser: Browser, painter: FullPainter) -> None:
        widget.reseed(9)
        widget.wait(SOON_S)
        assert run(widget, painter) == widget.scene

    def test_two_weights_of_which_one_was_dragged_only(
        self, widget: PaintWidget, browser: Browser, painter: FullPainter
    ) -> None:
        browser.ask("undo")
        self.weigh(browser, 2, 1.5, commit=False)
        self.weigh(browser, 3, 0.5, commit=True)
        assert run(widget, painter) == widget.scene

    def test_a_weight_that_was_dragged_and_released_is_one_line(
        self, widget: PaintWidget, browser: Browser, painter: FullPainter
    ) -> None:
        browser.ask("undo")
        for weight in (1.1, 1.2, 1.3):
            self.weigh(browser, 2, weight, commit=False)
        self.weigh(browser, 2, 1.4, commit=True)
        assert run(widget, painter) == widget.scene
        assert widget.to_python().count("set_weight") == 1
        assert "opened(" not in widget.to_python()
