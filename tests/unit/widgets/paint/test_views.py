"""A widget that nobody sees or refers to lets go of all that is large, and comes back if it is shown."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets
import pytest
from IPython.core.interactiveshell import InteractiveShell

from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint.parts import FactorSliders, Picture
from ember_widgets.widgets.paint.session import Session
from ember_widgets.widgets.paint.widget import PaintWidget
from ember_widgets.widgets.shared import views
from tests.unit.scene.scenes import make_scene
from tests.unit.widgets.paint.paint_bench import SOON_S, Browser, FakePainter

REST_S = 0.05


@pytest.fixture(autouse=True)
def short_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "REST_S", REST_S)


@pytest.fixture
def model(painter: FakePainter, scene: Scene) -> Iterator[str]:
    """The name of a registered widget that was painted on, and that nobody refers to."""
    widget = PaintWidget(painter, scene)
    show(widget.model_id, 1)
    widget.scene = scene.scale(0, 0.5)
    widget.keep("half")
    widget.scene = scene.scale(0, 0.25)
    widget.wait(SOON_S)
    model = widget.model_id
    del widget
    yield model
    found(model).close()


def found(model: str) -> PaintWidget:
    widget: PaintWidget = ipywidgets.widgets.widget._instances[model]
    return widget


def session_of(model: str) -> Session:
    session = found(model)._session
    assert session is not None
    return session


def say(model: str, kind: str, client: str = "page", **content: Any) -> None:
    content = {"type": kind, "client": client, "seq": 1, **content}
    found(model)._handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})


def show(model: str, n: int, client: str = "page") -> None:
    """A page says how many views it has."""
    say(model, "views", client, n=n)


def rests(model: str) -> bool:
    return session_of(model).painter is None


def soon(condition: Callable[[], object]) -> None:
    end = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def stays(condition: Callable[[], object]) -> None:
    time.sleep(5 * REST_S)
    assert condition()


# Rest


def test_a_cell_run_fifty_times_keeps_one_painter_and_no_thread(scene: Scene) -> None:
    others = set(threading.enumerate())
    painters: list[weakref.ref[FakePainter]] = []
    models: list[str] = []
    for i in range(50):
        widget = PaintWidget(FakePainter(), scene)  # the variable of the notebook
        if models:
            show(models[-1], 0)  # its output is cleared
        models.append(widget.model_id)
        painters.append(weakref.ref(widget.painter))  # type: ignore[arg-type]
        show(models[-1], 1)
        widget.scene = scene.scale(0, 0.5 + i / 100)
        widget.wait(SOON_S)
    soon(lambda: all(rests(model) for model in models[:-1]))
    gc.collect()
    assert [painter() for painter in painters[:-1]] == [None] * 49
    assert painters[-1]() is widget.painter is not None
    soon(lambda: set(threading.enumerate()) <= others)
    assert [found(model).scene for model in models] == [scene.scale(0, 0.5 + i / 100) for i in range(50)]
    assert max(len(session_of(model).history.steps) for model in models[:-1]) == 1
    for model in models:
        found(model).close()


def test_a_widget_that_is_shown_or_was_never_shown_keeps_its_painter(
    model: str, painter: FakePainter, scene: Scene
) -> None:
    stays(lambda: not rests(model))
    unseen = PaintWidget(painter, scene)
    name = unseen.model_id
    del unseen
    stays(lambda: not rests(name))
    found(name).close()


def test_only_pages_that_answer_count(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def send(content: dict[str, Any], buffers: object = None) -> None:
        if content["type"] == "views":
            asked.append(content)
            show(model, 1, "the other page")

    show(model, 1, "a page that was reloaded")
    show(model, 1, "the other page")
    with monkeypatch.context() as patched:
        patched.setattr(PaintWidget, "send", lambda self, content, buffers=None: send(content))
        show(model, 0)
    assert asked == [{"type": "views"}]
    stays(lambda: not rests(model))
    show(model, 0, "the other page")
    soon(lambda: rests(model))


def test_a_widget_that_is_still_being_drawn_rests_later(
    model: str, painter: FakePainter, scene: Scene
) -> None:
    painter.hold()
    found(model).scene = scene.scale(1, 0.5)
    show(model, 0)
    stays(lambda: not rests(model))
    painter.gate.set()
    soon(lambda: rests(model))
    assert found(model).scene == scene.scale(1, 0.5)


class Holder:
    """Somebody's object."""

    def __init__(self, widget: PaintWidget) -> None:
        self.widget = widget

    def use(self, started: threading.Event, go: threading.Event) -> None:
        widget, self.widget = self.widget, None  # type: ignore[assignment]
        started.set()
        go.wait(SOON_S)
        del widget


