"""How long from the pointer to the picture, in a real JupyterLab: paints one long stroke and prints a table.

    python -m tests.benchmarks.latency --painter embedded

Every pointer event is paired with the first picture that knows of it: the page notes when the event
happened, which edit (``seq``) left for the kernel after it, and when a picture of that edit or a later one
stood on the screen. An event must wait for half a picture on average before its own can be begun, so the
table also gives the age of the pictures: from the last event that a picture knows of until it stood there.

``--stages`` prints where the time goes, from the pointer to the pixels. Page and kernel read the same clock.

``--against old/paint.js`` takes turns with another bundle, so that both meet the same load of the machine; if
that has a panels.js, it is beside it.
"""

from __future__ import annotations

import argparse
import bisect
import os
import platform
import sys
import tempfile
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path

import numpy as np

from tests.lab.browser import launch, new_context
from tests.lab.notebook import Notebook
from tests.lab.server import LabServer
from tests.lab.view import PaintView

POINTER_HZ = 125  # What a common mouse reports.

CELLS = {
    "fake": """import ember_widgets as ember
from tests.lab.fake_painter import FakePainter

widget = ember.PaintWidget(FakePainter(delay_ms={delay_ms}))
widget""",
    "embedded": """import ember_widgets as ember

widget = ember.PaintWidget(ember.Painter.embedded())
widget""",
}

# The runtime of previews is exported once per computer, in the background; strokes are measured after that.
READY = "widget.painter.previews(widget.scene) or widget.painter.backbone.fast.wait(300)"

OTHER_BUNDLE = """import pathlib
from ember_widgets.widgets.paint import replies
from ember_widgets.widgets.paint.widget import PaintWidget

path = pathlib.Path({path!r})
PaintWidget._esm.default_value = path.read_text()
if path.with_name("panels.js").exists():
    replies._PANELS = path.with_name("panels.js").read_text()
"""

NOTES = """from tests.benchmarks.stage_notes import notes

"""
STAGES = (
    ("the page gathers and paces edits", "moved", "left"),
    ("to the kernel (Jupyter server, comm)", "left", "received"),
    ("reading it, and waiting for the worker", "received", "begun"),
    ("the edit is made ready", "begun", "rendering"),
    ("drawing the picture", "rendering", "rendered"),
    ("encoding it", "rendered", "encoded"),
    ("handing it to the comm", "encoded", "sent"),
    ("to the page (Jupyter server, comm)", "sent", "arrived"),
    ("reading and decoding it", "arrived", "decoded"),
    ("until it stands on the screen", "decoded", "shown"),
)

# Wire messages are read where they leave the page: no hook in the widget itself could be more honest.
WATCH = """() => {
  const log = { moves: [], sends: [], shows: [], repaints: [], renders: [], arrivals: [], decodes: [] };
  log.origin = performance.timeOrigin;
  window.emberLatency = log;
  const root = document.querySelector('[data-testid=ember-paint]');
  root.querySelector('[data-testid=grid]').addEventListener('pointermove', event => {
    if (!event.buttons) return;
    log.moves.push(event.timeStamp);
  }, { capture: true });
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (data) {
    if (data instanceof ArrayBuffer) {
      const head = new TextDecoder('latin1').decode(data.slice(0, 4096));
      const edit = /"type":"edit".*?"seq":(\\d+)/.exec(head);
      if (edit) log.sends.push([performance.now(), Number(edit[1])]);
    }
    return send.call(this, data);
  };
  const data = Object.getOwnPropertyDescriptor(MessageEvent.prototype, 'data');
  const read = new WeakSet();
  Object.defineProperty(MessageEvent.prototype, 'data', { ...data, get() {
    const value = data.get.call(this);
    if (value instanceof ArrayBuffer && !read.has(this)) {
      read.add(this);
      const head = new TextDecoder('latin1').decode(value.slice(0, 4096));
      const frame = /"type": ?"frame".*?"seq": ?(\\d+)/.exec(head);
      if (frame) log.arrivals.push([performance.now(), Number(frame[1])]);
    }
    return value;
  } });
  // What the grid takes to draw: the time of the animation frame that wipes its canvas.
  const grid = root.querySelector('[data-testid=grid]');
  const clear = CanvasRenderingContext2D.prototype.clearRect;
  let wiped = false;
  CanvasRenderingContext2D.prototype.clearRect = function (...box) {
    wiped ||= this.canvas === grid;
    return clear.apply(this, box);
  };
  const request = window.requestAnimationFrame;
  window.requestAnimationFrame = callback => request.call(window, now => {
    wiped = false;
    const start = performance.now();
    callback(now);
    if (wiped) log.repaints.push(performance.now() - start);
  });
  const afterPaint = new MessageChannel();
  const waiting = [];
  afterPaint.port1.onmessage = () => {
    for (const seq of waiting.splice(0)) log.shows.push([performance.now(), seq]);
  };
  new MutationObserver(() => {
    const seq = Number(root.dataset.seq);
    const took = /^(\\d+) ms/.exec(root.querySelector('[data-testid=status]').textContent);
    if (took) log.renders.push(Number(took[1]));
    log.decodes.push([performance.now(), seq]);
    requestAnimationFrame(() => { waiting.push(seq); afterPaint.port2.postMessage(null); });
  }).observe(root, { attributes: true, attributeFilter: ['data-seq'] });
}"""


