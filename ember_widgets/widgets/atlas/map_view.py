"""Which part of the map is in view, and where the view goes so that what was found or selected is in it.

The view stays as it is while everything is in view already, moves without zooming if
that is enough, and never zooms in unless asked to. The browser says what it shows; a page that does not draw
yet says nothing, and misses what it is sent.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EDGE = 1.05
"""The map's middle part, -1..1, with some room around it."""
ROOM = 1.25
CLOSE = 0.5
MOVING_S = 2.0
"""For how long the view is taken to be on its way to where it was sent."""


@dataclass(frozen=True)
class Rectangle:
    """A part of the map."""

    left: float
    bottom: float
    right: float
    top: float

    @classmethod
    def around(cls, x: float, y: float, width: float, height: float) -> Rectangle:
        """The one with this middle."""
        return cls(x - width / 2, y - height / 2, x + width / 2, y + height / 2)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height."""
        return self.right - self.left, self.top - self.bottom

    @property
    def middle(self) -> tuple[float, float]:
        """Its middle."""
        return (self.left + self.right) / 2, (self.bottom + self.top) / 2

    def holds(self, places: NDArray[np.float32]) -> NDArray[np.bool_]:
        """(n,) bool: which of (n, 2) places are in it."""
        x, y = places.T
        inside: NDArray[np.bool_] = (
            (x >= self.left) & (x <= self.right) & (y >= self.bottom) & (y <= self.top)
        )
        return inside

    def fills(self, view: Rectangle) -> bool:
        """Whether a page that shows this has this view: wider or higher, as its own shape is."""
        (width, height), (wide, high) = self.size, view.size
        off = max(abs(a - b) for a, b in zip(self.middle, view.middle, strict=True))
        room = wide / width, high / height
        return off < 0.02 * max(width, height) and min(room) > 0.98 and min(room) < 1.02


WHOLE = Rectangle(-EDGE, -EDGE, EDGE, EDGE)


class MapView:
    """What the browser shows, and where it was sent.

    Args:
        send: tells the browser to show a part of the map.
    """

    def __init__(self, send: Callable[[Rectangle], None]) -> None:
        self._send = send
        self._shown: Rectangle | None = None
        self._target: Rectangle | None = None
        self._sent_at = -math.inf
        self._on_its_way = False

    @property
    def now(self) -> Rectangle:
        """What is in view, or will be in a moment."""
        if self._target is not None and time.monotonic() - self._sent_at < MOVING_S:
            return self._target
        return self._shown or WHOLE

    @property
    def was_sent(self) -> bool:
        """Whether it is where it was sent: nobody has moved it since."""
        return self._target is not None and self._target.fills(self.now)

    def seen(self, x: object, y: object) -> None:
        """Note what the browser shows.

        Args:
            x, y: ranges, [low, high].

        Raises:
            ValueError: they are not.
        """
        (left, right), (bottom, top) = _range(x), _range(y)
        self._shown = Rectangle(left, bottom, right, top)
        if self._has_arrived():
            self._sent_at = -math.inf  # what is seen from here on is what the user did
        # A new view begins in the middle, as high as the map; it may have missed what was sent.
        is_new = max(map(abs, self._shown.middle)) < 0.02 and abs(self._shown.size[1] / (2 * EDGE) - 1) < 0.02
        if self._target is not None:
            self._on_its_way = self._on_its_way and is_new and not self._target.fills(self._shown)
        elif is_new and not WHOLE.fills(self._shown):
            self.show_all()  # the page is so narrow that the map's sides are cut off

    def bring(self, places: NDArray[np.float32]) -> None:
        """Move so that these (n, 2) places are in view."""
        now = self.now
        if not len(places) or now.holds(places).all():
            return
        low, high = places.min(0), places.max(0)
        needed = (high - low) * ROOM
        width, height = now.size if (needed <= now.size).all() else needed.clip(min=0.05)
        x, y = (low + high) / 2
        self._go(Rectangle.around(float(x), float(y), float(width), float(height)))

    def close_up(self, places: NDArray[np.float32]) -> None:
        """Move near to these places."""
        low, high = places.min(0), places.max(0)
        width, height = np.minimum((high - low) * ROOM + CLOSE, self.now.size)
        x, y = (low + high) / 2
        self._go(Rectangle.around(float(x), float(y), float(width), float(height)))

    def show_all(self) -> None:
        """Show the whole map."""
        self._go(WHOLE)

    def made_anew(self) -> None:
        """A page has begun to draw the map: let it show what was shown before."""
        if self._shown is not None or self._target is not None:
            self._target, self._on_its_way = self.now, True

    def again(self) -> None:
        """Say once more where to go, if it did not arrive."""
        if self._on_its_way and self._target is not None:
            self._sent_at = time.monotonic()
            self._send(self._target)

    def _go(self, target: Rectangle) -> None:
        self._target, self._on_its_way, self._sent_at = target, True, time.monotonic()
        if self._has_arrived():
            self._sent_at = -math.inf  # the browser says nothing where nothing moves
        self._send(target)

    def _has_arrived(self) -> bool:
        return self._target is not None and self._shown is not None and self._target.fills(self._shown)


def _range(value: object) -> tuple[float, float]:
    if isinstance(value, (list, tuple)) and len(value) == 2:
        low, high = value
        if all(isinstance(end, (int, float)) and math.isfinite(end) for end in value) and low < high:
            return float(low), float(high)
    raise ValueError(f"{value!r} is not a range; send [low, high]")
