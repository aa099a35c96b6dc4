import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeBitmap, openStore } from "./fake_kernel.ts";

const tick = () => new Promise((resolve) => setTimeout(resolve, 0));
const middle = (row: number, col: number) => ({ row: row + 0.5, col: col + 0.5 });
const byteOf = (bitmap: ImageBitmap | undefined) => (bitmap as unknown as FakeBitmap | undefined)?.byte;

test("it asks for the scene as soon as it is there", () => {
  const { kernel } = openStore();
  assert.deepEqual(kernel.sent, [{ type: "hello", client: "me", seq: 1 }]);
});

test("before a scene has come nothing can be painted", () => {
  const { kernel, store } = openStore();
  assert.equal(store.beginStroke(middle(3, 3)), false);
  assert.equal(kernel.of("edit").length, 0);
});

test("a stroke paints at once, streams, and ends with a commit", () => {
  const { kernel, store } = openStore();
  kernel.state({ revision: 7 });
  store.size.val = 1;
  assert.ok(store.beginStroke(middle(0, 0)));
  assert.equal(store.layers.val.strengths[0], 1);
  store.continueStroke([middle(0, 1)]);
  store.endStroke();
  assert.deepEqual(
    kernel.of("edit").map(({ commit, revision }) => [commit, revision]),
    [
      [false, 7],
      [false, 7],
      [true, 7],
    ],
  );
  const strengths = new Float32Array(kernel.buffers.at(-1)?.[0] ?? new ArrayBuffer(0));
  assert.deepEqual([...strengths.slice(0, 6)], [1, 0, 1, 0, 0.25, 0.25]);
});

test("a cancelled stroke leaves everything as it was, in the kernel too", () => {
  const { kernel, store } = openStore();
  kernel.state();
  const before = store.layers.val;
  store.beginStroke(middle(0, 0));
  store.cancelStroke();
  assert.equal(store.layers.val, before);
  assert.equal(kernel.of("edit").at(-1)?.commit, true);
});

test("the answer to one's own stroke does not take back what was painted since", () => {
  const { kernel, store } = openStore();
  kernel.state();
  store.beginStroke(middle(0, 0));
  kernel.state({ why: "edit", client: "me", can_undo: true });
  assert.equal(store.layers.val.strengths[0], 1);
  assert.equal(store.canUndo.val, true);
});

test("what another page painted shows", () => {
  const { kernel, store } = openStore();
  kernel.state();
  kernel.state({ why: "edit", client: "someone else" }, 0.75);
  assert.equal(store.layers.val.strengths[0], 0.75);
});

test("an answer to another page's hello is not for this one", () => {
  const { kernel, store } = openStore();
  kernel.state();
  store.beginStroke(middle(0, 0));
  kernel.state({ why: "hello", client: "someone else" });
  assert.equal(store.layers.val.strengths[0], 1);
  assert.ok(store.isStroking);
});

test("a scene that comes in the middle of a stroke ends it", () => {
  const { kernel, store } = openStore();
  kernel.state();
  store.beginStroke(middle(0, 0));
  kernel.state({ revision: 2 }, 0.5);
  store.continueStroke([middle(5, 5)]);
  store.endStroke();
  assert.equal(store.layers.val.strengths[0], 0.5);
  assert.equal(kernel.of("edit").length, 1);
});

test("a scene with fewer factors picks one that is there", () => {
  const { kernel, store } = openStore();
  kernel.state();
  store.factor.val = 1;
  kernel.state({ revision: 2, names: ["sky"] });
  assert.equal(store.factor.val, 0);
});

test("locked factors stay as they are, whatever is done to the others", () => {
  const { kernel, store } = openStore();
  kernel.state();
  store.size.val = 1;
  store.toggle("locked", 1);
  store.beginStroke(middle(0, 0));
  assert.deepEqual([...store.layers.val.strengths.slice(0, 2)], [1, 0.25]);
  assert.equal(store.layers.val.remainder[0], 0);
});

test("what is set for a factor goes along when others come, go or change their names", () => {
  const { kernel, store } = openStore();
  kernel.state({ names: ["sky", "tree", "sun"] });
  store.toggle("locked", 1);
  store.toggle("hidden", 2);
  store.soloed.val = 2;
  store.factor.val = 2;
  kernel.state({ revision: 2, names: ["sky", "pine", "sun"] });
  assert.deepEqual([...store.locked.val], [1]);
  kernel.state({ revision: 3, names: ["sun", "pine"] });
  assert.deepEqual([[...store.locked.val], [...store.hidden.val]], [[1], [0]]);
  assert.deepEqual([store.soloed.val, store.factor.val], [0, 0]);
  kernel.state({ revision: 4, names: ["pine", "sun"] });
  assert.deepEqual([[...store.locked.val], [...store.hidden.val]], [[0], [1]]);
  kernel.state({ revision: 5, names: ["sun", "pine", "lion"] });
  assert.equal(store.factor.val, 2, "what was added is picked");
});

