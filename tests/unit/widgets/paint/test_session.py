"""A session and its parts: nothing is lost between threads, and errors of others cost no picture."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ember_widgets.scene.scene import Scene
from ember_widgets.util.cancelled import raise_if_cancelled
from ember_widgets.util.worker import Worker
from ember_widgets.widgets.paint import to_python
from ember_widgets.widgets.paint.audience import Audience
from ember_widgets.widgets.paint.history import History, State
from ember_widgets.widgets.paint.queries import Queries, Snapshot
from ember_widgets.widgets.paint.replies import AckReply, Reply, Sender
from ember_widgets.widgets.paint.requests import Variation, rendered
from ember_widgets.widgets.paint.session import Session
from ember_widgets.widgets.paint.widget import PaintWidget
from tests.unit.scene.scenes import make_scene
from tests.unit.widgets.paint.paint_bench import SOON_S, Browser, FakePainter


class Viewer:
    """Keeps what it receives; raises where a test asks it to."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.fault: BaseException | None = None

    def send(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        self.heard.append(content["type"])
        if self.fault is not None:
            raise self.fault

    def _on_scene(self) -> None:
        self.heard.append("on_scene")
        if self.fault is not None:
            raise self.fault

    def _on_final(self, png: bytes) -> None:
        self.heard.append("on_final")
        if self.fault is not None:
            raise self.fault

    def _own_references(self) -> int:
        return 1


def test_an_audience_sends_to_all_whatever_one_of_them_does() -> None:
    faults: list[BaseException] = []
    audience, first, second = Audience(faults.append), Viewer(), Viewer()
    audience.join(first)
    audience.join(second)
    first.fault = OSError("the comm is closed")
    audience.send(AckReply(client="page", seq=1))
    audience.scene_changed()
    audience.picture_settled(b"")
    assert second.heard == ["ack", "on_scene", "on_final"]
    assert faults == [first.fault, first.fault]
    assert not audience.leave(first)
    assert audience.leave(second)


# An edit that arrives while a variation is made


class LockThatCounts:
    """A lock that has `act` called before the worker takes it for the n-th time."""

    def __init__(self, lock: Any, n: int, act: Any) -> None:
        self.lock, self.left, self.act = lock, n, act
        self.worker: threading.Thread | None = None
        self.depth = 0

    def __enter__(self) -> None:
        if threading.current_thread() is self.worker:
            if self.depth == 0:
                self.left -= 1
                if self.left == 0:
                    other = threading.Thread(target=self.act)
                    other.start()
                    other.join(SOON_S)
            self.depth += 1
        self.lock.__enter__()

    def __exit__(self, *fault: object) -> None:
        self.lock.__exit__(*fault)
        if threading.current_thread() is self.worker:
            self.depth -= 1


class Reseeder(FakePainter):
    made: Any = None

    def reseed(self, scene: Scene, seed: int) -> Scene:
        if self.made is not None:
            self.made()
        return scene.replace(seed=seed)


@pytest.mark.parametrize("n", range(1, 5))
def test_an_edit_that_arrives_as_a_variation_is_adopted_is_not_lost(n: int) -> None:
    scene = make_scene()
    painter = Reseeder()
    widget = PaintWidget(painter, scene)
    browser = Browser(widget)
    browser.ask("hello")
    session = widget._open
    painted = scene.paint(0, [(1, 1)], 2.0)
    lock = LockThatCounts(session._lock, n, lambda: browser.edit(painted))
    session._lock = lock  # type: ignore[assignment]
    painter.made = lambda: setattr(lock, "worker", threading.current_thread())
    browser.ask("vary", verb="reseed", value=9)
    widget.wait(SOON_S)
    assert lock.left <= 0, "the worker takes the lock less often; lower the range"
    seed = widget.scene.seed
    refused = [state for state in browser.of("state") if state["why"] == "refused"]
    # Either the variation is one of the edited scene, or the browser heard that its edit came too late.
    assert seed == 9
    assert bool(refused) != (widget.scene == painted.replace(seed=9))
    widget.close()


# Observers


def test_the_picture_is_sent_before_observers_of_traits_run(widget: PaintWidget) -> None:
    order: list[str] = []
    widget.send = lambda content, buffers: order.append(content["type"])
    widget.observe(lambda change: order.append("image"), "image")
    widget.observe(lambda change: order.append("seed"), "seed")
    widget.analyze(seed=8, n_factors=2)
    widget.wait(SOON_S)
    assert [what for what in order if what in ("frame", "image", "seed")] == ["frame", "image", "seed"]


def test_an_observer_that_fails_while_the_painter_is_opened_leaves_no_blank_page() -> None:
    gate, painter = threading.Event(), FakePainter()

    def opened() -> FakePainter:
        assert gate.wait(SOON_S)
        return painter

    widget = PaintWidget(opened)
    heard: list[str] = []
    widget.send = lambda content, buffers: heard.append(content["type"])

    def fail(change: object) -> None:
        raise KeyError("observer")

    widget.observe(fail, "image")
    gate.set()
    widget.wait(SOON_S)
    end = time.monotonic() + SOON_S
    while "frame" not in heard and time.monotonic() < end:
        time.sleep(0.01)
    assert "frame" in heard
    widget.close()


@pytest.mark.parametrize("fault", [SystemExit(3), KeyboardInterrupt()], ids=["exit", "interrupt"])
def test_a_painter_that_cannot_be_opened_says_so_whatever_it_raised(fault: BaseException) -> None:
    def opened() -> FakePainter:
        raise fault

    widget = PaintWidget(opened)
    with pytest.raises(RuntimeError, match="the painter could not be opened"):
        widget.wait(SOON_S)
    assert not widget.busy
    widget.close()


# A drawing that ends in another way than with a picture


@pytest.mark.parametrize("fault", [SystemExit(3), KeyboardInterrupt()], ids=["exit", "interrupt"])
def test_whatever_ends_a_drawing_is_an_error_and_answered(
    fault: BaseException, widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    painter.fault = fault  # type: ignore[assignment]
    seq = browser.edit(scene.scale(0, 0.5))
    with pytest.raises(RuntimeError, match=type(fault).__name__):
        widget.wait(SOON_S)
    assert {"type": "ack", "client": "page", "seq": seq} in browser.of("ack")
    assert browser.of("error")[-1]["seq"] == seq
    painter.fault = None
    browser.edit(scene)
    widget.wait(SOON_S)
    assert widget.last_error is None


def test_a_picture_that_cannot_be_encoded_is_an_error_and_answered(
    widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    before = widget.image
    painter.render = lambda scene: Image.new("RGB", (0, 0))  # type: ignore[method-assign]
    seq = browser.edit(scene.scale(0, 0.5))
    with pytest.raises(RuntimeError, match="the picture could not be drawn"):
        widget.wait(SOON_S)
    assert {"type": "ack", "client": "page", "seq": seq} in browser.of("ack")
    assert widget.image == before


def test_a_comm_that_cannot_send_ends_no_thread(painter: FakePainter, scene: Scene) -> None:
    session = Session(painter, scene, rendered(painter, scene))
    viewer = Viewer()
    session.join(viewer)
    viewer.fault = OSError("the comm is closed")
    session.assign(scene.scale(0, 0.5))
    session.worker.wait(SOON_S)
    session.assign(scene)
    assert session.worker.wait(SOON_S)
    viewer.fault = None
    session.assign(scene.scale(0, 0.25))
    session.wait(SOON_S)
    assert viewer.heard[-2:] == ["on_final", "status"]
    session.close()


# The unedited picture


@pytest.mark.parametrize(
    "other",
    [
        {"guidance": 5.0},
        {"image": np.zeros((4, 16, 16), np.float32)},
        {"prompt": "a boat"},
        {"style": "in sepia"},
        {"seed": 4},
        {"n_steps": 2},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_run_has_another_unedited_picture(
    other: dict[str, Any], widget: PaintWidget, browser: Browser, scene: Scene
) -> None:
    browser.ask("hello")
    run = browser.state()["run"]
    browser.ask("original")
    widget._open.idle.wait(SOON_S)
    browser.edit(scene.paint(0, [(1, 1)], 2.0))
    assert browser.state()["run"] == run
    widget.wait(SOON_S)
    assert browser.frames()[-1][0]["change"] is not None
    widget.scene = scene.replace(**other).paint(0, [(1, 1)], 2.0)
    widget.wait(SOON_S)
    assert browser.state()["run"] != run
    assert browser.frames()[-1][0]["change"] is None


def test_another_photograph_or_strength_of_it_is_another_run(widget: PaintWidget, browser: Browser) -> None:
    zeros = np.zeros((4, 16, 16), np.float32)
    photographs = [{"image": zeros}, {"image": zeros + 1}, {"image": zeros, "image_strength": 0.7}]
    runs = []
    for photograph in photographs:
        widget.scene = make_scene(**photograph)  # type: ignore[arg-type]
        runs.append((browser.state()["run"], *browser.state()["icons"]))
    assert len({run for run, *_ in runs}) == 3
    assert len({icon for _, icon, *_ in runs}) == 3


# Texts that UTF-8 cannot hold


def test_half_of_a_surrogate_pair_is_refused_where_it_comes_in(
    widget: PaintWidget, browser: Browser, scene: Scene
) -> None:
    browser.ask("hello")
    bad = "a \ud800"
    new = {"prompt": bad, "style": "", "seed": "1", "n_steps": 1, "n_factors": 3}
    rename = {"verb": "rename", "arguments": {"factor": 0, "name": bad}}
    requests: list[tuple[str, dict[str, Any]]] = [
        ("analyze", new),
        ("palette", {"revision": 0, "commit": True, **rename}),
        ("search", {"text": bad, "site": ""}),
        ("keep", {"step": 0, "name": bad}),
        ("borrow_source", {"prompt": bad, "file": ""}),
        ("icons", {"keys": [bad]}),
    ]
    for kind, content in requests:
        browser.ask(kind, **content)
        message = browser.of("error")[-1]["message"]
        assert message.startswith(f"{kind}: ")
        assert message.endswith(
            "holds '\\ud800' at 2, half of a surrogate pair, which no file can hold; leave it out"
        )
    acts: list[Callable[[], None]] = [
        lambda: widget.analyze(bad),
        lambda: widget.keep(bad),
        lambda: setattr(widget, "scene", scene.replace(prompt=bad)),
        lambda: setattr(widget, "scene", scene.rename(0, bad)),
    ]
    for act in acts:
        with pytest.raises(ValueError, match="half of a surrogate pair"):
            act()
    widget.wait(SOON_S)
    assert widget.scene is scene
    assert widget.kept == {}


# Grids


class WidePainter(FakePainter):
    def render(self, scene: Scene) -> Image.Image:
        self._begin("render", scene)
        return Image.new("RGB", (2 * scene.grid.cols, 2 * scene.grid.rows))


@pytest.fixture
def wide() -> Scene:
    small, grid = make_scene(2), (8, 12)
    maps = small.strengths[: grid[0], : grid[1]]
    return make_scene(2, strengths=maps, base_strengths=maps, remainder=np.ones(grid, np.float32))


def test_a_scene_of_another_grid_is_shown_edited_and_written(wide: Scene) -> None:
    widget = PaintWidget(WidePainter(), wide)
    browser = Browser(widget)
    browser.ask("hello")
    assert (browser.state()["rows"], browser.state()["cols"]) == (8, 12)
    painted = wide.paint(0, [(7, 11)], 2.0)
    shares = np.zeros((8, 12))
    shares[7, 11] = 1
    call = {"verb": "paint", "factor": 0, "strength": 2.0, "opacity": 1.0, "mode": "over"}
    browser.edit(painted, call={**call, "shares": shares.ravel().tolist()})
    widget.wait(SOON_S)
    assert widget.scene == painted
    assert "patches=[(7, 11)]" in widget.to_python()
    browser.ask("icons", keys=browser.state()["icons"])
    widget._open.idle.wait(SOON_S)
    assert len(browser.of("icon")) == 2
    browser.edit(make_scene(2))
    expected = "edit: strengths buffer has 2048 bytes, but 8×12×2 float32 need 768"
    assert browser.of("error")[-1]["message"] == expected
    with pytest.raises(ValueError, match="n_factors=97, but an image has 96 patches; choose 1..96"):
        widget.analyze(n_factors=97)
    widget.close()


def test_a_factors_id_goes_with_it(browser: Browser, widget: PaintWidget) -> None:
    browser.ask("hello")
    first, second, third = browser.state()["ids"]
    reorder = {"order": [2, 0, 1]}
    browser.ask("palette", revision=0, commit=True, verb="reorder", arguments=reorder)
    assert browser.state()["ids"] == [third, first, second]
    browser.edit(widget.scene.paint(0, [(0, 0)]))
    assert browser.state()["ids"] == [third, first, second]


# The history's size


def test_a_long_history_keeps_no_line_for_every_stroke(
    widget: PaintWidget, browser: Browser, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(to_python, "MAX_CHARACTERS", 50_000)
    browser.ask("hello")
    for i in range(60):
        browser.edit(scene.scale(0, 1 + i / 100))
    lengths = [sum(map(len, state.code)) for state in map(widget._open.history.state, range(61)) if state]
    assert max(lengths) <= 50_100 + len(to_python.opened(widget.scene))
    space: dict[str, Any] = {"painter": FakePainter()}
    exec(widget.to_python(), space)
    assert space["scene"] == widget.scene


def test_a_variation_of_a_python_number_of_numpy_is_written_as_a_number(widget: PaintWidget) -> None:
    assert Variation.checked("reseed", np.int64(5)).line == "scene = painter.reseed(scene, seed=5)"
    widget.add_feature(np.int64(5))
    assert "{5: 1.0}" in widget.to_python()


@pytest.mark.parametrize("feature", [[3], {3: 1.0}, "3", 3.0, True])
def test_what_is_no_number_of_a_feature_is_not_added(widget: PaintWidget, feature: Any) -> None:
    with pytest.raises(TypeError, match=r"^feature=.* is not a whole number; give an int 0\.\.7$"):
        widget.add_feature(feature)


def test_observers_of_an_added_feature_run_without_the_lock(widget: PaintWidget) -> None:
    free: list[bool] = []

    def look(change: object) -> None:
        def read() -> None:
            free.append(widget.scene.n_factors == 4)

        other = threading.Thread(target=read)
        other.start()
        other.join(1.0)

    widget.observe(look, "scene")
    widget.add_feature(5)
    assert free == [True]


def test_a_text_of_a_book_is_no_style(widget: PaintWidget, browser: Browser, scene: Scene) -> None:
    browser.ask("hello")
    restyle = {"verb": "restyle", "arguments": {"style": "x" * 10_001}}
    browser.ask("palette", revision=0, commit=True, **restyle)
    assert browser.of("error")[-1]["message"] == "palette: style has 10,001 characters; 10,000 are the most"
    assert widget.scene is scene


# Queries alone


def test_queries_answer_without_a_session(painter: FakePainter, scene: Scene) -> None:
    state, picture = State.of(scene), rendered(painter, scene)
    now: list[Snapshot | None] = [Snapshot(painter, state, History(state), picture, state, None)]
    heard: list[Reply] = []
    idle = Worker("test")
    queries = Queries(lambda: now[0], heard.append, idle, lambda: False)
    queries.search("3", "", Sender("page", 1))
    queries.original(Sender("page", 2))
    assert idle.wait(SOON_S)
    assert [(reply.type, reply.content()["seq"]) for reply in heard] == [("found", 1), ("original", 2)]
    assert [reply.type for reply in queries.page()] == ["frame", "original", "icon", "icon", "icon"]
    now[0] = None  # closed
    queries.search("3", "", Sender("page", 3))
    queries.original(Sender("page", 4))
    assert idle.wait(SOON_S)
    assert len(heard) == 2
    idle.close()


class Stoppable(FakePainter):
    """Draws in steps, between which it can be stopped."""

    n_stopped = 0

    def previews(self, scene: Scene) -> bool:
        return False

    def render(
        self, scene: Scene, *, preview: bool = False, cancelled: Callable[[], bool] | None = None
    ) -> Image.Image:
        try:
            raise_if_cancelled(cancelled)
        except BaseException:
            self.n_stopped += 1
            raise
        return super().render(scene)


def test_a_thumbnail_gives_way_to_a_stroke_and_is_drawn_after_it(scene: Scene) -> None:
    painter = Stoppable()
    state, picture = State.of(scene), rendered(painter, scene)
    now = Snapshot(painter, state, History(state), picture, state, None)
    heard: list[Reply] = []
    stroke = iter((True, True, False))
    idle = Worker("test")
    queries = Queries(lambda: now, heard.append, idle, lambda: next(stroke))
    queries.thumbnails(["step 0"])
    assert idle.wait(SOON_S)
    assert painter.n_stopped == 2
    assert [reply.content()["key"] for reply in heard] == ["step 0"]
    idle.close()
