"""What an edit costs, next to the plain way: the whole pipeline with a forward hook.

    python -m tests.benchmarks.render [--repeats 30] [--cpu-time]

Prints times of this machine and, since machines differ, ratios within the one run: what is compared is timed
in turns. Where others use the machine too, `OMP_NUM_THREADS=1` and `--cpu-time` leave them out of it.
"Plain" is the pipeline as diffusers loads it, in float32; "same" is the painter's own pipeline.
"""

from __future__ import annotations

import argparse
import io
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

WORDS, SEED = "a lion in a meadow", 3


def asked(doc: str | None, repeats: int) -> tuple[int, Callable[[], float]]:
    """From the command line: how often, and by which clock."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=repeats)
    parser.add_argument("--cpu-time", action="store_true", help="processor time instead of the clock's")
    options = parser.parse_args()
    return options.repeats, time.process_time if options.cpu_time else time.perf_counter


def timed(
    works: dict[str, Callable[[], object]], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Median milliseconds of each, timed in turns."""
    samples: dict[str, list[float]] = {name: [] for name in works}
    for round_ in range(repeats + 2):
        for name, work in works.items():
            started = clock()
            work()
            if round_ >= 2:
                samples[name].append(1e3 * (clock() - started))
    return {name: statistics.median(values) for name, values in samples.items()}


def flops(work: Callable[[], object]) -> float:
    """GFLOP of the matrix multiplications and convolutions in it."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops()) / 1e9


START = """
import resource, time
started = time.perf_counter()
import ember_widgets as ember
imported = time.perf_counter()
painter = ember.Painter.embedded()
loaded = time.perf_counter()
scene = painter.analyze({words!r}, seed={seed})
analyzed = time.perf_counter()
painter.render(scene)
first = time.perf_counter()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(imported - started, loaded - imported, analyzed - loaded, first - analyzed, first - started, peak)
"""


def start_up(repeats: int = 5) -> None:
    """Print what it takes a new process to get to the first picture, medians of some."""
    code = START.format(words=WORDS, seed=SEED)
    runs = [
        [float(word) for word in subprocess.check_output([sys.executable, "-c", code], text=True).split()]
        for _ in range(repeats)
    ]
    imported, loaded, analyzed, rendered, first, peak = map(statistics.median, zip(*runs, strict=True))
    print(f"{'import ember_widgets':42s}{1e3 * imported:9.1f} ms")
    print(f"{'load the embedded model, and torch':42s}{loaded:9.2f} s")
    print(f"{'first analyze':42s}{analyzed:9.2f} s")
    print(f"{'first render':42s}{rendered:9.2f} s")
    print(f"{'start to first picture':42s}{first:9.2f} s")
    print(f"{'memory peak':42s}{peak:9.0f} MB\n")


def hooked(pipeline: Any, site: str, n_steps: int) -> Callable[[], object]:
    """The plain way to steer: run it all, add to the site's output."""
    delta = torch.full((1, 160, 16, 16), 0.01, dtype=pipeline.dtype)
    block = pipeline.unet.get_submodule(site)
    pipeline.set_progress_bar_config(disable=True)

    def hook(module: object, args: object, output: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        return (output[0] + delta,)

    def run() -> None:
        handle = block.register_forward_hook(hook)
        try:
            generator = torch.Generator().manual_seed(SEED)
            pipeline(WORDS, num_inference_steps=n_steps, guidance_scale=0.0, generator=generator)
        finally:
            handle.remove()

    return run


def edited(painter: Any, changed: Iterator[Any]) -> None:
    painter.render(next(changed))


def edits(painter: Any, repeats: int, clock: Callable[[], float]) -> None:
    from ember_widgets import Painter

    site = next(iter(painter.saes))
    # Not the painter's own pipeline: its runs change its scheduler, and the painter would start anew.
    same_model = Painter.embedded().pipeline
    plain = Painter.embedded(dtype="float32").pipeline.to(memory_format=torch.contiguous_format)
    print(f"{'':8s}{'edit -> picture':>16s}{'same + hook':>14s}{'plain + hook':>14s}{'ratios':>16s}")
    for n_steps in (1, 2, 4):
        scene = painter.analyze(WORDS, seed=SEED, n_steps=n_steps)
        changed = (scene.scale(0, 1 + i / 1000) for i in range(1, 10_000))
        took = timed(
            {
                "ours": partial(edited, painter, changed),
                "same": hooked(same_model, site, n_steps),
                "plain": hooked(plain, site, n_steps),
            },
            repeats,
            clock,
        )
        ours, same, full = took.values()
        steps = f"{n_steps} step{'s' if n_steps > 1 else ''}"
        print(f"{steps:8s}{ours:13.1f} ms{same:11.1f} ms{full:11.1f} ms{same / ours:10.2f}{full / ours:6.2f}")


def breakdown(painter: Any, repeats: int, clock: Callable[[], float]) -> None:
    """Where one edit's time goes, with the arithmetic beside it."""
    from ember_widgets.model.runs import Run
    from ember_widgets.painter import steering

    backbone, saes = painter.backbone, list(painter.saes.values())
    sampler = backbone.sampler
    start = sampler.start(Run(WORDS, SEED, 1))
    scene = painter.analyze(WORDS, seed=SEED).scale(0, 1.1)
    (steer,) = steering.edits(scene, saes)
    assert steer is not None  # the scene is edited
    changed = steer(0, start.first)
    latents = sampler.run(start, steer)
    picture = backbone.decode(latents)

    @torch.no_grad()
    def suffix() -> object:
        return sampler._rest(start.first, changed)

    def edit() -> object:
        (made,) = steering.edits(scene, saes)
        assert made is not None
        return made(0, start.first)

    parts: dict[str, Callable[[], object]] = {
        "before the site, once per prompt and seed": lambda: sampler.start(Run(WORDS, SEED, 1)),
        "edit: scene to the site's output": edit,
        "after the site": suffix,
        "decode to a picture": lambda: backbone.decode(latents),
        "picture to JPEG": lambda: picture.save(io.BytesIO(), "JPEG", quality=80),
    }
    took = timed(parts, repeats, clock)
    print()
    for name, work in parts.items():
        print(f"{name:42s}{took[name]:9.1f} ms{flops(work):9.2f} GFLOP")


def main() -> None:
    repeats, clock = asked(__doc__, 30)
    start_up()
    from ember_widgets import Painter

    painter = Painter.embedded()
    print(f"threads {torch.get_num_threads()}, torch {torch.__version__}, {painter.pipeline.dtype}\n")
    edits(painter, repeats, clock)
    breakdown(painter, repeats, clock)


if __name__ == "__main__":
    main()
