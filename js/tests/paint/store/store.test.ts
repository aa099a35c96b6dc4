import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyMask } from "../../../src/paint/store/grid.ts";
import { Status } from "../../../src/paint/store/status.ts";
import { FakeBitmap, FakeKernel, openStore } from "../fake_kernel.ts";

const tick = () => new Promise((resolve) => setTimeout(resolve, 0));
const middle = (row: number, col: number) => ({ row: row + 0.5, col: col + 0.5 });
const GRID = { rows: 16, cols: 16 };
const byteOf = (bitmap: ImageBitmap | undefined) => (bitmap as unknown as FakeBitmap | undefined)?.byte;

test("a store requests the scene as soon as it opens", () => {
  const { kernel } = openStore();
  assert.deepEqual(kernel.sent, [{ type: "hello", client: "me", seq: 1 }]);
});

test("the kernel is told how many views there are, when one opens or closes and when it asks", () => {
  const { kernel, store } = openStore();
  kernel.say({ type: "views" });
  assert.deepEqual(kernel.of("views"), []);
  const [first, second] = [store.addView(), store.addView()];
  first();
  kernel.say({ type: "views" });
  second();
  assert.deepEqual(
    kernel.of("views").map(({ n }) => n),
    [1, 2, 1, 1, 0],
  );
});

test("nothing can be painted before a scene arrives", () => {
  const { kernel, store } = openStore();
  assert.equal(store.stroke.begin(middle(3, 3)), false);
  assert.equal(kernel.of("edit").length, 0);
});

test("a stroke paints at once, streams, and ends with a commit", () => {
  const { kernel, store } = openStore();
  kernel.state({ revision: 7 });
  store.settings.size.value = 1;
  assert.ok(store.stroke.begin(middle(0, 0)));
  assert.equal(store.painting.layers.value.strengths[0], 1);
  store.stroke.advance([middle(0, 1)]);
  store.stroke.end();
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
  const before = store.painting.layers.value;
  store.stroke.begin(middle(0, 0));
  store.stroke.cancel();
  assert.equal(store.painting.layers.value, before);
  assert.equal(kernel.of("edit").at(-1)?.commit, true);
});

test("the answer to an own stroke does not undo what has been painted since", () => {
  const { kernel, store } = openStore();
  kernel.state();
  store.stroke.begin(middle(0, 0));
  kernel.state({ why: "edit", client: "me", can_undo: true });
  assert.equal(store.painting.layers.value.strengths[0], 1);
  assert.equal(store.history.canUndo.value, true);
});

test("what another page paints is shown", () => {
  const { kernel, store } = openStore();
  kernel.state();
  kernel.state({ why: "edit", client: "someone else" }, 0.75);
  assert.equal(store.painting.layers.value.strengths[0], 0.75);
});

test("an answer to another page's hello is ignored", () => {
  const { kernel, store } = openStore();
  kernel.state();
  store.stroke.begin(middle(0, 0));
  kernel.state({ why: "hello", client: "someone else" });
  assert.equal(store.painting.layers.value.strengths[0], 1);
  assert.ok(store.stroke.isActive);
});

test("a stroke goes on where its scene is changed under it, and Escape restores that", () => {
  const { kernel, store } = openStore();
  kernel.state();
  store.settings.size.value = 1;
  const strengths = () => [...store.painting.layers.value.strengths.slice(0, 6)];
  store.stroke.begin(middle(0, 0));
  kernel.state({ revision: 2 }, 0.5);
  assert.deepEqual(strengths(), [1, 0, 0.5, 0.5, 0.5, 0.5]);
  store.stroke.advance([middle(0, 1)]);
  assert.deepEqual(strengths(), [1, 0, 1, 0, 0.5, 0.5]);
  store.stroke.end();
  const { commit, revision } = kernel.of("edit").at(-1);
  assert.deepEqual([commit, revision, store.status.said.value], [true, 2, ""]);
  kernel.state({ why: "edit", client: "me", revision: 2 });
  store.stroke.begin(middle(0, 2));
  kernel.state({ revision: 3 }, 0.75);
  store.stroke.cancel();
  assert.deepEqual(strengths(), Array(6).fill(0.75));
});

