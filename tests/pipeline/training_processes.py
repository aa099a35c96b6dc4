"""What processes of the tests run: trainings that are killed, and two processes that train together.

    python training_processes.py killed FOLDER
    python training_processes.py shared FOLDER        (RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT are set)

Results are printed as JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ember_widgets.scene import site_names
from ember_widgets.training import checkpoint
from ember_widgets.training.config import TrainConfig
from ember_widgets.training.ranks import OtherProcessFailed, Ranks, joined
from ember_widgets.training.run import Part, TrainingRun, train, train_sae
from ember_widgets.training.stream import TensorBatches

PROMPTS = [f"a {thing} and a {other}" for thing in ("cat", "house", "lion") for other in ("car", "tree")]
BATCH, STEPS = 64, 24
D_MODEL = 16


class After:
    """Does something after a step."""

    def __init__(self, at: int, act: Callable[[], None]) -> None:
        self._at, self._act = at, act

    def step(self, n_steps_done: int, seconds: float) -> None:
        if n_steps_done == self._at:
            self._act()

    def rows(self, rows: Any) -> None:
        pass

    def close(self) -> None:
        pass


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


# Killed


def embedded_run(folder: Path, **others: Any) -> TrainingRun:
    from ember_widgets.painter.painter import Painter
    from ember_widgets.painter.sae_training import train_on

    global _backbone
    _backbone = _backbone or Painter.embedded().backbone
    config = TrainConfig(n_patches=STEPS * BATCH, batch=BATCH, dead_after=300)
    return train_on(
        _backbone,
        PROMPTS,
        config=config,
        folder=folder,
        site="down.2.1",
        k=4,
        expansion=1,
        buffer=4 * BATCH,
        checkpoint_steps=5,
        **others,
    )


_backbone: Any = None


def while_it_is_written(n: int) -> None:
    """The n-th checkpoint is half written when the process is killed."""
    save, written = checkpoint.save_file, []

    def half(tensors: Any, path: Path, metadata: Any) -> None:
        save(tensors, path, metadata)
        written.append(path)
        if len(written) == n:
            os.truncate(path, path.stat().st_size // 2)
            kill()

    checkpoint.save_file = half  # type: ignore[assignment]


def just_after(n: int) -> None:
    """The n-th checkpoint is in its place, and older ones are not yet removed."""
    write, written = checkpoint._write, []

    def last(path: Path, tensors: Any) -> None:
        write(path, tensors)
        written.append(path)
        if len(written) == n:
            kill()

    checkpoint._write = last


def killed(folder: Path) -> dict[str, Any]:
    expected = facts(embedded_run(folder / "whole"))
    moments: dict[str, Callable[[], Any]] = {
        "between": lambda: embedded_run(folder / "between", reporters=[After(13, kill)]),
        "while": lambda: embedded_run(folder / "while"),
        "after": lambda: embedded_run(folder / "after"),
    }
    found: dict[str, Any] = {"whole": expected}
    for moment, act in moments.items():
        child = os.fork()
        if not child:
            if moment != "between":
                (while_it_is_written if moment == "while" else just_after)(3)
            act()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        left = sorted(path.name for path in (folder / moment / "checkpoints").iterdir())
        found[moment] = {
            "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
            "left": left,
            "resumed": facts(embedded_run(folder / moment)),
        }
    return found


def facts(run: TrainingRun) -> dict[str, Any]:
    digest = hashlib.sha256()
    for name in ("W_enc", "b_enc", "W_dec", "b_dec", "threshold", "unit"):
        digest.update(getattr(run.sae, name).numpy().tobytes())
    text = "" if run.folder is None else (run.folder / "history.csv").read_text()
    rows = [line.split(",") for line in text.splitlines()]
    return {
        "weights": digest.hexdigest(),
        "history": [row[:3] + row[4:] for row in rows],  # but for the seconds
        "finished": run.is_finished,
    }


# Two processes


def activations() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(40, D_MODEL, generator=generator)
    return torch.rand(STEPS * BATCH, 40, generator=generator).pow(6) @ directions


def shared_config() -> TrainConfig:
    return TrainConfig(n_patches=STEPS * BATCH, batch=BATCH, expansion=4, k=4, lr=3e-3, dead_after=BATCH)


def stream(ranks: Ranks, at: int = -1, act: Callable[[], None] | None = None) -> Iterator[Tensor]:
    """This process's share of every batch."""
    for i, batch in enumerate(torch.split(activations(), BATCH)):
        if i == at and act is not None:
            act()
        yield batch.chunk(ranks.world)[ranks.rank]


def fail() -> None:
    raise ValueError("this process has no more")


def shared(folder: Path) -> dict[str, Any]:
    with joined() as ranks:
        last = ranks.rank == ranks.world - 1
        run = train_sae(stream(ranks), shared_config(), folder=folder / "whole", checkpoint_steps=5)
        found: dict[str, Any] = {
            "whole": facts(run),
            "dead": [row.dead for row in run.history],
            "fvu": [row.fvu for row in run.history],
            "threshold": [row.threshold for row in run.history],
        }
        # Ctrl-C comes to one of them alone.
        act = (lambda: os.kill(os.getpid(), signal.SIGINT)) if last else None
        stopped = train_sae(stream(ranks, 12, act), shared_config(), folder=folder / "stopped")
        found["stopped"] = [stopped.is_finished, stopped.history[-1].step]
        found["resumed"] = facts(train_sae(stream(ranks), shared_config(), folder=folder / "stopped"))
        # Each has skipped some prompts.
        batches = TensorBatches(stream(ranks), site_names.DEFAULT_SITE, BATCH // ranks.world)
        batches.n_skipped = 2 + ranks.rank
        parts = {"sae": Part(site_names.DEFAULT_SITE, shared_config())}
        for _ in range(2):  # trained, and read
            run = train(parts, batches, target="update", folder=folder / "skipped", ranks=ranks)
            found.setdefault("skipped", []).append(run.n_skipped)
        # One of them fails.
        for name, at in (("first batch", 0), ("later", 7)):
            try:
                train_sae(stream(ranks, at, fail if last else None), shared_config())
            except (ValueError, OtherProcessFailed) as fault:
                found[name] = f"{type(fault).__name__}: {fault}"
        # A folder that only the first can read is refused by all.
        (folder / "whole" / "settings.json").write_text("{") if ranks.is_first else None
        ranks.together(lambda: None)
        try:
            train_sae(stream(ranks), shared_config(), folder=folder / "whole")
        except (ValueError, OtherProcessFailed) as fault:
            found["refused"] = type(fault).__name__
        # One of them is killed: the other ends, too.
        print(json.dumps(found), flush=True)
        train_sae(stream(ranks, 9, kill if last else None), shared_config())
    return {}


if __name__ == "__main__":
    print(json.dumps({"killed": killed, "shared": shared}[sys.argv[1]](Path(sys.argv[2]))))
