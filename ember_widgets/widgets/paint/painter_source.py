"""Where a session takes its painter back from, after it was released."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable

from ember_widgets.painter.protocol import PainterProtocol, check_painter


class PainterSource:
    """Refers weakly to a painter, and opens it again if it is gone.

    Args:
        painter: the painter.
        opens: opens it again; None = nothing can.
    """

    def __init__(self, painter: PainterProtocol, opens: Callable[[], PainterProtocol] | None) -> None:
        self._opens = opens
        self._lock = threading.Lock()
        self._painter: Callable[[], PainterProtocol | None]
        self._keep(painter)

    def get(self) -> PainterProtocol:
        """The painter; opening it may take long.

        Raises:
            RuntimeError: it is gone, and nothing can open it again.
            Exception: what opening it raised.
        """
        with self._lock:  # two threads must not open it twice
            painter = self._painter()
            if painter is None:
                if self._opens is None:
                    raise RuntimeError(
                        "the painter was released, because nothing referred to it while the widget was not "
                        "shown; the scene is kept: make a new widget with PaintWidget(painter, widget.scene)"
                    )
                painter = self._opens()
                check_painter(painter)
                self._keep(painter)
            return painter

    @property
    def can_release(self) -> bool:
        """Whether the painter can be referred to weakly."""
        return isinstance(self._painter, weakref.ref)

    def close(self) -> None:
        """Forget the painter."""
        self._painter, self._opens = lambda: None, None

    def _keep(self, painter: PainterProtocol) -> None:
        try:
            self._painter = weakref.ref(painter)
        except TypeError:  # a class with slots
            self._painter = lambda: painter
