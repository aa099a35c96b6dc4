"""Files written whole or not at all: one that was there stays until the new one is complete."""

from __future__ import annotations

import contextlib
import os
import secrets
import zlib
from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile

DAMAGE = (
    *(OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError),
    *(RuntimeError, NotImplementedError, BadZipFile, zlib.error),
)
"""What reading a damaged zip archive, array file or picture can raise."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, beside the file; it takes the file's place when the block ends.

    If the block fails, the file stays as it was and nothing else is left behind.
    """
    # Not tempfile: it would make the file private to its owner, whatever the umask says.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def write(path: Path, data: bytes) -> None:
    """Write a file, all or nothing, so that it survives a power cut right after.

    Args:
        path: the file; its folder must exist.
        data: what is to be in it.

    Raises:
        OSError: the file cannot be written there.
    """
    if path.is_dir():
        raise IsADirectoryError(
            f"cannot save to {path}: it is a folder; add a file name, for example scene.json"
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"cannot save to {path}: the folder {path.parent} does not exist; make it first"
        )
    with replacing(path) as temporary, temporary.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