test("another scene that arrives in the middle of a stroke ends it, and says so", () => {
  const { kernel, store } = openStore();
  kernel.state({ features: [[], []] });
  store.stroke.begin(middle(0, 0));
  kernel.state({ revision: 2, run: "another", features: [[{ feature: 1, label: "", weight: 1, share: 1 }], []] }, 0.5);
  store.stroke.advance([middle(5, 5)]);
  store.stroke.end();
  assert.equal(store.painting.layers.value.strengths[0], 0.5);
  assert.equal(kernel.of("edit").length, 1);
  assert.match(store.status.said.value, /came too late/);
});

test("in a scene with fewer factors, one that exists is picked", () => {
  const { kernel, store } = openStore();
  kernel.state();
  store.factors.pick(1);
  kernel.state({ revision: 2, names: ["sky"] });
  assert.equal(store.factors.picked.value, 0);
});

test("locked factors stay as they are, whatever is done to the others", () => {
  const { kernel, store } = openStore();
  kernel.state();
  store.settings.size.value = 1;
  store.factors.toggle("locked", 1);
  store.stroke.begin(middle(0, 0));
  assert.deepEqual([...store.painting.layers.value.strengths.slice(0, 2)], [1, 0.25]);
  assert.equal(store.painting.layers.value.remainder[0], 0);
});

test("a selection is not sent to the kernel, and painting is sent with its call", () => {
  const { kernel, store } = openStore();
  kernel.state();
  store.stroke.begin(middle(2, 2), "free", "rect");
  store.stroke.advance([middle(3, 3)]);
  store.stroke.end();
  assert.equal(kernel.of("edit").length, 0);
  store.settings.size.value = 1;
  store.stroke.begin(middle(3, 3));
  store.stroke.end();
  const { verb, factor, shares } = kernel.of("edit").at(-1)?.call ?? {};
  assert.deepEqual([verb, factor, shares.length, shares.indexOf(1)], ["paint", 0, 256, 3 * 16 + 3]);
  assert.equal(kernel.of("edit")[0].call, undefined);
});

test("the tool paints, erases or selects an area in one step of the history", () => {
  const { kernel, store } = openStore();
  kernel.state();
  const left = new Uint8Array(256).fill(1, 0, 2);
  store.stroke.useOn(left);
  assert.deepEqual([...store.painting.layers.value.strengths.slice(0, 5)], [1, 0, 1, 0, 0.25]);
  assert.equal(kernel.of("edit").filter(({ commit }) => commit).length, 1);
  store.settings.tool.value = "lasso";
  store.stroke.useOn(left);
  assert.equal(store.settings.selection.value, left);
  store.factors.pick(1);
  store.stroke.useOn(new Uint8Array(256).fill(1), "paint");
  assert.deepEqual([...store.painting.layers.value.strengths.slice(0, 5)], [0, 1, 0, 1, 0.25]);
});

test("a cancelled move also restores the selection", () => {
  const { kernel, store } = openStore();
  kernel.state();
  const selection = new Uint8Array(256).fill(1, 0, 1);
  store.settings.selection.value = selection;
  store.stroke.begin(middle(0, 0), "free", "move");
  store.stroke.advance([middle(4, 4)]);
  assert.ok(store.stroke.outlines.value);
  store.stroke.cancel();
  assert.equal(store.settings.selection.value, selection);
  assert.equal(store.stroke.outlines.value, null);
});

test("buffers of the wrong size are ignored", () => {
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
  assert.equal(store.painting.info.value?.revision, 1);
});

