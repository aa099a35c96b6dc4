"""Libraries' warnings that a user could not act on."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator

_lock = threading.RLock()


@contextlib.contextmanager
def ignoring(category: type[Warning]) -> Iterator[None]:
    """A short block without the warnings of a category.

    Python's filters belong to all threads: of two blocks at once, the one that ends first would bring its
    own filters back, and the other would leave its own behind for good. So one waits for the other.
    """
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", category)
        yield
