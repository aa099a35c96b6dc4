"""PatchInspector: how long it takes to open, and from the pointer to what it shows.

    python -m tests.benchmarks.inspector [--hovers 60] [--no-browser]

Two models: the embedded one, and random activations of SDXL-Turbo's size under a random SAE of full size
(1280 -> 10,240, 10 features per patch). "kernel" is what the kernel does per hover; "JupyterLab" is from the
mouse event in a real browser to the frame in which list and marks are drawn, both on this machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

HOVERS = 60
MODELS = {
    "embedded": """import ember_widgets as ember
painter = ember.Painter.embedded()
scene = painter.analyze("a sun and a pine in the snow", seed=30)
painter.inspect(scene), painter.render(scene)""",
    "1280 -> 10,240": """import ember_widgets as ember
from tests.unit.widgets.inspect.inspect_bench import StillPainter
painter = StillPainter(d_model=1280, n_features=10_240, k=10, n_steps=1)
scene = painter.analyze()
painter.inspect(scene), painter.render(scene)""",
}
# Opening is what a user waits for in a running notebook: libraries are loaded, the model has been used.
LOADED = """
ember.PatchInspector
"""
OPEN = """import time
began = time.perf_counter()
inspector = ember.PatchInspector(painter, scene)
opened_s = time.perf_counter() - began
inspector"""

# A hover counts as shown once the list names the patch and the canvas was drawn anew: the marks are on it.
HOVER = """async ([row, col, limit]) => {
  const canvas = document.querySelector('canvas.ember-canvas');
  const box = canvas.getBoundingClientRect();
  const context = canvas.getContext('2d');
  // On the outline of the patch, where a mark changes the pixel.
  const corner = () => context.getImageData(col * 32 + 2, row * 32 + 2, 3, 3).data.join();
  const before = corner();
  const began = performance.now();
  canvas.dispatchEvent(new MouseEvent('mousemove', {
    clientX: box.left + (col + 0.5) * box.width / 16, clientY: box.top + (row + 0.5) * box.height / 16,
  }));
  for (;;) {
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    const title = document.querySelector('.ember-head b')?.textContent;
    if (title === `Patch (${row}, ${col})` && corner() !== before) return now - began;
    if (now - began > limit) throw new Error(`no answer for (${row}, ${col}): ${title}`);
  }
}"""


def places(count: int) -> list[tuple[int, int]]:
    random = np.random.default_rng(0)
    cells = [(int(c) // 16, int(c) % 16) for c in random.permutation(256)]
    return [cells[i % 256] for i in range(count)]


def in_kernel(code: str, hovers: int) -> tuple[float, list[float]]:
    """Seconds to open, and milliseconds per hover, without a browser."""
    space: dict[str, Any] = {}
    exec(code + LOADED, space)
    exec(OPEN, space)
    inspector = space["inspector"]
    canvas = inspector._parts.canvas.widget
    samples = []
    for row, col in places(hovers):
        content = {"event": "mouse_move", "x": col * 32 + 16, "y": row * 32 + 16}
        message = {"content": {"data": {"method": "custom", "content": content}}, "buffers": []}
        began = time.perf_counter()
        canvas._handle_msg(message)
        samples.append(1e3 * (time.perf_counter() - began))
    inspector.close()
    return space["opened_s"], samples


def in_lab(code: str, hovers: int) -> tuple[float, list[float]]:
    """Seconds to open in a kernel, and milliseconds from pointer to screen in JupyterLab."""
    from tests.lab.browser import launch, new_context
    from tests.lab.inspector import InspectorView
    from tests.lab.notebook import Notebook
    from tests.lab.server import LabServer

    with (
        tempfile.TemporaryDirectory() as folder,
        LabServer(Path(folder)) as server,
        launch() as browser,
        new_context(browser) as context,
    ):
        name = server.write_notebook("inspector.ipynb", [code + LOADED, OPEN])
        notebook = Notebook(context.new_page(), server.address(name))
        notebook.run_all()
        view = InspectorView(notebook)
        view.settle()
        samples = []
        for row, col in places(hovers):
            samples.append(float(view.page.evaluate(HOVER, [row, col, 5000])))
            view.page.wait_for_timeout(60)
        return float(view.ask("opened_s")), samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--hovers", type=int, default=HOVERS)
    parser.add_argument("--no-browser", action="store_true")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.hovers} hovers\n")
    print(f"{'SAE':16s}{'where':14s}{'opens':>9s}{'hover p50':>12s}{'p95':>11s}")
    for name, code in MODELS.items():
        for where, measure in {"kernel": in_kernel, "JupyterLab": in_lab}.items():
            if where == "JupyterLab" and options.no_browser:
                continue
            opened_s, samples = measure(code, options.hovers)
            p50, p95 = statistics.median(samples), float(np.percentile(samples, 95))
            print(f"{name:16s}{where:14s}{opened_s:7.2f} s{p50:9.1f} ms{p95:8.1f} ms", flush=True)


if __name__ == "__main__":
    main()
