"""The starts of the last few runs: each further edit of a picture costs only what comes after the site.

They are kept only while the model stays as it is.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from ember_widgets.model.backbone import Backbone
from ember_widgets.model.runs import Run, Start

CACHED_STARTS = 8


class Starts:
    """Starts runs, and keeps the last few starts.

    Args:
        backbone: What runs are started on.
    """

    def __init__(self, backbone: Backbone[Any]) -> None:
        self.backbone = backbone
        self._kept: OrderedDict[tuple[Any, ...], Start] = OrderedDict()
        self._last: tuple[tuple[Any, ...], Start] | None = None
        self._version: object = None

    def of(self, run: Run, *, keep: bool = True) -> Start:
        """The start of a run.

        Args:
            run: The run.
            keep: Keep it, and forget the oldest one for it. False = only until the next one that is not kept:
                many seeds that are drawn once would push out the picture that is being painted.
        """
        version = self.backbone.version()
        if version is None:
            start: Start = self.backbone.start(run)
            return start
        if version != self._version:
            self.clear()
            self._version = version
        key = run.key
        if not keep and key not in self._kept:
            if self._last is None or self._last[0] != key:
                self._last = key, self.backbone.start(run)
                self._version = self.backbone.version()
            return self._last[1]
        if key not in self._kept:
            self._kept[key] = self.backbone.start(run)
            self._version = self.backbone.version()  # a first run may leave traces in the model
            while len(self._kept) > CACHED_STARTS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def release(self) -> None:
        """Free the start that was not to be kept."""
        self._last = None

    def clear(self) -> None:
        """Free all that is kept."""
        self._kept.clear()
        self._last = None
