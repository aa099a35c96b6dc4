"""Files written whole or not at all: one that was there stays until the new one is complete."""

from __future__ import annotations

import contextlib
import os
import secrets
import zlib
from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile

from filelock import FileLock, Timeout

from ember_widgets.util import user_folders

DAMAGE = (
    *(OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError),
    *(RuntimeError, NotImplementedError, BadZipFile, zlib.error),
)
"""What reading a damaged zip archive, array file or picture can raise."""

LOCK_S = 30.0
"""How long another process may write before this one gives up."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, beside the file; it takes the file's place when the block ends.

    If the block fails, the file stays as it was and nothing else is left behind.
    """
    # Not tempfile: it would make the file private to its owner, whatever the umask says.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with _explained(path):
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


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """A block that one process at a time runs, to read a file, change it and write it back.

    The folder is made if it is missing. An empty file stays in it, by which processes find each other.

    Raises:
        OSError: Nothing can be written there, or another process has not finished.
    """
    make_folder(path.parent)
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=LOCK_S)
    try:
        with _explained(path):
            lock.acquire()
    except Timeout:
        raise TimeoutError(
            f"cannot write {path}: another process has been writing it for {LOCK_S:g} s; try again"
        ) from None
    try:
        yield
    finally:
        lock.release()


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, if they are not there.

    Raises:
        OSError: It cannot be made.
    """
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Say which file could not be written, why, and what to do."""
    try:
        yield
    except OSError as fault:
        if fault.errno is None:
            raise  # it is explained already
        told = type(fault)(f"cannot write {path}: {fault.strerror or fault}; {user_folders.advice(path)}")
        told.errno = fault.errno
        raise told from fault
