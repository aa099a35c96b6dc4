"""The queue of tasks for when the painter is idle, and the icons of features that are drawn with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from PIL import Image

from ember_widgets.widgets.shared import feature_icons
from ember_widgets.widgets.shared.feature_icons import FeatureIcons
from ember_widgets.widgets.shared.idle_queue import IdleQueue

SOON_S = 5.0


@pytest.fixture
def faults() -> list[BaseException]:
    return []


@pytest.fixture
def queue(faults: list[BaseException]) -> Iterator[IdleQueue]:
    queue = IdleQueue(lambda timeout_s: True, faults.append)
    yield queue
    queue.close()


def waiting(gate: threading.Event) -> Callable[[], None]:
    def task() -> None:
        gate.wait(SOON_S)

    return task


def failing(fault: BaseException) -> Callable[[], None]:
    def task() -> None:
        raise fault

    return task


@pytest.mark.parametrize("fault", [OSError("no"), SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_a_task_that_fails_keeps_none_of_the_others_from_being_done(
    fault: BaseException, queue: IdleQueue, faults: list[BaseException]
) -> None:
    gate, done = threading.Event(), []
    queue.put("first", waiting(gate))
    queue.put("bad", failing(fault))
    queue.put("good", lambda: done.append("good"))
    gate.set()
    assert queue.join(SOON_S)
    assert (done, faults) == (["good"], [fault])


def test_an_error_that_cannot_be_reported_keeps_none_from_being_done() -> None:
    queue = IdleQueue(lambda timeout_s: True, on_error=lambda fault: failing(OSError("nobody listens"))())
    gate, done = threading.Event(), []
    queue.put("first", waiting(gate))
    queue.put("bad", failing(ValueError("no")))
    queue.put("good", lambda: done.append("good"))
    gate.set()
    assert queue.join(SOON_S)
    assert done == ["good"]
    queue.close()


def test_a_task_that_is_put_as_the_last_one_ends_is_done(queue: IdleQueue) -> None:
    """From within a task, from its end on, and from another thread at once: none waits for another call."""
    done: list[int] = []
    for i in range(300):
        queue.put("outer", lambda i=i: queue.put(f"{i}", lambda: done.append(i)))  # type: ignore[misc]
        assert queue.join(SOON_S)
    assert done == list(range(300))


def test_the_newest_task_of_a_key_is_done(queue: IdleQueue) -> None:
    gate, done = threading.Event(), []
    queue.put("first", waiting(gate))
    time.sleep(0.05)
    for i in range(3):
        queue.put("same", lambda i=i: done.append(i))  # type: ignore[misc]
    gate.set()
    assert queue.join(SOON_S)
    assert done == [2]


class Drawing:
    """A painter that draws icons; that of feature 1 fails."""

    def icon(self, feature: int) -> Image.Image:
        if feature == 1:
            raise SystemExit(3)
        return Image.new("RGB", (8, 8))

    def draw_icons(self, features: list[int]) -> list[Image.Image]:
        return [self.icon(feature) for feature in features]


def test_icons_are_drawn_even_if_one_of_them_ends_in_an_exit(
    monkeypatch: pytest.MonkeyPatch, faults: list[BaseException]
) -> None:
    monkeypatch.setattr(feature_icons, "REST_S", 0.01)
    drawn: list[int] = []
    icons = FeatureIcons(Drawing(), wanted=lambda feature: True, drawn=drawn.append, on_error=faults.append)
    icons.note_pointer_move()
    assert [icons.get(feature) for feature in (0, 1, 2)] == [None] * 3
    end = time.monotonic() + SOON_S
    while len(drawn) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    assert drawn == [0, 2]
    assert len(faults) == 1
    assert str(icons.get(2)).startswith("data:image/jpeg;base64,")
    icons.close()


def test_a_painter_without_icons_gives_none() -> None:
    icons = FeatureIcons(object(), wanted=lambda f: True, drawn=lambda f: None, on_error=lambda fault: None)
    assert icons.get(3) is None
    icons.close()
