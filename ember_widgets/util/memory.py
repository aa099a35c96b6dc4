"""Errors that say that memory ran out."""

from __future__ import annotations

import traceback


def release(fault: BaseException) -> None:
    """Release what the frames of an out-of-memory error hold: the next try would lack it.

    Args:
        fault: Any error; others keep their frames, for a debugger.
    """
    # PyTorch's own error is no MemoryError, and this folder does not import PyTorch.
    if isinstance(fault, MemoryError) or type(fault).__name__ == "OutOfMemoryError":
        traceback.clear_frames(fault.__traceback__)
