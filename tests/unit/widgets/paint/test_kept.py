"""Steps of the history that are given a name stay, whatever is undone."""

from __future__ import annotations

import pytest

from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint.history import LIMIT, History, State
from ember_widgets.widgets.paint.widget import PaintWidget
from tests.unit.scene.scenes import make_scene
from tests.unit.widgets.paint.paint_bench import SOON_S, Browser, FakePainter


@pytest.fixture
def scenes() -> list[Scene]:
    scene = make_scene()
    return [scene, *(scene.scale(0, gain) for gain in (0.5, 0.25, 0.75, 0.9))]


@pytest.fixture
def widget(scenes: list[Scene]) -> PaintWidget:
    return PaintWidget(FakePainter(), scenes[0])


@pytest.fixture
def browser(widget: PaintWidget) -> Browser:
    return Browser(widget)


def steps(browser: Browser) -> list[tuple[int, str]]:
    return [(step, name) for step, _, name in browser.state()["steps"]]


def test_a_named_step_survives_what_is_done_after_undo(
    widget: PaintWidget, browser: Browser, scenes: list[Scene]
) -> None:
    browser.edit(scenes[1])
    browser.edit(scenes[2])
    seq = browser.ask("keep", step=2, name="the best")
    assert browser.of("ack")[-1]["seq"] == seq
    assert browser.state()["why"] == "kept"
    assert steps(browser) == [(0, ""), (1, ""), (2, "the best")]
    widget.undo()
    widget.undo()
    browser.edit(scenes[3])
    assert steps(browser) == [(0, ""), (2, "the best"), (3, "")]
    assert widget.kept == {"the best": scenes[2]}


def test_undo_goes_along_the_line_and_leads_back_from_a_kept_step(
    widget: PaintWidget, browser: Browser, scenes: list[Scene]
) -> None:
    browser.edit(scenes[1])
    widget.keep("mine")
    widget.undo()
    browser.edit(scenes[2])
    widget.undo()
    assert widget.scene == scenes[0]
    widget.redo()
    assert widget.scene == scenes[2]
    browser.ask("go", step=1)
    assert widget.scene == scenes[1]
    assert browser.state()["can_redo"] is False
    widget.undo()
    assert widget.scene == scenes[2]


def test_a_kept_step_follows_the_current_one_and_not_what_was_undone(
    widget: PaintWidget, browser: Browser, scenes: list[Scene]
) -> None:
    browser.edit(scenes[1])
    widget.keep("x")
    widget.undo()
    browser.edit(scenes[2])
    browser.edit(scenes[3])
    widget.undo()
    browser.ask("go", step=1)
    assert widget.scene == scenes[1]
    assert steps(browser) == [(0, ""), (1, "x"), (2, "")]
    widget.undo()
    assert widget.scene == scenes[2]
    widget.redo()
    assert widget.scene == scenes[1]


def test_a_name_that_is_taken_back_lets_the_step_go(
    widget: PaintWidget, browser: Browser, scenes: list[Scene]
) -> None:
    browser.edit(scenes[1])
    browser.ask("keep", step=1, name="mine")
    widget.undo()
    browser.edit(scenes[2])
    browser.ask("keep", step=1, name="")
    assert steps(browser) == [(0, ""), (2, "")]
    assert widget.kept == {}
    browser.ask("keep", step=2, name="now")
    browser.ask("keep", step=2, name="")
    assert widget.scene == scenes[2]
    assert steps(browser) == [(0, ""), (2, "")]


def test_names_are_one_steps_own(widget: PaintWidget, browser: Browser, scenes: list[Scene]) -> None:
    widget.keep("mine")
    widget.keep(" mine ")  # again, and as it is typed
    browser.edit(scenes[1])
    with pytest.raises(ValueError, match="name='mine' is taken by another step; choose another name"):
        widget.keep("mine")
    with pytest.raises(TypeError, match="name=3 is not text"):
        widget.keep(3)  # type: ignore[arg-type]
    browser.ask("keep", step=9, name="gone")
    assert browser.of("error")[-1]["message"] == ("step 9 is not in the history any more; choose one that is")
    assert widget.kept == {"mine": scenes[0]}
    widget.wait(SOON_S)


def test_named_steps_outlive_the_limit() -> None:
    scene = make_scene()
    history = History(State.of(scene))
    history.keep(0, "first")
    for n in range(LIMIT + 20):
        history.commit(State.of(scene.scale(0, 1 + n / 1000)))
    assert len(history.steps) == LIMIT + 2
    assert history.steps[0] == 0
    assert history.names == {0: "first"}


