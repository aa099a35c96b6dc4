"""One thread for many small matrices."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


def one_blas_thread() -> AbstractContextManager[Any]:
    """A block in which BLAS uses one thread.

    Threads that wait for each other cost more than small matrices are worth, and on a busy machine (a
    browser, a render) up to forty times more.
    """
    limit: AbstractContextManager[Any] = _threads().limit(limits=1, user_api="blas")
    return limit


@functools.cache
def _threads() -> ThreadpoolController:
    """Limits the threads of BLAS. Cached, because finding the libraries takes milliseconds."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
