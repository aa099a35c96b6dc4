"""What painting costs on a GPU: SDXL at full size with random weights, so nothing is downloaded.

    python -m tests.benchmarks.gpu                 on a GPU with 16 GB or more; at most 8 minutes
    python -m tests.benchmarks.gpu --dry-run       the same code on a CPU, with a tiny model: proves no figure

Prints, in this order: whether an unedited picture and an edited one equal the pipeline's own, bit by bit, in
bfloat16 and float16; from an edit to the picture, in 1 and 4 steps, as modules are called one by one and
compiled, beside the whole pipeline with a hook; memory; and one step of SAE training. Every row stands by
itself: where one fails, its line says why, and the next one is measured. What was measured so far is printed
at once, so that nothing is lost if the time runs out.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.utils import logging as diffusers_logging

from ember_widgets import Painter, Scene
from ember_widgets.model.sdxl import loading
from ember_widgets.training.config import TrainConfig
from ember_widgets.training.trainer import Trainer
from tests import full_size
from tests.pipeline import tiny

SITE = tiny.SITES["down.2.1"]
WORDS, SEED = "a lion in a meadow", 3
BUDGET_S = 8 * 60.0


class Bench:
    """Runs rows until the time is up.

    Args:
        device: "cuda" or "cpu".
        seconds: After this time no further row begins.
        repeats: How often each work is timed.
    """

    def __init__(self, device: str, seconds: float, repeats: int) -> None:
        self.device = device
        self.repeats = repeats
        self._ends = time.monotonic() + seconds

    def row(self, name: str, measure: Callable[[], str]) -> None:
        """Print a row: what `measure` says, or why it could not be measured."""
        if time.monotonic() > self._ends:
            print(f"{name:44s} not measured: the time is up", flush=True)
            return
        try:
            text = measure()
        except Exception as fault:
            text = f"failed: {type(fault).__name__}: {str(fault).splitlines()[0] if str(fault) else ''}"
        print(f"{name:44s} {text}", flush=True)

    def ms(self, works: dict[str, Callable[[], object]]) -> dict[str, float]:
        """Median milliseconds of each, timed in turns until the device has finished."""
        took: dict[str, list[float]] = {name: [] for name in works}
        for round_ in range(self.repeats + 2):
            for name, work in works.items():
                self.finish()
                began = time.perf_counter()
                work()
                self.finish()
                if round_ >= 2:
                    took[name].append(1e3 * (time.perf_counter() - began))
        return {name: statistics.median(values) for name, values in took.items()}

    def finish(self) -> None:
        """Wait for the device."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def free(self) -> None:
        """Give back what is not held any more, and count the memory peak from here."""
        gc.collect()
        if self.device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def peak(self) -> str:
        """The memory peak since `free`."""
        if self.device != "cuda":
            return "only on a GPU"
        return f"{torch.cuda.max_memory_allocated() / 2**30:.2f} GiB"


def plain(pipe: Any, n_steps: int, change: torch.Tensor | None = None) -> Any:
    """The pipeline's own picture; with a change, a hook adds it to the site's output."""
    generator = torch.Generator().manual_seed(SEED)

    def hook(_: Any, args: Any, output: Any) -> Any:
        return output if change is None else (output[0] + change.to(output[0].dtype),)

    handle = pipe.unet.get_submodule(SITE).register_forward_hook(hook)
    try:
        return pipe(WORDS, num_inference_steps=n_steps, guidance_scale=0.0, generator=generator).images[0]
    finally:
        handle.remove()


def change_of(painter: Painter, edited: Scene) -> torch.Tensor:
    """What an edit adds to the site's output, by the equation: (1, d_model, rows, cols)."""
    sae = next(iter(painter.saes.values()))
    device = sae.W_dec.device
    moved = torch.tensor(edited.strengths - edited.base_strengths, device=device).view(
        edited.grid.n_patches, -1
    )
    directions = torch.tensor(edited.basis, device=device) @ sae.W_dec
    return (moved @ directions).T.reshape(1, -1, *edited.grid.shape)


def steps(n: int) -> str:
    return "1 step" if n == 1 else f"{n} steps"