test("a typed prompt stays while only the painting changes, and follows another scene", () => {
  const { kernel, store } = openStore();
  kernel.state();
  store.draft.fields.value = { ...store.draft.fields.value, prompt: "half typed" };
  kernel.state({ revision: 2 });
  assert.equal(store.draft.fields.value.prompt, "half typed");
  kernel.state({ revision: 3, prompt: "a lion", seed: "9223372036854775807" });
  assert.deepEqual(store.draft.fields.value, {
    prompt: "a lion",
    style: "",
    seed: "9223372036854775807",
    n_steps: 1,
    n_factors: 2,
  });
});

test("a slider streams, and its changes that follow each other are one step", () => {
  const timers: (() => void)[] = [];
  const { kernel, store } = openStore(undefined, undefined, (callback) => timers.push(callback));
  kernel.state();
  const commits = () => kernel.of("edit").flatMap(({ gains, commit }) => (commit ? [gains] : []));
  const slide = (factor: number, ...gains: number[]) => {
    for (const gain of gains) {
      store.painting.setGain(factor, gain, false);
      store.painting.setGain(factor, gain, true);
    }
  };
  slide(1, 1.5, 1.6);
  assert.deepEqual(kernel.of("edit")[0]?.gains, [1, 1.5]);
  assert.deepEqual(commits(), []);
  timers.at(-1)?.();
  assert.deepEqual(commits(), [[1, 1.6]]);
  // Another slider, a stroke, a request and the end of the page come after it.
  slide(1, 0.5);
  slide(0, 0.5);
  assert.deepEqual(commits().at(-1), [1, 0.5]);
  store.stroke.begin({ row: 5.5, col: 5.5 });
  assert.deepEqual(commits().at(-1), [0.5, 0.5]);
  store.stroke.end();
  assert.equal(commits().length, 4);
  slide(1, 0.7);
  store.draw();
  assert.deepEqual([commits().at(-1), kernel.sent.at(-1).type], [[0.5, 0.7], "analyze"]);
  slide(1, 0.8);
  store.close();
  assert.equal(commits().length, 6);
});

test("nothing can be painted while a new scene is drawn", () => {
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
  assert.equal(store.stroke.begin(middle(0, 0)), false);
  kernel.say({ type: "status", busy: false, task: "" });
  assert.ok(store.stroke.begin(middle(0, 0)));
});

test("what another page paints at the same moment is sent again with the own stroke, which had taken its place", () => {
  const { kernel, store } = openStore();
  kernel.state();
  store.settings.size.value = 1;
  store.stroke.begin(middle(0, 0));
  store.stroke.end();
  const commits = () => kernel.of("edit").filter(({ commit }) => commit);
  // The other page's stroke comes to the kernel first, and then the own one, which does not contain it.
  kernel.state({ why: "edit", client: "other" }, 0.5);
  assert.equal(commits().length, 1);
  kernel.state({ why: "edit", client: "me" });
  assert.equal(commits().length, 2);
  const strengths = () => new Float32Array(kernel.buffers.at(-1)?.[0] ?? new ArrayBuffer(0));
  assert.deepEqual([...strengths().slice(0, 4)], [1, 0, 0.5, 0.5]);
  kernel.state({ why: "edit", client: "me" });
  assert.equal(commits().length, 2, "only once");
});

test("what was just done can be undone before the kernel has answered", () => {
  const { kernel, store } = openStore();
  kernel.state();
  store.stroke.begin(middle(0, 0));
  store.stroke.end();
  store.history.undo();
  store.history.redo();
  store.painting.setGain(0, 1.5, true);
  store.history.undo();
  const done = kernel.sent.filter(({ type, commit }) => commit ?? ["undo", "redo"].includes(type));
  assert.deepEqual(
    done.map(({ type }) => type),
    ["edit", "undo", "redo", "edit", "undo"],
  );
});

test("undo in the middle of a stroke cancels the stroke", () => {
  const { kernel, store } = openStore();
  kernel.state({ can_undo: true });
  store.stroke.begin(middle(0, 0));
  store.history.undo();
  assert.equal(store.painting.layers.value.strengths[0], 0.25);
  assert.equal(kernel.of("undo").length, 0);
  store.history.undo();
  assert.equal(kernel.of("undo").length, 1);
});

