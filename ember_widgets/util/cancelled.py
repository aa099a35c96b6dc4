"""What ends work whose result nobody wants any more."""

from __future__ import annotations


class Stale(Exception):
    """A newer job waits: this one's picture would be out of date. Nothing is wrong, and nothing is lost."""
