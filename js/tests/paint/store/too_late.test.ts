/** Strokes that the kernel gets after it has replaced their scene. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type FakeKernel, openStore } from "../fake_kernel.ts";

const middle = (row: number, col: number) => ({ row: row + 0.5, col: col + 0.5 });

function setUp() {
  const { kernel, store } = openStore();
  kernel.state();
  store.settings.size.value = 1;
  const dab = (col: number) => {
    store.stroke.begin(middle(0, col));
    store.stroke.end();
  };
  const strengths = (n: number) => [...store.painting.layers.value.strengths.slice(0, n)];
  return { kernel, store, dab, strengths };
}

const commits = (kernel: FakeKernel) => kernel.of("edit").filter(({ commit }) => commit);
const sentBy = (kernel: FakeKernel, edit: unknown) => [
  ...new Float32Array(kernel.buffers[kernel.sent.indexOf(edit)]?.[0] ?? []),
];
const ack = (kernel: FakeKernel, seq: number) => kernel.say({ type: "ack", client: "me", seq });
/** The kernel's answer to an edit of an outdated scene. */
function refuse(
  kernel: FakeKernel,
  { seq }: { seq: number },
  state: Parameters<FakeKernel["state"]>[0],
  strength: number,
) {
  kernel.state({ why: "refused", client: "me", ...state }, strength);
  ack(kernel, seq);
}

test("a stroke that comes after an undo is put on what undo brought back, and sent again", () => {
  const { kernel, store, dab, strengths } = setUp();
  store.painting.setGain(1, 1.5, true);
  store.painting.commitSlid();
  kernel.state({ why: "edit", client: "me", can_undo: true });
  store.history.undo();
  dab(0);
  // The kernel handles undo, and then gets the stroke.
  kernel.state({ revision: 2, gains: [1, 1] }, 0.5);
  assert.deepEqual(strengths(4), [1, 0, 0.5, 0.5], "it does not go away meanwhile");
  assert.deepEqual(store.painting.gains.value, [1, 1]);
  refuse(kernel, commits(kernel)[1], { revision: 2, gains: [1, 1] }, 0.5);
  const again = commits(kernel)[2];
  assert.deepEqual([again.revision, again.gains, again.call.verb], [2, [1, 1], "paint"]);
  assert.deepEqual(sentBy(kernel, again).slice(0, 4), [1, 0, 0.5, 0.5]);
  kernel.state({ why: "edit", client: "me", revision: 2 });
  kernel.frame(again.seq);
  assert.deepEqual([commits(kernel).length, strengths(4), store.status.said.value], [3, [1, 0, 0.5, 0.5], ""]);
});

test("its factors are found by their ids, and those that are new stay as they are", () => {
  const { kernel, strengths, store, dab } = setUp();
  store.factors.pick(1);
  dab(0);
  refuse(kernel, commits(kernel)[0], { revision: 2, names: ["new", "tree", "sky"], ids: [7, 1, 0] }, 0.5);
  assert.deepEqual(strengths(6), [0.5, 1, 0, 0.5, 0.5, 0.5]);
  assert.equal(commits(kernel)[1].gains.length, 3);
  assert.equal(store.painting.layers.value.remainder[0], 0);
});

test("several strokes that came too late are sent again as one", () => {
  const { kernel, dab, strengths } = setUp();
  dab(0);
  dab(1);
  const [first, second] = commits(kernel);
  refuse(kernel, first, { revision: 2 }, 0.5);
  refuse(kernel, second, { revision: 2 }, 0.5);
  assert.deepEqual([commits(kernel).length, commits(kernel)[2].call], [3, undefined]);
  assert.deepEqual(sentBy(kernel, commits(kernel)[2]).slice(0, 6), [1, 0, 1, 0, 0.5, 0.5]);
  assert.deepEqual(strengths(6), [1, 0, 1, 0, 0.5, 0.5]);
});

test("a stroke that is not sent again, because a later one contains it, is not lost with that one", () => {
  const { kernel, dab, strengths } = setUp();
  dab(0);
  kernel.state({ revision: 2 }, 0.5);
  dab(1);
  const [first, second] = commits(kernel);
  assert.deepEqual([first.revision, second.revision], [1, 2]);
  refuse(kernel, first, { revision: 2 }, 0.5);
  assert.equal(commits(kernel).length, 2);
  refuse(kernel, second, { revision: 3 }, 0.75);
  assert.deepEqual(strengths(6), [1, 0, 1, 0, 0.75, 0.75]);
  assert.deepEqual(sentBy(kernel, commits(kernel)[2]).slice(0, 6), [1, 0, 1, 0, 0.75, 0.75]);
});