HOLDERS: dict[str, Callable[[PaintWidget], Any]] = {
    "variable": lambda widget: widget,
    "list": lambda widget: [widget],
    "attribute": Holder,
    "method": lambda widget: widget.undo,
    "closure": lambda widget: lambda: widget,
    "box": lambda widget: ipywidgets.VBox([widget]),
    "box in a box": lambda widget: ipywidgets.HBox([ipywidgets.VBox([widget])]),
    "button": lambda widget: ipywidgets.Button().on_click(lambda _: widget.undo()),
}


@pytest.mark.parametrize("name", HOLDERS)
def test_a_widget_that_somebody_refers_to_keeps_its_painter_until_nobody_does(name: str, model: str) -> None:
    held = HOLDERS[name](found(model))
    show(model, 0)
    stays(lambda: not rests(model))
    if name != "button":  # which is registered, as all widgets are
        del held
        soon(lambda: rests(model))


def test_a_function_that_is_running_refers_to_a_widget(model: str) -> None:
    started, go = threading.Event(), threading.Event()
    thread = threading.Thread(target=Holder(found(model)).use, args=(started, go))
    thread.start()
    assert started.wait(SOON_S)
    show(model, 0)
    stays(lambda: not rests(model))
    go.set()
    thread.join()
    soon(lambda: rests(model))


def test_parts_that_show_one_scene_rest_together(model: str) -> None:
    parts = [FactorSliders(found(model)), Picture(found(model))]
    models = [part.model_id for part in parts]
    box = ipywidgets.HBox(parts)
    del parts
    show(models[0], 1, "sliders")
    show(model, 0)
    stays(lambda: not rests(model))
    show(models[0], 0, "sliders")
    stays(lambda: not rests(model))
    del box
    soon(lambda: rests(model))
    for part in models:
        found(part).close()


def test_outputs_of_cells_do_not_count(model: str) -> None:
    shell: Any = InteractiveShell.instance()
    try:
        shell.user_ns["found"] = found
        assert shell.run_cell(f"found({model!r})", store_history=True).success
        assert any(output is found(model) for output in shell.user_ns["_oh"].values())
        show(model, 0)
        soon(lambda: rests(model))
        shell.run_cell(f"kept = found({model!r})")
        show(model, 1)
        soon(lambda: not rests(model))
        show(model, 0)
        stays(lambda: not rests(model))
    finally:
        shell.reset()
        InteractiveShell.clear_instance()


# Coming back


def test_it_comes_back_with_what_was_painted(model: str, painter: FakePainter, scene: Scene) -> None:
    program, picture = found(model).to_python(), found(model).image
    show(model, 0)
    soon(lambda: rests(model))
    assert found(model).image == picture
    assert found(model).to_python() == program
    heard: list[dict[str, Any]] = []
    found(model).send = lambda content, buffers=None: heard.append(content)
    say(model, "hello")  # a page loads all widgets, the hidden ones too
    say(model, "ping")
    stays(lambda: rests(model))
    assert [message["type"] for message in heard] == ["status", "status"]
    show(model, 1)
    soon(lambda: not rests(model))
    soon(lambda: heard[-1]["type"] == "frame")
    assert [message["type"] for message in heard[2:]] == ["status", "status", "state", "frame"]
    assert found(model).painter is painter
    assert found(model).kept == {"half": scene.scale(0, 0.5)}
    found(model).scene = scene
    found(model).wait(SOON_S)
    assert painter.rendered[-1] == scene
    assert found(model).undo()
    assert found(model).scene == scene.scale(0, 0.25)


def test_what_python_asks_for_wakes_it(model: str, painter: FakePainter, scene: Scene) -> None:
    for act in (
        lambda: setattr(found(model), "scene", scene),
        lambda: found(model).analyze(seed=9),
        lambda: found(model).painter,
        lambda: found(model).add_feature(2),
        lambda: say(model, "original"),
    ):
        show(model, 1)
        show(model, 0)
        soon(lambda: rests(model))
        act()
        soon(lambda: not rests(model))  # what a browser asks for wakes it in the background
        assert session_of(model).painter is painter
        found(model).wait(SOON_S)
        assert found(model).last_error is None


def test_a_painter_that_can_be_opened_is_opened_again() -> None:
    opened: list[weakref.ref[FakePainter]] = []

    def opens() -> FakePainter:
        painter = FakePainter()
        opened.append(weakref.ref(painter))
        return painter

    widget = PaintWidget(opens)
    widget.wait(SOON_S)
    model, scene = widget.model_id, widget.scene.scale(0, 0.5)
    widget.scene = scene
    widget.wait(SOON_S)
    del widget
    show(model, 0)
    soon(lambda: rests(model))
    gc.collect()
    assert [painter() for painter in opened] == [None]
    show(model, 1)
    soon(lambda: not rests(model))
    assert found(model).painter is opened[1]()
    assert found(model).scene == scene
    found(model).close()


