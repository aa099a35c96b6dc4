"""How many threads PyTorch has, and a block in which it has one.

The number belongs to the whole process. So blocks of several painters at once count as one: the number that
the user chose comes back when the last of them ends.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import torch

_lock = threading.Lock()
_n_blocks = 0
_n_chosen = 0


def n_threads() -> int:
    """How many threads PyTorch has outside of such blocks."""
    with _lock:
        return _n_chosen if _n_blocks else torch.get_num_threads()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """A block in which PyTorch has one thread: others would spin while another runtime computes."""
    global _n_blocks, _n_chosen
    with _lock:
        if not _n_blocks:
            _n_chosen = torch.get_num_threads()
            torch.set_num_threads(1)
        _n_blocks += 1
    try:
        yield
    finally:
        with _lock:
            _n_blocks -= 1
            if not _n_blocks:
                torch.set_num_threads(_n_chosen)