def equality(painter: Painter, pipe: Any) -> str:
    """Whether unedited and edited pictures are the pipeline's."""
    said = []
    for n_steps in (1, 4):
        scene = painter.analyze(WORDS, seed=SEED, n_steps=n_steps, n_factors=4)
        edited = scene.scale(0, 3.0)
        ours, theirs = np.asarray(painter.render(scene)), np.asarray(plain(pipe, n_steps))
        ours_edited = np.asarray(painter.render(edited))
        theirs_edited = np.asarray(plain(pipe, n_steps, change_of(painter, edited)))
        same = [np.array_equal(ours, theirs), np.array_equal(ours_edited, theirs_edited)]
        words = ["equal" if one else "NOT equal" for one in same]
        changed = "" if not np.array_equal(ours, ours_edited) else ", BUT the edit changed nothing"
        said.append(f"{steps(n_steps)}: unedited {words[0]}, edited {words[1]}{changed}")
    return "; ".join(said)


def speed(bench: Bench, painter: Painter, pipe: Any, n_steps: int) -> str:
    """From an edit to the picture, next to the whole pipeline with a hook."""
    scene = painter.analyze(WORDS, seed=SEED, n_steps=n_steps, n_factors=4)
    edits = (scene.scale(0, 1 + i / 1000) for i in range(1, 10_000))
    change = change_of(painter, scene.scale(0, 3.0))
    took = bench.ms(
        {
            "ours": lambda: painter.render(next(edits)),
            "plain": partial(plain, pipe, n_steps, change),
        }
    )
    ours, hooked = took["ours"], took["plain"]
    return f"{ours:8.1f} ms; pipeline with a hook {hooked:8.1f} ms; ratio {hooked / ours:.2f}"


def training(bench: Bench, d_model: int, expansion: int, batch: int) -> str:
    """One step of SAE training on random activations."""
    config = TrainConfig(n_patches=1000 * batch, expansion=expansion, k=10, batch=batch)
    trainer = Trainer(config, d_model, device=bench.device)
    generator = torch.Generator().manual_seed(0)
    given = torch.randn(batch, d_model, generator=generator).to(bench.device)
    trainer.begin(given)
    took = bench.ms({"step": lambda: trainer.step(given)})["step"]
    sizes = f"{batch:,} patches, {d_model:,} channels, {expansion * d_model:,} features"
    return f"{took:8.1f} ms for {sizes}; memory peak {bench.peak()}"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dry-run", action="store_true", help="on a CPU, with a tiny model")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=BUDGET_S, help="begin no row after this time")
    options = parser.parse_args()
    if not options.dry_run and not torch.cuda.is_available():
        print("no GPU is here; --dry-run runs the same code on a CPU with a tiny model", file=sys.stderr)
        return 2
    warnings.simplefilter("ignore")
    diffusers_logging.set_verbosity_error()
    device = "cpu" if options.dry_run else "cuda"
    bench = Bench(device, options.seconds, 2 if options.dry_run else options.repeats)
    name = (
        "CPU, a tiny model: no figure below means anything"
        if options.dry_run
        else torch.cuda.get_device_name()
    )
    print(f"{name}; torch {torch.__version__}, diffusers {metadata.version('diffusers')}", flush=True)
    for dtype in (torch.bfloat16, torch.float16):
        short = str(dtype).removeprefix("torch.")
        with tempfile.TemporaryDirectory() as folder:
            bench.free()
            if options.dry_run:
                pipe = tiny.pipeline(Path(folder)).to(dtype)
                sae = full_size.sae(SITE, tiny.CHANNELS[-1], 4 * tiny.CHANNELS[-1])
            else:
                pipe = full_size.pipeline(Path(folder), dtype, device)
                sae = full_size.sae(SITE)
            pipe.set_progress_bar_config(disable=True)
            painter = Painter(pipe, {"down.2.1": sae}, name="random weights")
            bench.row(f"{short}: equal to the pipeline", partial(equality, painter, pipe))
            for n_steps in (1, 4):
                bench.row(
                    f"{short}: edit -> RGB, {steps(n_steps)}, eager",
                    partial(speed, bench, painter, pipe, n_steps),
                )
            bench.row(f"{short}: memory peak so far", bench.peak)
            if dtype == torch.bfloat16:
                loading.compile_blocks(pipe.unet)
                painter = Painter(pipe, {"down.2.1": sae}, name="random weights")
                began = time.monotonic()
                for n_steps in (1, 4):
                    bench.row(
                        f"{short}: edit -> RGB, {steps(n_steps)}, compiled",
                        partial(speed, bench, painter, pipe, n_steps),
                    )
                print(f"{'':44s} compiling and measuring took {time.monotonic() - began:.0f} s", flush=True)
            del painter, pipe
    bench.free()
    sizes = (tiny.CHANNELS[-1], 4, 256) if options.dry_run else (full_size.D_MODEL, 8, 4096)
    bench.row("one step of SAE training", partial(training, bench, *sizes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
