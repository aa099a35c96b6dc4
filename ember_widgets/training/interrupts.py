"""Ctrl-C while a training runs: it ends between two steps, from where the run can go on exactly."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

log = logging.getLogger("ember_widgets")


class Stopped(KeyboardInterrupt):
    """A training was asked to end, and is at a place where it can."""


class Interrupts:
    """Notes the first Ctrl-C while the block runs; the second one ends the block at once.

    Args:
        alone: Whether there is no other process. Only then may a block end while its next batch is made, as
            others would wait for this one.

    Attributes:
        is_asked: Whether there was one.
    """

    def __init__(self, *, alone: bool) -> None:
        self._alone, self.is_asked = alone, False
        self._before: Any = None

    def __enter__(self) -> Interrupts:
        global _current
        # Signals come to the main thread alone. Where they are ignored, as under nohup, they stay so.
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            self._before = signal.signal(signal.SIGINT, self._note)
            _current = self
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.is_asked:
            raise KeyboardInterrupt
        self.is_asked = True
        log.warning(
            "the training ends after this step; interrupt again to end it at once, at its last checkpoint"
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _current
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            _current = None

    def raise_if_asked(self) -> None:
        """End the block here, if that was asked for and no other process waits."""
        if self.is_asked and self._alone:
            raise Stopped


# A process has one handler of signals, too.
_current: Interrupts | None = None


def raise_if_asked() -> None:
    """A place where a training may end although its next batch is not complete; a stream calls this.

    Raises:
        Stopped: It was asked to.
    """
    if _current is not None and threading.current_thread() is threading.main_thread():
        _current.raise_if_asked()
