import assert from "node:assert/strict";
import { test } from "node:test";
import { View } from "../../../src/paint/store/view.ts";
import { actionOf } from "../../../src/paint/ui/keys.ts";
import { type FakeBitmap, openStore } from "../fake_kernel.ts";

const tick = () => new Promise((resolve) => setTimeout(resolve, 0));
const bytes = (byte: number) => [new Uint8Array([byte])];

function setUp() {
  const { kernel, store } = openStore();
  kernel.state({ steps: [[0, "step 0", ""]], step: 0 });
  const answer = (content: object, byte: number) => {
    const { seq } = kernel.sent.at(-1);
    kernel.say({ client: "me", seq, ...content }, bytes(byte));
  };
  return { kernel, store, answer };
}

test("the unedited picture is requested once per run", async () => {
  const { kernel, store, answer } = setUp();
  store.pictures.wantUnedited();
  store.pictures.wantUnedited();
  assert.equal(kernel.of("original").length, 1);
  answer({ type: "original" }, 7);
  await tick();
  const shown = store.pictures.unedited.value as unknown as FakeBitmap;
  assert.equal(shown.byte, 7);
  kernel.state({ revision: 2 });
  assert.equal(shown.closed, false, "strokes leave it as it is");
  kernel.state({ revision: 3, run: "another photograph" });
  assert.equal(shown.closed, true, "prompt and seed are the same, the photograph is not");
  assert.equal(store.pictures.unedited.value, null);
  store.pictures.wantUnedited();
  assert.equal(kernel.of("original").length, 2);
});

test("an unedited picture that arrives too late is not shown", async () => {
  const { kernel, store, answer } = setUp();
  store.pictures.wantUnedited();
  answer({ type: "original" }, 7);
  kernel.state({ revision: 3, run: "another run" });
  await tick();
  assert.equal(store.pictures.unedited.value, null);
});

test("an answer to a request for the unedited picture of an earlier run is not shown", async () => {
  const { kernel, store } = setUp();
  store.pictures.wantUnedited();
  const { seq } = kernel.of("original")[0];
  kernel.state({ revision: 3, run: "another run" });
  store.pictures.wantUnedited();
  kernel.say({ type: "original", client: "me", seq }, bytes(7));
  await tick();
  assert.equal(store.pictures.unedited.value, null);
  kernel.say({ type: "original", client: "me", seq: kernel.of("original")[1].seq }, bytes(8));
  await tick();
  assert.equal((store.pictures.unedited.value as unknown as FakeBitmap).byte, 8);
});

test("a saved page shows the unedited picture, which nobody has requested", async () => {
  const { kernel, store } = setUp();
  kernel.say({ type: "original", client: "me", seq: 0, change: [9, 1] }, bytes(7));
  await tick();
  assert.equal((store.pictures.unedited.value as unknown as FakeBitmap).byte, 7);
  assert.deepEqual(store.pictures.change.value, [9, 1]);
});

test("the unedited picture is requested again if the kernel was lost before it arrived", () => {
  const { kernel, store } = setUp();
  store.pictures.wantUnedited();
  store.pictures.forget();
  store.pictures.wantUnedited();
  assert.equal(kernel.of("original").length, 2);
});

test("the unedited picture is requested again if that failed", () => {
  const { kernel, store } = setUp();
  const fails = (client: string, seq: number) =>
    kernel.say({ type: "error", client, seq, message: "no", traceback: "", retry: false });
  store.pictures.wantUnedited();
  fails("", 0);
  store.pictures.wantUnedited();
  assert.equal(kernel.of("original").length, 2);
  fails("me", kernel.of("original")[1].seq);
  store.pictures.wantUnedited();
  assert.equal(kernel.of("original").length, 3);
});

test("an answer that comes after all is not shown in another run", async () => {
  const { kernel, store } = setUp();
  store.pictures.wantUnedited();
  const { seq } = kernel.of("original")[0];
  store.pictures.forget();
  kernel.state({ revision: 3, run: "another run" });
  kernel.say({ type: "original", client: "me", seq }, bytes(7));
  await tick();
  assert.equal(store.pictures.unedited.value, null);
});

test("the difference from the unedited picture comes from the last answer or final frame", async () => {
  const { kernel, store, answer } = setUp();
  const { change } = store.pictures;
  store.pictures.wantUnedited();
  answer({ type: "original", change: [31.2, 0.02] }, 7);
  assert.deepEqual(change.value, [31.2, 0.02]);
  const frame = { type: "frame", client: "me", seq: 0, kind: "final", ms: 1, early: 0, width: 1, height: 1 };
  kernel.say({ ...frame, kind: "preview" }, bytes(1));
  await tick();
  assert.equal(change.value, null, "a preview does not say it");
  kernel.say({ ...frame, change: [40, 0.1] }, bytes(2));
  await tick();
  assert.deepEqual(change.value, [40, 0.1]);
});

