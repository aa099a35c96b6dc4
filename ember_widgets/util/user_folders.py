"""Where files go that no user named: caches that can be made again, and data that cannot."""

from __future__ import annotations

import os
from pathlib import Path

CACHE_VARIABLE = "EMBER_WIDGETS_CACHE"
DATA_VARIABLE = "EMBER_WIDGETS_DATA"


def cache_folder(given: str | os.PathLike[str] | None = None) -> Path:
    """The folder of what can be made again: maps, icons, collections.

    Args:
        given: the user's own choice; None = the environment's EMBER_WIDGETS_CACHE, else the platform's place.
    """
    return _folder(given, CACHE_VARIABLE, "user_cache_path")


def data_folder() -> Path:
    """The folder of what users made, such as their labels: EMBER_WIDGETS_DATA, else the platform's place."""
    return _folder(None, DATA_VARIABLE, "user_data_path")


def _folder(given: str | os.PathLike[str] | None, variable: str, usual: str) -> Path:
    chosen = given or os.environ.get(variable)
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    found: Path = getattr(platformdirs, usual)("ember_widgets", appauthor=False)
    return found
