"""What a preview costs, next to the picture that PyTorch draws: the embedded model, one edit to RGB.

    python -m tests.benchmarks.previews [--repeats 40] [--cpu-time] [--pictures 50]

Painters are timed in turns, in one process. `ONEDNN_MAX_CPU_ISA=AVX2` shows a processor without bfloat16 and
AVX-512 (PyTorch obeys it; OpenVINO in most kernels, and only in float32). Where others use the machine too,
`OMP_NUM_THREADS=1` and `--cpu-time` leave them out.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from ember_widgets import Painter, Scene
from ember_widgets.model.sdxl.backbone import SDXL

SUBJECTS = (
    "a lion in a meadow",
    "a cat on a beach",
    "a house and a tree",
    "a boat at night",
    "two dogs in the snow",
)


def pixels(painter: Painter, scene: Scene, *, preview: bool) -> np.ndarray:
    return np.asarray(painter.render(scene, preview=preview)).astype(int)


def ready(dtype: str) -> tuple[Painter, float]:
    """A painter whose previews are drawn by the runtime, and the seconds that took."""
    painter = Painter.embedded(dtype=dtype)
    scene = painter.analyze(SUBJECTS[0], seed=3)
    began = time.perf_counter()
    painter.previews(scene)
    assert isinstance(painter.backbone, SDXL)
    if not painter.backbone.fast.wait():
        raise SystemExit("OpenVINO is not installed, or failed; see the log above")
    return painter, time.perf_counter() - began


def differences(painter: Painter, count: int) -> tuple[int, float]:
    """Largest difference of previews from pictures of 255, and the smallest PSNR in dB, over several edits."""
    largest, smallest = 0, float("inf")
    for seed in range(count):
        scene = painter.analyze(SUBJECTS[seed % len(SUBJECTS)], seed=seed)
        scene = (scene.scale(0, 1.5), scene.erase("left"), scene.move(0, d_row=1, d_col=2))[seed % 3]
        off = pixels(painter, scene, preview=True) - pixels(painter, scene, preview=False)
        largest = max(largest, int(abs(off).max()))
        mean = float((off**2).mean())
        smallest = min(smallest, 10 * np.log10(255**2 / mean) if mean else float("inf"))
    return largest, smallest


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--pictures", type=int, default=50)
    parser.add_argument("--cpu-time", action="store_true", help="processor time instead of the clock's")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    options = parser.parse_args()
    clock: Callable[[], float] = time.process_time if options.cpu_time else time.perf_counter
    print(f"threads {torch.get_num_threads()}, torch {torch.__version__}\n")
    print(
        f"{'':10s}{'ready after':>12s}{'torch p50/min':>16s}{'preview p50/min':>17s}{'ratio p50/min':>15s}",
        end="",
    )
    print(f"{'most of 255':>13s}{'least PSNR':>12s}")
    for dtype in options.dtypes:
        painter, waited_s = ready(dtype)
        scene = painter.analyze(SUBJECTS[0], seed=3)
        taken: dict[bool, list[float]] = {False: [], True: []}
        for i in range(options.repeats + 5):
            edited = scene.scale(0, 1 + (i + 1) / 1000)
            for preview, samples in taken.items():
                began = clock()
                painter.render(edited, preview=preview)
                if i >= 5:
                    samples.append(1e3 * (clock() - began))
        (torch_p50, torch_min), (fast_p50, fast_min) = (
            (statistics.median(t), min(t)) for t in taken.values()
        )
        most, least = differences(painter, options.pictures)
        print(
            f"{dtype:10s}{waited_s:10.1f} s{torch_p50:10.1f}/{torch_min:.1f}{fast_p50:11.1f}/{fast_min:.1f}"
            f"{torch_p50 / fast_p50:10.2f}/{torch_min / fast_min:.2f}{most:13d}{least:9.1f} dB",
            flush=True,
        )


if __name__ == "__main__":
    main()