test("selecting is not told to the kernel, and painting says which verb it was", () => {
  const { kernel, store } = openStore();
  kernel.state();
  store.beginStroke(middle(2, 2), "free", "rect");
  store.continueStroke([middle(3, 3)]);
  store.endStroke();
  assert.equal(kernel.of("edit").length, 0);
  store.size.val = 1;
  store.beginStroke(middle(3, 3));
  store.endStroke();
  const { verb, factor, shares } = kernel.of("edit").at(-1)?.deed ?? {};
  assert.deepEqual([verb, factor, shares.length, shares.indexOf(1)], ["paint", 0, 256, 3 * 16 + 3]);
  assert.equal(kernel.of("edit")[0].deed, undefined);
});

test("an area is painted, erased or selected as the tool says, in one step of the history", () => {
  const { kernel, store } = openStore();
  kernel.state();
  const left = new Uint8Array(256).fill(1, 0, 2);
  store.useOn(left);
  assert.deepEqual([...store.layers.val.strengths.slice(0, 5)], [1, 0, 1, 0, 0.25]);
  assert.equal(kernel.of("edit").filter(({ commit }) => commit).length, 1);
  store.tool.val = "lasso";
  store.useOn(left);
  assert.equal(store.selection.val, left);
  store.factor.val = 1;
  store.useOn(new Uint8Array(256).fill(1), "paint");
  assert.deepEqual([...store.layers.val.strengths.slice(0, 5)], [0, 1, 0, 1, 0.25]);
});

test("a cancelled move puts the selection back too", () => {
  const { kernel, store } = openStore();
  kernel.state();
  const selection = new Uint8Array(256).fill(1, 0, 1);
  store.selection.val = selection;
  store.beginStroke(middle(0, 0), "free", "move");
  store.continueStroke([middle(4, 4)]);
  assert.ok(store.ghost.val);
  store.cancelStroke();
  assert.equal(store.selection.val, selection);
  assert.equal(store.ghost.val, null);
});

test("buffers that do not fit are not taken over", () => {
  const { kernel, store } = openStore();
  kernel.state();
  kernel.say(
    {
      type: "state",
      why: "scene",
      client: "",
      revision: 2,
      names: ["a", "b", "c"],
      gains: [1, 1, 1],
      icons: [],
      steps: [],
    },
    [new Float32Array(3), new Float32Array(256)],
  );
  assert.equal(store.info.val?.revision, 1);
});

test("a typed prompt stays while only the painting changes, and follows another scene", () => {
  const { kernel, store } = openStore();
  kernel.state();
  store.draft.val = { ...store.draft.val, prompt: "half typed" };
  kernel.state({ revision: 2 });
  assert.equal(store.draft.val.prompt, "half typed");
  kernel.state({ revision: 3, prompt: "a lion", seed: "9223372036854775807" });
  assert.deepEqual(store.draft.val, {
    prompt: "a lion",
    style: "",
    seed: "9223372036854775807",
    n_steps: 1,
    n_factors: 2,
  });
});

test("sliders stream and commit", () => {
  const { kernel, store } = openStore();
  kernel.state();
  store.setGain(1, 1.5, false);
  store.setGain(1, 1.6, true);
  assert.deepEqual(
    kernel.of("edit").map(({ gains, commit }) => [gains, commit]),
    [
      [[1, 1.5], false],
      [[1, 1.6], true],
    ],
  );
});

test("while a new scene is drawn nothing can be painted", () => {
  const { kernel, store } = openStore();
  kernel.state();
  store.draw();
  assert.deepEqual(kernel.of("analyze")[0], {
    type: "analyze",
    prompt: "a tree",
    style: "",
    seed: "3",
    n_steps: 1,
    n_factors: 2,
    client: "me",
    seq: 2,
  });
  assert.equal(store.beginStroke(middle(0, 0)), false);
  kernel.say({ type: "status", busy: false, task: "" });
  assert.ok(store.beginStroke(middle(0, 0)));
});