test("a step keeps the name that it is given, and what is painted meanwhile stays", () => {
  const { kernel, store } = setUp();
  const painted = { ...store.painting.layers.value };
  store.painting.layers.value = painted;
  store.history.keep("the best");
  const { type, step, name } = kernel.sent.at(-1);
  assert.deepEqual({ type, step, name }, { type: "keep", step: 0, name: "the best" });
  kernel.state({ why: "kept", steps: [[0, "step 0", "the best"]] }, 0.75);
  assert.deepEqual(store.history.steps.value, [[0, "step 0", "the best"]]);
  assert.equal(store.painting.layers.value, painted);
});

test("holding C shows the unedited picture", () => {
  const { store } = setUp();
  const view = new View(store);
  const held = { command: false, shift: false, alt: false };
  actionOf("c", held, { onGrid: false, inText: false }, view)?.();
  assert.ok(view.holding.value);
});

test("the widget goes to a step of the history, unless it is already shown", () => {
  const { kernel, store } = setUp();
  kernel.state({
    revision: 2,
    steps: [
      [0, "step 0", ""],
      [4, "step 4", ""],
    ],
    step: 4,
  });
  store.history.go(4);
  assert.equal(kernel.of("go").length, 0);
  store.history.go(0);
  assert.equal(kernel.of("go")[0].step, 0);
  assert.deepEqual(
    kernel.of("icons").map(({ keys }) => keys),
    [["step 0"], ["step 4"]],
  );
});

test("a requested file is saved as it is, and Python is shown", () => {
  const { kernel, store, answer } = setUp();
  store.files.want("png");
  assert.equal(kernel.of("export")[0].form, "png");
  kernel.say({ type: "file", client: "other", seq: 1, name: "b.png", mime: "image/png" }, bytes(8));
  answer({ type: "file", name: "a.png", mime: "image/png" }, 9);
  assert.deepEqual(kernel.saved, [["a.png", "image/png", new Uint8Array([9])]]);
  store.files.want("py");
  answer({ type: "file", name: "a.py", mime: "text/x-python" }, 65);
  assert.equal(store.files.program.value, "A");
  assert.equal(kernel.saved.length, 1);
});

test("a sheet names the scene that its factor is an index of, and another can be asked for if the factor is gone", () => {
  const { kernel, store } = setUp();
  kernel.state({ revision: 4 });
  for (const answer of [
    { type: "ack" },
    { type: "notice", text: "'sky' is not in the picture any more.", patches: null, link: "" },
  ]) {
    store.files.want("sweep", 1);
    const { seq, factor, revision } = kernel.of("export").at(-1);
    assert.deepEqual([factor, revision], [1, 4]);
    kernel.say({ client: "me", seq: seq - 1, ...answer });
    assert.equal(store.files.making.value, "sweep", "the answer is to something else");
    kernel.say({ client: "me", seq, ...answer });
    assert.equal(store.files.making.value, null, answer.type);
  }
});

test("a file is opened by the kernel, which gets its bytes", () => {
  const { kernel, store } = setUp();
  store.openFile(new Uint8Array([1, 2, 3]).buffer);
  assert.equal(kernel.of("open").length, 1);
  assert.deepEqual(new Uint8Array(kernel.buffers.at(-1)?.[0] as ArrayBuffer), new Uint8Array([1, 2, 3]));
});

test("a comparison with a factor's top feature is shown until it ends, and changes nothing", async () => {
  const { kernel, store, answer } = setUp();
  store.pictures.compare(1);
  assert.equal(kernel.of("top").length, 1);
  assert.deepEqual([kernel.of("top")[0].factor, kernel.of("top")[0].revision], [1, 1]);
  assert.equal(store.pictures.comparison.value?.bitmap, null, "it is on its way");
  answer({ type: "top" }, 7);
  await tick();
  const shown = store.pictures.comparison.value?.bitmap as unknown as FakeBitmap;
  assert.equal(shown.byte, 7);
  store.pictures.compare(null);
  assert.deepEqual([store.pictures.comparison.value, shown.closed], [null, true]);
  assert.equal(kernel.of("edit").length + kernel.of("palette").length, 0);
});

test("a comparison that arrives too late, or for another factor, is not shown", async () => {
  const { kernel, store, answer } = setUp();
  store.pictures.compare(0);
  const { seq } = kernel.sent.at(-1);
  store.pictures.compare(1);
  kernel.say({ type: "top", client: "me", seq }, bytes(7));
  await tick();
  assert.deepEqual([store.pictures.comparison.value?.factor, store.pictures.comparison.value?.bitmap], [1, null]);
  answer({ type: "top" }, 8);
  store.pictures.compare(null);
  await tick();
  assert.equal(store.pictures.comparison.value, null);
});

test("painting, a slider, another scene or an error ends a comparison", () => {
  const { kernel, store } = setUp();
  const ends: Record<string, () => void> = {
    stroke: () => store.stroke.begin({ row: 3, col: 3 }) && store.stroke.end(),
    slider: () => store.painting.setGain(0, 0.5, false),
    scene: () => kernel.state({ revision: 9 }),
    fault: () => kernel.say({ type: "error", client: "", seq: 0, message: "no", traceback: "" }),
  };
  for (const [what, end] of Object.entries(ends)) {
    store.pictures.compare(0);
    assert.ok(store.pictures.comparison.value);
    end();
    assert.equal(store.pictures.comparison.value, null, what);
  }
});