def test_a_painter_that_is_gone_is_one_message_and_the_scene_is_kept() -> None:
    widget = PaintWidget(FakePainter(), make_scene())
    model, scene = widget.model_id, widget.scene
    del widget
    show(model, 0)
    soon(lambda: rests(model))
    gc.collect()
    heard: list[dict[str, Any]] = []
    found(model).send = lambda content, buffers=None: heard.append(content)
    show(model, 1)
    soon(lambda: heard[-1]["type"] == "error")
    message = "the painter was released, because nothing referred to it while the widget was not shown"
    assert message in heard[-1]["message"]
    assert message in str(found(model).last_error)
    assert [m["busy"] for m in heard if m["type"] == "status"] == [True, False]
    with pytest.raises(RuntimeError, match=f"{message}; the scene is kept: make a new widget with"):
        found(model).undo()
    assert found(model).scene is scene
    again = PaintWidget(FakePainter(), found(model).scene)
    assert again.scene is scene
    again.close()
    found(model).close()


class Opener:
    """Opens painters; not while there is a ``fault``, or before the gate is open."""

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.n_opened = 0

    def __call__(self) -> FakePainter:
        assert self.gate.wait(SOON_S)
        if self.fault is not None:
            raise self.fault
        self.n_opened += 1
        return FakePainter()


@pytest.fixture
def opener() -> Iterator[Opener]:
    opener = Opener()
    yield opener
    opener.gate.set()


@pytest.fixture
def resting(opener: Opener) -> Iterator[str]:
    """The name of a widget that rests, and whose painter has to be opened again."""
    widget = PaintWidget(opener)
    widget.wait(SOON_S)
    model = widget.model_id
    del widget
    show(model, 0)
    soon(lambda: rests(model))
    gc.collect()
    yield model
    opener.gate.set()
    found(model).close()


def heard_of(model: str) -> list[dict[str, Any]]:
    heard: list[dict[str, Any]] = []
    found(model).send = lambda content, buffers=None: heard.append(content)
    return heard


def test_after_a_reopening_that_failed_a_retry_brings_palette_and_picture(
    resting: str, opener: Opener
) -> None:
    opener.fault = OSError("the disk is away")
    heard = heard_of(resting)
    say(resting, "hello")
    show(resting, 1)

    def errors() -> list[tuple[str, bool]]:
        return [(message["message"], message["retry"]) for message in heard if message["type"] == "error"]

    soon(lambda: errors() == [("OSError: the disk is away", True)])
    say(resting, "retry")
    soon(lambda: errors() == 2 * [("OSError: the disk is away", True)])
    opener.fault = None
    say(resting, "retry")
    soon(lambda: "frame" in [message["type"] for message in heard])
    (state,) = (message for message in heard if message["type"] == "state")
    assert (state["why"], state["client"], len(state["names"])) == ("hello", "page", 5)
    found(resting).wait(SOON_S)
    assert found(resting).last_error is None


def test_a_page_that_loads_a_widget_at_rest_hears_all_when_python_wakes_it(resting: str) -> None:
    heard = heard_of(resting)
    say(resting, "hello")
    assert found(resting).painter is not None
    assert [message["type"] for message in heard] == ["status", "status", "state"]
    assert (heard[-1]["why"], heard[-1]["client"]) == ("hello", "page")
    show(resting, 1)
    assert found(resting).painter is not None
    assert len(heard) == 3


def test_a_request_that_wakes_a_widget_does_not_wait_for_its_painter(resting: str, opener: Opener) -> None:
    heard = heard_of(resting)
    scene = found(resting).scene
    opener.gate.clear()
    say(resting, "analyze", prompt="a boat", seed=9, n_steps=1, n_factors=5)
    say(resting, "ping")
    assert heard[0] == {"type": "status", "busy": True, "task": "draw"}
    assert found(resting).scene is scene
    opener.gate.set()
    soon(lambda: found(resting).scene.prompt == "a boat")
    found(resting).wait(SOON_S)


def test_what_is_painted_while_a_widget_wakes_is_done_in_the_order_in_which_it_came(
    resting: str, opener: Opener
) -> None:
    browser, session = Browser(found(resting)), session_of(resting)
    opener.gate.clear()
    browser.ask("views", n=1)
    scene = found(resting).scene
    strokes = [scene := scene.paint(0, [(row, 1)], 5.0) for row in (1, 5, 9)]
    for stroke in strokes[:2]:
        browser.edit(stroke)
    assert session.rests
    opener.gate.set()
    soon(lambda: not session.rests)
    browser.edit(strokes[2])  # the others may wait still
    soon(lambda: len(session.history.steps) == 4)
    found(resting).wait(SOON_S)
    assert [step.scene for step in found(resting).steps[1:]] == strokes
    assert found(resting).scene == strokes[2]


def test_a_widget_that_rests_can_be_closed(model: str) -> None:
    show(model, 0)
    soon(lambda: rests(model))
    widget = found(model)
    widget.close()
    with pytest.raises(RuntimeError, match="this widget is closed"):
        widget.undo()
    ipywidgets.widgets.widget._instances[model] = widget  # the fixture closes it again