test("a frame is shown, and the one before it is closed", async () => {
  const { kernel, store } = openStore();
  kernel.frame(4);
  await tick();
  const first = store.pictures.picture.value?.bitmap as unknown as FakeBitmap;
  assert.equal(store.pictures.shownSeq.value, 4);
  kernel.frame(5);
  await tick();
  assert.equal(byteOf(store.pictures.picture.value?.bitmap), 5);
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
  assert.equal(byteOf(store.pictures.picture.value?.bitmap), 2);
});

test("another page's frames are shown too, but do not answer this page", async () => {
  const { kernel, store } = openStore();
  kernel.frame(90, "someone else", 7);
  await tick();
  assert.equal(byteOf(store.pictures.picture.value?.bitmap), 7);
  assert.equal(store.pictures.shownSeq.value, 0);
});

test("a picture that cannot be read is reported", async () => {
  const { kernel, store } = openStore(() => Promise.reject(new Error("broken")));
  kernel.frame(1);
  await tick();
  assert.equal(store.status.error.value?.message, "The picture that arrived cannot be read.");
});

test("an error is shown, the painting stays, and the next picture removes the error", async () => {
  const { kernel, store } = openStore();
  kernel.state();
  store.stroke.begin(middle(0, 0));
  kernel.say({ type: "error", client: "me", seq: 2, message: "out of memory", traceback: "Traceback", retry: true });
  assert.deepEqual(store.status.error.value, { message: "out of memory", traceback: "Traceback", retry: true });
  assert.equal(store.painting.layers.value.strengths[0], 1);
  kernel.frame(3);
  assert.equal(store.status.error.value, null);
});

test("the last final picture is saved without the kernel, whatever comes after it", async () => {
  const { kernel, store } = openStore();
  store.savePainting();
  assert.deepEqual(kernel.saved, [], "there is none yet");
  kernel.frame(1, "me", 7, "final");
  kernel.frame(2, "me", 8, "preview");
  await tick();
  store.savePainting();
  assert.deepEqual(kernel.saved, [["painting.png", "image/png", new Uint8Array([7])]]);
});

test("it is known how many strokes are not in the file of the last final picture", async () => {
  const { kernel, store } = openStore();
  kernel.state();
  const dab = () => {
    store.stroke.begin(middle(0, 0));
    store.stroke.end();
    return kernel.of("edit").at(-1).seq;
  };
  const seqs = [dab(), dab(), dab()];
  assert.equal(store.nUnsaved, 3);
  kernel.frame(seqs[1] ?? 0, "me", 7, "final");
  await tick();
  assert.equal(store.nUnsaved, 1);
  kernel.frame(seqs[2] ?? 0, "me", 8, "preview");
  await tick();
  assert.equal(store.nUnsaved, 1, "a preview is not saved");
  // The final picture that follows a preview answers nobody.
  kernel.frame(0, "", 9, "final");
  await tick();
  assert.equal(store.nUnsaved, 0);
});

test("without a kernel nothing is painted; while it is only busy, painting goes on", () => {
  const kernel = new FakeKernel();
  const timers: (() => void)[] = [];
  const { store } = openStore(undefined, kernel, (callback) => timers.push(callback));
  const elapse = () => timers.splice(0).forEach((callback) => void callback());
  kernel.state();
  store.retry();
  elapse();
  elapse();
  assert.deepEqual([store.status.lost.value, store.status.gone.value, store.isEditable], [true, false, true]);
  kernel.send = () => {
    throw new Error("the comm is closed");
  };
  store.retry();
  assert.deepEqual([store.status.lost.value, store.status.gone.value], [true, true]);
  assert.equal(store.stroke.begin(middle(0, 0)), false);
  elapse();
  elapse();
  assert.ok(store.status.gone.value, "that it does not answer says nothing new");
  kernel.state();
  assert.deepEqual([store.status.lost.value, store.isEditable], [false, true]);
});

