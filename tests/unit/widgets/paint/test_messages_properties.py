"""Whatever browsers send, in any order: the scene stays valid, and every request is answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

from hypothesis import assume, given
from hypothesis import strategies as st

from ember_widgets.scene.grid import Grid
from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint.messages import REQUESTS
from ember_widgets.widgets.paint.palette_edits import VERBS
from tests.unit.properties import tries
from tests.unit.scene import scene_strategies
from tests.unit.scene.scenes import make_scene
from tests.unit.widgets.paint.studio import WHEN_IDLE, Studio
from tests.unit.widgets.paint.ui_messages import MESSAGES, PALETTE, Message, opened, scenes, spoiled

GRIDS = st.sampled_from((Grid(4, 5), Grid(1, 2), Grid(16, 16)))
BUSY = ("analyze", "vary", "edit", "retry", "undo", *WHEN_IDLE)
clients = st.sampled_from(("page", "page", "other"))


def sliders(studio: Studio) -> dict[int, float]:
    """Each factor's slider by the factor's id."""
    state = studio.session.state
    return dict(zip(state.painted.factor_ids or (), state.gains.tolist(), strict=True))


def send(studio: Studio, kind: str, data: st.DataObject) -> None:
    message, client = data.draw(MESSAGES[REQUESTS[kind]](studio.session)), data.draw(clients)
    newest, oldest = studio.session._revision, studio.session._compatible_from
    studio.say(kind, message, client)
    if not oldest <= message.fields.get("revision", newest) <= newest:
        assert studio.last("state")["why"] == "refused"
        assert studio.last("state")["client"] == client


def set_all_sliders(studio: Studio, data: st.DataObject) -> None:
    scene = studio.session.state.painted
    gains = [data.draw(st.integers(0, 9)) / 8 + f for f in range(scene.n_factors)]
    fields = {"revision": studio.session._revision, "gains": gains, "commit": True}
    studio.say("edit", Message(fields, [scene.strengths.tobytes(), scene.remainder.tobytes()]))


def change_the_palette(studio: Studio, data: st.DataObject) -> None:
    before, next_id = sliders(studio), studio.session.state.painted.next_factor_id or 0
    send(studio, "palette", data)
    after = sliders(studio)
    assert all(id_ >= next_id for id_ in after if id_ not in before)
    assert all(after[id_] == gain for id_, gain in before.items() if id_ in after)
    assert all(after[id_] == 1 for id_ in after if id_ not in before)


def send_any(studio: Studio, data: st.DataObject) -> None:
    send(studio, data.draw(st.sampled_from(tuple(REQUESTS))), data)


def send_wrong(studio: Studio, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(tuple(REQUESTS)))
    message = data.draw(MESSAGES[REQUESTS[kind]](studio.session))
    studio.say(kind, data.draw(spoiled(message)), data.draw(clients))


def open_a_scene_of_any_grid(studio: Studio, data: st.DataObject) -> None:
    studio.say("open", opened(data.draw(GRIDS.flatmap(scenes))))


def keep_busy(studio: Studio, data: st.DataObject) -> None:
    """Requests that come while a picture is drawn, some of them from both pages."""
    if not studio.holding:
        studio.hold()
    for kind in data.draw(st.lists(st.sampled_from(BUSY), min_size=1, max_size=4)):
        message = data.draw(MESSAGES[REQUESTS[kind]](studio.session))
        for client in data.draw(st.sampled_from((("page",), ("page", "other")))):
            studio.say(kind, message, client)
    if data.draw(st.booleans()):
        studio.release()


def fail_or_recover(studio: Studio, data: st.DataObject) -> None:
    studio.painter.fault = OSError("out of paint") if studio.painter.fault is None else None


def undo_and_redo(studio: Studio, data: st.DataObject) -> None:
    session = studio.session
    before = session.state
    if before.same(session.history.current) and session.step(-1):
        assert session.step(1)
        assert session.state.same(before)
    studio.settle()


def undo_everything(studio: Studio, data: st.DataObject) -> None:
    while studio.session.step(-1):
        pass
    assert studio.session.state.same(studio.first)
    studio.settle()


# How often each happens, in proportion.
ACTS: dict[Callable[[Studio, st.DataObject], None], int] = {
    lambda studio, data: send(studio, "edit", data): 6,
    change_the_palette: 8,
    lambda studio, data: send(studio, data.draw(st.sampled_from(("undo", "redo", "go"))), data): 3,
    send_any: 3,
    send_wrong: 5,
    open_a_scene_of_any_grid: 1,
    set_all_sliders: 3,
    keep_busy: 5,
    fail_or_recover: 1,
    undo_and_redo: 2,
    undo_everything: 1,
}
acts = st.sampled_from([act for act, count in ACTS.items() for _ in range(count)])


@given(GRIDS.flatmap(scenes), st.sampled_from((0.0, 7.0)), st.data())
@tries(70)
def test_whatever_is_sent_the_scene_stays_valid_and_every_request_is_answered(
    scene: Scene, guidance: float, data: st.DataObject
) -> None:
    with Studio(scene, guidance) as studio:
        for _ in range(data.draw(st.integers(1, 25))):
            data.draw(acts)(studio, data)
            studio.check_scene()
            studio.check_sendable()
            if not studio.holding:
                studio.check_drawn()
                studio.check_told()
                studio.check_answered()
        studio.release()
        studio.check_drawn()
        studio.check_answered()


@given(scene_strategies.scenes())
@tries(40)
def test_any_scene_can_be_opened_and_shown_and_saved(scene: Scene) -> None:
    assume((scene.next_factor_id or 0) < 2**52)  # above that, no factor can be added
    with Studio(make_scene()) as studio:
        studio.say("open", opened(scene))
        assert studio.widget.scene == scene
        for form in ("json", "png", "py"):
            studio.say("export", Message({"form": form, "factor": 0, "revision": 0}))
        studio.say("icons", Message({"keys": studio.browser.state()["icons"]}))
        studio.say("original", Message())
        assert studio.browser.of("error") == []
        as_json, as_png, _ = studio.files()
        assert Scene.from_bytes(as_json) == Scene.from_bytes(as_png) == scene
        studio.check_scene()
        studio.check_sendable()
        studio.check_told()
        studio.check_answered()


def test_every_request_and_verb_has_messages() -> None:
    assert set(MESSAGES) == set(REQUESTS.values())
    assert set(PALETTE) == set(VERBS)


@given(st.data())
@tries(20)
def test_messages_have_the_fields_of_their_requests(data: st.DataObject) -> None:
    with Studio(make_scene()) as studio:
        for cls, strategy in MESSAGES.items():
            wanted = {one.name for one in fields(cls)} - {"client", "seq"}
            sent = data.draw(strategy(studio.session)).fields
            assert set(sent) in (wanted, wanted - {"call"})  # not every edit is a call
        for verb, names in VERBS.items():
            assert set(PALETTE[verb](studio.session)) == set(names)
