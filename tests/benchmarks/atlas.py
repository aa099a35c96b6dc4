"""What the atlas costs: opening it (cold and from the cache), searching, icons; and in a real browser.

    python -m tests.benchmarks.atlas [--repeats 20] [--no-cold] [--no-browser]

For the embedded SAE, and for one of SDXL-Turbo's size (1280 channels, 10,240 features) with random
directions, labels and icons. Prints times of this machine, in milliseconds unless it says otherwise.

"kernel" is without a browser. "JupyterLab" is Chromium without a graphics card: WebGL is computed by the
processor, which also runs the kernel. A word counts as shown when the map's pixels and the sheet's tiles are
others; the panel waits 120 ms for the next letter before it asks, which is not counted.
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
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ember_widgets import SAE, FeatureAtlas, Painter
from ember_widgets.features.icons import Icons, packed, write
from ember_widgets.features.labels import Labels
from ember_widgets.features.statistics import Statistics

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
        drawn = [packed(picture) for picture in self.draw_icons(range(64))]
        write(folder / "icons.zip", {f: drawn[f % 64] for f in range(N_FEATURES)}, "k")
        self.read_ms = timed(lambda: Icons(N_FEATURES, key="k", file=folder / "icons.zip"), 3)
        self.icons = Icons(N_FEATURES, self.draw_icons, key="k", file=folder / "icons.zip")

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

        asked = iter(range(2**62))
        for what, texts in (("a word", (word, word[:-1])), ("like 12, like 13", ("like 12", "like 13"))):

            def through_the_panel(texts: tuple[str, str] = texts) -> None:
                atlas._panel.query = texts[next(asked) % 2]

            spent = timed(through_the_panel, 2 * repeats)
            print(f"{'':10s}{f'  {what}, sent to sheet and map':44s}{spent:9.1f} ms")
        for mode in ("typical", "frequency"):
            spent = timed(partial(setattr, atlas._panel, "color_by", mode), 1)
            print(f"{'':10s}{f'coloured by {mode}':44s}{spent:9.1f} ms")
        some = range(min(1000, atlas.map.positions.shape[0]))
        print(f"{'':10s}{f'contact sheet of a selection of {len(some)}':44s}", end="")
        print(f"{timed(lambda: atlas.select(some), 3):9.1f} ms")
        atlas.close()


CELLS = [
    """import os, tempfile
from pathlib import Path
folder = Path(tempfile.mkdtemp())
os.environ["EMBER_WIDGETS_CACHE"] = os.environ["EMBER_WIDGETS_DATA"] = str(folder)
import jscatter
import ember_widgets as ember
from tests.benchmarks.atlas import FullSize
source = FullSize(folder)""",
    """atlas = ember.FeatureAtlas(source, method="pca")
