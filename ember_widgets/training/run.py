"""A training from its first batch, or its last checkpoint, to SAEs on disk."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from ember_widgets._version import __version__
from ember_widgets.dictionary.load import load_sae, save_sae
from ember_widgets.dictionary.publishing import Upload
from ember_widgets.dictionary.sae import SAE
from ember_widgets.scene import site_names
from ember_widgets.training.checkpoint import Checkpoints
from ember_widgets.training.config import TrainConfig
from ember_widgets.training.publishing import push_run
from ember_widgets.training.ranks import Ranks
from ember_widgets.training.stream import Batches, TensorBatches
from ember_widgets.training.trainer import StepLoss, Trainer
from ember_widgets.util import checks, files

SETTINGS, HISTORY = "settings.json", "history.csv"
ROWS = 200
"""About so many rows a history has."""
CHECKPOINT_S = 600.0
MOST_SETTINGS = 1_000_000


class Row(NamedTuple):
    """What a training found in the steps since the row before, on average.

    Attributes:
        dictionary: Which of the dictionaries that are trained together.
        step: Steps done.
        n_patches: Patches seen.
        seconds: Since the training began, without the time in which it was stopped.
        fvu: Fraction of variance unexplained of the training's batches.
        l0: Codes kept per patch.
        dead: Share of dead features.
        threshold: Codes up to this one are 0.
        lr: Learning rate.
    """

    dictionary: str
    step: int
    n_patches: int
    seconds: float
    fvu: float
    l0: float
    dead: float
    threshold: float
    lr: float


class Reporter(Protocol):
    """Shows how far a training is."""

    def step(self, n_steps_done: int, seconds: float) -> None:
        """After every step."""

    def rows(self, rows: list[Row]) -> None:
        """Some rows more, one of each dictionary."""

    def close(self) -> None:
        """The training has ended, or was stopped."""


@dataclass(frozen=True)
class Part:
    """One of the dictionaries that are trained on one stream.

    Attributes:
        site: Module path.
        config: How it is trained; all parts have the same `n_patches` and `batch`.
    """

    site: str
    config: TrainConfig


@dataclass
class TrainingRun:
    """What a training made.

    Attributes:
        folder: Where it lies; None if it was not written.
        saes: {name: SAE}; a single one is called "sae".
        history: Rows, the oldest first.
        n_skipped: Prompts that could not be drawn.
        is_finished: False if it was interrupted: the SAEs are what it had until then.
        quality: {name: what was measured on pictures that it has not seen}; empty without such pictures.
    """

    folder: Path | None
    saes: dict[str, SAE]
    history: list[Row]
    n_skipped: int = 0
    is_finished: bool = True
    quality: dict[str, Any] = field(default_factory=dict)

    @property
    def sae(self) -> SAE:
        """The dictionary.

        Raises:
            ValueError: Several were trained.
        """
        if len(self.saes) > 1:
            names = ", ".join(map(repr, self.saes))
            raise ValueError(
                f"this run trained {len(self.saes)} dictionaries; choose one: run.saes[...] of {names}"
            )
        return next(iter(self.saes.values()))

    def push_to_hub(
        self,
        repo: str,
        *,
        licence: str | None = None,
        licence_link: str | None = None,
        model: str | None = None,
        data: str = "",
        evaluation: object = None,
        private: bool = True,
        token: str | None = None,
        format: str = "ember",
        message: str | None = None,
    ) -> str:
        """Put what was trained on the Hugging Face hub, with a model card that says how it was trained.

        As `SAE.push_to_hub`, with the run's settings, its last figures and its history. Several dictionaries
        lie in folders of their names: `Painter.from_pretrained(..., sae="owner/name/up.0.1-k10-x8")`. Of several
        processes, call it in all: the first uploads.

        Args:
            repo, licence, licence_link, model, data, evaluation: As for `SAE.push_to_hub`.
            private, token, format, message: As for `SAE.push_to_hub`.

        Returns:
            The repository's address.

        Raises:
            ValueError, PermissionError, ConnectionError: As for `SAE.push_to_hub`.

        Example:
            >>> run.push_to_hub("me/my-sae", licence="mit", data="COCO captions")     # doctest: +SKIP
        """
        upload = Upload(
            repo, licence, licence_link, model, data, evaluation, private, token, format, message
        )
        if not Ranks.now().is_first:
            return f"https://huggingface.co/{repo}"
        return push_run(
            upload,
            self.saes,
            settings={} if self.folder is None else _read_settings(self.folder / SETTINGS),
            last={row.dictionary: row._asdict() for row in self.history},
            quality=self.quality,
            is_finished=self.is_finished,
            n_skipped=self.n_skipped,
            history=None if self.folder is None else self.folder / HISTORY,
        )

    def __repr__(self) -> str:
        last = self.history[-1] if self.history else None
        what = "" if last is None else f", {last.n_patches:,} patches, FVU {last.fvu:.3f}"
        stopped = "" if self.is_finished else ", interrupted"
        return f"TrainingRun({', '.join(self.saes)}{what}{stopped})"


def train_sae(
    stream: Iterable[Tensor],
    config: TrainConfig,
    *,
    site: str = site_names.DEFAULT_SITE,
    target: str = "update",
    folder: str | Path | None = None,
    resume: bool = True,
    device: str | torch.device = "cpu",
    reporters: Iterable[Reporter] = (),
) -> TrainingRun:
    """Train an SAE on activations from anywhere.

    Args:
        stream: Tensors (n, d_model), any n, in random order: neighbours come into the same batch. In a run of
            several processes each has its own.
        config: How it is trained.
        site: Block that the activations are of: a module path or a short name. It is stored in the SAE.
        target: "update" (what the block adds) or "output"; stored in the SAE.
        folder: Where checkpoints, `history.csv` and the SAE are written; None = nowhere.
        resume: Go on from the last checkpoint in the folder.
        device: Where the SAE is trained.
        reporters: Told of every step.

    Raises:
        ValueError: The folder is another run's; the stream gives something else, or ends too early.
        FloatingPointError: The activations or the loss are not finite.
        OSError: The folder cannot be written; the last checkpoint is whole.

    Example:
        >>> run = train_sae(patches, TrainConfig(n_patches=1_000_000, k=10))      # doctest: +SKIP
        >>> run.sae.save("my-sae")                                                # doctest: +SKIP
    """
    ranks = Ranks.now()
    full = site_names.full(site)
    return train(
        {"sae": Part(full, config)},
        TensorBatches(stream, full, config.batch // ranks.world),
        target=target,
        folder=None if folder is None else Path(folder),
        resume=resume,
        device=device,
        reporters=reporters,
        ranks=ranks,
    )


def train(
    parts: Mapping[str, Part],
    batches: Batches,
    *,
    target: str,
    folder: Path | None,
    resume: bool = True,
    device: str | torch.device = "cpu",
    reporters: Iterable[Reporter] = (),
    ranks: Ranks = Ranks(),  # noqa: B008  (it is immutable)
    identity: Mapping[str, Any] | None = None,
    held_out: Mapping[str, Tensor] | None = None,
    finish: Callable[[SAE, Tensor | None], tuple[SAE, Any]] | None = None,
    checkpoint_s: float = CHECKPOINT_S,
) -> TrainingRun:
    """Train dictionaries on one stream of batches.

    Args:
        parts: {name: dictionary}.
        batches: Where the batches come from.
        target: "update" or "output".
        folder, resume, device, reporters: As for `train_sae`.
        ranks: The processes.
        identity: What else makes this run another one than those with other values, for a folder that is resumed.
        held_out: Activations that are not trained on, {site: (n_pictures, n_patches, d_model)}.
        finish: Completes an SAE, given it and the held-out activations of its site, and measures it.
        checkpoint_s: Seconds between checkpoints.
    """
    parts = dict(parts)
    first = _check(parts, ranks)
    store = None
    if folder is not None:
        settings = {
            "ember_widgets": __version__,
            "processes": ranks.world,
            "target": target,
            **{f"{name}.{key}": value for name, part in parts.items() for key, value in _facts(part).items()},
            **(identity or {}),
        }
        _claim(folder, settings, resume=resume, ranks=ranks)
        store = Checkpoints(folder / "checkpoints", ranks)
    loop = _Loop(parts, batches, device, ranks, store)
    saved = None if store is None else store.newest()
    if saved is not None:
        loop.load(*saved)
    history = _read_history(folder, loop.n_done) if folder is not None else []
    reports = list(reporters) if ranks.is_first else []
    if folder is not None and ranks.is_first:
        reports.append(_HistoryFile(folder / HISTORY, history))
    is_finished = False
    try:
        is_finished = loop.run(first.n_steps, history, reports, checkpoint_s)
    finally:
        for report in reports:
            report.close()
    saes: dict[str, SAE] = {}
    quality: dict[str, Any] = {}
    for name, trainer in loop.trainers.items():
        sae = trainer.sae(site=parts[name].site, target=target)
        if finish is not None:
            held = None if held_out is None else held_out[sae.site]
            sae, quality[name] = finish(sae, held)
        if folder is not None and ranks.is_first:
            place = folder if len(parts) == 1 else folder / name
            save_sae(sae, place)
        saes[name] = sae
    if folder is not None:
        ranks.wait()
        saes = {name: load_sae(folder if len(parts) == 1 else folder / name) for name in saes}
    n_skipped = int(getattr(batches, "n_skipped", 0))
    return TrainingRun(folder, saes, history, n_skipped, is_finished, quality)


class _Loop:
    """Batches, the trainers, and when a checkpoint is due."""

    def __init__(
        self,
        parts: Mapping[str, Part],
        batches: Batches,
        device: str | torch.device,
        ranks: Ranks,
        store: Checkpoints | None,
    ) -> None:
        self._parts, self._batches, self._device = parts, batches, device
        self._ranks, self._store = ranks, store
        self.trainers: dict[str, Trainer] = {}
        self.n_done = 0
        self._seconds = 0.0
        self._sums: dict[str, list[float]] = {}

    def run(self, n_steps: int, history: list[Row], reports: list[Reporter], checkpoint_s: float) -> bool:
        """Train to the end; returns whether it came there, or was interrupted."""
        every = max(1, n_steps // ROWS)
        started = time.monotonic() - self._seconds
        saved_at = time.monotonic()
        try:
            while self.n_done < n_steps:
                try:
                    batch = self._batches.next()
                except StopIteration:
                    raise ValueError(
                        f"the stream ended after {self.n_done:,} of {n_steps:,} batches; give more activations, or a "
                        "smaller n_patches"
                    ) from None
                with _uninterrupted():
                    self._step(batch)
                self._seconds = time.monotonic() - started
                if self.n_done % every == 0 or self.n_done == n_steps:
                    rows = self._rows()
                    history.extend(rows)
                    for report in reports:
                        report.rows(rows)
                for report in reports:
                    report.step(self.n_done, self._seconds)
                due = self._ranks.from_first(torch.tensor(float(time.monotonic() - saved_at > checkpoint_s)))
                if self._store is not None and bool(due):
                    self._save()
                    saved_at = time.monotonic()
        except KeyboardInterrupt:
            if not self.trainers:
                raise
            self._save()
            return False
        self._save()
        return True

    def _step(self, batch: Mapping[str, Tensor]) -> None:
        for name, part in self._parts.items():
            x = batch[part.site]
            if name not in self.trainers:
                self.trainers[name] = Trainer(part.config, x.shape[1], device=self._device, ranks=self._ranks)
            loss = self.trainers[name].step(x)
            sums = self._sums.setdefault(name, [0.0] * (len(loss) + 1))
            self._sums[name] = [a + b for a, b in zip(sums, (*loss, 1.0), strict=True)]
        self.n_done += 1

    def _rows(self) -> list[Row]:
        rows = []
        for name, (*sums, count) in self._sums.items():
            trainer = self.trainers[name]
            means = StepLoss(*(value / count for value in sums))
            last = trainer.config.lr_at(self.n_done - 1, trainer.d_model)
            n_patches = self.n_done * trainer.config.batch
            rows.append(Row(name, self.n_done, n_patches, round(self._seconds, 3), *means, last))
        self._sums = {}
        return rows

    def _save(self) -> None:
        if self._store is None or not self.n_done:
            return
        common = {f"{name}/{key}": v for name, t in self.trainers.items() for key, v in t.state().items()}
        common["seconds"] = torch.tensor(self._seconds, dtype=torch.float64)
        for name, sums in self._sums.items():
            common[f"sums/{name}"] = torch.tensor(sums, dtype=torch.float64)
        self._store.save(self.n_done, common, self._batches.state())

    def load(self, step: int, common: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
        """Go on from a checkpoint."""
        self.n_done, self._seconds = step, float(common["seconds"])
        for name, part in self._parts.items():
            state = {
                key.removeprefix(f"{name}/"): v for key, v in common.items() if key.startswith(f"{name}/")
            }
            trainer = Trainer(part.config, state["W_dec"].shape[1], device=self._device, ranks=self._ranks)
            trainer.load_state(state)
            self.trainers[name] = trainer
            if f"sums/{name}" in common:
                self._sums[name] = common[f"sums/{name}"].tolist()
        self._batches.load_state(own)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """A block that Ctrl-C does not cut in two: half a step would leave weights that no training would."""
    import signal
    import threading

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: asked.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if asked:
        raise KeyboardInterrupt


def _check(parts: Mapping[str, Part], ranks: Ranks) -> TrainConfig:
    first = next(iter(parts.values())).config
    for part in parts.values():
        if (part.config.n_patches, part.config.batch) != (first.n_patches, first.batch):
            raise ValueError("dictionaries on one stream have the same n_patches and batch; give them so")
    if first.batch % ranks.world:
        raise ValueError(
            f"batch={first.batch}, but {ranks.world} processes share it; give a multiple of {ranks.world}"
        )
    return first


def _facts(part: Part) -> dict[str, Any]:
    return {"site": part.site, **part.config.as_dict()}


def _claim(folder: Path, settings: Mapping[str, Any], *, resume: bool, ranks: Ranks) -> None:
    """Make the folder this run's.

    Raises:
        ValueError: It is another run's, or holds something else.
    """
    path = folder / SETTINGS
    if path.exists() and resume:
        there = _read_settings(path)
        ours = json.loads(json.dumps(settings))
        differing = [
            f"{name}: {checks.shown(there.get(name))} there, {checks.shown(ours.get(name))} here"
            for name in sorted({*there, *ours})
            if there.get(name) != ours.get(name) and name != "ember_widgets"
        ]
        if differing:
            raise ValueError(
                f"{folder} is of another run ({'; '.join(differing)}); give the same settings to go on with it, "
                "another folder for a new run, or resume=False to overwrite it"
            )
        return
    ranks.wait()
    if not ranks.is_first:
        return
    files.make_folder(folder)
    Checkpoints(folder / "checkpoints", Ranks()).clear()
    (folder / HISTORY).unlink(missing_ok=True)
    files.write(path, (json.dumps(settings, indent=2) + "\n").encode())


def _read_settings(path: Path) -> dict[str, Any]:
    with files.damage_named(path, "give another folder, or resume=False to begin anew"):
        there = files.parsed(files.read(path, MOST_SETTINGS).decode(), 10_000)
        if not isinstance(there, dict):
            raise ValueError("it is not an object")
    return there


def _read_history(folder: Path, n_done: int) -> list[Row]:
    """The rows up to a step: what was written after the last checkpoint happens again."""
    path = folder / HISTORY
    if not n_done or not path.exists():
        return []
    rows = []
    for line in csv.DictReader(io.StringIO(path.read_text("utf-8"))):
        with contextlib.suppress(KeyError, ValueError, TypeError):  # a line that was cut off
            counts = (int(line[name]) for name in ("step", "n_patches"))
            row = Row(line["dictionary"], *counts, *(float(line[name]) for name in Row._fields[3:]))
            if row.step <= n_done:
                rows.append(row)
    return rows


class _HistoryFile:
    """The history as a table that any program reads."""

    def __init__(self, path: Path, before: list[Row]) -> None:
        text = io.StringIO()
        csv.writer(text).writerows([Row._fields, *before])
        files.write(path, text.getvalue().encode())
        self._file = path.open("a", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file)

    def step(self, n_steps_done: int, seconds: float) -> None:
        pass

    def rows(self, rows: list[Row]) -> None:
        self._writer.writerows(rows)
        self._file.flush()

    def close(self) -> None:
        self._file.close()
