"""Libraries' warnings that a user could not act on."""

from __future__ import annotations

import contextlib
import logging
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


@contextlib.contextmanager
def without_logs(*speakers: object) -> Iterator[None]:
    """A block in which the modules of some objects' classes log no warnings, in any thread."""

    names = {cls.__module__ for speaker in speakers for cls in type(speaker).__mro__}
    with without_logs_of(*names):
        yield


@contextlib.contextmanager
def without_logs_of(*names: str) -> Iterator[None]:
    """A block in which some modules, by their names, log no warnings, in any thread."""

    def is_error(record: logging.LogRecord) -> bool:
        return record.levelno > logging.WARNING

    for name in names:
        logging.getLogger(name).addFilter(is_error)
    try:
        yield
    finally:
        for name in names:
            logging.getLogger(name).removeFilter(is_error)
