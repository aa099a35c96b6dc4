"""How many threads PyTorch has, and a block in which it has one.

The number belongs to the whole process. So blocks of several painters at once count as one: the number that
the user chose comes back when the last of them ends.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from ember_widgets.util.shared_block import SharedBlock

_n_chosen: int | None = None  # within a block


def n_threads() -> int:
    """How many threads PyTorch has outside of such blocks."""
    with _block.lock:
        return torch.get_num_threads() if _n_chosen is None else _n_chosen


def one_thread() -> SharedBlock:
    """A block in which PyTorch has one thread: others would spin while another runtime computes."""
    return _block


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    global _n_chosen
    _n_chosen = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(_n_chosen)
        _n_chosen = None


_block = SharedBlock(_one_thread)
