"""Whatever browsers send, in any order: the scene stays valid, and every request is answered."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ember_widgets.scene.grid import Grid
from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint.messages import REQUESTS
from ember_widgets.widgets.paint.palette_edits import VERBS
from tests.unit.properties import tries
from tests.unit.scene import scene_strategies
from tests.unit.scene.scenes import make_scene
from tests.unit.widgets.paint.studio import WHEN_IDLE, Studio
from tests.unit.widgets.paint.ui_messages import MESSAGES, PALETTE, Message, opened, scenes, spoiled

clients = st.sampled_from(("page", "page", "other"))
kinds = st.sampled_from(tuple(REQUESTS))
# What paints comes more often than what only asks.
likely = st.sampled_from(("edit", "palette", "undo", "redo", "go")) | kinds


GRIDS = st.sampled_from((Grid(4, 5), Grid(1, 2), Grid(16, 16)))


class Browsers(RuleBasedStateMachine):
    """Two pages that send anything, and a painter that now and then waits or fails."""

    @initialize(scene=GRIDS.flatmap(scenes), guidance=st.sampled_from((0.0, 7.0)))
    def open(self, scene: Scene, guidance: float) -> None:
        self.studio = Studio(scene, guidance)
        self.first = self.studio.session.state

    @rule(data=st.data(), kind=likely, client=clients)
    def say(self, data: st.DataObject, kind: str, client: str) -> None:
        self.studio.say(kind, data.draw(self.messages(kind)), client)

    @rule(data=st.data(), kind=kinds, client=clients)
    def say_wrong(self, data: st.DataObject, kind: str, client: str) -> None:
        self.studio.say(kind, data.draw(spoiled(data.draw(self.messages(kind)))), client)

    @rule(data=st.data(), kind=st.sampled_from(WHEN_IDLE))
    def both_ask(self, data: st.DataObject, kind: str) -> None:
        message = data.draw(self.messages(kind))
        for client in ("page", "other"):
            self.studio.say(kind, message, client)

    def messages(self, kind: str) -> st.SearchStrategy[Message]:
        return MESSAGES[REQUESTS[kind]](self.studio.session)

    @rule(scene=GRIDS.flatmap(scenes))
    def open_a_scene_of_any_grid(self, scene: Scene) -> None:
        self.studio.say("open", opened(scene))

    @rule()
    @precondition(lambda self: not self.studio.holding)
    def hold(self) -> None:
        self.studio.hold()

    @rule()
    @precondition(lambda self: self.studio.holding)
    def release(self) -> None:
        self.studio.release()

    @rule(fails=st.booleans())
    def fail(self, fails: bool) -> None:
        self.studio.painter.fault = OSError("out of paint") if fails else None

    @rule()
    def undo_and_redo(self) -> None:
        session = self.studio.session
        before = session.state
        if before.same(session.history.current) and session.step(-1):
            assert session.step(1)
            assert session.state.same(before)
        self.studio.settle()

    @rule()
    def undo_everything(self) -> None:
        session = self.studio.session
        while session.step(-1):
            pass
        assert session.state.same(self.first)
        self.studio.settle()

    @invariant()
    def is_valid(self) -> None:
        self.studio.check_scene()
        self.studio.check_sendable()

    @invariant()
    @precondition(lambda self: not self.studio.holding)
    def is_answered(self) -> None:
        self.studio.check_told()
        self.studio.check_answered()

    def teardown(self) -> None:
        if hasattr(self, "studio"):
            self.studio.close()


Browsers.TestCase.settings = tries(30, stateful_step_count=20)
TestBrowsers: Any = Browsers.TestCase


@given(scene_strategies.scenes())
@tries(40)
def test_any_scene_can_be_opened_and_shown_and_saved(scene: Scene) -> None:
    assume((scene.next_factor_id or 0) < 2**52)  # above that, no factor can be added
    studio = Studio(make_scene())
    studio.say("open", opened(scene))
    assert studio.widget.scene == scene
    for form in ("json", "png", "py"):
        studio.say("export", Message({"form": form, "factor": 0}))
    studio.say("icons", Message({"keys": studio.browser.state()["icons"]}))
    studio.say("original", Message())
    assert studio.browser.of("error") == []
    as_json, as_png, _ = studio.files()
    assert Scene.from_bytes(as_json) == Scene.from_bytes(as_png) == scene
    studio.check_scene()
    studio.check_sendable()
    studio.check_told()
    studio.check_answered()
    studio.close()


def test_every_request_and_verb_has_messages() -> None:
    assert set(MESSAGES) == set(REQUESTS.values())
    assert set(PALETTE) == set(VERBS)


@given(st.data())
@tries(20)
def test_messages_have_the_fields_of_their_requests(data: st.DataObject) -> None:
    studio = Studio(make_scene())
    for cls, strategy in MESSAGES.items():
        wanted = {one.name for one in fields(cls)} - {"client", "seq"}
        sent = data.draw(strategy(studio.session)).fields
        assert set(sent) in (wanted, wanted - {"call"})  # not every edit is a call
    for verb, names in VERBS.items():
        assert set(PALETTE[verb](studio.session)) == set(names)
    studio.close()
