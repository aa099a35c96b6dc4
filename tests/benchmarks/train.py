"""Training an SAE: our trainer next to dictionary_learning's and SAELens's, our stream next to a hook.

    python -m tests.benchmarks.train [--steps 60] [--seeds 3] [--lr 0.002] [--folder FOLDER] [--cpu-time]
    python -m tests.benchmarks.train --only trainers|stream|full

**Trainers.** d_model 1280, 10,240 features, k 10, batches of 2,048; the same learning rate, warm-up and
decay. Each trainer runs in a process of its own and they take their steps in turns, so that a busy machine is
busy for all of them; `OMP_NUM_THREADS=1` and `--cpu-time` leave others out of it. The peers are the real
libraries; the first run installs them in environments of their own, which see this one's PyTorch. FVU is
measured the same way for all: on patches that no trainer has seen, with the batch's largest codes. No feature
counts as dead in so short a run, for any of them; the rate is larger than for a long one, or nothing would be
learned.

The activations cannot be SDXL-Turbo's where its weights are not. They are made once: sums of 4 to 20 of 4,000
directions, some of which are much more frequent than others, with heavy-tailed codes, about a mean, with
noise that an SAE cannot explain. Their mean length is about √d_model, as SAELens advises.

**Memory** is the most that the process holds, above what it held before the trainer was made, as a multiple
of weights, Adam's two means and one batch.

**Stream.** Patches a second of what `Painter.train_sae` reads, next to the plain way: the whole pipeline with
a forward hook that notes the block's input and output, the same pictures at a time.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from tests.benchmarks.render import timed
from tests.benchmarks.trainers import Settings, batch_of

D_MODEL, N_FEATURES, K, BATCH = 1280, 10_240, 10, 2048
N_BATCHES, N_HELD_OUT = 128, 2
PEERS = {"dictionary_learning": "dictionary-learning==0.1.0", "sae_lens": "sae-lens==6.54.12"}
OURS = ("ember_widgets", "in_float32")
FOLDER = Path("~/.cache/ember-widgets-benchmarks").expanduser()
GB = 1e9

Clock = Callable[[], float]


def activations(folder: Path) -> Path:
    """The file of activations; made if it is not there."""
    path = folder / f"activations-{N_BATCHES}x{BATCH}x{D_MODEL}.bfloat16"
    if path.exists():
        return path
    print(f"making {N_BATCHES * BATCH:,} activations in {path}", flush=True)
    # Not a seed of the trainers: with that, the first features would be the directions.
    generator = torch.Generator().manual_seed(987_654_321)
    n_directions = 4000
    directions = F.normalize(torch.randn(n_directions, D_MODEL, generator=generator), dim=1)
    mean = torch.randn(D_MODEL, generator=generator) * 0.3
    frequency = torch.arange(1, n_directions + 1) ** -0.8
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        for _ in range(N_BATCHES):
            counts = torch.randint(4, 21, (BATCH,), generator=generator)
            which = torch.multinomial(frequency, int(counts.sum()), True, generator=generator)
            codes = torch.empty(len(which)).log_normal_(0, 0.6, generator=generator)
            starts = counts.cumsum(0) - counts
            x = F.embedding_bag(which, directions, starts, mode="sum", per_sample_weights=codes)
            x = x * (math.sqrt(D_MODEL) / 6) + mean + torch.randn(x.shape, generator=generator) * 0.15
            file.write(x.bfloat16().view(torch.int16).numpy().tobytes())
    part.rename(path)
    return path


def python_of(peer: str, folder: Path) -> Path:
    """The Python of a peer's environment; made if it is not there.

    This environment's packages are seen by it, so that all trainers use the same PyTorch.
    """
    home = folder / peer
    python = home / "bin" / "python"
    if (home / "installed").exists():
        return python
    print(f"installing {PEERS[peer]} in {home}", flush=True)
    venv.create(home, clear=True, with_pip=True)
    packages = next(home.glob("lib/python3*/site-packages"))
    (packages / "ours.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    (home / "constraints.txt").write_text(f"torch=={torch.__version__.split('+')[0]}\n")
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "-c", str(home / "constraints.txt"), PEERS[peer]], check=True)
    # Made for another build of PyTorch, and no trainer needs it.
    subprocess.run([*pip, "uninstall", "--yes", "torchvision"], check=False)
    (home / "installed").touch()
    return python


class Worker:
    """A trainer's process."""

    def __init__(self, python: Path, name: str, settings: Settings, log: Path) -> None:
        script = Path(__file__).with_name("trainers.py")
        self._log = log.open("w", encoding="utf-8")
        self._process = subprocess.Popen(
            [str(python), str(script), name, json.dumps(vars(settings))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=os.environ | {"WANDB_MODE": "disabled"},
        )
        self.name = name

    def ask(self, what: str) -> Any:
        """Its answer to a line."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.name} ended; see {self._log.name}")
        return json.loads(answer)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._log.close()


def fvu(weights: dict[str, Tensor], x: Tensor) -> float:
    """Fraction of variance unexplained of (n, d_model), where the n·k largest codes are kept."""
    codes = torch.relu((x - weights["b_dec"]) @ weights["W_enc"].T + weights["b_enc"])
    codes[codes < codes.flatten().topk(len(x) * K).values[-1]] = 0
    decoded = codes @ weights["W_dec"] + weights["b_dec"]
    return float((x - decoded).pow(2).sum() / (x - x.mean(0)).pow(2).sum())


def trainers(n_steps: int, seeds: int, lr: float, clock: str, folder: Path) -> None:
    """Print speed, FVU and memory of the trainers."""
    folder.mkdir(parents=True, exist_ok=True)
    file = activations(folder)
    pythons = {peer: python_of(peer, folder) for peer in PEERS}
    names = [*OURS, *PEERS]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    memory: dict[str, list[int]] = {name: [] for name in names}
    errors: dict[str, list[float]] = {name: [] for name in names}
    for seed in range(seeds):
        settings = Settings(
            file=str(file),
            d_model=D_MODEL,
            n_features=N_FEATURES,
            k=K,
            batch=BATCH,
            n_steps=n_steps,
            seed=seed,
            lr=lr,
            warm_up=max(2, n_steps // 50),
            decay=n_steps // 5,
            threads=torch.get_num_threads(),
            clock=clock,
        )
        python = Path(sys.executable)
        workers = [Worker(pythons.get(n, python), n, settings, folder / f"{n}.log") for n in names]
        for i in range(n_steps):
            for worker in workers:
                took = worker.ask("step")
                if i >= 2:
                    seconds[worker.name].append(took)
        held_out = torch.cat([batch_of(settings, N_BATCHES - 1 - i) for i in range(N_HELD_OUT)])
        for worker in workers:
            path = folder / f"{worker.name}-{seed}.safetensors"
            memory[worker.name].append(worker.ask("memory"))
            worker.ask(f"save {path}")
            worker.close()
            errors[worker.name].append(fvu(load_file(path), held_out))
            path.unlink()
        table(n_steps, seconds, memory, errors)


def table(
    n_steps: int,
    seconds: dict[str, list[float]],
    memory: dict[str, list[int]],
    errors: dict[str, list[float]],
) -> None:
    """Print what was measured."""
    parameters = 2 * N_FEATURES * D_MODEL + N_FEATURES + D_MODEL
    needed = 4 * (3 * parameters + BATCH * D_MODEL)
    threads = torch.get_num_threads()
    print(f"\n{n_steps} steps of {BATCH:,} patches, threads: {threads}, torch {torch.__version__}")
    print("Medians of steps taken in turns; FVU on other patches, of each seed; memory of "
          f"{needed / GB:.2f} GB = weights + Adam + batch\n")  # fmt: skip
    print("| trainer | ms a step | patches/s | ours in bfloat16 | ours in float32 | FVU | memory |")
    print("| :-- | --: | --: | --: | --: | :-- | --: |")
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, median in medians.items():
        ratios = [f"{median / medians[ours]:.2f}×" for ours in OURS]
        found = " ".join(f"{value:.4f}" for value in errors[name])
        share = max(memory[name]) / needed
        speed = f"{1e3 * median:.0f} | {BATCH / median:,.0f} | {' | '.join(ratios)}"
        print(f"| {name} | {speed} | {found} | {share:.2f}× |", flush=True)


def stream(repeats: int, clock: Clock) -> None:
    """Print patches a second of the embedded model."""
    from ember_widgets import Painter

    painter = Painter.embedded()
    plain = Painter.embedded(dtype="float32").pipeline.to(memory_format=torch.contiguous_format)
    same = Painter.embedded().pipeline
    prompts = [f"a {a} in a {b}" for a in ("cat", "lion", "tree", "house") for b in ("meadow", "desert")]
    print(f"\n{'embedded model':24s}{'ours':>14s}{'same + hook':>14s}{'plain + hook':>14s}{'ratios':>16s}")
    for site in ("down_blocks.2.attentions.1", "mid_block.attentions.0", "up_blocks.0.attentions.1"):
        for n in (1, 8):
            works = {
                "ours": reading(painter.backbone, site, prompts[:n]),
                "same": hooked(same, site, prompts[:n]),
                "plain": hooked(plain, site, prompts[:n]),
            }
            took = timed(works, repeats, clock)
            report(f"{site.replace('_blocks', '').replace('attentions.', '')}, {n} at once", n, took)


def full(repeats: int, clock: Clock) -> None:
    """Print patches a second of SDXL at its true size, with random weights in bfloat16; it needs 10 GB."""
    import tempfile

    from ember_widgets.model.sdxl.backbone import SDXL
    from tests import full_size

    site = "down_blocks.2.attentions.1"
    with tempfile.TemporaryDirectory() as folder:
        pipe = full_size.pipeline(Path(folder), torch.bfloat16, "cpu")
    works = {
        "ours": reading(SDXL(pipe, site), site, ["a lion"]),
        "same": hooked(pipe, site, ["a lion"]),
    }
    print(f"\n{'full size, random':24s}{'ours':>14s}{'same + hook':>14s}{'':14s}{'ratio':>16s}")
    samples: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            started = clock()
            work()
            samples[name].append(1e3 * (clock() - started))
    report("down.2.1, 1 at once", 1, {name: statistics.median(values) for name, values in samples.items()})


def reading(backbone: Any, site: str, prompts: list[str]) -> Callable[[], object]:
    """Activations as the training's stream reads them, of new seeds each time."""
    from ember_widgets.training.stream import Picture, Source, activations_of

    model = type(backbone)(backbone.pipeline, site, placement=backbone.placement)
    seeds = iter(range(10**9))
    return lambda: activations_of(
        model, Source((site,)), [Picture(prompt, next(seeds)) for prompt in prompts]
    )


def hooked(pipeline: Any, site: str, prompts: list[str]) -> Callable[[], object]:
    """The plain way: run it all, note what the block was given and what it made of it."""
    block = pipeline.unet.get_submodule(site)
    pipeline.set_progress_bar_config(disable=True)
    seeds = iter(range(10**9))

    def run() -> Tensor:
        found: list[Tensor] = []
        handle = block.register_forward_hook(lambda _, given, made: found.append(made[0] - given[0]))
        try:
            generators = [torch.Generator().manual_seed(next(seeds)) for _ in prompts]
            pipeline(prompts, num_inference_steps=1, guidance_scale=0.0, generator=generators)
        finally:
            handle.remove()
        return found[0].flatten(2).transpose(1, 2).flatten(0, 1)

    return run


def report(what: str, n: int, took: dict[str, float]) -> None:
    """Print a row: patches a second, and how many times the plain ways'."""
    rates = "".join(f"{256 * n / ms * 1e3:12,.0f}/s" for ms in took.values()).ljust(42)
    ratios = "".join(f"{ms / took['ours']:8.2f}" for name, ms in took.items() if name != "ours")
    print(f"{what:24s}{rates}{ratios:>16s}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--lr", type=float, default=2e-3, help="of all trainers")
    parser.add_argument("--cpu-time", action="store_true", help="processor time instead of the clock's")
    parser.add_argument("--repeats", type=int, default=15, help="of the embedded model's stream")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="activations and peers are kept there")
    parser.add_argument("--only", choices=["trainers", "stream", "full"])
    options = parser.parse_args()
    if options.steps > N_BATCHES - N_HELD_OUT:
        parser.error(f"--steps: there are batches for at most {N_BATCHES - N_HELD_OUT}")
    clock = time.process_time if options.cpu_time else time.perf_counter
    if options.only in (None, "trainers"):
        trainers(options.steps, options.seeds, options.lr, clock.__name__, options.folder)
    if options.only in (None, "stream"):
        stream(options.repeats, clock)
    if options.only in (None, "full"):
        full(3, clock)


if __name__ == "__main__":
    main()
