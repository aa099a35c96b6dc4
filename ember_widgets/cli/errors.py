"""What ends a command without a traceback."""

from __future__ import annotations


class UserError(Exception):
    """Something that the user can put right; the message says how."""
