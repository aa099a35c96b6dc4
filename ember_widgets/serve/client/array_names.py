"""The names of arrays, computed once for each array: a stroke does not hash the basis again."""

from __future__ import annotations

import threading
import weakref

from ember_widgets.serve.wire import arrays
from ember_widgets.util.checks import FloatArray


class ArrayNames:
    """Remembers `arrays.name_of` of read-only arrays, as long as they live. Any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clean_at = 256
        self._known: dict[int, tuple[weakref.ref[FloatArray], str]] = {}

    def __call__(self, array: FloatArray) -> str:
        """The name of an array."""
        if array.flags.writeable:
            return arrays.name_of(array)
        key = id(array)
        found = self._known.get(key)
        if found is not None and found[0]() is array:
            return found[1]
        name = arrays.name_of(array)
        with self._lock:
            if len(self._known) >= self._clean_at:
                self._known = {k: one for k, one in self._known.items() if one[0]() is not None}
                self._clean_at = 2 * len(self._known) + 256
            self._known[key] = weakref.ref(array), name
        return name