test("thumbnails that an error kept from arriving are requested again", () => {
  const { kernel } = openStore();
  kernel.state({ icons: ["k0", "k1"] });
  kernel.say({ type: "icon", key: "k1", url: "data:," });
  kernel.say({ type: "error", client: "", seq: 0, message: "out of memory", traceback: "" });
  kernel.state({ revision: 2, icons: ["k0", "k1"] });
  assert.deepEqual(
    kernel.of("icons").map(({ keys }) => keys),
    [["k0", "k1"], ["k0"]],
  );
});

test("when the server is back, what has not arrived is requested again", () => {
  const { kernel, store } = openStore();
  kernel.state({ icons: ["k0", "k1"] });
  store.thumbnails.request(["feature 5"]);
  kernel.say({ type: "icon", key: "k1", url: "data:," });
  store.pictures.wantUnedited();
  store.files.want("gif");
  store.files.wantFilm(0);
  store.palette.borrowFrom("a lion");
  kernel.say({ type: "connection", state: "connected" });
  assert.equal(kernel.of("icons").length, 2, "it was not away");
  kernel.say({ type: "connection", state: "reconnecting" });
  kernel.say({ type: "connection", state: "connected" });
  assert.deepEqual(kernel.of("icons").at(-1).keys, ["k0", "feature 5"]);
  kernel.state({ revision: 2, icons: ["k0", "k1"] });
  assert.equal(kernel.of("icons").length, 3);
  store.pictures.wantUnedited();
  assert.equal(kernel.of("original").length, 2);
  assert.deepEqual([store.files.making.value, store.files.film.value, store.palette.fetching.value], [null, null, ""]);
});

test("an error resets only what it answers; one that does not say so resets what it may be", () => {
  const { kernel, store } = openStore();
  kernel.state();
  const fails = (client: string, seq: number) =>
    kernel.say({ type: "error", client, seq, message: "no", traceback: "", retry: false });
  const state = () => [
    store.status.task.value,
    store.files.making.value,
    store.files.film.value !== null,
    store.palette.fetching.value,
    store.pictures.comparison.value !== null,
  ];
  const ask = () => {
    store.files.want("gif");
    store.files.wantFilm(0);
    store.palette.borrowFrom("a lion");
    store.pictures.compare(0);
    store.draw();
  };
  ask();
  const seqOf = (type: string) => kernel.of(type).at(-1).seq;
  fails("another page", seqOf("analyze"));
  store.palette.change("rename", { factor: 0, name: "tree" });
  fails("me", seqOf("palette"));
  assert.deepEqual(state(), ["draw", "gif", true, "a lion", true]);
  fails("me", seqOf("analyze"));
  assert.deepEqual(state(), ["", "gif", true, "a lion", true]);
  fails("me", seqOf("export"));
  fails("me", seqOf("borrow_source"));
  assert.deepEqual(state(), ["", null, true, "", true]);
  fails("me", seqOf("top"));
  assert.equal(kernel.of("stop_film").length, 0);
  fails("me", seqOf("film"));
  assert.deepEqual(state(), ["", null, false, "", false]);
  assert.equal(kernel.of("stop_film").length, 1, "the kernel draws it no longer");
  ask();
  fails("", 0);
  assert.deepEqual(state(), ["draw", null, false, "", false]);
  assert.equal(kernel.of("stop_film").length, 2);
  store.files.film.value = { step: 0, nDrawn: 2, n: 2, url: "data:," };
  fails("", 0);
  assert.ok(store.files.film.value, "it is drawn already");
});

test("retry requests the picture again", () => {
  const { kernel, store } = openStore();
  store.retry();
  assert.equal(kernel.of("retry").length, 1);
});

test("the saved picture is shown before the kernel sends anything", async () => {
  const { kernel, store } = openStore();
  kernel.image = new DataView(new Uint8Array([42]).buffer);
  store.open();
  await tick();
  assert.equal(byteOf(store.pictures.picture.value?.bitmap), 42);
});

