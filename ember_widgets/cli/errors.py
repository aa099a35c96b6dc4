"""What ends a command without a traceback."""

from __future__ import annotations

from pathlib import Path


class UserError(Exception):
    """Something that the user can put right; the message says how."""


def cannot_write(path: Path, error: OSError) -> str:
    """What to tell a user whose file or folder cannot be written: the system's reason in its own words."""
    return f"cannot write {path}: {error.strerror or error}"
