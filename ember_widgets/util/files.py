"""Files written whole or not at all: one that was there stays until the new one is complete."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import zlib
from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile

from filelock import FileLock

from ember_widgets.util import user_folders

DAMAGE = (
    *(OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError),
    *(RuntimeError, NotImplementedError, BadZipFile, zlib.error),
)
"""What reading a damaged zip archive, array file or picture can raise."""

LOCK_S = 30.0
"""How long another process may write before this one gives up."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, beside the file; it takes the file's place when the block ends.

    If the block fails, the file stays as it was and nothing else is left behind.

    Raises:
        OSError: the file cannot be written there.
    """
    # Not tempfile: it would make the file private to its owner, whatever the umask says.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    with _explained(path):
        try:
            yield temporary
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """A block that one process at a time runs: it reads a file, changes it and writes it back.

    The file's folder is made if it is missing. Beside the file stays an empty one, which processes lock.

    Raises:
        OSError: the folder cannot be written to, or another process did not finish.
    """
    make_folder(path.parent)
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=LOCK_S)
    with _explained(path):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def make_folder(folder: Path) -> None:
    """Make a folder and those around it; one that exists stays as it is.

    Raises:
        OSError: it cannot be made there.
    """
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn the system's error into one that names the file, and says what to do."""
    try:
        yield
    except OSError as fault:
        if fault.errno is None:
            raise  # it is one of ours
        why = f"{fault.strerror or type(fault).__name__}; "
        if fault.errno in _FULL:
            why = "the disk is full; free some space there, or "
        elif fault.errno in _READ_ONLY:
            why = "nothing may be written there; change that, or "
        variable = user_folders.variable_of(path)
        elsewhere = f"set {variable} to another folder" if variable else "choose another folder"
        error = type(fault)(f"cannot save {path}: {why}{elsewhere}. What was there is unchanged")
        error.errno = fault.errno
        raise error from None


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
