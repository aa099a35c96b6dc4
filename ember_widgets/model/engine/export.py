"""Exports fixed parts of a model, once, into a folder of the cache; run as a process of its own.

Exporting takes seconds of Python, which would hold up every stroke if it ran in a thread. The process has the
lowest priority and one thread. A folder appears only when it is whole, and only the newest ones are kept.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers.configuration_utils import FrozenDict
from filelock import FileLock
from torch import Tensor, nn

from ember_widgets.model.engine import openvino
from ember_widgets.model.engine.runner import Torch
from ember_widgets.util.user_folders import cache_folder

N_KEPT = 8
"""How many models' exports are kept."""
ABANDONED_S = 3600.0
"""Unfinished work that is older than this belongs to no living process."""
CHECKS = "checks.pt"


@dataclass(frozen=True)
class Part:
    """A part, and inputs of the shapes it will have.

    Attributes:
        module: Tensors in, a tensor or several tensors out. Pickled, with all that its result depends on.
        given: Example inputs.
        rewrite: Changes the module into one that gives the same numbers up to rounding, sooner.
    """

    module: nn.Module
    given: tuple[Tensor, ...]
    rewrite: Callable[[nn.Module], None] | None = None


class ExportError(Exception):
    """Parts could not be exported; the message is the process's last line."""


class _Digest(pickle.Pickler):
    """Hashes all that is in an object; tensors by content."""

    def __init__(self) -> None:
        self.hash = hashlib.sha256()
        super().__init__(self)
        self.fast = True  # what is the same object twice is written twice: identity does not count

    def write(self, data: Any) -> None:
        self.hash.update(data)

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            content = value.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()
            return str, ((str(value.dtype), *value.shape, content),)
        if isinstance(value, FrozenDict):  # one entry is a list in any order
            return dict, (sorted((k, v) for k, v in value.items() if not k.startswith("_")),)
        return NotImplemented


def folder_of(parts: Mapping[str, Part]) -> Path:
    """Where the exports of parts belong: all that is in them, and the packages that compute, decide."""
    digest = _Digest()
    shapes = [[tuple(tensor.shape) for tensor in part.given] for part in parts.values()]
    modules = [(name, part.module, part.rewrite) for name, part in parts.items()]
    packages = (str(torch.__version__), diffusers.__version__, openvino.version())
    digest.dump((modules, shapes, packages))
    return cache_folder() / "graphs" / digest.hash.hexdigest()[:32]


def exported(parts: Mapping[str, Part], ended: threading.Event, *, anew: bool = False) -> Path:
    """The folder with the exports of parts; made now if it is missing, which takes seconds.

    Args:
        parts: What to export.
        ended: If it is set, exporting is given up.
        anew: Make them now even if they are there.

    Raises:
        ExportError: The process failed or was given up, or the parts were changed meanwhile.
        OSError: The cache cannot be written to.
    """
    folder = folder_of(parts)
    if anew:
        shutil.rmtree(folder, ignore_errors=True)
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="ember-") as temporary:
            torch.save(dict(parts), f"{temporary}/request.pt")
            # This is a thread of its own. Under this name later processes would find another model's graphs.
            if folder_of(parts) != folder:
                raise ExportError("the model was changed while it was written")
            _in_a_process(Path(temporary), folder, ended)
    os.utime(folder)  # the newest ones are kept
    return folder


def _in_a_process(temporary: Path, folder: Path, ended: threading.Event) -> None:
    # The parts' classes must be found there too.
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OMP_NUM_THREADS": "1",
    }
    log = temporary / "log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(temporary / "request.pt"), str(folder)],
            env=environment,
            creationflags=getattr(subprocess, "IDLE_PRIORITY_CLASS", 0),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
    try:
        while process.poll() is None:
            if ended.wait(0.1):
                raise ExportError("given up")
    finally:
        process.kill()  # does nothing if it has ended
        process.wait()
    if process.returncode:
        said = log.read_text("utf-8", "replace").strip() or f"exit code {process.returncode}"
        raise ExportError(said.splitlines()[-1])


def main(request: Path, folder: Path) -> None:
    """Export what a request asks for, unless another process has done it meanwhile."""
    with FileLock(folder.parent / "lock"):
        if folder.is_dir():
            return
        parts: dict[str, Part] = torch.load(request, weights_only=False)
        unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=folder.parent))
        try:
            checks: dict[str, list[Tensor]] = {}
            for name, one in parts.items():
                part, wide = one.module.float(), tuple(tensor.float() for tensor in one.given)
                with torch.no_grad():
                    made = Torch(part)(*wide)
                checks[name] = [torch.tensor(len(wide)), *one.given, *made]
                if one.rewrite is not None:
                    one.rewrite(part)
                openvino.convert(part, wide, unfinished / f"{name}.xml")
            torch.save(checks, unfinished / CHECKS)
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        _prune(folder.parent)


def _prune(cache: Path) -> None:
    found = sorted((one for one in cache.iterdir() if one.is_dir()), key=lambda one: -one.stat().st_mtime)
    whole = [one for one in found if not one.name.startswith("unfinished-")]
    abandoned = [one for one in found if one not in whole and time.time() - one.stat().st_mtime > ABANDONED_S]
    for one in (*whole[N_KEPT:], *abandoned):
        shutil.rmtree(one, ignore_errors=True)


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(19)
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