atlas""",
]
# Of the map: how many of its pixels are not its ground, and a number that says which picture it is.
SEEN = """window.seen = () => {
  const canvas = [...document.querySelectorAll('.jp-OutputArea canvas')].find(one => one.width > 300);
  if (!canvas) return { ink: 0, picture: 0 };
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let ink = 0, picture = 0;
  for (let i = 0; i < data.length; i += 16) {
    if (Math.abs(data[i] - data[0]) + Math.abs(data[i + 1] - data[1]) > 30) ink++;
    picture = (picture * 31 + data[i] + data[i + 1]) | 0;
  }
  return { ink, picture };
};
window.frame = () => new Promise(requestAnimationFrame);
"""
OPENED = """async () => {
  const began = performance.now();
  window.jupyterapp.commands.execute('notebook:run-cell');
  while (window.seen().ink < 500) {
    await window.frame();
    if (performance.now() - began > 60000) throw new Error('no map');
  }
  return performance.now() - began;
}"""
FOUND = """async text => {
  const input = document.querySelector('[data-testid=search]');
  const sheet = () => document.querySelector('[data-testid=sheet]').textContent;
  const before = [sheet(), window.seen().picture];
  input.focus();
  input.value = text;
  input.dispatchEvent(new Event('input', { bubbles: true }));
  const began = performance.now() + 120;
  const shown = [0, 0];
  while (shown.includes(0)) {
    await window.frame();
    const now = performance.now() - began;
    if (now > 10000) throw new Error(`nothing changed for ${text}: ${shown}`);
    if (!shown[0] && sheet() !== before[0]) shown[0] = now;
    if (!shown[1] && window.seen().picture !== before[1]) shown[1] = now;
  }
  return shown;
}"""
WATCH = """() => {
  window.frames = [], window.tasks = [];
  new PerformanceObserver(list => window.tasks.push(...list.getEntries().map(task => task.duration)))
    .observe({ type: 'longtask' });
  const watch = now => { window.frames.push(now); requestAnimationFrame(watch); };
  requestAnimationFrame(watch);
}"""
WATCHED = """() => {
  const frames = window.frames.splice(0), tasks = window.tasks.splice(0);
  const gaps = frames.slice(1).map((now, i) => now - frames[i]);
  return [1000 * gaps.length / (frames.at(-1) - frames[0]), Math.max(...gaps), Math.max(0, ...tasks)];
}"""
WORDS_TYPED = ("red", "blue", "night", "sky", "tree", "cat", "dog", "face", "like 12", "like 40")


def in_lab() -> None:
    """Print what a hand feels on a map of 10,240 features."""
    from tests.lab.browser import launch, new_context
    from tests.lab.notebook import LIMIT_MS, Notebook
    from tests.lab.server import LabServer

    with (
        tempfile.TemporaryDirectory() as folder,
        LabServer(Path(folder)) as server,
        launch() as browser,
        new_context(browser) as context,
    ):
        page = context.new_page()
        notebook = Notebook(page, server.address(server.write_notebook("atlas.ipynb", CELLS[:1])))
        notebook.run_all()
        page.evaluate(f"() => {{ {SEEN} }}")
        page.evaluate(
            """code => {
              const panel = window.jupyterapp.shell.currentWidget;
              return window.jupyterapp.commands.execute('notebook:insert-cell-below').then(() => {
                panel.content.activeCell.model.sharedModel.setSource(code);
              });
            }""",
            CELLS[1],
        )
        print(
            f"{'JupyterLab':11s}{'from running the cell to the first map':43s}{page.evaluate(OPENED):9.0f} ms"
        )
        page.get_by_test_id("ember-atlas").scroll_into_view_if_needed(timeout=LIMIT_MS)
        page.wait_for_timeout(8000)  # views are told again until then
        shown = np.array([page.evaluate(FOUND, text) for text in WORDS_TYPED])
        for what, times in zip(("the sheet", "the map"), shown.T, strict=True):
            middle, most = np.median(times), times.max()
            print(
                f"{'':10s}{f'a search until {what} is another, p50, max':44s}{middle:9.0f} ms{most:6.0f} ms"
            )
        page.get_by_test_id("search").fill("")
        page.wait_for_timeout(500)
        box = page.locator(".jp-OutputArea canvas").first.bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.evaluate(WATCH)

        debugger = context.new_cdp_session(page)
        debugger.send("Profiler.enable")
        debugger.send("Profiler.start")

        def tell(what: str) -> None:
            profile = debugger.send("Profiler.stop")["profile"]
            fps, gap, task = page.evaluate(WATCHED)
            names = {node["id"]: node["callFrame"]["functionName"] for node in profile["nodes"]}
            spent = Counter[str]()
            for node, microseconds in zip(profile["samples"], profile["timeDeltas"], strict=True):
                spent[names[node]] += microseconds
            drawing = spent["drawImage"] + spent["(program)"]
            scripts = spent.total() - drawing - spent["(idle)"]
            told = f"{fps:9.0f} frames/s, longest task {max(gap, task):.0f} ms; busy with "
            told += f"drawing {drawing / spent.total():.0%}, scripts {scripts / spent.total():.0%}"
            print(f"{'':10s}{what:44s}{told}", flush=True)
            debugger.send("Profiler.start")

        page.wait_for_timeout(2000)
        tell("at rest")
        for i in range(60):
            page.mouse.wheel(0, -40 if i < 30 else 40)
            page.wait_for_timeout(16)
        tell("zooming by the wheel")
        page.mouse.down()
        for i in range(90):
            page.mouse.move(x + 150 * np.sin(i / 10), y + 100 * np.cos(i / 10))
            page.wait_for_timeout(16)
        page.mouse.up()
        tell("dragging the map")
        for i in range(90):
            page.mouse.move(x + 2 * i - 90, y + 40 * np.sin(i / 7))
            page.wait_for_timeout(16)
        tell("pointing along points")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--no-cold", action="store_true", help="leave out the layouts, which take minutes")
    parser.add_argument("--no-browser", action="store_true")
    parser.add_argument("--browser-only", action="store_true")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    if not options.browser_only:
        in_kernel(options)
    if not options.no_browser:
        in_lab()


def in_kernel(options: argparse.Namespace) -> None:
    """Print what the kernel does."""
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
