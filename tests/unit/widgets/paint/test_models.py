"""What a widget makes of its painter: several sites, guidance, a small decoder; a factor's top feature."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ember_widgets.features.labels import Labels
from ember_widgets.scene.scene import Scene
from ember_widgets.util.cancelled import Cancelled
from ember_widgets.widgets.paint import session
from ember_widgets.widgets.paint.widget import PaintWidget
from tests.unit.scene.scenes import make_scene
from tests.unit.widgets.paint.paint_bench import SOON_S, Browser, FakePainter, FullPainter

DOWN, UP = "down_blocks.2.attentions.1", "up_blocks.0.attentions.1"


def two_sites() -> Scene:
    """Factors of five features at one site, and one of three at another."""
    basis = np.zeros((3, 8), np.float32)
    basis[:2, :5] = make_scene(2, 5).basis
    basis[2, 5:] = make_scene(1, 3).basis
    return make_scene(basis=basis, base_basis=basis, sites={DOWN: 5, UP: 3})


class SitesPainter(FakePainter):
    def __init__(self) -> None:
        super().__init__()
        self.labels = Labels({1: "bark", 6: "bark (detail)"})


class GuidedPainter(FakePainter):
    guidance = 7.0

    def analyze(
        self, prompt: str = "", *, seed: int = 0, n_steps: int = 1, n_factors: int = 5, **more: Any
    ) -> Scene:
        self._begin("analyze", more)
        guidance = more.get("guidance", self.guidance)
        return make_scene(n_factors, prompt=prompt, seed=seed, n_steps=n_steps, guidance=guidance)


class SlowPainter(FakePainter):
    """Has previews, which are white; other pictures take as long as said, in steps of 5 ms."""

    ms = 60.0

    def previews(self, scene: Scene) -> bool:
        return True

    def render(
        self, scene: Scene, *, preview: bool = False, cancelled: Callable[[], bool] | None = None
    ) -> Image.Image:
        self._begin("preview" if preview else "render", scene)
        for _ in range(0 if preview else int(self.ms / 5)):
            if cancelled is not None and cancelled():
                self.calls.append(("cancelled", {}))
                raise Cancelled
            time.sleep(0.005)
        return Image.new("RGB", (16, 16), "white" if preview else "black")


def opened(painter: FakePainter, scene: Scene) -> tuple[PaintWidget, Browser]:
    widget = PaintWidget(painter, scene)
    browser = Browser(widget)
    browser.ask("hello")
    return widget, browser


class TestSites:
    def test_a_page_hears_which_site_each_factor_is_of(self) -> None:
        widget, browser = opened(FakePainter(), two_sites())
        assert browser.state()["sites"] == [0, 0, 1]
        assert browser.state()["site_names"] == ["down.2.1", "up.0.1"]
        widget.close()

    def test_features_found_say_their_site_and_can_be_of_one_only(self) -> None:
        widget, browser = opened(SitesPainter(), two_sites())
        browser.ask("search", text="bark", site="")
        browser.ask("search", text="bark", site="up.0.1")
        everywhere, there = (message["features"] for message in browser.of("found"))
        assert {(hit["feature"], hit["site"]) for hit in everywhere} == {(1, "down.2.1"), (6, "up.0.1")}
        assert [hit["feature"] for hit in there] == [6]
        widget.close()

    def test_the_form_and_the_program_count_the_factors_of_each_site(self) -> None:
        widget, browser = opened(FakePainter(), two_sites())
        assert browser.state()["n_factors"] == 2
        assert "n_factors={'down.2.1': 2, 'up.0.1': 1}" in widget.to_python()
        widget.close()


class TestGuidance:
    def test_a_guided_scene_may_have_many_steps_and_keeps_its_guidance(self) -> None:
        painter = GuidedPainter()
        widget, browser = opened(painter, make_scene(guidance=5.0))
        assert browser.state()["most_steps"] == 100
        browser.ask("analyze", prompt="x", style="", seed="1", n_steps=30, n_factors=3)
        widget.wait(SOON_S)
        assert (widget.scene.n_steps, widget.scene.guidance) == (30, 5.0)
        assert "guidance=5" in widget.to_python()
        widget.analyze(n_steps=20)
        widget.wait(SOON_S)
        assert (widget.scene.n_steps, widget.scene.guidance) == (20, 5.0)
        widget.close()

    def test_the_painters_own_guidance_is_not_told_it(self) -> None:
        painter = GuidedPainter()
        widget = PaintWidget(painter, prompt="a lion", n_steps=25, n_factors=3)
        assert ("analyze", {}) in painter.calls
        widget.analyze(n_steps=26)
        widget.wait(SOON_S)
        assert painter.calls.count(("analyze", {})) == 2
        with pytest.raises(ValueError, match=r"n_steps=101 is outside 1\.\.100"):
            widget.analyze(n_steps=101)
        widget.close()

    def test_without_it_four_steps_are_the_most(self) -> None:
        widget, browser = opened(FakePainter(), make_scene())
        with pytest.raises(ValueError, match=r"n_steps=5 is outside 1\.\.4"):
            widget.analyze(n_steps=5)
        browser.ask("analyze", prompt="x", style="", seed="1", n_steps=5, n_factors=3)
        assert "n_steps=5 is outside 1..4" in browser.of("error")[-1]["message"]
        widget.close()


class TestPreviews:
    def test_a_stroke_is_previewed_and_its_end_is_not(self) -> None:
        widget, browser = opened(SlowPainter(), make_scene())
        browser.edit(make_scene().scale(0, 0.5), commit=False)
        widget.wait(SOON_S)
        (rough, _), (final, _) = browser.frames()
        assert (rough["kind"], rough["reduced"]) == ("preview", True)
        assert (final["kind"], final["reduced"]) == ("final", False)
        assert widget.image[:4] == b"\x89PNG"
        assert browser.frames()[-1][1].getpixel((0, 0)) == (0, 0, 0)
        browser.edit(make_scene().scale(0, 0.7))
        widget.wait(SOON_S)
        assert [frame["reduced"] for frame, _ in browser.frames()[2:]] == [False]
        widget.close()

    def test_what_is_exported_was_drawn_in_full(self) -> None:
        painter = SlowPainter()
        widget, browser = opened(painter, make_scene())
        browser.edit(make_scene().scale(0, 0.5), commit=False)
        browser.ask("export", form="png")
        widget.wait(SOON_S)
        widget._open.idle.wait(SOON_S)
        (buffers,) = [buffers for message, buffers in browser.heard if message["type"] == "file"]
        assert Image.open(io.BytesIO(buffers[0])).getpixel((0, 0)) == (0, 0, 0)
        widget.close()

    def test_a_new_stroke_ends_the_careful_picture_of_the_last_one(self) -> None:
        painter = SlowPainter()
        widget, browser = opened(painter, make_scene())
        painter.ms = 20_000  # a careful picture would take longer than the test may
        browser.edit(make_scene().scale(0, 0.5), commit=False)
        begun = time.monotonic()
        while [call for call, _ in painter.calls].count("render") < 2:
            assert time.monotonic() < begun + SOON_S
            time.sleep(0.005)
        painter.ms = 60
        browser.edit(make_scene().scale(0, 0.7), commit=False)
        widget.wait(SOON_S)
        assert [call for call, _ in painter.calls].count("cancelled") == 1
        assert [frame["reduced"] for frame, _ in browser.frames()] == [True, True, False]
        widget.close()

    def test_pictures_that_come_soon_enough_need_no_previews(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(session, "PREVIEW_ABOVE_MS", 60_000)  # whatever else the machine does
        widget, browser = opened(SlowPainter(), make_scene())
        browser.edit(make_scene().scale(0, 0.5), commit=False)
        widget.wait(SOON_S)
        assert not any(frame["reduced"] for frame, _ in browser.frames())
        widget.close()

    def test_a_fault_while_it_is_drawn_in_full_is_told_and_wait_knows(self) -> None:
        class Faulty(SlowPainter):
            broken = False

            def render(
                self, scene: Scene, *, preview: bool = False, cancelled: Callable[[], bool] | None = None
            ) -> Image.Image:
                if self.broken and not preview:
                    raise OSError("out of paint")
                return super().render(scene, preview=preview, cancelled=cancelled)

        painter = Faulty()
        widget, browser = opened(painter, make_scene())
        painter.broken = True
        before = widget.image
        browser.edit(make_scene().scale(0, 0.5), commit=False)
        with pytest.raises(RuntimeError, match="out of paint"):
            widget.wait(SOON_S)
        assert browser.of("error")
        assert widget.image == before
        widget.close()


class TestTopFeature:
    def test_the_picture_with_only_the_top_feature_is_drawn_and_nothing_is_changed(self) -> None:
        painter = FakePainter()
        widget, browser = opened(painter, make_scene())
        scene = widget.scene
        seq = browser.ask("top", factor=1, revision=0)
        widget._open.idle.wait(SOON_S)
        assert [message["seq"] for message in browser.of("top")] == [seq]
        drawn = painter.rendered[-1]
        assert drawn == scene.keep_top(1)
        assert np.count_nonzero(drawn.basis[1]) == 1
        assert widget.scene is scene
        assert not browser.state()["can_undo"]
        widget.close()

    def test_keep_top_keeps_the_strongest_with_their_weights(self) -> None:
        scene = make_scene()
        assert scene.keep_top("lion", 2).weights("lion") == scene.weights("lion", 2)
        assert scene.keep_top(0).weights(1) == scene.weights(1)
        with pytest.raises(ValueError, match="top=0"):
            scene.keep_top(0, 0)


ASKED = {"top": {}, "export": {"form": "sweep"}}


def drawn_for(kind: str, painter: FakePainter) -> object:
    """The index of the factor that was drawn at last."""
    if kind == "export":
        return next(factor for name, factor in reversed(painter.calls) if name == "sweep")
    return next(f for f, row in enumerate(painter.rendered[-1].basis) if np.count_nonzero(row) == 1)


@pytest.mark.parametrize("kind", ASKED)
class TestAskedForAFactor:
    """The palette may be another one by the time that a factor's pictures are drawn."""

    def asked(
        self, kind: str, then: Callable[[PaintWidget, Browser], object]
    ) -> tuple[FullPainter, Browser, int]:
        """Ask for factor 1 of 3 while a picture is drawn, and do something before it is ready."""
        painter = FullPainter()
        widget, browser = opened(painter, make_scene(3))
        painter.hold()
        browser.edit(widget.scene.scale(0, 0.5))
        assert painter.entered.wait(SOON_S)
        seq = browser.ask(kind, factor=1, revision=0, **ASKED[kind])
        then(widget, browser)
        painter.gate.set()
        widget.wait(SOON_S)
        assert widget._open.idle.wait(SOON_S)
        widget.close()
        return painter, browser, seq

    def test_it_is_drawn_wherever_it_is_by_then(self, kind: str) -> None:
        def reorder(widget: PaintWidget, browser: Browser) -> None:
            order = {"order": [1, 2, 0]}
            browser.ask("palette", revision=0, verb="reorder", arguments=order, commit=True)

        painter, browser, seq = self.asked(kind, reorder)
        assert drawn_for(kind, painter) == 0
        (answer,) = browser.of("top" if kind == "top" else "file")
        assert answer["seq"] == seq

    def test_no_other_is_drawn_if_it_was_removed(self, kind: str) -> None:
        def remove(widget: PaintWidget, browser: Browser) -> None:
            browser.ask("palette", revision=0, verb="remove", arguments={"factor": 1}, commit=True)

        self.check_none(*self.asked(kind, remove))

    def test_no_other_is_drawn_if_the_picture_is_another(self, kind: str) -> None:
        def replace(widget: PaintWidget, browser: Browser) -> None:
            widget.scene = make_scene(4, prompt="a boat")

        self.check_none(*self.asked(kind, replace))

    def check_none(self, painter: FullPainter, browser: Browser, seq: int) -> None:
        assert not browser.of("top") + browser.of("file") + browser.of("error")
        (notice,) = browser.of("notice")
        assert (notice["seq"], notice["text"]) == (seq, "'lion' is not in the picture any more.")

    def test_an_index_of_an_earlier_scene_is_answered_with_the_scene(self, kind: str) -> None:
        widget, browser = opened(FullPainter(), make_scene(3))
        widget.scene = widget.scene.remove(0)
        seq = browser.ask(kind, factor=0, revision=0, **ASKED[kind])
        assert browser.of("state")[-1]["why"] == "refused"
        assert browser.of("ack")[-1]["seq"] == seq
        assert widget._open.idle.wait(SOON_S)
        assert not browser.of("top") + browser.of("file") + browser.of("error")
        widget.close()

    def test_an_index_that_no_factor_has_is_refused_in_words(self, kind: str) -> None:
        widget, browser = opened(FullPainter(), make_scene(3))
        browser.ask(kind, factor=3, revision=0, **ASKED[kind])
        (error,) = browser.of("error")
        assert error["message"].startswith(f"{kind}: factor=3, but this scene has 3 factors; choose 0..2")
        widget.close()