test("a stroke in progress is not sent with the one before it, and goes on", () => {
  const { kernel, store, dab, strengths } = setUp();
  dab(0);
  store.stroke.begin(middle(0, 1));
  refuse(kernel, commits(kernel)[0], { revision: 2 }, 0.5);
  assert.deepEqual(sentBy(kernel, commits(kernel)[1]).slice(0, 4), [1, 0, 0.5, 0.5]);
  assert.deepEqual(strengths(4), [1, 0, 1, 0]);
  store.stroke.end();
  assert.deepEqual(sentBy(kernel, commits(kernel)[2]).slice(0, 6), [1, 0, 1, 0, 0.5, 0.5]);
});

test("a stroke that is refused twice is given up, in words", () => {
  const { kernel, store, dab, strengths } = setUp();
  dab(0);
  refuse(kernel, commits(kernel)[0], { revision: 2 }, 0.5);
  refuse(kernel, commits(kernel)[1], { revision: 3 }, 0.75);
  assert.equal(commits(kernel).length, 2);
  assert.deepEqual(strengths(2), [0.75, 0.75]);
  assert.equal(store.status.said.value, "Your last stroke came too late and is not in the picture");
  dab(0);
  assert.deepEqual([commits(kernel)[2].revision, strengths(2)], [3, [1, 0]]);
});

for (const [what, state] of Object.entries({
  "another scene": { run: "another", features: [[{ feature: 1, label: "", weight: 1, share: 1 }], []] },
  "another grid": { rows: 8, cols: 8 },
  "no such factor": { names: ["tree"], ids: [1] },
}))
  test(`a stroke that does not fit (${what}) is given up, in words`, () => {
    const { kernel, store, dab, strengths } = setUp();
    dab(0);
    refuse(kernel, commits(kernel)[0], { revision: 2, ...state }, 0.5);
    assert.equal(commits(kernel).length, 1);
    assert.deepEqual(strengths(2), [0.5, 0.5]);
    assert.match(store.status.said.value, /came too late/);
  });

test("a stroke over a factor that is gone fits", () => {
  const { kernel, strengths, dab } = setUp();
  dab(0);
  refuse(kernel, commits(kernel)[0], { revision: 2, names: ["sky"], ids: [0] }, 0.5);
  assert.deepEqual([commits(kernel).length, strengths(2)], [2, [1, 0.5]]);
});

test("a factor is renamed while a stroke is on its way: the stroke stays", () => {
  const { kernel, dab, strengths } = setUp();
  dab(0);
  kernel.state({ names: ["sea", "tree"] });
  assert.deepEqual(strengths(2), [1, 0]);
  kernel.state({ why: "edit", client: "me", names: ["sea", "tree"] });
  kernel.frame(commits(kernel)[0].seq);
  assert.equal(commits(kernel).length, 1);
  kernel.state({ revision: 2 }, 0.5);
  assert.deepEqual(strengths(2), [0.5, 0.5], "it is confirmed, so the kernel knows best");
});

test("a stroke that fails is not sent again", () => {
  const { kernel, dab, strengths } = setUp();
  dab(0);
  const { seq } = commits(kernel)[0];
  kernel.say({ type: "error", client: "me", seq, message: "too strong", traceback: "", retry: false });
  ack(kernel, seq);
  kernel.state({ revision: 2 }, 0.5);
  assert.deepEqual([commits(kernel).length, strengths(2)], [1, [0.5, 0.5]]);
});

test("if the factors change their places in the middle of a stroke, it ends there", () => {
  const { kernel, store, strengths } = setUp();
  store.stroke.begin(middle(0, 0));
  kernel.state({ revision: 2, names: ["tree", "sky"], ids: [1, 0] }, 0.5);
  assert.equal(store.stroke.isActive, false);
  assert.deepEqual(strengths(4), [0, 1, 0.5, 0.5]);
  refuse(kernel, commits(kernel)[0], { revision: 2, names: ["tree", "sky"], ids: [1, 0] }, 0.5);
  assert.deepEqual(sentBy(kernel, commits(kernel)[1]).slice(0, 4), [0, 1, 0.5, 0.5]);
});
