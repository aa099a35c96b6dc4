"""Icons of features, drawn one by one while the pointer rests, so that drawing never delays it."""

from __future__ import annotations

import time
from collections.abc import Callable

from ember_widgets.painter.protocol import DrawsIcons, HasIcons, offered
from ember_widgets.util.worker import Worker
from ember_widgets.widgets.shared.pictures import Picture

SIDE = 72
REST_S = 0.25


def key_of_feature(feature: int) -> str:
    """The key of a feature's icon."""
    return f"feature {feature}"


def feature_of(key: str) -> int | None:
    """The feature whose icon has this key; None if it is the key of another kind of thumbnail."""
    number = key.removeprefix("feature ")
    return int(number) if number != key and number.isdecimal() and len(number) < 10 else None


def kept_icon(painter: object, feature: int) -> str | None:
    """A feature's icon as a data URL, if the painter keeps one."""
    keeps = offered(painter, HasIcons)
    return keeps.icons.address(feature) if keeps is not None and feature in keeps.icons else None


class FeatureIcons:
    """Draws each feature's icon once.

    Args:
        painter: its icons are used if it keeps or draws any; otherwise there are none.
        wanted: whether a feature's icon is still needed.
        drawn: called, in a thread, with each feature whose icon is there now.
        on_error: called, in a thread, with what went wrong.
    """

    def __init__(
        self,
        painter: object,
        *,
        wanted: Callable[[int], bool],
        drawn: Callable[[int], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._painter: object = painter
        self._wanted = wanted
        self._drawn = drawn
        self._urls: dict[int, str] = {}
        self._moved_at = 0.0
        self._worker = Worker("ember-icons", on_error=on_error, ready=self._resting)

    def note_pointer_move(self) -> None:
        """Note that the pointer moved."""
        self._moved_at = time.monotonic()

    def get(self, feature: int) -> str | None:
        """An icon as a data URL; None if it is not drawn yet, but then it will be."""
        if feature not in self._urls:
            if (kept := kept_icon(self._painter, feature)) is not None:
                self._urls[feature] = kept
            elif offered(self._painter, DrawsIcons) is not None:
                self._worker.put(str(feature), lambda: self._draw(feature))
        return self._urls.get(feature)

    def close(self) -> None:
        """Draw no more, and release the painter."""
        self._worker.close()
        self._painter = None

    def _draw(self, feature: int) -> None:
        draws = offered(self._painter, DrawsIcons)
        if draws is None or feature in self._urls or not self._wanted(feature):
            return  # the pointer has moved on
        self._urls[feature] = Picture.of(draws.icon(feature), 0).url(SIDE)
        self._drawn(feature)

    def _resting(self, patience_s: float) -> bool:
        rest = REST_S - (time.monotonic() - self._moved_at)
        if rest > 0:
            time.sleep(min(rest, patience_s))
        return time.monotonic() - self._moved_at >= REST_S
