"""What painting on a page without Python costs, in a real Chromium: fetching, first picture, strokes, memory.

    python -m tests.benchmarks.page                      the embedded model; about three minutes
    python -m tests.benchmarks.page --strokes 1000       memory over a thousand strokes, too
    python -m tests.benchmarks.page --site folder        a page that is there already

The page comes from Python's http.server. Times of a stroke are from a pointer event of a stroke that goes on
until a picture that knows of it stands in the page. Rows: one thread, as much as a page inside another page
may use; and as many as a page takes by itself.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser

from ember_widgets.cli.main import main as command
from tests.lab.browser import launch
from tests.lab.site import StaticServer
from tests.lab.view import PaintView

POINTER = """
  const grid = root.querySelector('[data-testid=grid]');
  const { left, top, width } = grid.getBoundingClientRect();
  grid.setPointerCapture = () => {};
  const point = (kind, at) => grid.dispatchEvent(new PointerEvent(kind, {
    bubbles: true, pointerId: 1, pointerType: 'mouse', button: 0, buttons: kind === 'pointerup' ? 0 : 1,
    clientX: left + width * (0.5 + 0.4 * Math.cos(at)), clientY: top + width * (0.5 + 0.4 * Math.sin(at)),
  }));
  const next = async seq => {
    const start = performance.now();
    while (Number(root.dataset.seq) === seq) {
      if (performance.now() - start > 60000) throw new Error('no picture in a minute');
      await new Promise(next => setTimeout(next, 2));
    }
    return performance.now() - start;
  };
  const settled = async () => {
    while (root.dataset.kind !== 'final' || root.dataset.busy !== 'false')
      await new Promise(next => setTimeout(next, 2));
  };
"""
# One stroke that goes on: each move is made when the picture of the last one is there.
STROKE = (
    "async ([root, n]) => {"
    + POINTER
    + """
  const took = [];
  point('pointerdown', 0);
  for (let i = 1; i <= n; i++) {
    const seq = Number(root.dataset.seq);
    point('pointermove', 2 * Math.PI * i / 20);
    took.push(await next(seq));
  }
  point('pointerup', 2 * Math.PI * n / 20);
  await settled();
  return took.slice(3);
}"""
)
# Many strokes of three events.
STROKES = (
    "async ([root, n, offset]) => {"
    + POINTER
    + """
  for (let i = 0; i < n; i++) {
    const seq = Number(root.dataset.seq);
    for (const [kind, step] of [['pointerdown', 0], ['pointermove', 1], ['pointerup', 1]])
      point(kind, 2 * Math.PI * ((offset + i + 0.1 * step) % 64) / 64);
    await next(seq);
    await settled();
  }
}"""
)


def renderer_mb() -> float:
    """Resident memory of the largest renderer of a browser that this process has started."""
    found = [0.0]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"--type=renderer" in (folder / "cmdline").read_bytes():
                pages = int((folder / "statm").read_text().split()[1])
                found.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
        except OSError:  # it has ended
            continue
    return max(found)


def measured(browser: Browser, url: str, *, threads: bool, strokes: int) -> dict[str, Any]:
    """One visit: the browser has seen nothing of the page before."""
    with browser.new_context(service_workers="allow" if threads else "block") as context:
        page = context.new_page()
        began = time.perf_counter()
        page.goto(url)
        page.wait_for_function("() => document.getElementById('doing').textContent.startsWith('Drawing')")
        loaded = time.perf_counter() - began
        view = PaintView(page)
        view.root.wait_for(timeout=120_000)
        first = time.perf_counter() - began
        view.settle(120)
        view.part("draw").wait_for()
        view.pick(0)
        view.use("paint", size=2)
        root = view.root.element_handle()
        took = page.evaluate(STROKE, [root, 40])
        memory = [renderer_mb()]
        for done in range(0, strokes, 100):
            page.evaluate(STROKES, [root, 100, done])
            view.settle(120)
            memory.append(renderer_mb())
        return {
            "engine": page.inner_text("#engine").removeprefix("It uses ").rstrip("."),
            "loaded": loaded,
            "first": first,
            "took": took,
            "memory": memory,
        }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--strokes", type=int, default=0, help="for the memory, after the timed ones")
    parser.add_argument("--site", type=Path, help="a page that is there already")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        site = options.site or Path(folder) / "site"
        if not options.site and command(["page", "--out", str(site)]):
            return 1
        print(f"{os.cpu_count()} CPUs, Chromium on {platform.platform()}")
        print("| engine | files are there | first picture | after the files | stroke p50 | p95 | memory |")
        print("| :-- | --: | --: | --: | --: | --: | --: |")
        with StaticServer(site) as server, launch() as browser:
            for threads in (False, True):
                one = measured(
                    browser, server.url, threads=threads, strokes=options.strokes if threads else 0
                )
                p50, p95 = np.percentile(one["took"], [50, 95])
                print(
                    f"| {one['engine']} | {one['loaded']:.1f} s | {one['first']:.1f} s "
                    f"| {one['first'] - one['loaded']:.1f} s | {p50:.0f} ms | {p95:.0f} ms "
                    f"| {one['memory'][0]:.0f} MB |"
                )
                if len(one["memory"]) > 1:
                    rows = ", ".join(f"{mb:.0f}" for mb in one["memory"])
                    print(f"memory of the page in MB, every 100 strokes: {rows}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
