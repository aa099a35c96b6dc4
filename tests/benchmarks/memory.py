"""Does memory stay where it is over thousands of strokes? Paints them in a JupyterLab, prints a table.

    python -m tests.benchmarks.memory --strokes 2000
    python -m tests.benchmarks.memory --strokes 10000 --kernel-only

The browser's heap is read after a forced collection; the kernel's resident memory from the system. With
``--kernel-only`` the messages come from this process and not from a browser.
"""

from __future__ import annotations

import argparse
import gc
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from ember_widgets import PaintWidget
from tests.lab.browser import launch, new_context
from tests.lab.fake_painter import FakePainter
from tests.lab.notebook import Notebook
from tests.lab.server import LabServer
from tests.lab.view import PaintView

CELL = """import ember_widgets as ember
from tests.lab.fake_painter import FakePainter

widget = ember.PaintWidget(FakePainter(delay_ms=0))
widget"""

RSS_MB = "int(open('/proc/self/statm').read().split()[1]) * __import__('os').sysconf('SC_PAGE_SIZE') / 2**20"

# Events of the page's own, a stroke of three: the pointer of the test would take an hour for thousands.
STROKES = """async ([root, from, to]) => {
  const grid = root.querySelector('[data-testid=grid]');
  const { left, top, width } = grid.getBoundingClientRect();
  grid.setPointerCapture = () => {};
  const seq = () => Number(root.dataset.seq);
  for (let i = from; i < to; i++) {
    const before = seq();
    for (const [kind, step] of [['pointerdown', 0], ['pointermove', 1], ['pointerup', 1]]) {
      const at = 2 * Math.PI * ((i + 0.1 * step) % 64) / 64;
      grid.dispatchEvent(new PointerEvent(kind, {
        bubbles: true, pointerId: 1, pointerType: 'mouse', button: 0, buttons: kind === 'pointerup' ? 0 : 1,
        clientX: left + width * (0.5 + 0.4 * Math.cos(at)), clientY: top + width * (0.5 + 0.4 * Math.sin(at)),
      }));
    }
    for (let n = 0; seq() === before && n < 2000; n++) await new Promise(next => setTimeout(next, 5));
  }
}"""


SHARES = (0, 0.1, 0.25, 0.5, 0.75, 1.0)


def kernel_only(strokes: int) -> None:
    """Send edits to a widget in this process, and print memory and time per stroke."""
    painter = FakePainter(delay_ms=0)
    widget = PaintWidget(painter, painter.analyze("a meadow", seed=3, n_factors=5))
    widget.send = lambda content, buffers=None: None
    marks = [math.ceil(strokes * share) for share in SHARES]
    print("| strokes | kernel resident | ms of CPU per stroke |")
    print("| --: | --: | --: |")
    for begin, end in zip([0, *marks], marks, strict=False):
        spent_s = sum(stroke(widget, i) for i in range(begin, end))
        widget.wait(60)
        ms = 1000 * spent_s / max(1, end - begin)
        gc.collect()
        print(f"| {end} | {eval(RSS_MB):.0f} MB | {ms:.2f} |", flush=True)
    widget.close()


def stroke(widget: Any, i: int) -> float:
    """Send one committed stroke of nine patches; how much of the processor it takes to handle, in seconds."""
    row, col = 1 + i % 14, 1 + i // 14 % 14
    mask = np.zeros((16, 16))
    mask[row - 1 : row + 2, col - 1 : col + 2] = 1
    factor, strength = i % 5, 0.5 + (i % 100) / 100
    scene = widget.scene.paint(factor, mask > 0, strength)
    call = {"verb": "paint", "factor": factor, "strength": strength, "opacity": 1.0, "mode": "over"}
    content = {
        "type": "edit",
        "client": "page",
        "seq": i + 1,
        "revision": 0,
        "gains": [1.0] * 5,
        "commit": True,
        "call": {**call, "shares": mask.ravel().tolist()},
    }
    buffers = [memoryview(scene.strengths.tobytes()), memoryview(scene.remainder.tobytes())]
    began = time.thread_time()
    widget._handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": buffers})
    spent_s = time.thread_time() - began
    if i % 50 == 0:
        widget.wait(60)
    return spent_s


def main() -> int:
    parser = argparse.ArgumentParser(description="Memory of browser and kernel over many strokes.")
    parser.add_argument("--strokes", type=int, default=2000)
    parser.add_argument("--kernel-only", action="store_true")
    arguments = parser.parse_args()
    strokes = arguments.strokes
    if arguments.kernel_only:
        kernel_only(strokes)
        return 0
    rows = []
    with tempfile.TemporaryDirectory() as folder, LabServer(Path(folder)) as server, launch() as browser:
        name = server.write_notebook("memory.ipynb", [CELL])
        with new_context(browser) as context:
            notebook = Notebook(context.new_page(), server.address(name))
            notebook.run_all()
            view = PaintView(notebook)
            view.settle()
            view.use("paint", size=2)
            view.part("grid").scroll_into_view_if_needed()
            session = context.new_cdp_session(notebook.page)
            # The history keeps a hundred steps: before that memory must grow.
            marks = [math.ceil(strokes * share) for share in SHARES]
            for begin, end in zip([0, *marks], marks, strict=False):
                view.root.evaluate(f"(root, [from, to]) => ({STROKES})([root, from, to])", [begin, end])
                view.settle()
                session.send("HeapProfiler.collectGarbage")
                heap = session.send("Runtime.getHeapUsage")["usedSize"] / 2**20
                rows.append(
                    (end, heap, notebook.ask(RSS_MB), notebook.ask("len(widget._session.history.steps)"))
                )
        server.stop_kernel(name)
    print("| strokes | browser heap | kernel resident | steps kept |")
    print("| --: | --: | --: | --: |")
    for done, heap, resident, steps in rows:
        print(f"| {done} | {heap:.1f} MB | {resident:.0f} MB | {steps} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
