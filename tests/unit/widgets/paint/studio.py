"""A widget with a browser and a painter that waits or fails when told to, and what always holds of them."""

from __future__ import annotations

import functools
import json
from collections import Counter
from typing import Any
from unittest import mock

import numpy as np

from ember_widgets.features.labels import Labels
from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint import session as paint_session
from ember_widgets.widgets.paint.clipboard import CLIPBOARD
from ember_widgets.widgets.paint.session import Session
from ember_widgets.widgets.paint.widget import PaintWidget
from ember_widgets.widgets.shared.latest_wins import LatestWins
from tests.unit.widgets.paint.paint_bench import SOON_S, Browser, FullPainter, make_bank
from tests.unit.widgets.paint.ui_messages import Message

ANSWERS = (
    *("ack", "frame", "found", "borrow_source", "original", "top", "file", "panels", "notes", "notice"),
)
# Answered when the painter is idle: the newest one of a client, or an error that is sent to all.
WHEN_IDLE = ("original", "top", "export", "borrow_source", "notes", "share")


class StudioPainter(FullPainter):
    """Has labels and concepts too."""

    labels = Labels({2: "pine tree", 5: "tree", 7: "night sky (dark)"})
    concepts = make_bank()


class Studio:
    """A widget, its painter, and a browser with pages that take turns."""

    def __init__(self, scene: Scene, guidance: float = 0.0) -> None:
        CLIPBOARD.copied = None  # as in a new process
        self.painter = StudioPainter(guidance, scene.grid)
        # Nothing else is under way in these tests, so there is nothing to wait for.
        at_once: Any = functools.partial(LatestWins, settle_after_s=0.0)
        with mock.patch.object(paint_session, "LatestWins", at_once):
            self.widget = PaintWidget(self.painter, scene)
        self.browser = Browser(self.widget)
        self.first = self.session.state
        self.holding = False
        self._asked: dict[tuple[str, int], str] = {}
        self._n_checked = 0

    @property
    def session(self) -> Session:
        return self.widget._open

    def say(self, kind: str, message: Message, client: str = "page") -> None:
        """Send a message, and wait for all that it leads to unless the painter is held."""
        self.browser.seq += 1
        address = {"type": kind, "client": client, "seq": self.browser.seq}
        self._asked[client, self.browser.seq] = f"{kind} {message.fields.get('form', '')}".strip()
        self.browser.say(message.fields | address, list(message.buffers))
        self.settle()

    def last(self, kind: str) -> dict[str, Any]:
        """The last reply of a kind."""
        return self.browser.of(kind)[-1]

    def files(self) -> list[bytes]:
        """The files that were sent."""
        return [buffers[0] for message, buffers in self.browser.heard if message["type"] == "file"]

    def settle(self) -> None:
        """Wait for the picture and for all that is done when the painter is idle."""
        if not self.holding:
            assert self.session.worker.wait(SOON_S), "the renderer hangs"
            assert self.session.idle.wait(SOON_S), "the idle queue hangs"
            assert self.session.worker.wait(SOON_S), "the renderer hangs"

    def hold(self) -> None:
        """Keep the painter busy with a picture until `release`."""
        self.settle()
        self.painter.hold()
        self.holding = True
        self.say("retry", Message())
        assert self.painter.entered.wait(SOON_S), "the renderer is dead"

    def release(self) -> None:
        """Let the painter go on."""
        self.holding = False
        self.painter.gate.set()
        self.settle()

    def __enter__(self) -> Studio:
        return self

    def __exit__(self, *fault: object) -> None:
        self.painter.fault = None
        self.release()
        self.widget.close()

    def check_scene(self) -> None:
        """The scene is valid, can be saved, and no two factors have the same id."""
        for scene in (self.widget.scene, self.session.state.painted):
            assert Scene.from_bytes(scene.to_bytes()) == scene
            assert scene.replace() == scene
            assert len(set(scene.factor_ids or ())) == scene.n_factors == len(self.session.state.gains)

    def check_drawn(self) -> None:
        """The picture shows the scene, or browsers were told why not."""
        now = self.session._snapshot()
        assert now is not None
        assert now.fault is not None or now.shown.same(now.state)

    def check_sendable(self) -> None:
        """Every reply is JSON that a browser can read."""
        heard = list(self.browser.heard)
        for content, buffers in heard[self._n_checked :]:
            json.dumps(content, allow_nan=False).encode()
            assert all(isinstance(buffer, bytes) for buffer in buffers)
        self._n_checked = len(heard)

    def check_told(self) -> None:
        """A page that opens now is told of the scene as it is."""
        self.say("hello", Message())
        told, state = self.browser.state(), self.session.state
        _, buffers = next(heard for heard in reversed(self.browser.heard) if heard[0]["type"] == "state")
        assert buffers[0] == state.painted.strengths.tobytes()
        assert buffers[1] == state.painted.remainder.tobytes()
        np.testing.assert_array_equal(np.float32(told["gains"]), state.gains)
        assert told["names"] == list(state.painted.names)
        assert told["ids"] == list(state.painted.factor_ids or ())
        assert told["step"] in [step for step, *_ in told["steps"]]

    def check_answered(self) -> None:
        """Every request since the last call has been answered once."""
        heard = [content for content, _ in list(self.browser.heard)]
        answers = Counter((m["client"], m["seq"]) for m in heard if m["type"] in ANSWERS)
        greeted = Counter(m["client"] for m in heard if m["type"] == "state" and m["why"] == "hello")
        n_status = sum(m["type"] == "status" for m in heard)
        notices = sum(m["type"] == "error" and not m["client"] for m in heard)
        newest = {(client, kind): seq for (client, seq), kind in self._asked.items()}
        missing = []
        for (client, seq), kind in self._asked.items():
            n = answers[client, seq]
            if kind == "ping":
                assert n_status
            elif kind == "hello":
                assert greeted[client]
            elif kind == "views":
                pass  # it tells something, and asks for nothing
            elif kind.split()[0] in WHEN_IDLE and n == 0 and newest[client, kind] != seq:
                pass  # a newer one of the same page took its place
            elif kind.split()[0] in WHEN_IDLE and n == 0:
                missing.append((client, seq, kind))
            else:
                assert n == 1, f"{kind} was answered {n} times"
        assert len(missing) <= notices, f"{missing} were not answered"
        self._asked.clear()
        self.browser.heard[:] = [heard for heard in self.browser.heard if heard[0]["type"] == "state"][-1:]
        self._n_checked = len(self.browser.heard)
