"""Checkpoints of a training: whole or not there, the newest two kept, in a part for each process."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import zlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file as save_file
from torch import Tensor

from ember_widgets.training.ranks import OtherProcessFailed, Ranks
from ember_widgets.util import files

log = logging.getLogger("ember_widgets")

KEPT = 2
# In safetensors' format, but not by its suffix: the folder above is an SAE's, and there must be one file of
# weights in it.
NAME = re.compile(r"step-(\d+)\.checkpoint")
ALL = "step-*.checkpoint"
UNFINISHED = ".step-*.tmp"
"""What a process leaves that is killed while it writes."""
SUM = "crc32"


class Checkpoints:
    """Those of one run.

    Args:
        folder: Where they lie; it is made. All processes see the same folder.
        ranks: The processes. The first one's file is written last: without it, the others' do not count.
    """

    def __init__(self, folder: Path, ranks: Ranks) -> None:
        self.folder, self.ranks = folder, ranks
        ranks.first_does(self._tidy)

    def _tidy(self) -> None:
        files.make_folder(self.folder)
        _remove(self.folder, UNFINISHED)

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
        if not self.ranks.is_first:
            self.ranks.together(lambda: _write(self._file(step), contents))
            self.ranks.together(lambda: None)
            return
        contents |= {f"common.{name}": value for name, value in common.items()}
        self.ranks.together(lambda: None)  # the others have written
        self.ranks.together(lambda: _write(self._file(step), contents))
        steps = self._steps()
        # Later ones could not be read, or it would have gone on from them.
        newest = [each for each in steps if each <= step][-KEPT:]
        for old in set(steps) - set(newest):
            _remove(self.folder, f"step-{old}.checkpoint")
            _remove(self.folder, f"step-{old}-*.checkpoint")

    def newest(self) -> tuple[int, dict[str, Tensor], dict[str, Tensor]] | None:
        """Step, `common` and `own` of the newest one that can be read; None if there is none.

        Raises:
            ValueError: There are some, and none can be read by all processes.
        """
        steps = self.ranks.from_first(self._newest_steps()).tolist()
        for step in steps:
            if step < 0:
                continue
            try:
                common, own = self.ranks.together(functools.partial(self._read, step))
            except (OSError, ValueError, SafetensorError, OtherProcessFailed) as fault:
                log.warning("the checkpoint of step %d is left out: %s", step, fault)
                continue
            return step, common, own
        if steps[0] >= 0:
            raise ValueError(
                f"no checkpoint in {self.folder} can be read; give another folder, or resume=False to begin "
                "anew"
            )
        return None

    def _read(self, step: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        first = _read(self._file(step, 0))
        mine = first if self.ranks.is_first else _read(self._file(step))
        return _part(first, "common."), _part(mine, "own.")

    def clear(self) -> None:
        """Remove all."""
        _remove(self.folder, ALL)

    def _newest_steps(self) -> Tensor:
        """(4,) int64, falling; -1 where there is none."""
        found = [*reversed(self._steps()), -1, -1, -1, -1][:4]
        return torch.tensor(found, device=self.ranks.device_of_messages)

    def _steps(self) -> list[int]:
        """Steps of those whose first part is there, rising."""
        found = (NAME.fullmatch(file.name) for file in self.folder.glob(ALL))
        return sorted(int(name[1]) for name in found if name)

    def _file(self, step: int, rank: int | None = None) -> Path:
        rank = self.ranks.rank if rank is None else rank
        part = f"-{rank}-of-{self.ranks.world}" if rank else ""
        return self.folder / f"step-{step}{part}.checkpoint"


def _write(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """As `save_file`, all or nothing, and on the disk when it returns.

    Raises:
        OSError: The disk is full, or the folder cannot be written to.
    """
    contents = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with files.replacing(path) as temporary:
        try:
            save_file(contents, temporary, {SUM: _sum(contents)})
        except SafetensorError as fault:  # it wraps the system's error
            raise OSError(
                f"cannot write {path}: {fault}; free some space on the disk and start again: the training "
                "goes on from its last checkpoint"
            ) from fault
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
    # The file's name is on the disk before older files are removed.
    with contextlib.suppress(OSError):  # not on every system
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file.

    Raises:
        OSError, SafetensorError, ValueError: It is not there, or damaged.
    """
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no mapping)
        expected = (file.metadata() or {}).get(SUM)
    if _sum(tensors) != expected:
        raise ValueError(f"{path} is damaged: its contents are not what was written")
    return tensors


def _sum(tensors: Mapping[str, Tensor]) -> str:
    """A check sum of names and values."""
    found = 0
    for name in sorted(tensors):
        found = zlib.crc32(name.encode(), found)
        found = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, found)
    return f"{found:08x}"


def _remove(folder: Path, pattern: str) -> None:
    for file in folder.glob(pattern):
        with contextlib.suppress(OSError):
            file.unlink()


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
