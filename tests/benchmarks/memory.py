"""Does memory stay where it is over thousands of strokes? Paints them in a JupyterLab, prints a table.

    python -m tests.benchmarks.memory --strokes 2000

The browser's heap is read after a forced collection; the kernel's resident memory from the system.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from pathlib import Path

from tests.lab.browser import launch, new_context
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


def main() -> int:
    parser = argparse.ArgumentParser(description="Memory of browser and kernel over many strokes.")
    parser.add_argument("--strokes", type=int, default=2000)
    strokes = parser.parse_args().strokes
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
            marks = [0, *(math.ceil(strokes * share) for share in (0.1, 0.25, 0.5, 0.75, 1.0))]
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
