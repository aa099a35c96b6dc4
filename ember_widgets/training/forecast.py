"""What a training takes, said before it begins: patches, pictures, time, memory and disk."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ember_widgets.training import history_file
from ember_widgets.training.checkpoint import ALL, KEPT, NAME
from ember_widgets.training.folder import CHECKPOINTS, HISTORY
from ember_widgets.training.trainer import Trainer
from ember_widgets.util.words import duration, volume

FLOAT = 4
COPIES = 3
"""A weight, and the two running means of Adam."""
BATCH_COPIES = 4
"""A batch as it came, centred, what is left of it, and its gradient."""


@dataclass(frozen=True)
class Size:
    """One dictionary of a training.

    Attributes:
        d_model: Channels of its site.
        n_features: Its features.
    """

    d_model: int
    n_features: int

    @property
    def weights(self) -> int:
        """Bytes of W_enc and W_dec."""
        return 2 * FLOAT * self.n_features * self.d_model


@dataclass(frozen=True)
class Forecast:
    """What a training takes. Times are measured on this machine; the rest is counted.

    Attributes:
        sizes: {name: dictionary}.
        site_widths: Channels of each site.
        n_patches: In all.
        batch: Patches in a step.
        n_pictures: Pictures for all patches.
        n_prompts: How many prompts there are; None = not known.
        are_kept: Whether shards keep the activations: then the model draws each prompt once at most.
        buffer: Patches in a process's shuffling buffer.
        buffer_itemsize: Bytes of each number there.
        picture_s: Seconds for a picture, up to the last site.
        step_s: Seconds for a step of all dictionaries.
        world: Processes; each draws its share of the pictures.
        device: Where the training happens.
        folder: Where it is written; None = nowhere.
    """

    sizes: Mapping[str, Size]
    site_widths: tuple[int, ...]
    n_patches: int
    batch: int
    n_pictures: int
    n_prompts: int | None
    are_kept: bool
    buffer: int
    buffer_itemsize: int
    picture_s: float
    step_s: float
    world: int
    device: torch.device
    folder: Path | None

    @property
    def pictures_s(self) -> float:
        """Seconds for all pictures that the model draws."""
        n_drawn = self.n_pictures
        if self.are_kept and self.n_prompts is not None:
            n_drawn = min(n_drawn, self.n_prompts)
        return n_drawn / self.world * self.picture_s

    @property
    def steps_s(self) -> float:
        """Seconds for all steps."""
        return (self.n_patches // self.batch) * self.step_s

    @property
    def trainer_bytes(self) -> int:
        """Weights and optimiser of all dictionaries; of several processes or on a GPU gradients too."""
        copies = COPIES + (self.world > 1 or self.device.type != "cpu")
        return copies * sum(size.weights for size in self.sizes.values())

    @property
    def batch_bytes(self) -> int:
        """One batch of the largest dictionary, as it is worked on."""
        most = max(size.d_model for size in self.sizes.values())
        return BATCH_COPIES * FLOAT * self.batch // self.world * most

    @property
    def buffer_bytes(self) -> int:
        """The shuffling buffer of a process, in main memory."""
        return self.buffer * sum(self.site_widths) * self.buffer_itemsize

    @property
    def checkpoint_bytes(self) -> int:
        """One checkpoint: weights, optimiser and the buffers."""
        return COPIES * sum(size.weights for size in self.sizes.values()) + self.world * self.buffer_bytes

    @property
    def disk_bytes(self) -> int:
        """The most that lies on the disk at a time: the checkpoints kept, one being written, and the SAEs."""
        return (KEPT + 1) * self.checkpoint_bytes + sum(size.weights for size in self.sizes.values())

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> list[str]:
        names = [f"{size.n_features:,} features of {size.d_model:,} channels" for size in self.sizes.values()]
        what = f"one SAE, {names[0]}" if len(names) == 1 else f"{len(names)} SAEs, the first {names[0]}"
        repeated = ""
        if self.n_prompts:
            times = self.n_pictures / self.n_prompts
            how = "drawn once" if self.are_kept else "with other seeds"
            repeated = f" (each of {self.n_prompts:,} prompts {_count(times)} times, {how})"
            if times <= 1:
                repeated = f" (of {self.n_prompts:,} prompts)"
        lines = [
            f"training {what}, on {self.n_patches:,} patches of {self.n_pictures:,} pictures{repeated}",
            f"about {duration(self.pictures_s + self.steps_s)}, as measured here: "
            f"{duration(self.pictures_s)} for the pictures "
            f"({1000 * self.picture_s / self.world:.3g} ms each), {duration(self.steps_s)} for "
            f"{self.n_patches // self.batch:,} steps ({1000 * self.step_s:.3g} ms each)",
            f"memory on {self.device}: {volume(self.trainer_bytes)} for weights and optimiser, "
            f"{volume(self.batch_bytes)} for a batch; main memory: {volume(self.buffer_bytes)} for shuffling",
        ]
        if self.folder is not None:
            free = free_bytes(self.folder)
            short = "; free some, or give another folder" if free < self.disk_bytes else ""
            lines.append(
                f"disk: up to {volume(self.disk_bytes)} in {self.folder}: {KEPT} checkpoints and one being "
                f"written ({volume(free)} are free{short})"
            )
        return lines


def step_seconds(trainer: Trainer, activations: Tensor, n: int) -> float:
    """Seconds for a step of a dictionary, measured on one step after a first one.

    Args:
        trainer: It is changed.
        activations: (any, d_model); repeated until there are enough.
        n: Patches in this process's share of a batch.
    """
    batch = activations.repeat(math.ceil(n / len(activations)), 1)[:n]
    trainer.step(batch)
    wait_for(trainer.device)
    start = time.perf_counter()
    trainer.step(batch)
    wait_for(trainer.device)
    return time.perf_counter() - start


def what_is_left(folder: Path, n_patches: int) -> str:
    """What is left of a run that goes on, by its own speed until then; "" if there is none.

    Args:
        folder: The run's.
        n_patches: In all.
    """
    found = (NAME.fullmatch(file.name) for file in (folder / CHECKPOINTS).glob(ALL))
    step = max((int(name[1]) for name in found if name), default=0)
    rows = history_file.read(folder / HISTORY, step)
    if not rows:
        return ""
    done, rest = rows[-1].n_patches, n_patches - rows[-1].n_patches
    left = duration(rest * rows[-1].seconds / done)
    return f"going on after {done:,} of {n_patches:,} patches; at the speed so far about {left} are left"


def wait_for(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def free_bytes(folder: Path) -> int:
    """Free space where a folder is, or will be."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    return shutil.disk_usage(there).free


def _count(times: float) -> str:
    return f"{times:.1f}" if times < 10 else f"{times:,.0f}"