# The hand is in the page: moving the browser's own pointer from Python takes half a core; a mouse takes none.
# It draws a Lissajous figure; a move that comes too late is made at once, at its place.
HAND = """async ([root, seconds, every]) => {
  const grid = root.querySelector('[data-testid=grid]');
  const { left, top, width, height } = grid.getBoundingClientRect();
  grid.setPointerCapture = () => {};
  const point = (kind, s) => grid.dispatchEvent(new PointerEvent(kind, {
    bubbles: true, pointerId: 1, pointerType: 'mouse', button: 0, buttons: kind === 'pointerup' ? 0 : 1,
    clientX: left + width * (0.5 + 0.47 * Math.sin(2.1 * s)),
    clientY: top + height * (0.5 + 0.47 * Math.sin(3.3 * s + 0.5)),
  }));
  const start = performance.now();
  point('pointerdown', 0);
  for (let n = 1; performance.now() - start < 1000 * seconds; n++) {
    await new Promise(next => setTimeout(next, Math.max(0, start + n * every - performance.now())));
    point('pointermove', (performance.now() - start) / 1000);
  }
  point('pointerup', seconds);
}"""


@dataclass(frozen=True)
class Watched:
    """What the page noted, in ms of its own clock."""

    moves: list[float]
    sends: list[tuple[float, int]]
    shows: list[tuple[float, int]]
    repaints: list[float] = field(default_factory=list)
    renders: list[float] = field(default_factory=list)
    arrivals: list[tuple[float, int]] = field(default_factory=list)
    decodes: list[tuple[float, int]] = field(default_factory=list)
    kernel: list[tuple[str, int, float]] = field(default_factory=list)

    def stages_ms(self) -> dict[str, list[float]]:
        """Per stage of `STAGES`, how long it took for each picture that went through all of them."""
        passed: dict[int, dict[str, float]] = {}
        for name, pairs in (("left", self.sends), ("arrived", self.arrivals), ("decoded", self.decodes)):
            for at, seq in pairs:
                passed.setdefault(seq, {}).setdefault(name, at)
        for at, seq in self.shows:
            passed.setdefault(seq, {}).setdefault("shown", at)
        for name, seq, at in self.kernel:
            passed.setdefault(seq, {}).setdefault(name, at)
        for at, seq in self.sends:
            known = bisect.bisect_right(self.moves, at)
            if known:
                passed[seq]["moved"] = self.moves[known - 1]
        needed = {name for _, *ends in STAGES for name in ends}
        whole = [one for one in passed.values() if needed <= one.keys()]
        return {name: [one[end] - one[start] for one in whole] for name, start, end in STAGES}

    def ages_ms(self) -> list[float]:
        """Per picture, the time since the last pointer event that it knows of."""
        sent_at = {seq: at for at, seq in self.sends}
        ages = []
        for shown, seq in self.shows:
            known = bisect.bisect_right(self.moves, sent_at.get(seq, 0.0))
            if known:
                ages.append(shown - self.moves[known - 1])
        return ages

    def most_under_way(self) -> int:
        """The largest number of edits that had left and were not yet shown."""
        return max(
            sum(at <= shown for at, _ in self.sends) - sum(s <= seq for _, s in self.sends)
            for shown, seq in self.shows
        )

    def latencies_ms(self) -> list[float]:
        """Per pointer event, the time until the first picture that knows of it."""
        send_times = [at for at, _ in self.sends]
        latencies = []
        for moved in self.moves:
            first_send = bisect.bisect_left(send_times, moved)
            if first_send == len(self.sends):
                continue
            seq = self.sends[first_send][1]
            shown = next((at for at, shown_seq in self.shows if shown_seq >= seq), None)
            if shown is not None:
                latencies.append(shown - moved)
        return latencies

    def frames_during_the_stroke(self) -> int:
        return sum(self.moves[0] <= at <= self.moves[-1] for at, _ in self.shows)


def watch_a_stroke(view: PaintView, seconds: float) -> Watched:
    """Paint a Lissajous figure for some seconds, as fast as a mouse reports; wait for the last picture."""
    view.use("paint", size=2)
    view.page.evaluate(WATCH)

    view.part("grid").scroll_into_view_if_needed()
    view.page.evaluate(HAND, [view.root.element_handle(), seconds, 1000 / POINTER_HZ])
    view.settle()
    log = view.page.evaluate("() => window.emberLatency")
    times = ("sends", "shows", "arrivals", "decodes")
    pairs = {name: [(log["origin"] + at, seq) for at, seq in log[name]] for name in times}
    moves = [log["origin"] + at for at in log["moves"]]
    return Watched(
        moves,
        pairs["sends"],
        pairs["shows"],
        arrivals=pairs["arrivals"],
        decodes=pairs["decodes"],
        repaints=log["repaints"],
        renders=log["renders"],
    )


