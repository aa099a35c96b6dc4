"""What an edit costs, next to the plain way: the whole pipeline with a forward hook.

    python tests/benchmarks/render.py [--repeats 30]

Prints times of this machine and, since machines differ, ratios within the one run.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from ember_widgets import Scene


def timed(work: Callable[[], object], repeats: int) -> float:
    """Median milliseconds."""
    work()
    samples = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        samples.append(1e3 * (time.perf_counter() - started))
    return statistics.median(samples)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=30)
    repeats = parser.parse_args().repeats
    code = "import time; t = time.perf_counter(); import ember_widgets; print(time.perf_counter() - t)"
    imports = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(5)
    ]

    started = time.perf_counter()
    import ember_widgets as ember

    painter = ember.Painter.embedded()
    loaded = time.perf_counter()
    scene = painter.analyze("a lion in a meadow", seed=3)
    analyzed = time.perf_counter()
    painter.render(scene)
    first = time.perf_counter()

    print(f"threads {torch.get_num_threads()}, torch {torch.__version__}, {painter.pipeline.dtype}\n")
    print(f"{'import ember_widgets':42s}{1e3 * statistics.median(imports):9.1f} ms")
    print(f"{'load the embedded model (with torch)':42s}{loaded - started:9.2f} s")
    print(f"{'first analyze':42s}{analyzed - loaded:9.2f} s")
    print(f"{'first render':42s}{first - analyzed:9.2f} s")
    print(f"{'start to first picture':42s}{first - started:9.2f} s\n")

    delta = torch.full((1, 160, 16, 16), 0.01, dtype=painter.pipeline.dtype)
    print(f"{'':8s}{'edit -> picture':>18s}{'pipeline + hook':>18s}{'ratio':>8s}")
    for n_steps in (1, 2, 4):
        scene = painter.analyze("a lion in a meadow", seed=3, n_steps=n_steps)
        edits = (scene.scale(0, 1 + i / 1000) for i in range(1, 10_000))
        block = painter.pipeline.unet.get_submodule(next(iter(painter.saes)))
        painter.pipeline.set_progress_bar_config(disable=True)

        def plain(n_steps: int = n_steps) -> None:
            generator = torch.Generator().manual_seed(3)
            painter.pipeline(
                "a lion in a meadow", num_inference_steps=n_steps, guidance_scale=0.0, generator=generator
            )

        def edited(edits: Iterator[Scene] = edits) -> None:
            painter.render(next(edits))

        def hook(module: object, args: object, output: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
            return (output[0] + delta,)

        ours = timed(edited, repeats)
        handle = block.register_forward_hook(hook)
        theirs = timed(plain, repeats)
        handle.remove()
        steps = f"{n_steps} step{'s' if n_steps > 1 else ''}"
        print(f"{steps:8s}{ours:15.1f} ms{theirs:15.1f} ms{theirs / ours:8.2f}")


if __name__ == "__main__":
    main()
