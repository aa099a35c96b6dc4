"""Times, sizes and errors in words."""

from __future__ import annotations

import math


def duration(seconds: float) -> str:
    """Seconds in words: "40 s", "12 min", "3.5 h", "2.1 days"."""
    if seconds < 99.5:
        return f"{max(1, round(seconds))} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"


def volume(n_bytes: float) -> str:
    """Bytes in words: "0 B", "3.9 MB", "12 GB"."""
    for unit, one in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= one:
            return f"{n_bytes / one:.1f} {unit}" if n_bytes < 10 * one else f"{n_bytes / one:.0f} {unit}"
    return f"{math.ceil(n_bytes / 1e3)} kB" if n_bytes >= 1e3 else f"{n_bytes:.0f} B"


def first_line(error: BaseException, otherwise: str = "") -> str:
    """The first line of an error's message, shortened; ``otherwise``, or the error's type, if it has none."""
    return (str(error).strip().splitlines() or [otherwise or type(error).__name__])[0][:160]
