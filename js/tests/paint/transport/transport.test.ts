import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyLayers } from "../../../src/paint/store/grid.ts";
import type { Edit } from "../../../src/paint/transport/messages.ts";
import { Transport, WAIT_MS, WINDOW } from "../../../src/paint/transport/transport.ts";

// biome-ignore lint/suspicious/noExplicitAny: messages are read as the kernel would
type Sent = any;

function setUp() {
  const sent: { content: Sent; buffers: ArrayBuffer[] }[] = [];
  const lost: boolean[] = [];
  const timers = new Map<number, () => void>();
  let n = 0;
  const time = { now: 0 };
  const clock = {
    now: () => time.now,
    setTimeout: (callback: () => void) => {
      timers.set(++n, callback);
      return n;
    },
    clearTimeout: (timer: unknown) => timers.delete(timer as number),
  };
  const model = {
    send: (content: unknown, _: unknown, buffers: ArrayBuffer[] = []) => void sent.push({ content, buffers }),
  };
  const transport = new Transport(model, "me", (value) => lost.push(value), clock);
  const elapse = () => {
    const due = [...timers.values()];
    timers.clear();
    for (const callback of due) callback();
  };
  const types = () => sent.map(({ content }) => content.type);
  const seqs = () => sent.map(({ content }) => content.seq);
  return { transport, model, sent, lost, timers, elapse, time, types, seqs };
}

const edit = (strength: number, commit = false): Edit => {
  const layers = emptyLayers({ rows: 16, cols: 16 }, 1);
  layers.strengths.fill(strength);
  return { gains: [1], revision: 4, commit, layers };
};

const strengthOf = (sent: { buffers: ArrayBuffer[] } | undefined) => new Float32Array(sent?.buffers[0] ?? [])[0];

test("an edit carries client, seq, revision, gains and two float32 buffers", () => {
  const { transport, sent } = setUp();
  transport.stream(() => edit(0.5));
  assert.deepEqual(sent[0]?.content, { type: "edit", client: "me", seq: 1, gains: [1], commit: false, revision: 4 });
  assert.deepEqual(
    sent[0]?.buffers.map((b) => b.byteLength),
    [1024, 1024],
  );
  assert.equal(strengthOf(sent[0]), 0.5);
});

test("what was sent does not change when painting continues", () => {
  const { transport, sent } = setUp();
  const painting = edit(0.5);
  transport.stream(() => painting);
  painting.layers.strengths.fill(9);
  assert.equal(strengthOf(sent[0]), 0.5);
});

test("no more edits are under way than the window allows", () => {
  const { transport, sent } = setUp();
  for (let i = 0; i < 10; i++) transport.stream(() => edit(i));
  assert.equal(sent.length, WINDOW);
});

test("when the kernel answers, the newest edit is sent and older ones are dropped", () => {
  const { transport, sent } = setUp();
  for (let i = 0; i < 10; i++) transport.stream(() => edit(i));
  transport.answered(1);
  assert.equal(sent.length, WINDOW + 1);
  assert.equal(strengthOf(sent.at(-1)), 9);
});

test("an answer covers all edits before it", () => {
  const { transport, sent } = setUp();
  transport.stream(() => edit(1));
  transport.stream(() => edit(2));
  transport.answered(2);
  transport.stream(() => edit(3));
  transport.stream(() => edit(4));
  assert.equal(sent.length, 4);
});

test("the end of a stroke is sent at once and replaces the waiting edit", () => {
  const { transport, sent } = setUp();
  for (let i = 0; i < 5; i++) transport.stream(() => edit(i));
  transport.commit(edit(7, true));
  assert.equal(sent.length, WINDOW + 1);
  assert.equal(sent.at(-1)?.content.commit, true);
  transport.answered(3);
  assert.equal(sent.length, WINDOW + 1);
});

test("sequence numbers increase over edits and requests", () => {
  const { transport, seqs } = setUp();
  transport.stream(() => edit(1));
  transport.request({ type: "undo" });
  transport.commit(edit(2, true));
  assert.deepEqual(seqs(), [1, 2, 3]);
});

test("without an answer it pings first, and only then reports that the kernel is lost", () => {
  const { transport, types, lost, elapse } = setUp();
  transport.stream(() => edit(1));
  elapse();
  assert.deepEqual(types(), ["edit", "ping"]);
  assert.deepEqual(lost, []);
  elapse();
  assert.deepEqual(lost, [true]);
});

test("a kernel that answers pings is not lost, however long it renders", () => {
  const { transport, types, lost, elapse } = setUp();
  transport.stream(() => edit(1));
  for (let i = 0; i < 3; i++) {
    elapse();
    transport.received();
  }
  assert.deepEqual(types(), ["edit", "ping", "ping", "ping"]);
  assert.ok(!lost.includes(true));
});

test("a kernel that answers again is no longer lost", () => {
  const { transport, lost, elapse } = setUp();
  transport.stream(() => edit(1));
  elapse();
  elapse();
  transport.received();
  assert.deepEqual(lost, [true, false]);
});

test("no timer runs when everything is answered", () => {
  const { transport, timers } = setUp();
  transport.stream(() => edit(1));
  transport.received();
  transport.answered(1);
  assert.equal(timers.size, 0);
});

test("a send that throws means that the kernel is lost", () => {
  const { transport, model, lost } = setUp();
  model.send = () => {
    throw new Error("comm is closed");
  };
  transport.stream(() => edit(1));
  assert.equal(lost.at(-1), true);
});

test("a closed transport has no timer", () => {
  const { transport, timers } = setUp();
  transport.stream(() => edit(1));
  transport.close();
  assert.equal(timers.size, 0);
});

/** A stroke in which every picture takes `ms`, until the second edit is the only one under way. */
function strokeOf(ms: number, waitedMs: number) {
  const set = setUp();
  set.transport.stream(() => edit(1));
  set.transport.stream(() => edit(2));
  set.time.now = ms;
  set.transport.answered(1, { ms, waited_ms: waitedMs });
  return set;
}

test("the next edit waits until the kernel is about to need it", () => {
  const { transport, sent, time, elapse } = strokeOf(100, WAIT_MS);
  transport.stream(() => edit(3));
  assert.equal(sent.length, 2);
  transport.stream(() => edit(4));
  time.now = 199;
  elapse();
  const edits = sent.filter(({ content }) => content.type === "edit");
  assert.equal(edits.length, 3);
  assert.equal(strengthOf(edits.at(-1)), 4);
});

test("after a picture that arrives sooner than expected, the next edit is sent at once", () => {
  const { transport, sent, time } = strokeOf(100, WAIT_MS);
  transport.stream(() => edit(3));
  time.now = 130;
  transport.answered(2, { ms: 30, waited_ms: WAIT_MS });
  assert.equal(strengthOf(sent.at(-1)), 3);
});

test("edits are sent sooner after one that arrived too late, and later after one that arrived too early", () => {
  const leave = (waitedMs: number) => {
    const { transport, sent, time } = strokeOf(100, waitedMs);
    transport.stream(() => edit(3));
    for (; sent.length < 3; time.now++) transport.stream(() => edit(3));
    return time.now;
  };
  assert.ok(leave(WAIT_MS - 40) < leave(WAIT_MS));
  assert.ok(leave(WAIT_MS + 40) > leave(WAIT_MS));
});
