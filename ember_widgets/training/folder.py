"""The folder of a training: whose it is, what lies in it, and that one run at a time writes there."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ember_widgets.dictionary.formats import ember
from ember_widgets.dictionary.load import load_sae, save_sae
from ember_widgets.dictionary.sae import SAE
from ember_widgets.training.checkpoint import Checkpoints
from ember_widgets.training.evaluation import Quality
from ember_widgets.training.ranks import Ranks
from ember_widgets.training.shards import SETTINGS as SHARDS
from ember_widgets.util import checks, files

log = logging.getLogger("ember_widgets")

SETTINGS, HISTORY, FINISHED, CHECKPOINTS = "settings.json", "history.csv", "finished.json", "checkpoints"
LOCK = ".training.lock"
NOTES = frozenset({"ember_widgets", "torch", "threads"})
"""Settings that may differ when a run goes on; only the last bits of the weights depend on them."""
OURS = "ember_widgets"
DICTIONARIES = "dictionaries"
"""The setting with their names. Settings of one dictionary begin with its name and a dot."""
MOST_SETTINGS = 1_000_000
BEGIN_ANEW = "give another folder, or resume=False to begin anew"


class RunFolder:
    """What one training keeps on the disk.

    Args:
        path: The folder.
        names: Of the dictionaries.
        ranks: The processes; all see the same folder.
    """

    def __init__(self, path: Path, names: Collection[str], ranks: Ranks) -> None:
        self.path, self._names, self._ranks = path, names, ranks
        self.history = path / HISTORY

    @contextlib.contextmanager
    def claimed(self, settings: Mapping[str, Any], *, resume: bool) -> Iterator[Checkpoints]:
        """A block in which the folder is this run's alone.

        Args:
            settings: What makes it this run; kept in `settings.json`.
            resume: Whether to go on with what is there; else it is overwritten.

        Raises:
            ValueError: It is another run's, or holds shards, or another process trains there.
            OSError: It cannot be written to.
        """
        with contextlib.ExitStack() as stack:
            self._ranks.first_does(lambda: self._claim(settings, resume, stack))
            yield Checkpoints(self.path / CHECKPOINTS, self._ranks)

    def _claim(self, settings: Mapping[str, Any], resume: bool, stack: contextlib.ExitStack) -> None:
        if (self.path / SHARDS).exists():  # their files look like a dictionary
            raise ValueError(f"{self.path} holds shards; give the training and its shards two folders")
        there = self.settings()
        if there is not None and resume:
            self._compare(there, json.loads(json.dumps(settings)))
        elif there is None and self._holds_something():
            raise ValueError(
                f"{self.path} holds an SAE or checkpoints, but no {SETTINGS} of a training; give another "
                "folder"
            )
        files.make_folder(self.path)
        stack.enter_context(self._locked())
        if there is not None and resume:
            return
        (self.path / FINISHED).unlink(missing_ok=True)
        Checkpoints(self.path / CHECKPOINTS, Ranks()).clear()
        if there is not None:
            self._remove_dictionaries(str(there.get(DICTIONARIES, "")).split(", "))
        self.history.unlink(missing_ok=True)
        files.write(self.path / SETTINGS, (json.dumps(settings, indent=2) + "\n").encode())

    def _remove_dictionaries(self, names: Collection[str]) -> None:
        """Remove those of the run before, whatever they were called."""
        # Folders are looked for, because names from a file could lead elsewhere.
        folders = [one for one in self.path.iterdir() if one.name in names and one.is_dir()]
        for place in [self.path] if len(names) == 1 else folders:
            (place / ember.FILE).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                place.rmdir()  # only if nothing else is in it

    def settings(self) -> dict[str, Any] | None:
        """What makes it this run; None if it is no run's.

        Raises:
            ValueError: The file is damaged, or not of a training.
        """
        path = self.path / SETTINGS
        if not path.exists():
            return None
        with files.damage_named(path, "give another folder"):
            there = files.parsed(files.read(path, MOST_SETTINGS).decode(), 10_000)
            if not isinstance(there, dict) or OURS not in there:
                raise ValueError("it is not of a training")
        return there

    def _compare(self, there: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
        names = [name for name in sorted({*there, *ours}) if there.get(name) != ours.get(name)]
        if DICTIONARIES in names:  # then what they are like cannot be compared one by one
            names = [name for name in names if "." not in name]
        differing = [
            f"{name}: {checks.shown(there.get(name))} there, {checks.shown(ours.get(name))} here"
            for name in names
        ]
        if set(names) <= NOTES:
            if differing:
                log.info("the run goes on, its last bits may differ (%s)", "; ".join(differing))
            return
        differing = [one for name, one in zip(names, differing, strict=True) if name not in NOTES]
        raise ValueError(
            f"{self.path} is of another run ({'; '.join(differing)}); give the same settings to go on with "
            "it, another folder for a new run, or resume=False to overwrite it"
        )

    def _holds_something(self) -> bool:
        saes = any(list(self.place(name).glob("*.safetensors")) for name in self._names)
        return saes or any((self.path / CHECKPOINTS).glob("step-*"))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """The lock ends with its process, however that ends."""
        lock = FileLock(self.path / LOCK, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise ValueError(
                f"another training writes to {self.path} now; wait for it, stop it, or give another folder"
            ) from None
        except (OSError, NotImplementedError) as fault:  # some network disks have no locks
            log.info("%s cannot be locked (%s)", self.path, fault)
        try:
            yield
        finally:
            lock.release()

    def place(self, name: str) -> Path:
        """Where a dictionary lies: in the folder itself if it is the only one."""
        return self.path if len(self._names) == 1 else self.path / name

    def save(self, saes: Mapping[str, SAE]) -> None:
        """Write the dictionaries."""
        for name, sae in saes.items():
            save_sae(sae, self.place(name))

    def load(self) -> dict[str, SAE]:
        """The dictionaries, as they were written."""
        return {name: load_sae(self.place(name) / ember.FILE) for name in self._names}

    def finish(self, n_skipped: int, quality: Mapping[str, Quality | None], checkpoints: Checkpoints) -> None:
        """Note that the training is finished; its checkpoints are not needed any more."""
        found = {name: dataclasses.asdict(one) for name, one in quality.items() if one is not None}
        text = json.dumps({"n_skipped": n_skipped, "quality": found}, indent=2)
        files.write(self.path / FINISHED, f"{text}\n".encode())
        checkpoints.clear()

    def finished(self) -> tuple[int, dict[str, Quality]] | None:
        """Prompts skipped, and {name: quality}, of a training that is finished; None if it is not."""
        path = self.path / FINISHED
        if not path.exists():
            return None
        with files.damage_named(path, BEGIN_ANEW):
            found = files.parsed(files.read(path, MOST_SETTINGS).decode(), 10_000)
            quality = {name: Quality(**one) for name, one in found["quality"].items()}
            return int(found["n_skipped"]), quality
