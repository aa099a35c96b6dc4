"""Memory pages that stay: a picture's arrays lie where the last picture's lay.

The C library hands arrays of a few megabytes back to the system as soon as they are free, and every picture
then begins with thousands of pages that the system has to clear, which takes as long as a fifth of its
decoding. Told to, it keeps what a picture needs.
"""

from __future__ import annotations

import ctypes
import sys

KEPT = 128 << 20
"""Bytes that may stay free in the process."""
LARGEST = 32 << 20
"""Arrays from this size on always come from the system; the C library allows no more."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def keep() -> bool:
    """Have the C library keep free memory; whether it does (glibc only)."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, LARGEST) and mallopt(_M_TRIM_THRESHOLD, KEPT))
