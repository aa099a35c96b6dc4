"""Disks on which nothing can be written: a full one, and a read-only one."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.lab.notebook import Notebook

SIZE = 4 << 20
# A process may write no longer file than this; the hard limit stays, so that it can be taken back.
LIMIT_FILES = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, resource.RLIM_INFINITY))"


@dataclass(frozen=True)
class FullDisk:
    """A folder that can be made full, for a kernel.

    Args:
        folder: of a small file system of its own; where none may be mounted, a plain folder, and then the
            kernel is not allowed to write files.
        notebook: whose kernel writes there.
        is_mounted: which of both it is.
    """

    folder: Path
    notebook: Notebook
    is_mounted: bool

    @property
    def why(self) -> str:
        """What is wrong then."""
        return "No space left on device" if self.is_mounted else "File too large"

    def fill(self) -> None:
        if not self.is_mounted:
            self.notebook.tell(LIMIT_FILES.format(0))
            return
        with contextlib.suppress(OSError), (self.folder / "filler").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    def free(self) -> None:
        if self.is_mounted:
            (self.folder / "filler").unlink(missing_ok=True)
        else:
            self.notebook.tell(LIMIT_FILES.format("resource.RLIM_INFINITY"))

    def files(self) -> list[str]:
        """Everything in it but what makes it full, and what processes lock."""
        found = (
            path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file()
        )
        return sorted(name for name in found if name != "filler" and not name.endswith(".lock"))


@contextlib.contextmanager
def mounted(folder: Path) -> Iterator[bool]:
    """A small file system in a folder; False if this process may not mount one."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    try:
        is_mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:  # not Linux
        is_mounted = False
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def full_disk(folder: Path, notebook: Notebook) -> Iterator[FullDisk]:
    with mounted(folder) as is_mounted:
        disk = FullDisk(folder, notebook, is_mounted)
        try:
            yield disk
        finally:
            disk.free()


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[Path]:
    """A folder in which nothing can be written, by root neither; where none may be mounted, below a file."""
    with mounted(folder) as is_mounted:
        if is_mounted:
            subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
            yield folder
        else:
            (folder / "file").write_text("")
            yield folder / "file"
