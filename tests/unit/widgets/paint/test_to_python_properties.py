"""The program of `to_python`, run, makes the very scene, whatever was done and in any order."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ember_widgets.scene.grid import Grid
from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint import to_python
from ember_widgets.widgets.paint.history import State
from ember_widgets.widgets.paint.messages import REQUESTS
from ember_widgets.widgets.paint.session import Session
from ember_widgets.widgets.paint.widget import PaintWidget
from tests.unit.properties import tries
from tests.unit.scene.scene_strategies import edits
from tests.unit.widgets.paint.studio import Studio, StudioPainter
from tests.unit.widgets.paint.ui_messages import MESSAGES, Message, features, scenes, strokes

grids = st.sampled_from((Grid(4, 5), Grid(16, 16)))
Act = Callable[[PaintWidget], object]

BY_HAND = (*["edit"] * 7, *["palette"] * 5, *["undo", "redo", "go"], *["analyze", "vary", "open"])
BY_HAND += ("borrow_source", "keep", "forget", "retry", "copy", "paste", "paste")


def in_python(now: Session) -> st.SearchStrategy[Act]:
    """What a notebook may do to a widget."""
    painted = now.state.scene
    seeds, counts = st.integers(0, 2**63 - 1), st.integers(1, 4)

    def assign(edit: tuple[str, dict[str, Any]]) -> Act:
        return lambda widget: setattr(widget, "scene", getattr(widget.scene, edit[0])(**edit[1]))

    acts: list[st.SearchStrategy[Act]] = [
        *[edits(painted).map(assign)] * 5,
        scenes(painted.grid).map(lambda scene: lambda widget: setattr(widget, "scene", scene)),
        features(now).map(lambda feature: lambda widget: widget.add_feature(feature)),
        seeds.map(lambda seed: lambda widget: widget.reseed(seed)),
        seeds.map(lambda seed: lambda widget: widget.reseed(seed, edit_only=True)),
        counts.map(lambda n: lambda widget: widget.refit(n)),
        counts.map(lambda n: lambda widget: widget.analyze(n_steps=n)),
        st.sampled_from((PaintWidget.undo, PaintWidget.redo)),
        st.text(max_size=3).map(lambda name: lambda widget: widget.keep(name)),
    ]
    return st.one_of(acts)


def run(program: str, painter: StudioPainter) -> Scene:
    """What a program leads to in a notebook of its own."""
    names: dict[str, Any] = {"painter": painter}
    exec(program, names)
    scene: Scene = names["scene"]
    return scene


def check(studio: Studio) -> None:
    assert run(studio.widget.to_python(), studio.painter) == studio.widget.scene


@given(grids.flatmap(scenes), st.data())
@tries(120)
def test_a_stroke_is_exactly_what_was_painted(scene: Scene, data: st.DataObject) -> None:
    after, call = data.draw(strokes(scene))
    code = (f"scene = {to_python.opened(scene)}", *to_python.painted(scene, after, call))
    state = State.of(after, code)
    assert run(to_python.program(state, state), StudioPainter()) == after


@given(grids.flatmap(scenes), st.data())
@tries(40)
def test_what_is_not_committed_is_in_the_program(scene: Scene, data: st.DataObject) -> None:
    with Studio(scene) as studio:
        for kind in data.draw(st.lists(st.sampled_from(("edit", "palette")), min_size=1, max_size=4)):
            message = data.draw(MESSAGES[REQUESTS[kind]](studio.session))
            now = {"revision": studio.session._revision, "commit": data.draw(st.booleans())}
            studio.say(kind, Message(message.fields | now, message.buffers))
            check(studio)


@given(grids.flatmap(scenes), st.sampled_from((0.0, 7.0)), st.data())
@tries(80)
def test_the_program_makes_the_very_scene(scene: Scene, guidance: float, data: st.DataObject) -> None:
    with Studio(scene, guidance) as studio:
        check(studio)
        for _ in range(data.draw(st.integers(1, 12))):
            if data.draw(st.sampled_from((True, True, False))):
                kind = data.draw(st.sampled_from(BY_HAND))
                studio.say(kind, data.draw(MESSAGES[REQUESTS[kind]](studio.session)))
            else:
                act = data.draw(in_python(studio.session))
                with contextlib.suppress(TypeError, ValueError):  # refused; nothing has changed
                    act(studio.widget)
                studio.settle()
            check(studio)
