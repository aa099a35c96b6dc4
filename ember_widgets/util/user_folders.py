"""Default folders: of caches, which can be made again, and of the user's data, which cannot."""

from __future__ import annotations

import os
from pathlib import Path

CACHE_VARIABLE = "EMBER_WIDGETS_CACHE"
DATA_VARIABLE = "EMBER_WIDGETS_DATA"


def cache_folder(given: str | os.PathLike[str] | None = None) -> Path:
    """The folder of caches: maps, icons, collections.

    Args:
        given: What the user chose; None = EMBER_WIDGETS_CACHE in the environment, else the platform's folder.
    """
    return _folder(given, CACHE_VARIABLE, "user_cache_path")


def data_folder() -> Path:
    """The folder of the user's data, such as labels: EMBER_WIDGETS_DATA, else the platform's folder."""
    return _folder(None, DATA_VARIABLE, "user_data_path")


def advice(path: Path) -> str:
    """What to do if a file cannot be written there."""
    for variable, folder in ((CACHE_VARIABLE, cache_folder()), (DATA_VARIABLE, data_folder())):
        if path.is_relative_to(folder):
            return f"free some space, or set {variable} to a folder that can be written to"
    return "free some space, or choose a folder that can be written to"


def _folder(given: str | os.PathLike[str] | None, variable: str, usual: str) -> Path:
    chosen = given or os.environ.get(variable)
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    found: Path = getattr(platformdirs, usual)("ember_widgets", appauthor=False)
    return found
