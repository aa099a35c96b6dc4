"""Thumbnails of features, drawn one by one while the pointer rests, so that they never hold it up."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ember_widgets.widgets.shared.idle_queue import Aside
from ember_widgets.widgets.shared.pictures import Picture

SIDE = 72
REST_S = 0.25


def key_of_feature(feature: int) -> str:
    """Says which feature a thumbnail is of."""
    return f"feature {feature}"


def feature_of(key: str) -> int | None:
    """The feature that a thumbnail is of; None if it is of something else."""
    number = key.removeprefix("feature ")
    return int(number) if number != key and number.isdecimal() and len(number) < 10 else None


class FeatureIcons:
    """Draws each feature's icon once.

    Args:
        painter: its `icons` are those made before, its `icon` draws; without them there are no icons.
        wanted: whether a feature's icon is still to be seen.
        drawn: called, in a thread, with each feature whose icon is there now.
        on_error: called, in a thread, with what went wrong.
    """

    def __init__(
        self,
        painter: Any,
        *,
        wanted: Callable[[int], bool],
        drawn: Callable[[int], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._painter = painter
        self._wanted = wanted
        self._drawn = drawn
        self._addresses: dict[int, str] = {}
        self._stirred = 0.0
        self._aside = Aside(self._resting, on_error)

    def stir(self) -> None:
        """Say that the pointer moved."""
        self._stirred = time.monotonic()

    def get(self, feature: int) -> str | None:
        """An icon as a data URL, if it was drawn; if not, it will be."""
        if feature not in self._addresses:
            made = getattr(self._painter, "icons", None)
            if made is not None and feature in made:
                self._addresses[feature] = made.address(feature)
            elif hasattr(self._painter, "icon"):
                self._aside.want(str(feature), lambda: self._draw(feature))
        return self._addresses.get(feature)

    def close(self) -> None:
        """Draw no more, and let go of the painter."""
        self._aside.close()
        self._painter = None

    def _draw(self, feature: int) -> None:
        painter = self._painter
        if painter is None or feature in self._addresses or not self._wanted(feature):
            return  # the pointer went on meanwhile
        self._addresses[feature] = Picture.of(painter.icon(feature), 0).address(SIDE)
        self._drawn(feature)

    def _resting(self, patience_s: float) -> bool:
        rest = REST_S - (time.monotonic() - self._stirred)
        if rest > 0:
            time.sleep(min(rest, patience_s))
        return time.monotonic() - self._stirred >= REST_S
