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
    if given is None and not (given := os.environ.get(CACHE_VARIABLE)):
        from platformdirs import user_cache_path

        return user_cache_path("ember_widgets", appauthor=False)
    return Path(given).expanduser()


def data_folder(given: str | os.PathLike[str] | None = None) -> Path:
    """The folder of what users made, such as their labels.

    Args:
        given: the user's own choice; None = the environment's EMBER_WIDGETS_DATA, else the platform's place.
    """
    if given is None and not (given := os.environ.get(DATA_VARIABLE)):
        from platformdirs import user_data_path

        return user_data_path("ember_widgets", appauthor=False)
    return Path(given).expanduser()
