/** How well edits are timed, in a stroke on a simulated clock. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyLayers } from "../../../src/paint/store/grid.ts";
import { Transport } from "../../../src/paint/transport/transport.ts";

interface Course {
  /** For each picture, the age of its newest pointer event when the kernel began to draw it, in ms. */
  readonly ages: readonly number[];
  /** The share of the stroke's time in which the kernel drew. */
  readonly busy: number;
}

/** Three seconds of a pointer that moves every 8 ms; a picture takes `drawMs`, a message `travelMs`. */
function stroke(drawMs: number, travelMs: number, paced: boolean): Course {
  const events: { at: number; act: () => void }[] = [];
  let now = 0;
  const later = (ms: number, act: () => void) => {
    const event = { at: now + ms, act };
    events.push(event);
    return event;
  };
  const clock = {
    now: () => now,
    setTimeout: (act: () => void, ms: number) => later(ms, act),
    clearTimeout: (event: unknown) => {
      const at = events.indexOf(event as (typeof events)[number]);
      if (at >= 0) events.splice(at, 1);
    },
  };
  const ages: number[] = [];
  let slot: { seq: number; moved: number; came: number } | null = null;
  let [working, free, busy] = [false, 0, 0];
  const work = () => {
    if (working || !slot) return;
    const { seq, moved, came } = slot;
    const waited_ms = free - came;
    slot = null;
    working = true;
    busy += drawMs;
    ages.push(now - moved);
    later(drawMs, () => {
      working = false;
      free = now;
      // Without these numbers the browser does not know when to send, and sends as soon as the window has room.
      later(travelMs, () => transport.answered(seq, paced ? { ms: drawMs, waited_ms } : undefined));
      work();
    });
  };
  const model = {
    send: (content: unknown, _: unknown, buffers: ArrayBuffer[] = []) => {
      const { type, seq } = content as { type: string; seq: number };
      if (type !== "edit") return;
      const moved = new Float32Array(buffers[0] ?? [])[0] ?? 0;
      later(travelMs, () => {
        slot = { seq, moved, came: now };
        work();
      });
    },
  };
  const transport = new Transport(model, "me", () => {}, clock);
  for (let at = 0; at < 3000; at += 8)
    later(at, () => {
      const layers = emptyLayers({ rows: 16, cols: 16 }, 1);
      layers.strengths.fill(now);
      transport.stream(() => ({ gains: [1], revision: 1, commit: false, layers }));
    });
  for (;;) {
    events.sort((a, b) => a.at - b.at);
    const next = events.shift();
    if (!next || next.at > 3000) break;
    now = next.at;
    next.act();
  }
  return { ages: ages.slice(10), busy: busy / 3000 };
}

const middle = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

for (const [drawMs, travelMs] of [
  [30, 5],
  [70, 8],
  [150, 20],
] as const)
  test(`pictures of ${drawMs} ms: the kernel hardly waits, and what it draws is fresh`, () => {
    const paced = stroke(drawMs, travelMs, true);
    const unpaced = stroke(drawMs, travelMs, false);
    assert.ok(paced.busy > 0.93, `busy ${paced.busy}`);
    // The travel time to the kernel, the time between two pointer events, and a small margin.
    assert.ok(middle(paced.ages) <= travelMs + 8 + 12, `${middle(paced.ages)} ms`);
    assert.ok(middle(paced.ages) < middle(unpaced.ages) / 1.5, `${middle(paced.ages)}, ${middle(unpaced.ages)} ms`);
  });
