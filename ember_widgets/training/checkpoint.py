"""Checkpoints of a training: whole or not there, the newest two kept, each process's own part beside the first's."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ember_widgets.training.ranks import Ranks
from ember_widgets.util import files

log = logging.getLogger("ember_widgets")

KEPT = 2
# In safetensors' format, but not by its suffix: the folder above is an SAE's, and there must be one file of weights in it.
NAME = re.compile(r"step-(\d+)(?:-(\d+)-of-(\d+))?\.checkpoint")


class Checkpoints:
    """Those of one run.

    Args:
        folder: Where they lie; it is made.
        ranks: The processes. The first one's file is written last: without it, the others' do not count.
    """

    def __init__(self, folder: Path, ranks: Ranks) -> None:
        self.folder, self.ranks = folder, ranks
        files.make_folder(folder)

    def save(self, step: int, common: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
        """Write one, and remove all but the newest two.

        Args:
            step: Steps done.
            common: What all processes have alike.
            own: What this process alone has.

        Raises:
            OSError: It cannot be written; earlier ones are whole.
        """
        contents = {f"own.{name}": value for name, value in own.items()}
        if self.ranks.is_first:
            contents |= {f"common.{name}": value for name, value in common.items()}
        else:
            _write(self._file(step, self.ranks.rank), contents)
        self.ranks.wait()
        if self.ranks.is_first:
            _write(self._file(step, 0), contents)
            for old in self._steps()[:-KEPT]:
                for file in (self._file(old, 0), *self.folder.glob(f"step-{old}-*.checkpoint")):
                    with contextlib.suppress(OSError):
                        file.unlink()
        self.ranks.wait()

    def newest(self) -> tuple[int, dict[str, Tensor], dict[str, Tensor]] | None:
        """Step, `common` and `own` of the newest one that can be read; None if there is none.

        Raises:
            ValueError: There are some, and none can be read.
        """
        steps = self._steps()
        for step in reversed(steps):
            try:
                first = load_file(self._file(step, 0))
                mine = first if self.ranks.is_first else load_file(self._file(step, self.ranks.rank))
            except (OSError, SafetensorError) as fault:
                log.warning("%s cannot be read (%s); the one before it is taken", self._file(step, 0), fault)
                continue
            return step, _part(first, "common."), _part(mine, "own.")
        if steps:
            raise ValueError(
                f"no checkpoint in {self.folder} can be read; give another folder, or resume=False to begin anew"
            )
        return None

    def clear(self) -> None:
        """Remove all."""
        for file in self.folder.glob("step-*.checkpoint"):
            file.unlink()

    def _steps(self) -> list[int]:
        """Steps of those whose first part is there, rising."""
        found = (NAME.fullmatch(file.name) for file in self.folder.glob("step-*.checkpoint"))
        return sorted(int(name[1]) for name in found if name and name[2] is None)

    def _file(self, step: int, rank: int) -> Path:
        part = f"-{rank}-of-{self.ranks.world}" if rank else ""
        return self.folder / f"step-{step}{part}.checkpoint"


def _write(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """As `save_file`, all or nothing, and on the disk when it returns.

    Raises:
        OSError: The disk is full, or the folder cannot be written to.
    """
    with files.replacing(path) as temporary:
        try:
            save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, temporary)
        except SafetensorError as fault:  # it wraps the system's error
            raise OSError(f"cannot write {path}: {fault}; free some space on the disk, and resume") from fault
        with temporary.open("rb") as written:
            os.fsync(written.fileno())


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
