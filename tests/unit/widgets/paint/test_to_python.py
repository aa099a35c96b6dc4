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
from tests.unit.widgets.paint.paint_bench import SOON_S, Browser, FakePainter

DOWN, UP = "down_blocks.2.attentions.1", "up_blocks.0.attentions.1"
PHOTOGRAPH = np.random.default_rng(1).normal(size=(4, 16, 16)).astype(np.float32)


class FullPainter(FakePainter):
    """Takes all keywords of the real one, and gives scenes that have them."""

    styles = True

    def __init__(self, guidance: float = 0.0) -> None:
        super().__init__()
        self.guidance = guidance

    def analyze(
        self,
        prompt: str = "",
        *,
        seed: int = 0,
        n_steps: int = 1,
        n_factors: Any = 5,
        guidance: float | None = None,
        style: str = "",
    ) -> Scene:
        guidance = self.guidance if guidance is None else guidance
        fields: dict[str, Any] = {"prompt": prompt, "seed": seed, "n_steps": n_steps}
        fields |= {"guidance": guidance, "style": style}
        return two_sites(**fields) if isinstance(n_factors, dict) else make_scene(n_factors, **fields)

    def refit(self, scene: Scene, n_factors: int) -> Scene:
        kept = ("prompt", "seed", "n_steps", "guidance", "style", "image", "image_strength", "edit_steps")
        fields: dict[str, Any] = {name: getattr(scene, name) for name in kept}
        return make_scene(n_factors, **fields)

    def reseed(self, scene: Scene, seed: int) -> Scene:
        return scene.replace(seed=seed)


def two_sites(**fields: Any) -> Scene:
    basis = np.zeros((3, 8), np.float32)
    basis[:2, :5] = make_scene(2, 5).basis
    basis[2, 5:] = make_scene(1, 3).basis
    return make_scene(basis=basis, base_basis=basis, sites={DOWN: 5, UP: 3}, **fields)


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
