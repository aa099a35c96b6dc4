"""One thread for many small matrices."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

_lock = threading.Lock()
_n_blocks = 0
_limit = contextlib.ExitStack()
"""Puts back what BLAS had before the first block."""


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """A block in which BLAS uses one thread.

    Threads that wait for each other cost more than small matrices are worth, and on a busy machine (a
    browser, a render) up to forty times more. The number belongs to the whole process, so blocks of several
    threads at once count as one: what was there before comes back when the last of them ends.
    """
    global _n_blocks
    with _lock:
        if not _n_blocks:
            _limit.enter_context(_threads().limit(limits=1, user_api="blas"))
        _n_blocks += 1
    try:
        yield
    finally:
        with _lock:
            _n_blocks -= 1
            if not _n_blocks:
                _limit.close()


@functools.cache
def _threads() -> ThreadpoolController:
    """Limits the threads of BLAS. Cached, because finding the libraries takes milliseconds."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