test("a closed store stops listening and closes its picture", async () => {
  const { kernel, store } = openStore();
  kernel.frame(1);
  await tick();
  const shown = store.pictures.picture.value?.bitmap as unknown as FakeBitmap;
  store.close();
  kernel.state();
  assert.equal(store.painting.info.value, null);
  assert.equal(shown.closed, true);
  assert.equal(
    [...kernel.listeners.values()].reduce((n, set) => n + set.size, 0),
    0,
  );
});

test("with several sites, a stroke covers only the factors of its own site", () => {
  const { kernel, store } = openStore();
  kernel.state({ names: ["sky", "tree", "bark"], sites: [0, 0, 1], site_names: ["down.2.1", "up.0.1"] });
  store.factors.pick(2);
  store.stroke.begin({ row: 3.5, col: 3.5 });
  store.stroke.end();
  const { strengths } = store.painting.layers.value;
  const at = 3 * (3 * 16 + 3);
  assert.deepEqual([...strengths.slice(at, at + 3)], [0.25, 0.25, 1]);
  store.factors.pick(1);
  store.stroke.begin({ row: 3.5, col: 3.5 });
  store.stroke.end();
  assert.deepEqual([...store.painting.layers.value.strengths.slice(at, at + 3)], [0, 1, 1]);
});

test("the largest strengths stay the same array while no number changes", () => {
  const { kernel, store } = openStore();
  kernel.state();
  assert.deepEqual(store.painting.peaks.value, [0.25, 0.25]);
  store.stroke.begin({ row: 3, col: 3 });
  const { value: peaks } = store.painting.peaks;
  assert.deepEqual(peaks, [1, 0.25]);
  store.stroke.advance([{ row: 9, col: 9 }]);
  assert.equal(store.painting.peaks.value, peaks);
  store.stroke.end();
});

test("what the painter offers is known from the first state on", () => {
  const { kernel, store } = openStore();
  assert.deepEqual([store.offers("styles"), store.offers("styles", true)], [false, true]);
  kernel.state({ capabilities: ["refit"] });
  assert.deepEqual([store.offers("styles", true), store.offers("refit")], [false, true]);
});

for (const { rows, cols } of [
  { rows: 24, cols: 24 },
  { rows: 12, cols: 20 },
])
  test(`a scene of ${rows}×${cols} patches is painted up to its corners`, () => {
    const { kernel, store } = openStore();
    kernel.state({ rows, cols });
    store.settings.size.value = 1;
    const last = { row: rows - 0.5, col: cols - 0.5 };
    assert.ok(store.stroke.begin(middle(0, 0)));
    store.stroke.advance([last, { row: rows + 5, col: cols + 5 }]);
    store.stroke.end();
    const [strengths, remainder] = (kernel.buffers.at(-1) ?? []).map((buffer) => new Float32Array(buffer));
    assert.deepEqual([strengths?.length, remainder?.length], [2 * rows * cols, rows * cols]);
    assert.equal(strengths?.at(-2), 1);
    assert.equal(kernel.of("edit").at(-1)?.call.shares.length, rows * cols);
  });

test("a selection ends when a scene has another grid, because it names patches of the old one", () => {
  const { kernel, store } = openStore();
  kernel.state();
  store.settings.selection.value = new Uint8Array(256).fill(1);
  kernel.state({ revision: 2 });
  assert.ok(store.settings.selection.value);
  kernel.state({ revision: 3, rows: 24, cols: 24 });
  assert.equal(store.settings.selection.value, null);
});

test("buffers of another grid than the message says are ignored", () => {
  const { kernel, store } = openStore();
  kernel.state();
  const message = {
    type: "state",
    why: "scene",
    client: "",
    revision: 2,
    names: ["a"],
    sites: [],
    ids: [0],
    steps: [],
  };
  const buffers = [256, 256, 512].map((length) => new Float32Array(length));
  kernel.say({ ...message, rows: 24, cols: 24, gains: [1], icons: [], features: [[]], seeds: [] }, buffers);
  assert.equal(store.painting.revision, 1);
});