def measure(
    painter: str,
    *,
    seconds: float,
    delay_ms: float,
    runs: int,
    bundles: list[Path | None],
    stages: bool = False,
) -> list[Watched]:
    with tempfile.TemporaryDirectory() as folder, LabServer(Path(folder)) as server, launch() as browser:
        watched = []
        for run in range(runs):
            cell = CELLS[painter].format(delay_ms=delay_ms)
            if bundle := bundles[run % len(bundles)]:
                cell = OTHER_BUNDLE.format(path=str(bundle.resolve())) + cell
            if stages:
                cell = NOTES + cell
            name = server.write_notebook(f"latency-{run}.ipynb", [cell])
            with new_context(browser) as context:
                notebook = Notebook(context.new_page(), server.address(name))
                notebook.run_all()
                view = PaintView(notebook)
                view.settle()
                if painter == "embedded":
                    notebook.ask(READY)
                one = watch_a_stroke(view, seconds)
                if stages:
                    one = replace(one, kernel=[tuple(note) for note in notebook.ask("notes")])
                watched.append(one)
            server.stop_kernel(name)
        return watched


def table(watched: list[Watched], seconds: float, names: list[str]) -> str:
    lines = [
        "| bundle | pointer events | edits | frames shown | frames/s | render p50 "
        "| pointer → picture p50 | p95 | age of a picture p50 | p95 | most under way | grid repaint p95 |",
        "| :-- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for run, one in enumerate(watched):
        p50, p95 = np.percentile(one.latencies_ms(), [50, 95])
        age, old = np.percentile(one.ages_ms(), [50, 95])
        frames = one.frames_during_the_stroke()
        lines.append(
            f"| {names[run % len(names)]} | {len(one.moves)} | {len(one.sends)} | {frames} "
            f"| {frames / seconds:.1f} | {np.median(one.renders):.0f} ms | {p50:.0f} ms | {p95:.0f} ms "
            f"| {age:.0f} ms | {old:.0f} ms | {one.most_under_way()} "
            f"| {np.percentile(one.repaints, 95):.1f} ms |"
        )
    return "\n".join(lines)


def stage_table(watched: list[Watched]) -> str:
    """Where the time goes, over all strokes."""
    found: dict[str, list[float]] = {}
    for one in watched:
        for name, values in one.stages_ms().items():
            found.setdefault(name, []).extend(values)
    n = len(next(iter(found.values())))
    if not n:
        return "no picture could be followed through all stages"
    lines = [f"| stage, {n} pictures | p50 | p95 |", "| :-- | --: | --: |"]
    for name, values in found.items():
        p50, p95 = np.percentile(values, [50, 95])
        lines.append(f"| {name} | {p50:.1f} ms | {p95:.1f} ms |")
    whole = np.sum(list(found.values()), axis=0)
    p50, p95 = np.percentile(whole, [50, 95])
    return "\n".join(
        [*lines, f"| from the last pointer event that the picture knows of | {p50:.1f} ms | {p95:.1f} ms |"]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Latency from pointer to picture in JupyterLab.")
    parser.add_argument("--painter", choices=sorted(CELLS), default="embedded")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of the stroke (default: 5)")
    parser.add_argument(
        "--delay-ms", type=float, default=30.0, help="how long the fake painter takes (default: 30)"
    )
    parser.add_argument("--runs", type=int, default=1, help="strokes, each in a fresh kernel (default: 1)")
    parser.add_argument("--against", type=Path, help="another paint.js to take turns with")
    parser.add_argument("--stages", action="store_true", help="also print where the time goes")
    options = parser.parse_args()
    bundles = [None, options.against] if options.against else [None]
    watched = measure(
        options.painter,
        seconds=options.seconds,
        delay_ms=options.delay_ms,
        runs=options.runs * len(bundles),
        bundles=bundles,
        stages=options.stages,
    )
    painter = f"fake, {options.delay_ms:g} ms a picture" if options.painter == "fake" else "embedded"
    print(
        f"Painter: {painter}; one stroke of {options.seconds:g} s at {POINTER_HZ} Hz; "
        f"{os.cpu_count()} CPUs, Python {platform.python_version()}, "
        f"JupyterLab {metadata.version('jupyterlab')}, anywidget {metadata.version('anywidget')}"
    )
    print(table(watched, options.seconds, ["this", "other"][: len(bundles)]))
    if options.stages:
        print(stage_table(watched))
    return 0


if __name__ == "__main__":
    sys.exit(main())
