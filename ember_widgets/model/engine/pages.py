"""Keep memory pages, so that a picture's arrays reuse the memory of the last picture's.

The C library returns arrays of a few megabytes to the system as soon as they are freed. For every picture the
system then has to clear thousands of pages, which takes a fifth of the decoding time. With these settings the
C library keeps as much as a picture needs.
"""

from __future__ import annotations

import ctypes
import sys

KEPT = 128 << 20
"""Bytes that may stay free in the process."""
LARGEST = 32 << 20
"""Larger arrays always come from the system; this is the C library's upper limit."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def keep() -> bool:
    """Make the C library keep free memory; returns whether that worked (glibc only)."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, LARGEST) and mallopt(_M_TRIM_THRESHOLD, KEPT))