test("a hint says what to do until something was painted, here, elsewhere, or before the page was loaded", () => {
  const { kernel, store } = openStore();
  kernel.state();
  assert.equal(store.painting.touched.value, false);
  kernel.state({ revision: 2, run: "another" });
  assert.equal(store.painting.touched.value, false);
  store.settings.tool.value = "rect";
  assert.ok(store.stroke.begin(middle(3, 3)));
  store.stroke.end();
  assert.equal(store.painting.touched.value, false);
  store.settings.tool.value = "paint";
  assert.ok(store.stroke.begin(middle(3, 3)));
  assert.ok(store.painting.touched.value);
  store.stroke.cancel();
  kernel.state({ revision: 3 });
  assert.ok(store.painting.touched.value);

  const reloaded = openStore();
  reloaded.kernel.state({
    steps: [
      [0, "step 0", ""],
      [1, "step 1", ""],
    ],
  });
  assert.ok(reloaded.store.painting.touched.value);

  const painted = openStore();
  painted.kernel.state({}, 0.25, 0.5);
  assert.ok(painted.store.painting.touched.value);
});

test("until the first stroke the brush is as large as the thing it paints, unless the user changes it", () => {
  const { kernel, store } = openStore();
  const { size } = store.settings;
  kernel.state();
  assert.equal(size.value, 6);
  kernel.state({ rows: 2, cols: 2, revision: 2, run: "small" });
  assert.equal(size.value, 3);
  size.value = 4;
  kernel.state({ revision: 3, run: "large" });
  assert.equal(size.value, 4);
  const other = openStore();
  other.kernel.state({ rows: 2, cols: 2 });
  other.store.stroke.begin(middle(1, 1));
  other.store.stroke.end();
  other.kernel.state({ revision: 2, run: "large" });
  assert.equal(other.store.settings.size.value, 3);
});

test("the kernel is asked once what it does not read of the form's texts, and only the newest answer counts", () => {
  const { kernel, store } = openStore();
  kernel.state();
  assert.deepEqual(kernel.of("notes"), []);
  kernel.state({ capabilities: ["prompt_notes"], revision: 2 });
  store.draft.set({ prompt: "a zebra" });
  store.draft.set({ seed: "7" });
  const [first, second] = kernel.of("notes");
  assert.deepEqual([first.prompt, second.prompt, kernel.of("notes").length], ["a tree", "a zebra", 2]);
  const answer = { type: "notes", client: "me", prompt: "not known here: zebra", style: "", words: ["pine"] };
  kernel.say({ ...answer, seq: first.seq });
  const said = () => store.notes.now.value?.prompt;
  assert.equal(said(), undefined);
  kernel.say({ ...answer, seq: second.seq });
  assert.equal(said(), "not known here: zebra");
});

test("in a saved page nobody is asked about the texts", () => {
  const { kernel } = openStore();
  kernel.state({ capabilities: ["prompt_notes"], frozen: true });
  assert.deepEqual(kernel.of("notes"), []);
});

test("what the kernel refuses does not stay in the form as if it were in force", () => {
  const { kernel, store } = openStore();
  kernel.state();
  store.draft.set({ style: "sepia", n_factors: 9 });
  kernel.say({ type: "error", client: "another", seq: 1, message: "no", traceback: "" });
  assert.equal(store.draft.fields.value.style, "sepia");
  kernel.say({ type: "error", client: "me", seq: 1, message: "no", traceback: "" });
  assert.deepEqual([store.draft.fields.value.style, store.draft.fields.value.n_factors], ["", 2]);
  // What is still to be drawn is only a wish.
  store.draft.set({ prompt: "a wish", style: "sepia" });
  kernel.say({ type: "error", client: "me", seq: 2, message: "no", traceback: "" });
  assert.equal(store.draft.fields.value.style, "sepia");
});

