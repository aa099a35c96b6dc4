"""Turns: a lock that is taken again and again is left to others between two turns."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from ember_widgets.painter.sae_training import Turns

pytestmark = pytest.mark.unit


class Timed:
    """A lock that notes when it is free."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.free_since, self.free_for = 0.0, [1.0]

    def __enter__(self) -> None:
        self.lock.acquire()
        if self.free_since:
            self.free_for.append(time.monotonic() - self.free_since)

    def __exit__(self, *fault: Any) -> None:
        self.lock.release()
        self.free_since = time.monotonic()


def test_the_lock_is_free_for_a_while_between_two_turns() -> None:
    timed = Timed()
    turns = Turns(timed)
    for _ in range(5):
        with turns:
            assert timed.lock._is_owned()  # type: ignore[attr-defined]
    assert len(timed.free_for) == 5
    assert min(timed.free_for) > 0.9 * Turns.PAUSE_S


def test_the_lock_is_free_after_an_error() -> None:
    timed = Timed()
    with pytest.raises(ValueError, match="inside"), Turns(timed):
        raise ValueError("inside")
    assert not timed.lock._is_owned()  # type: ignore[attr-defined]


def test_there_may_be_no_lock() -> None:
    with Turns(None):
        pass
