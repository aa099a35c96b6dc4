"""The widgets that show a session's scene."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from ember_widgets.widgets.paint.replies import Reply
from ember_widgets.widgets.shared.references import is_referred

_log = logging.getLogger(__name__)


class Viewer(Protocol):
    """A widget that shows the scene."""

    def send(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        """Send a message to every browser that shows the widget."""

    def _on_scene(self) -> None:
        """The scene has changed."""

    def _on_final(self, png: bytes) -> None:
        """The final picture of the scene is there."""

    def _own_references(self) -> int:
        """How many references to the widget its own parts hold, this audience included."""


class Audience:
    """The widgets that show a scene; all of them receive every reply, in the same order.

    Args:
        on_error: called with what a widget's ``_on_scene`` or ``_on_final`` raised, where observers of
            traits run.
    """

    def __init__(self, on_error: Callable[[BaseException], None]) -> None:
        self._on_error = on_error
        self._viewers: tuple[Viewer, ...] = ()

    def join(self, viewer: Viewer) -> None:
        """Send everything from now on to this widget too."""
        self._viewers = (*self._viewers, viewer)

    def leave(self, viewer: Viewer) -> bool:
        """Send nothing more to it; True if no widget is left."""
        self._viewers = tuple(other for other in self._viewers if other is not viewer)
        return not self._viewers

    @property
    def viewers(self) -> tuple[Viewer, ...]:
        """The widgets."""
        return self._viewers

    def is_needed(self) -> bool:
        """Whether anybody refers to one of the widgets; see ``is_referred``."""
        widgets = [weakref.ref(viewer) for viewer in self._viewers]
        return any(is_referred(widget, _n_own(widget)) for widget in widgets)

    def send(self, reply: Reply) -> None:
        """Send a reply to all. If one widget fails to send it, the others still do."""
        content, buffers = reply.content(), list(reply.buffers)
        for viewer in self._viewers:
            try:
                viewer.send(content, buffers)
            except BaseException:  # an interrupt too: what was drawn must reach the others
                _log.exception("a message could not be sent")

    def scene_changed(self) -> None:
        """Notify all that the scene has changed. Never call it with a lock held: it runs foreign code."""
        for viewer in self._viewers:
            self.call(viewer._on_scene)

    def picture_settled(self, png: bytes) -> None:
        """Give all the final picture. Never call it with a lock held."""
        for viewer in self._viewers:
            self.call(lambda viewer=viewer: viewer._on_final(png))  # type: ignore[misc]

    def call(self, callback: Callable[[], None]) -> None:
        """Call foreign code; an error in it is reported and stops nothing else."""
        try:
            callback()
        except BaseException as fault:
            self._on_error(fault)


def _n_own(widget: weakref.ref[Viewer]) -> int:
    viewer = widget()
    return 0 if viewer is None else viewer._own_references()
