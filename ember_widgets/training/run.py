"""A training from its first batch, or its last checkpoint, to SAEs on disk."""

from __future__ import annotations

import contextlib
import functools
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ember_widgets._version import __version__
from ember_widgets.dictionary.publishing import Upload
from ember_widgets.dictionary.sae import SAE
from ember_widgets.scene import site_names
from ember_widgets.training import curves, history_file, summary
from ember_widgets.training.checkpoint import Checkpoints
from ember_widgets.training.config import TrainConfig
from ember_widgets.training.evaluation import Quality
from ember_widgets.training.folder import DICTIONARIES, RunFolder
from ember_widgets.training.history import Reporter as Reporter
from ember_widgets.training.history import Row as Row
from ember_widgets.training.interrupts import Interrupts, Stopped
from ember_widgets.training.publishing import push_run
from ember_widgets.training.ranks import Ranks
from ember_widgets.training.stream import Batches, TensorBatches
from ember_widgets.training.trainer import StepLoss, Trainer
from ember_widgets.util import checks
from ember_widgets.util.words import first_line

ROWS = 200
"""About so many rows a history has."""
CHECKPOINT_S = 600.0


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
    quality: dict[str, Quality] = field(default_factory=dict)

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

    def report(self) -> str:
        """How it went: a table with a line for each dictionary, and what else there is to know.

        Dead features are those that no picture of the measurement activates; that a feature is active in few
        pictures does not mean that it is useless.
        """
        return summary.text(*self._summary())

    def plot(self) -> Any:
        """The course of the training: FVU, threshold and dead features over patches.

        Returns:
            A matplotlib Figure, a line for each dictionary.

        Raises:
            ValueError: It was stopped before there was anything to plot.
        """
        return curves.plot(self.history)

    def _summary(self) -> tuple[list[list[str]], list[str]]:
        n_features = {name: sae.n_features for name, sae in self.saes.items()}
        table = summary.rows(self.history, n_features, self.quality)
        place = None if self.folder is None else str(self.folder)
        said = summary.notes(table, n_skipped=self.n_skipped, is_finished=self.is_finished, place=place)
        return table, said

    def _repr_html_(self) -> str:
        return summary.page(*self._summary())

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

        As `SAE.push_to_hub`, with the run's settings, its last figures and its history. Several
        dictionaries lie in folders of their names:
        `Painter.from_pretrained(..., sae="owner/name/up.0.1-k10-x8")`. Of several processes, call it in all:
        the first uploads.

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
        upload = Upload(repo, licence, licence_link, model, data, evaluation, private, token, format, message)
        if not Ranks.now().is_first:
            return f"https://huggingface.co/{repo}"
        place = None if self.folder is None else RunFolder(self.folder, list(self.saes), Ranks())
        return push_run(
            upload,
            self.saes,
            settings={} if place is None else place.settings() or {},
            last={row.dictionary: row._asdict() for row in self.history},
            quality=self.quality,
            is_finished=self.is_finished,
            n_skipped=self.n_skipped,
            history=None if place is None else place.history,
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
    checkpoint_s: float = CHECKPOINT_S,
    checkpoint_steps: int | None = None,
) -> TrainingRun:
    """Train an SAE on activations from anywhere.

    Args:
        stream: Tensors (n, d_model), any n, in random order: neighbours come into the same batch. In a run of
            several processes each has its own.
        config: How it is trained.
        site: Block that the activations are of: a module path or a short name. It is stored in the SAE.
        target: "update" (what the block adds) or "output"; stored in the SAE.
        folder: Where checkpoints, `history.csv` and the SAE are written; None = nowhere.
        resume: Go on from the last checkpoint in the folder; a run that is finished is returned as it is.
        device: Where the SAE is trained.
        reporters: Called after every step.
        checkpoint_s: Seconds between checkpoints.
        checkpoint_steps: Steps between checkpoints, besides; None = no such rule.

    Raises:
        ValueError: The folder is another run's; the stream gives something else, or ends too early.
        FloatingPointError: The activations or the loss are not finite.
        MemoryError: The device has too little; the message says what to change.
        OSError: The folder cannot be written; the last checkpoint is whole.

    Example:
        >>> run = train_sae(patches, TrainConfig(n_patches=1_000_000, k=10))      # doctest: +SKIP
        >>> run.sae.save("my-sae")                                                # doctest: +SKIP
    """
    if not isinstance(stream, Iterable):
        raise TypeError(f"stream={checks.shown(stream)} is not a stream; give tensors (n, d_model)")
    if not isinstance(config, TrainConfig):
        raise TypeError(
            f"config={checks.shown(config)} is not a configuration; give ember.TrainConfig(n_patches=...)"
        )
    ranks = Ranks.now()
    full = site_names.full(checks.text("site", site))
    return train(
        {"sae": Part(full, config)},
        TensorBatches(stream, full, config.batch // ranks.world),
        target=target,
        folder=None if folder is None else checks.path("folder", folder),
        resume=resume,
        device=device,
        reporters=reporters,
        ranks=ranks,
        checkpoint_s=checkpoint_s,
        checkpoint_steps=checkpoint_steps,
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
    announce: Callable[[], None] | None = None,
    held_out: Callable[[], Mapping[str, Tensor]] | None = None,
    finish: Callable[[SAE, Tensor | None], tuple[SAE, Quality | None]] | None = None,
    checkpoint_s: float = CHECKPOINT_S,
    checkpoint_steps: int | None = None,
) -> TrainingRun:
    """Train dictionaries on one stream of batches.

    Ctrl-C ends it after a step, with a checkpoint and an SAE; a second one ends it at once.

    Args:
        parts: {name: dictionary}.
        batches: Where the batches come from.
        target: "update" or "output".
        folder, resume, device, reporters, checkpoint_s, checkpoint_steps: As for `train_sae`.
        ranks: The processes.
        identity: What else makes this run another one than those with other values, in a folder that is
            resumed.
        announce: Called in the first process when all is checked, before anything is trained.
        held_out: Makes activations that are not trained on, {site: (n_pictures, n_patches, d_model)}.
        finish: Completes an SAE, given it and the held-out activations of its site, and measures it.
    """
    parts = dict(parts)
    first = _check(parts, ranks)
    if checkpoint_steps is not None:
        checkpoint_steps = checks.integer(
            "checkpoint_steps", checkpoint_steps, 1, 10**15, hint="steps between checkpoints, or None"
        )
    due = _Due(checks.number("checkpoint_s", checkpoint_s, hint="give seconds"), checkpoint_steps)
    place = None if folder is None else RunFolder(folder, list(parts), ranks)
    with contextlib.ExitStack() as stack:
        stack.enter_context(memory_explained(device))
        store = None
        if place is not None:
            settings = {
                "ember_widgets": __version__,
                "torch": torch.__version__,
                "threads": torch.get_num_threads(),
                "processes": ranks.world,
                "target": target,
                DICTIONARIES: ", ".join(parts),
                **{
                    f"{name}.{key}": value
                    for name, part in parts.items()
                    for key, value in _facts(part).items()
                },
                **(identity or {}),
            }
            store = stack.enter_context(place.claimed(settings, resume=resume))
            finished = place.finished()
            if finished is not None:
                return TrainingRun(
                    folder,
                    place.load(),
                    history_file.read(place.history, first.n_steps),
                    finished[0],
                    True,
                    finished[1],
                )
        loop = _Loop(parts, batches, device, ranks, store)
        saved = None if store is None else store.newest()
        if saved is not None:
            loop.load(*saved)
        if announce is not None:
            ranks.first_does(announce)
        rows: list[Row] = []
        reports = list(reporters) if ranks.is_first else []
        if place is not None:
            # The first process writes it anew as soon as all have read it.
            rows = ranks.together(lambda: history_file.read(place.history, loop.n_done))
            if ranks.is_first:
                table = history_file.HistoryFile(place.history, rows)
                reports.insert(0, table)
                loop.before_checkpoint = table.sync
        try:
            is_finished = loop.run(first.n_steps, rows, reports, due)
        finally:
            for report in reports:
                report.close()
        saes = {name: t.sae(site=parts[name].site, target=target) for name, t in loop.trainers.items()}
        quality: dict[str, Quality | None] = {}
        n_skipped = int(ranks.sum(torch.tensor(batches.n_skipped, device=ranks.device_of_messages)))

        def complete() -> None:
            held = None if held_out is None else held_out()
            for name, sae in saes.items():
                if finish is not None:
                    saes[name], quality[name] = finish(sae, None if held is None else held[sae.site])
            if place is not None:
                place.save(saes)
                if is_finished and store is not None:
                    place.finish(n_skipped, quality, store)

        ranks.first_does(complete)
        if place is not None:
            saes = place.load()
        measured = {name: one for name, one in quality.items() if one is not None}
        return TrainingRun(folder, saes, rows, n_skipped, is_finished, measured)


@dataclass
class _Due:
    """When a checkpoint is due: after some seconds, and after some steps."""

    seconds: float
    steps: int | None
    last: float = field(default_factory=time.monotonic)

    def __call__(self, n_done: int) -> bool:
        by_time = time.monotonic() - self.last > self.seconds
        return by_time or (self.steps is not None and n_done % self.steps == 0)


class _Loop:
    """Batches, the trainers, and their state in checkpoints."""

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
        self.before_checkpoint: Callable[[], None] = lambda: None
        self.n_done = 0
        self._seconds = 0.0
        self._sums: dict[str, list[float]] = {}

    def run(self, n_steps: int, rows: list[Row], reports: list[Reporter], due: _Due) -> bool:
        """Train to the end; returns whether it came there, or was interrupted."""
        with Interrupts(alone=self._ranks.world == 1) as interrupts:
            try:
                self._run(n_steps, rows, reports, due, interrupts)
            except Stopped:
                if not self.trainers:  # there is nothing to keep
                    raise
                self._save()
                return False
            self._save()
            return True

    def _run(
        self, n_steps: int, rows: list[Row], reports: list[Reporter], due: _Due, interrupts: Interrupts
    ) -> None:
        every = max(1, n_steps // ROWS)
        started = time.monotonic() - self._seconds
        while self.n_done < n_steps:
            # A process that has no batch ends all; otherwise the others would wait for its share of the step.
            self._step(self._ranks.together(lambda: self._next(n_steps)))
            self._seconds = time.monotonic() - started
            if self.n_done % every == 0 or self.n_done == n_steps:
                found = self._rows()
                rows.extend(found)
                self._ranks.together(functools.partial(_report, reports, found))
            for report in reports:
                report.step(self.n_done, self._seconds)
            is_due = self._store is not None and self.n_done < n_steps and due(self.n_done)
            is_asked, is_due = self._ranks.any(interrupts.is_asked, is_due and self._ranks.is_first)
            if self.n_done < n_steps and is_asked:
                raise Stopped
            if is_due:
                self._save()
                due.last = time.monotonic()

    def _next(self, n_steps: int) -> Mapping[str, Tensor]:
        try:
            return self._batches.next()
        except StopIteration:
            raise ValueError(
                f"the stream ended after {self.n_done:,} of {n_steps:,} batches; give more activations, or a "
                "smaller n_patches"
            ) from None

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
        if self._store is None:
            return
        common = {f"{name}/{key}": v for name, t in self.trainers.items() for key, v in t.state().items()}
        common["seconds"] = torch.tensor(self._seconds, dtype=torch.float64)
        for name, sums in self._sums.items():
            common[f"sums/{name}"] = torch.tensor(sums, dtype=torch.float64)
        self._ranks.together(self.before_checkpoint)
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


def _report(reports: Iterable[Reporter], rows: list[Row]) -> None:
    for report in reports:
        report.rows(rows)


@contextlib.contextmanager
def memory_explained(device: str | torch.device) -> Iterator[None]:
    """Say what to change if a training needs more memory than there is."""
    try:
        yield
    except (torch.OutOfMemoryError, RuntimeError, MemoryError) as fault:
        text = first_line(fault, "out of memory")
        is_known = isinstance(fault, (torch.OutOfMemoryError, MemoryError))
        if not is_known and "can't allocate memory" not in text and "not enough memory" not in text:
            raise
        traceback.clear_frames(fault.__traceback__)  # they hold what there is too little room for
    else:
        return
    raise MemoryError(
        f"{device} ran out of memory while training an SAE ({text}). Checkpoints are whole. Close other "
        "programs that use this device and start again as before; or give a smaller batch, buffer or "
        "expansion, fewer dictionaries at once, or a model with 16 bits (dtype='bfloat16'), and another "
        "folder"
    )


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
