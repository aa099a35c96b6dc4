"""How the connection of a session's painter is, where the model is on a server."""

from __future__ import annotations

import weakref
from collections.abc import Callable

from ember_widgets.painter.protocol import Connection, Connects, offered


class PainterConnection:
    """Follows the connection of one painter at a time. A painter without one is always connected.

    Args:
        changed: called, in any thread, with what the connection is now, after each change.
    """

    def __init__(self, changed: Callable[[Connection], None]) -> None:
        self._changed = changed
        self._connects: Callable[[], Connects | None] = lambda: None
        self._end: Callable[[], None] = lambda: None

    def follow(self, painter: object) -> None:
        """Follow another painter's connection; None = no painter's."""
        self._end()
        connects = offered(painter, Connects)
        if connects is None:
            self._end, self._connects = lambda: None, lambda: None
            return

        me = weakref.ref(self)  # the painter may outlive the session, and must not keep it

        def heard(state: Connection) -> None:
            if (follower := me()) is not None:
                follower._changed(state)

        self._connects = weakref.ref(connects)
        self._end = connects.on_connection(heard)

    @property
    def exists(self) -> bool:
        """Whether the painter has a connection, which may break."""
        return self._connects() is not None

    @property
    def state(self) -> Connection:
        """How the connection is now."""
        connects = self._connects()
        return "connected" if connects is None else connects.connection
