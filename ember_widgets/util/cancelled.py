"""Cancelling work whose result is no longer wanted."""

from __future__ import annotations

from collections.abc import Callable


class Cancelled(Exception):
    """The result is no longer wanted, for instance because a newer edit waits. Nothing is wrong or lost."""


def raise_if_cancelled(cancelled: Callable[[], bool] | None) -> None:
    """Raise `Cancelled` if the result is no longer wanted.

    Args:
        cancelled: Returns True if it is no longer wanted; None = never.
    """
    if cancelled is not None and cancelled():
        raise Cancelled
