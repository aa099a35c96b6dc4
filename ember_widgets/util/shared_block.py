"""A setting of the whole process that several blocks of code ask for at once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable


class SharedBlock:
    """Blocks that overlap count as one: the first of them enters a context, the last one leaves it.

    Args:
        context: Makes what is entered; called once for each time that none was open.
    """

    def __init__(self, context: Callable[[], contextlib.AbstractContextManager[object]]) -> None:
        self.lock = threading.Lock()
        """Held while the context is entered or left."""
        self._context, self._n_open, self._entered = context, 0, contextlib.ExitStack()

    def __enter__(self) -> None:
        with self.lock:
            if not self._n_open:
                self._entered.enter_context(self._context())
            self._n_open += 1

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self._n_open -= 1
            if not self._n_open:
                self._entered.close()
