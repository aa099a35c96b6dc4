"""Arrays in .npz files, read within limits: what a file claims is compared with what it holds."""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ember_widgets.util import files

MAX_BYTES = 2**26
MAX_GROWTH = 8
"""The arrays of a file have up to `MAX_BYTES`, or this many times as many bytes as the file."""


class Arrays:
    """The arrays in an open file, read one by one: ``arrays["seeds"]``."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def __getitem__(self, name: str) -> NDArray[Any]:
        stream = io.BytesIO(self._archive.read(f"{name}.npy"))
        # Not numpy's own function: it allocates what the header claims before it looks at the data.
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise ValueError(f"{name} is an array of version {version}")
        shape, in_columns, dtype = np.lib.format.read_array_header_1_0(stream)
        array = np.frombuffer(stream.getbuffer()[stream.tell() :], dtype)
        return array.reshape(shape, order="F" if in_columns else "C")


@contextlib.contextmanager
def opened(path: Path, advice: str) -> Iterator[Arrays]:
    """Open a file; its arrays are read while the block runs.

    Args:
        path: The file.
        advice: What to do if it is damaged, for the message.

    Raises:
        OSError: It is not there, or cannot be read.
        ValueError: It is damaged, or would take too much memory; also for anything that the block raises.
    """
    with files.damage_named(path, advice), files.opened(path) as stream, zipfile.ZipFile(stream) as archive:
        claimed = sum(entry.file_size for entry in archive.infolist())
        if claimed > max(MAX_BYTES, MAX_GROWTH * path.stat().st_size):
            raise ValueError(f"its arrays would take {claimed:,} bytes")
        yield Arrays(archive)