class TestForget:
    def test_a_step_is_forgotten_and_undo_passes_it(
        self, widget: PaintWidget, browser: Browser, scenes: list[Scene]
    ) -> None:
        browser.edit(scenes[1])
        browser.edit(scenes[2])
        seq = browser.ask("forget", step=1)
        assert browser.of("ack")[-1]["seq"] == seq
        assert browser.state()["why"] == "kept"
        assert steps(browser) == [(0, ""), (2, "")]
        assert widget.scene == scenes[2]
        widget.undo()
        assert widget.scene == scenes[0]

    def test_instead_of_the_one_that_is_shown_the_one_before_it_is(
        self, widget: PaintWidget, browser: Browser, scenes: list[Scene]
    ) -> None:
        browser.edit(scenes[1])
        browser.edit(scenes[2])
        browser.ask("keep", step=2, name="gone soon")
        browser.ask("forget", step=2)
        assert steps(browser) == [(0, ""), (1, "")]
        assert widget.scene == scenes[1]
        assert browser.state()["why"] == "scene"
        widget.wait(SOON_S)
        browser.ask("undo")
        browser.ask("forget", step=0)
        assert widget.scene == scenes[1]
        assert steps(browser) == [(1, "")]

    def test_all_others_but_those_with_a_name(
        self, widget: PaintWidget, browser: Browser, scenes: list[Scene]
    ) -> None:
        for scene in scenes[1:4]:
            browser.edit(scene)
        browser.ask("keep", step=1, name="the best")
        browser.ask("forget", step=None)
        assert steps(browser) == [(1, "the best"), (3, "")]
        assert not widget.undo()
        assert widget.scene == scenes[3]

    def test_the_only_one_stays(self, browser: Browser, scenes: list[Scene]) -> None:
        browser.ask("hello")
        browser.ask("forget", step=0)
        assert browser.of("error")[-1]["message"] == "step 0 is the only one; it cannot be deleted"
        browser.ask("forget", step=7)
        assert "step 7 is not in the history any more" in browser.of("error")[-1]["message"]
        assert steps(browser) == [(0, "")]

    def test_the_program_still_makes_the_scene(
        self, widget: PaintWidget, browser: Browser, scenes: list[Scene]
    ) -> None:
        browser.edit(scenes[1])
        browser.edit(scenes[2])
        before = widget.to_python()
        browser.ask("forget", step=0)
        browser.ask("forget", step=1)
        assert widget.to_python() == before


class TestSteps:
    def test_are_listed_and_python_goes_to_them(
        self, widget: PaintWidget, browser: Browser, scenes: list[Scene]
    ) -> None:
        browser.edit(scenes[1])
        widget.keep("half")
        browser.edit(scenes[2])
        assert [(one.step, one.name, one.is_current, one.scene) for one in widget.steps] == [
            (0, "", False, scenes[0]),
            (1, "half", False, scenes[1]),
            (2, "", True, scenes[2]),
        ]
        widget.go(0)
        widget.wait(SOON_S)
        assert widget.scene == scenes[0]
        assert [one.is_current for one in widget.steps] == [True, False, False]
        widget.go(2)
        assert widget.scene == scenes[2]

    def test_are_forgotten_by_python(
        self, widget: PaintWidget, browser: Browser, scenes: list[Scene]
    ) -> None:
        for scene in scenes[1:4]:
            browser.edit(scene)
        widget.forget(1)
        assert [one.step for one in widget.steps] == [0, 2, 3]
        widget.keep("the best")
        widget.go(0)
        widget.forget()
        assert [(one.step, one.name) for one in widget.steps] == [(0, ""), (3, "the best")]
        widget.wait(SOON_S)

    def test_that_there_are_not_are_refused(self, widget: PaintWidget) -> None:
        with pytest.raises(ValueError, match=r"step=9 is not in the history; choose one of widget\.steps"):
            widget.go(9)
        with pytest.raises(ValueError, match="step 9 is not in the history any more; choose one that is"):
            widget.forget(9)
        with pytest.raises(ValueError, match="step 0 is the only one; it cannot be deleted"):
            widget.forget(0)
        for act in (widget.go, widget.forget):
            with pytest.raises(TypeError, match=r"step='0' is not a whole number; choose one of widget\."):
                act("0")  # type: ignore[arg-type]
