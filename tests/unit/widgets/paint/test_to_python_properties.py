"""The program of `to_python`, run, makes the very scene, whatever was done and in any order."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ember_widgets.scene.grid import Grid
from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint.messages import REQUESTS
from ember_widgets.widgets.paint.session import Session
from ember_widgets.widgets.paint.widget import PaintWidget
from tests.unit.properties import tries
from tests.unit.scene.scene_strategies import edits
from tests.unit.widgets.paint.studio import Studio
from tests.unit.widgets.paint.ui_messages import MESSAGES, features, scenes

Act = Callable[[PaintWidget], object]

BY_HAND = (
    "edit",
    "palette",
    "undo",
    "redo",
    "go",
    "analyze",
    "vary",
    "open",
    "borrow_source",
    "keep",
    "retry",
)


def in_python(now: Session) -> st.SearchStrategy[Act]:
    """What a notebook may do to a widget."""
    painted = now.state.scene
    seeds, counts = st.integers(0, 2**63 - 1), st.integers(1, 4)

    def assign(edit: tuple[str, dict[str, Any]]) -> Act:
        return lambda widget: setattr(widget, "scene", getattr(widget.scene, edit[0])(**edit[1]))

    acts: list[st.SearchStrategy[Act]] = [
        edits(painted).map(assign),
        scenes(painted.grid).map(lambda scene: lambda widget: setattr(widget, "scene", scene)),
        features(now).map(lambda feature: lambda widget: widget.add_feature(feature)),
        seeds.map(lambda seed: lambda widget: widget.reseed(seed)),
        counts.map(lambda n: lambda widget: widget.refit(n)),
        counts.map(lambda n: lambda widget: widget.analyze(n_steps=n)),
        st.sampled_from((PaintWidget.undo, PaintWidget.redo)),
        st.text(max_size=3).map(lambda name: lambda widget: widget.keep(name)),
    ]
    return st.one_of(acts)


def run(program: str, studio: Studio) -> Scene:
    """What a program leads to in a notebook of its own."""
    names: dict[str, Any] = {"painter": studio.painter}
    exec(program, names)
    scene: Scene = names["scene"]
    return scene


def check(studio: Studio) -> None:
    assert run(studio.widget.to_python(), studio) == studio.widget.scene


@given(st.sampled_from((Grid(4, 5), Grid(16, 16))).flatmap(scenes), st.sampled_from((0.0, 7.0)), st.data())
@tries(80)
def test_the_program_makes_the_very_scene(scene: Scene, guidance: float, data: st.DataObject) -> None:
    with Studio(scene, guidance) as studio:
        check(studio)
        for _ in range(data.draw(st.integers(1, 10))):
            if data.draw(st.booleans()):
                kind = data.draw(st.sampled_from(("edit", "palette")) | st.sampled_from(BY_HAND))
                studio.say(kind, data.draw(MESSAGES[REQUESTS[kind]](studio.session)))
            else:
                act = data.draw(in_python(studio.session))
                with contextlib.suppress(TypeError, ValueError):  # refused; nothing has changed
                    act(studio.widget)
                studio.settle()
            check(studio)
