"""Files written whole or not at all, and read within limits; their errors name the file."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import secrets
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from ember_widgets.util import user_folders

# Reading


def opened(path: Path) -> BinaryIO:
    """A file to read from.

    Raises:
        OSError: It is not there, or cannot be read.
        ValueError: It is a folder; or a pipe or a device, which could be waited for without end.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give a file")
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is not a regular file, but a pipe or a device; give a file")
    return path.open("rb")


def read(path: Path, limit: int) -> bytes:
    """The bytes of a file.

    Raises:
        OSError: It is not there, or cannot be read.
        ValueError: It has more bytes than the limit, or is a folder, a pipe or a device.
    """
    with opened(path) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"{path} is larger than {limit:,} bytes; it is damaged or something else")
    return data


def unpacked(data: bytes, limit: int) -> bytes:
    """What gzip packed.

    Raises:
        ValueError: It is damaged, or larger than the limit, in bytes.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            content = stream.read(limit + 1)
    except (OSError, EOFError, zlib.error) as fault:
        raise ValueError(f"cannot be unpacked ({fault}); download it again") from None
    if len(content) > limit:
        raise ValueError(f"unpacks to more than {limit:,} bytes; it is damaged or something else")
    return content


MOST_DEEP = 100
"""How deep JSON from elsewhere may be nested."""


def parsed(text: str, most: int) -> Any:
    """The content of JSON.

    Args:
        text: The text.
        most: How many values it may have; each takes up to twenty times the memory of its text.

    Raises:
        ValueError: It is not JSON, or has more values, or is nested too deeply.
    """
    if sum(text.count(mark) for mark in ",[{") > most:
        raise ValueError(f"it has more than {most:,} values")
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    # Some versions of Python read any depth. Whoever walks or writes it later could not.
    layer = [content]
    for _ in range(MOST_DEEP):
        layer = [inner for value in layer for inner in _inside(value) if isinstance(inner, (list, dict))]
        if not layer:
            return content
    raise ValueError("it is nested too deeply")


def _inside(value: Any) -> Iterable[Any]:
    """What a list or an object of JSON holds."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


@contextlib.contextmanager
def damage_named(path: Path, advice: str) -> Iterator[None]:
    """Turn whatever a library raises about a damaged file into one ValueError that names it.

    Raises:
        OSError: The file is not there, or cannot be read.
        ValueError: Anything else went wrong.
    """
    try:
        yield
    except Exception as fault:
        known = isinstance(fault, ValueError) and str(path) in str(fault)
        # Libraries raise OSError about content too, but then without the name of a file.
        if known or (isinstance(fault, OSError) and fault.filename is not None):
            raise
        reason = (str(fault).strip().splitlines() or [""])[0][:200]
        raise ValueError(f"{path} is damaged ({type(fault).__name__}: {reason}); {advice}") from fault


# Writing

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
    check_place(path)
    with replacing(path) as temporary, temporary.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def check_place(path: Path) -> None:
    """Refuse a path that no file can be written to, before there is anything to write.

    Raises:
        OSError: it is a folder, or its folder is not there.
    """
    if path.is_dir():
        raise IsADirectoryError(
            f"cannot save to {path}: it is a folder; add a file name, for example scene.json"
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"cannot save to {path}: the folder {path.parent} does not exist; make it first"
        )


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
        explained = type(fault)(
            f"cannot write {path}: {fault.strerror or fault}; {user_folders.advice(path)}"
        )
        explained.errno = fault.errno
        raise explained from fault