test("undo in the middle of a stroke takes the stroke back", () => {
  const { kernel, store } = openStore();
  kernel.state({ can_undo: true });
  store.beginStroke(middle(0, 0));
  store.undo();
  assert.equal(store.layers.val.strengths[0], 0.25);
  assert.equal(kernel.of("undo").length, 0);
  store.undo();
  assert.equal(kernel.of("undo").length, 1);
});

test("a frame shows, and the one before is let go", async () => {
  const { kernel, store } = openStore();
  kernel.frame(4);
  await tick();
  const first = store.pictures.picture.val?.bitmap as unknown as FakeBitmap;
  assert.equal(store.pictures.shownSeq.val, 4);
  kernel.frame(5);
  await tick();
  assert.equal(byteOf(store.pictures.picture.val?.bitmap), 5);
  assert.equal(first.closed, true);
});

test("a frame that is decoded late does not replace a newer one", async () => {
  const waiting: (() => void)[] = [];
  const { kernel, store } = openStore(
    (bytes) => new Promise((resolve) => waiting.push(() => resolve(new FakeBitmap(bytes[0] ?? -1)))),
  );
  kernel.frame(1);
  kernel.frame(2);
  waiting[1]?.();
  await tick();
  waiting[0]?.();
  await tick();
  assert.equal(byteOf(store.pictures.picture.val?.bitmap), 2);
});

test("another page's frames show too, but are no answer to this one", async () => {
  const { kernel, store } = openStore();
  kernel.frame(90, "someone else", 7);
  await tick();
  assert.equal(byteOf(store.pictures.picture.val?.bitmap), 7);
  assert.equal(store.pictures.shownSeq.val, 0);
});

test("a picture that cannot be read is said to be so", async () => {
  const { kernel, store } = openStore(() => Promise.reject(new Error("broken")));
  kernel.frame(1);
  await tick();
  assert.equal(store.error.val?.message, "The picture that arrived cannot be read.");
});

test("a fault shows, the painting stays, and the next picture ends it", async () => {
  const { kernel, store } = openStore();
  kernel.state();
  store.beginStroke(middle(0, 0));
  kernel.say({ type: "error", client: "me", seq: 2, message: "out of memory", traceback: "Traceback" });
  assert.deepEqual(store.error.val, { message: "out of memory", traceback: "Traceback" });
  assert.equal(store.layers.val.strengths[0], 1);
  kernel.frame(3);
  assert.equal(store.error.val, null);
});

test("retry asks for the picture again", () => {
  const { kernel, store } = openStore();
  store.retry();
  assert.equal(kernel.of("retry").length, 1);
});

test("the saved picture shows before the kernel has said anything", async () => {
  const { kernel, store } = openStore();
  kernel.image = new DataView(new Uint8Array([42]).buffer);
  store.open();
  await tick();
  assert.equal(byteOf(store.pictures.picture.val?.bitmap), 42);
});

test("a closed store listens no more and lets its picture go", async () => {
  const { kernel, store } = openStore();
  kernel.frame(1);
  await tick();
  const shown = store.pictures.picture.val?.bitmap as unknown as FakeBitmap;
  store.close();
  kernel.state();
  assert.equal(store.info.val, null);
  assert.equal(shown.closed, true);
  assert.equal(
    [...kernel.listeners.values()].reduce((n, set) => n + set.size, 0),
    0,
  );
});

test("where several sites are steered, a stroke covers the factors of its own", () => {
  const { kernel, store } = openStore();
  kernel.state({ names: ["sky", "tree", "bark"], sites: [0, 0, 1], site_names: ["down.2.1", "up.0.1"] });
  store.factor.val = 2;
  store.beginStroke({ row: 3.5, col: 3.5 });
  store.endStroke();
  const { strengths } = store.layers.val;
  const at = 3 * (3 * 16 + 3);
  assert.deepEqual([...strengths.slice(at, at + 3)], [0.25, 0.25, 1]);
  store.factor.val = 1;
  store.beginStroke({ row: 3.5, col: 3.5 });
  store.endStroke();
  assert.deepEqual([...store.layers.val.strengths.slice(at, at + 3)], [0, 1, 1]);
});

test("how strong each factor is at most is told again only when that changes", () => {
  const { kernel, store } = openStore();
  kernel.state();
  assert.deepEqual(store.peaks.val, [0.25, 0.25]);
  store.beginStroke({ row: 3, col: 3 });
  const { val: peaks } = store.peaks;
  assert.deepEqual(peaks, [1, 0.25]);
  store.continueStroke([{ row: 9, col: 9 }]);
  assert.equal(store.peaks.val, peaks);
  store.endStroke();
});
