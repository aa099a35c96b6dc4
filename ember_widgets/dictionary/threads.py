"""One thread for many small matrices."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

from ember_widgets.util.shared_block import SharedBlock

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


def one_blas_thread() -> SharedBlock:
    """A block in which BLAS uses one thread.

    Threads that wait for each other cost more than small matrices are worth, and on a busy machine (a
    browser, a render) up to forty times more. The number belongs to the whole process, so blocks of several
    threads at once count as one: what was there before comes back when the last of them ends.
    """
    return _block


@functools.cache
def _threads() -> ThreadpoolController:
    """Limits the threads of BLAS. Cached, because finding the libraries takes milliseconds."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _limit() -> contextlib.AbstractContextManager[Any]:
    limit: contextlib.AbstractContextManager[Any] = _threads().limit(limits=1, user_api="blas")
    return limit


_block = SharedBlock(_limit)
