"""One trainer in a process of its own, for `tests.benchmarks.train`; the peers' run by their own Pythons.

    python tests/benchmarks/trainers.py NAME SETTINGS_AS_JSON

It reads lines from its input, and answers each with a line of JSON: ``step`` takes the next batch and says
how many seconds that took, ``memory`` says what the trainer needs, ``save PATH`` writes the SAE as
safetensors. Peers are used with their defaults, but for what `Settings` says, which is the same for all.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor


@dataclass(frozen=True)
class Settings:
    """What all trainers are given.

    Attributes:
        file: The activations: (n, d_model) bfloat16, one patch after another.
        d_model, n_features, k, batch, n_steps, seed: Sizes.
        lr: Its peak.
        warm_up, decay: In steps.
        threads: Of PyTorch.
        clock: Of the module `time`.
    """

    file: str
    d_model: int
    n_features: int
    k: int
    batch: int
    n_steps: int
    seed: int
    lr: float
    warm_up: int
    decay: int
    threads: int
    clock: str


@dataclass(frozen=True)
class Running:
    """A trainer.

    Attributes:
        step: Given a step's number and its batch (batch, d_model) float32, takes the step.
        weights: W_enc (n_features, d_model), b_enc, W_dec (n_features, d_model) and b_dec.
    """

    step: Callable[[int, Tensor], object]
    weights: Callable[[], dict[str, Tensor]]


DEAD_AFTER = 10_000_000
"""Patches after which dictionary_learning, and in such short runs SAELens too, calls a feature dead."""


def ember_widgets(settings: Settings, coarse: bool | None = None) -> Running:
    """Ours."""
    from ember_widgets.training.config import TrainConfig
    from ember_widgets.training.trainer import Trainer

    config = TrainConfig(
        n_patches=settings.n_steps * settings.batch,
        expansion=settings.n_features // settings.d_model,
        k=settings.k,
        batch=settings.batch,
        lr=settings.lr,
        warm_up=settings.warm_up / settings.n_steps,
        decay=settings.decay / settings.n_steps,
        seed=settings.seed,
        dead_after=DEAD_AFTER,
        coarse=coarse,
    )
    trainer = Trainer(config, settings.d_model)

    def weights() -> dict[str, Tensor]:
        sae = trainer.sae(site="down_blocks.2.attentions.1", target="update")
        return {"W_enc": sae.W_enc.T, "b_enc": sae.b_enc, "W_dec": sae.W_dec, "b_dec": sae.b_dec}

    return Running(lambda i, batch: trainer.step(batch), weights)


def in_float32(settings: Settings) -> Running:
    """Ours, where the processor has no instructions for bfloat16."""
    return ember_widgets(settings, coarse=False)


def dictionary_learning(settings: Settings) -> Running:
    """`BatchTopKTrainer.update` of dictionary_learning."""
    trainers = importlib.import_module("dictionary_learning.trainers.batch_top_k")
    trainer = trainers.BatchTopKTrainer(
        steps=settings.n_steps,
        activation_dim=settings.d_model,
        dict_size=settings.n_features,
        k=settings.k,
        layer=0,
        lm_name="none",
        lr=settings.lr,
        warmup_steps=settings.warm_up,
        decay_start=settings.n_steps - settings.decay,
        seed=settings.seed,
        device="cpu",
    )

    def weights() -> dict[str, Tensor]:
        sae = trainer.ae
        return {
            "W_enc": sae.encoder.weight,
            "b_enc": sae.encoder.bias,
            "W_dec": sae.decoder.weight.T,
            "b_dec": sae.b_dec,
        }

    return Running(trainer.update, weights)


def sae_lens(settings: Settings) -> Running:
    """`SAETrainer.step` of SAELens, as its `fit` calls it."""
    library = importlib.import_module("sae_lens")
    configs = importlib.import_module("sae_lens.config")
    torch.manual_seed(settings.seed)
    sae = library.BatchTopKTrainingSAE(
        library.BatchTopKTrainingSAEConfig(
            d_in=settings.d_model, d_sae=settings.n_features, k=settings.k, device="cpu"
        )
    )
    config = configs.SAETrainerConfig(
        total_training_samples=settings.n_steps * settings.batch,
        train_batch_size_samples=settings.batch,
        lr=settings.lr,
        lr_warm_up_steps=settings.warm_up,
        lr_decay_steps=settings.decay,
        lr_end=settings.lr / 10,
    )
    trainer = library.SAETrainer(config, sae, data_provider=iter(()))

    def step(_: int, batch: Tensor) -> None:
        trainer.step(batch)
        trainer.n_training_steps += 1

    def weights() -> dict[str, Tensor]:
        lengths = sae.W_dec.norm(dim=1)  # its codes are multiplied by these, its decoder's rows divided
        return {
            "W_enc": sae.W_enc.T * lengths[:, None],
            "b_enc": sae.b_enc * lengths,
            "W_dec": sae.W_dec / lengths[:, None],
            "b_dec": sae.b_dec,
        }

    return Running(step, weights)


TRAINERS = {one.__name__: one for one in (ember_widgets, in_float32, dictionary_learning, sae_lens)}


def batch_of(settings: Settings, i: int) -> Tensor:
    """(batch, d_model) float32; read, not mapped, so that it counts as memory once."""
    n = settings.batch * settings.d_model
    bits = np.fromfile(settings.file, np.int16, n, offset=2 * n * i)
    return torch.from_numpy(bits).view(torch.bfloat16).view(settings.batch, settings.d_model).float()


def resident(what: str) -> int:
    """Bytes of memory of this process: "VmRSS" now, "VmHWM" the most so far."""
    found = re.search(rf"{what}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    return int(found[1]) * 1024 if found else 0


def main() -> None:
    # What libraries print must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    make = TRAINERS[sys.argv[1]]
    settings = Settings(**json.loads(sys.argv[2]))
    torch.set_num_threads(settings.threads)
    clock = {"perf_counter": time.perf_counter, "process_time": time.process_time}[settings.clock]
    small = {"d_model": 64, "n_features": 256, "k": 4, "batch": 64, "n_steps": 50, "warm_up": 2, "decay": 10}
    warm = make(Settings(**(vars(settings) | small)))  # all that is loaded or made once
    for i in range(2):
        warm.step(i, torch.randn(64, 64, generator=torch.Generator().manual_seed(i)))
    del warm
    before = resident("VmRSS")
    running, i = make(settings), 0
    for line in sys.stdin:
        what, _, rest = line.strip().partition(" ")
        answer: Any = None
        if what == "step":
            batch = batch_of(settings, i)
            started = clock()
            running.step(i, batch)
            answer, i = clock() - started, i + 1
        elif what == "memory":
            answer = resident("VmHWM") - before
        elif what == "save":
            save_file({name: w.detach().float().contiguous() for name, w in running.weights().items()}, rest)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
