"""What the atlas costs: opening it (cold and from the cache), searching, icons.

    python -m tests.benchmarks.atlas [--repeats 20] [--no-cold]

For the embedded SAE, and for one of SDXL-Turbo's size (1280 channels, 10,240 features) with random
directions, labels and icons. Prints times of this machine, in milliseconds unless it says otherwise.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ember_widgets import SAE, FeatureAtlas, Painter
from ember_widgets._statistics import Statistics
from ember_widgets.icons import Icons
from ember_widgets.labels import Labels

D_MODEL, N_FEATURES = 1280, 10_240
WORDS = ("red", "blue", "night", "sky", "tree", "cat", "dog", "face", "hand", "wheel", "edge", "left", "soft")


class FullSize:
    """A source of the size of SDXL-Turbo's, without the model."""

    def __init__(self, folder: Path) -> None:
        torch.manual_seed(0)
        rng = random.Random(0)
        self.saes = {
            "down_blocks.2.attentions.1": SAE(
                W_enc=torch.zeros(D_MODEL, N_FEATURES),
                b_enc=torch.zeros(N_FEATURES),
                W_dec=torch.randn(N_FEATURES, D_MODEL),
                b_dec=torch.zeros(D_MODEL),
                activation="topk",
                k=10,
                threshold=None,
                target="update",
                site="down_blocks.2.attentions.1",
                unit=torch.rand(N_FEATURES) + 10,
                sha256="5" * 64,
            )
        }
        self.labels = Labels({f: " ".join(rng.choices(WORDS, k=4)) for f in range(N_FEATURES)})
        frequency = np.random.default_rng(0).exponential(0.001, N_FEATURES).astype(np.float32)
        self.statistics = Statistics(frequency, frequency + 10, 1000)
        made = Icons(N_FEATURES, self.draw_icons, key="k", file=folder / "icons.zip")
        made.make(range(N_FEATURES), progress=False)
        self.read_ms = timed(lambda: Icons(N_FEATURES, key="k", file=folder / "icons.zip"), 3)
        self.icons = made

    def draw_icons(self, features: Sequence[int]) -> list[Image.Image]:
        noise = np.random.default_rng(features[0])
        return [
            Image.fromarray(noise.integers(0, 255, (8, 8, 3), np.uint8)).resize((64, 64)) for _ in features
        ]


def timed(work: Callable[[], object], repeats: int) -> float:
    """Median milliseconds."""
    samples = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        samples.append(1e3 * (time.perf_counter() - started))
    return statistics.median(samples)


def measure(name: str, source: object, *, repeats: int, cold: bool) -> None:
    """Print one column of the table."""
    with tempfile.TemporaryDirectory() as cache:
        if cold:
            started = time.perf_counter()
            atlas = FeatureAtlas(source, method="tsne", cache=cache)
            opened = time.perf_counter()
            atlas.wait()
            print(f"{name:10s}{'opened without a cache, laid out by PCA':44s}{opened - started:9.2f} s")
            print(f"{'':10s}{'  then by t-SNE, in the background':44s}{time.perf_counter() - opened:9.2f} s")
        else:
            atlas = FeatureAtlas(source, method="pca", cache=cache)
        atlas.close()

        def open_cached() -> None:
            FeatureAtlas(source, cache=cache).close()

        print(f"{name:10s}{'opened from the cache':44s}{timed(open_cached, 3):9.1f} ms")
        atlas = FeatureAtlas(source, cache=cache)
        word = next(iter(atlas._all.labels.values())).split()[0]
        for what, text in (
            ("a word", word),
            ("a beginning", word[:2]),
            ("a number", "12"),
            ("like 12", "like 12"),
        ):
            spent = timed(partial(atlas.search, text), repeats)
            print(f"{'':10s}{f'search: {what}':44s}{spent:9.1f} ms")

        def through_the_panel() -> None:
            atlas._panel.query = ""
            atlas._panel.query = word

        spent = timed(through_the_panel, repeats)
        print(f"{'':10s}{'search and show it: sheet, map, card':44s}{spent:9.1f} ms")
        print(f"{'':10s}{'contact sheet of a selection of 1000':44s}", end="")
        print(f"{timed(lambda: atlas.select(range(1000)), 3):9.1f} ms")
        atlas.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--no-cold", action="store_true", help="leave out the layouts, which take minutes")
    options = parser.parse_args()
    for variable in ("EMBER_WIDGETS_CACHE", "EMBER_WIDGETS_DATA"):
        os.environ[variable] = tempfile.mkdtemp()
    code = "import time; t = time.perf_counter(); import {0}; print(time.perf_counter() - t)"
    for module in ("ember_widgets", "jscatter"):
        seconds = [
            float(subprocess.run([sys.executable, "-c", code.format(module)], capture_output=True).stdout)
            for _ in range(3)
        ]
        print(f"{'':10s}{f'import {module}':44s}{1e3 * statistics.median(seconds):9.1f} ms")
    painter = Painter.embedded()
    import jscatter  # noqa: F401 - its import was measured above

    measure("embedded", painter, repeats=options.repeats, cold=not options.no_cold)
    features = list(painter.labels)[:10]
    painter.draw_icons(features[:2])
    spent = timed(lambda: painter.draw_icons(features), 3) / len(features)
    print(f"{'':10s}{'an icon, drawn':44s}{spent:9.1f} ms")
    with tempfile.TemporaryDirectory() as folder:
        full = FullSize(Path(folder))
        measure("10,240", full, repeats=options.repeats, cold=not options.no_cold)
        size = (Path(folder) / "icons.zip").stat().st_size / 2**20
        print(f"{'':10s}{f'all icons read ({size:.1f} MiB)':44s}{full.read_ms:9.1f} ms")


if __name__ == "__main__":
    main()
