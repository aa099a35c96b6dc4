"""How work ends whose result is no longer wanted."""

from __future__ import annotations

from collections.abc import Callable


class Cancelled(Exception):
    """The result is no longer wanted, for instance because a newer edit waits. Nothing is wrong or lost."""


def raise_if_cancelled(cancelled: Callable[[], bool] | None) -> None:
    """Raise `Cancelled` if the result is no longer wanted.

    Args:
        cancelled: Says whether it is; None = it never is.
    """
    if cancelled is not None and cancelled():
        raise Cancelled