test("a stroke that is not seen says why", () => {
  const { kernel, store } = openStore();
  const { said } = store.status;
  const saidOf = (change: Parameters<typeof kernel.state>[0]) => {
    kernel.state(change);
    store.stroke.begin({ row: 5.5, col: 5.5 });
    const during = said.value;
    store.stroke.end();
    assert.equal(said.value, during);
    return during;
  };
  assert.equal(saidOf({}), "");
  assert.equal(saidOf({ gains: [0, 1] }), "sky’s slider is at 0");
  store.settings.tool.value = "move";
  assert.equal(saidOf({ gains: [0, 1] }), "");
  store.settings.tool.value = "fill";
  assert.equal(saidOf({ n_steps: 2, factor_steps: [[2, 4], null] }), "sky acts at no step here");
  assert.equal(saidOf({ n_steps: 3, factor_steps: [[2, 4], null] }), "");
  store.factors.toggle("hidden", 0);
  assert.equal(saidOf({}), "sky is hidden on the grid");
  store.factors.toggle("locked", 0);
  assert.equal(saidOf({}), "sky is locked");
  store.factors.pick(1);
  assert.equal(saidOf({ gains: [0, 1] }), "");
});

test("a tool that changes nothing says why", () => {
  const { kernel, store } = openStore();
  const { status, settings, stroke } = store;
  const saidAt = (row: number) => {
    stroke.begin({ row, col: 0.5 });
    stroke.end();
    return status.said.value;
  };
  kernel.state({}, 0);
  settings.size.value = 1;
  settings.selection.value = emptyMask(GRID).fill(1, 0, 16);
  for (const tool of ["paint", "erase", "move", "gain"] as const) {
    settings.tool.value = tool;
    assert.equal(saidAt(8.5), "Outside the selection, which Esc removes", tool);
    assert.equal(saidAt(0.5), tool === "gain" ? "sky is not there" : "", tool);
    settings.selection.value = emptyMask(GRID).fill(1, 0, 16);
  }
  settings.tool.value = "paint";
  saidAt(8.5);
  settings.selection.value = null;
  assert.equal(status.said.value, "");
  kernel.state({ names: [] });
  assert.equal(saidAt(8.5), "The palette is empty");
});

test("why a stroke did nothing is said no longer than it is so", () => {
  const { kernel, store } = openStore();
  const { said } = store.status;
  const paint = () => {
    store.stroke.begin({ row: 5.5, col: 5.5 });
    store.stroke.end();
    return said.value;
  };
  kernel.state();
  store.factors.toggle("locked", 0);
  assert.equal(paint(), "sky is locked");
  store.factors.toggle("locked", 0);
  assert.equal(said.value, "");
  store.factors.toggle("locked", 0);
  assert.equal(paint(), "sky is locked");
  kernel.state({ run: "another", revision: 2 });
  assert.equal(said.value, "");
  store.status.say("Copied.");
  store.factors.toggle("hidden", 0);
  assert.equal(said.value, "Copied.");
});

test("words on the picture go away by themselves, the newest last", () => {
  const timers = new Map<number, () => void>();
  let n = 0;
  const status = new Status({
    now: () => 0,
    setTimeout: (callback) => {
      timers.set(++n, callback);
      return n;
    },
    clearTimeout: (timer) => void timers.delete(timer as number),
  });
  status.say("one");
  status.say("two");
  assert.equal(timers.size, 1);
  assert.equal(status.said.value, "two");
  timers.get(2)?.();
  assert.equal(status.said.value, "");
});

test("while the server is away the widget says so, and is painted on", () => {
  const { kernel, store } = openStore();
  kernel.state();
  kernel.say({ type: "connection", state: "reconnecting" });
  assert.equal(store.status.reconnecting.value, true);
  assert.ok(store.stroke.begin(middle(0, 0)));
  store.stroke.end();
  assert.ok(store.painting.layers.value.strengths.some((strength) => strength !== 0.25));
  kernel.say({ type: "connection", state: "connected" });
  assert.equal(store.status.reconnecting.value, false);
});
