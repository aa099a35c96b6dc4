import assert from "node:assert/strict";
import { test } from "node:test";
import { openStore } from "../fake_kernel.ts";

function setUp() {
  const { kernel, store } = openStore();
  kernel.state({ icons: ["k0", "k1"] });
  const weights = () => kernel.of("palette").map((message) => [message.revision, message.arguments.weight]);
  const answer = (revision: number) => {
    kernel.state({ revision, icons: ["k0", "k1"] });
    kernel.frame(kernel.of("palette").at(-1).seq);
  };
  return { kernel, store, weights, answer };
}

test("a change is a verb with its arguments and the current revision", () => {
  const { kernel, store } = setUp();
  store.palette.change("rename", { factor: 1, name: "pine" });
  const { seq, ...message } = kernel.of("palette")[0];
  assert.deepEqual(message, {
    type: "palette",
    client: "me",
    revision: 1,
    verb: "rename",
    arguments: { factor: 1, name: "pine" },
    commit: true,
  });
});

test("a slider sends one change at a time, then the newest, and never loses its last one", () => {
  const { store, weights, answer } = setUp();
  const weigh = (weight: number, commit = false) =>
    store.palette.change("set_weight", { factor: 0, feature: 5, weight }, commit);
  for (const weight of [0.1, 0.2, 0.3]) weigh(weight);
  assert.deepEqual(weights(), [[1, 0.1]]);
  answer(2);
  assert.deepEqual(weights().at(-1), [2, 0.3]);
  weigh(0.4);
  weigh(0.5, true);
  weigh(0.6, true);
  answer(3);
  answer(4);
  assert.deepEqual(weights().slice(2), [
    [3, 0.5],
    [4, 0.6],
  ]);
});

test("a change that had to wait is made to the factor that it was for, wherever that is now", () => {
  const { kernel, store } = setUp();
  const names = ["sky", "tree", "lake"];
  const answer = (revision: number, ids: readonly number[]) => {
    kernel.state({ revision, ids, names: ids.map((id) => names[id] ?? "new") });
    kernel.frame(kernel.of("palette").at(-1).seq);
  };
  const sent = () => kernel.of("palette").map(({ verb, arguments: { factor, order } }) => [verb, factor ?? order]);
  kernel.state({ revision: 2, ids: [0, 1, 2], names });
  store.palette.change("remove", { factor: 1 });
  store.palette.change("remove", { factor: 1 });
  store.palette.change("recolor", { factor: 2, color: "#123456" });
  answer(3, [0, 2]);
  assert.deepEqual(sent(), [
    ["remove", 1],
    ["recolor", 1],
  ]);
  store.palette.change("reorder", { order: [1, 0] });
  store.palette.change("duplicate", { factor: 0 });
  store.palette.change("reorder", { order: [1, 0] });
  answer(4, [0, 2]);
  answer(5, [2, 0]);
  assert.deepEqual(sent().slice(2), [
    ["reorder", [1, 0]],
    ["duplicate", 1],
  ]);
  answer(6, [2, 0, 3]);
  assert.equal(sent().length, 4, "an order of two factors is none of three");
});

test("a change that had to wait is not made to another scene's factor", () => {
  const { kernel, store } = setUp();
  store.palette.change("duplicate", { factor: 0 });
  store.palette.change("remove", { factor: 1 });
  store.palette.change("restyle", { style: "sepia" });
  const features = [[{ feature: 7, label: "", weight: 1, share: 1 }], []];
  kernel.state({ revision: 2, run: "another picture", features });
  kernel.frame(kernel.of("palette").at(-1).seq);
  assert.deepEqual(
    kernel.of("palette").map(({ verb }) => verb),
    ["duplicate", "restyle"],
  );
});

test("undo takes back a change that waits, and then what the kernel has", () => {
  const { kernel, store, answer } = setUp();
  store.palette.change("rename", { factor: 0, name: "air" });
  store.palette.change("recolor", { factor: 0, color: "#123456" });
  store.history.undo();
  assert.equal(kernel.of("undo").length, 0);
  store.history.undo();
  assert.equal(kernel.of("undo").length, 1);
  answer(2);
  assert.equal(kernel.of("palette").length, 1);
});

test("after the kernel was lost, changes are sent again", () => {
  const { store, weights } = setUp();
  store.palette.change("set_weight", { weight: 1 });
  store.palette.change("set_weight", { weight: 2 });
  store.palette.forget();
  store.palette.change("set_weight", { weight: 3 });
  assert.deepEqual(
    weights().map(([, weight]) => weight),
    [1, 3],
  );
});

test("each thumbnail is requested once, and again if the kernel was lost before it arrived", () => {
  const { kernel, store } = setUp();
  assert.deepEqual(kernel.of("icons")[0].keys, ["k0", "k1"]);
  kernel.state({ revision: 2, icons: ["k1", "k2"] });
  assert.deepEqual(kernel.of("icons")[1].keys, ["k2"]);
  kernel.say({ type: "icon", key: "k1", url: "data:," });
  assert.equal(store.thumbnails.urls.value.k1, "data:,");
  kernel.state({ revision: 2, icons: ["k1", "k2"] });
  assert.equal(kernel.of("icons").length, 2, "what is on its way is not asked for again");
  store.thumbnails.forget();
  kernel.state({ revision: 3, icons: ["k1", "k2"] });
  assert.deepEqual(kernel.of("icons")[2].keys, ["k2"]);
});

test("thumbnails that are no longer shown are dropped, and requested again when they are needed", () => {
  const { kernel, store } = setUp();
  kernel.say({ type: "icon", key: "k0", url: "data:," });
  kernel.state({ revision: 2, icons: ["k1"], steps: [[7, "step 7", ""]] });
  assert.deepEqual(store.thumbnails.urls.value, {});
  kernel.state({ revision: 3, icons: ["k0", "k1"] });
  assert.deepEqual(kernel.of("icons").at(-1).keys, ["k0"]);
});

test("thumbnails of features are requested when they are shown, and stay", () => {
  const { kernel, store } = setUp();
  store.thumbnails.request(["feature 5", ""]);
  store.thumbnails.request(["feature 5", "feature 6"]);
  assert.deepEqual(
    kernel.of("icons").map(({ keys }) => keys),
    [["k0", "k1"], ["feature 5"], ["feature 6"]],
  );
  kernel.say({ type: "icon", key: "feature 5", url: "data:," });
  kernel.state({ revision: 2, icons: [] });
  assert.equal(store.thumbnails.urls.value["feature 5"], "data:,");
  store.search.search("tree");
  const found = [5, 7].map((feature) => ({ feature, label: "", icon: `feature ${feature}` }));
  kernel.say({ type: "found", client: "me", seq: kernel.of("search")[0].seq, concepts: [], features: found });
  assert.deepEqual(kernel.of("icons").at(-1).keys, ["feature 7"]);
});

test("the kernel searches features, and an empty text requests nothing", () => {
  const { kernel, store } = setUp();
  store.search.search("tree");
  const { seq, text } = kernel.of("search")[0];
  assert.equal(text, "tree");
  kernel.say({ type: "found", client: "other", seq, concepts: [], features: [{ feature: 1, label: "" }] });
  assert.deepEqual(store.search.found.value, []);
  kernel.say({ type: "found", client: "me", seq, concepts: [], features: [{ feature: 5, label: "tree" }] });
  assert.deepEqual(store.search.found.value, [{ feature: 5, label: "tree" }]);
  store.search.search("tre");
  store.search.search("trees");
  assert.equal(store.search.isDone, false);
  const [first, last] = kernel.of("search").slice(1);
  kernel.say({ type: "found", client: "me", seq: first.seq, concepts: [], features: [] });
  assert.equal(store.search.isDone, false, "that was the answer to an earlier text");
  kernel.say({ type: "found", client: "me", seq: last.seq, concepts: [], features: [] });
  assert.ok(store.search.isDone);
  store.search.search(" ");
  assert.deepEqual(store.search.found.value, []);
  assert.equal(kernel.of("search").length, 3);
});

test("Enter picks the best feature found, also if it is pressed before the answer arrives", () => {
  const { kernel, store } = setUp();
  const { search } = store;
  const picked: number[] = [];
  const enter = () => search.pickFirst((first) => picked.push(first && "feature" in first ? first.feature : -1));
  const answer = (...found: number[]) => {
    const { seq } = kernel.of("search").at(-1);
    kernel.say({
      type: "found",
      client: "me",
      seq,
      concepts: [],
      features: found.map((feature) => ({ feature, label: "" })),
    });
  };
  search.search("tree");
  enter();
  assert.deepEqual(picked, []);
  answer(5, 6);
  assert.deepEqual(picked, [5]);
  enter();
  assert.deepEqual(picked, [5, 5]);
  search.search("no such thing");
  enter();
  answer();
  assert.deepEqual(picked, [5, 5, -1], "that nothing was found is said too");
  search.search("lake");
  enter();
  search.search("lakes");
  answer(7);
  assert.deepEqual(picked, [5, 5, -1], "of a text that was changed nothing is taken");
});

test("concepts come first, and what was found by meaning last", () => {
  const { kernel, store } = setUp();
  store.search.search("kitten", "", true);
  const { seq, concepts } = kernel.of("search")[0];
  assert.equal(concepts, true);
  const word = { feature: 1, label: "kitten" };
  const meaning = { feature: 2, label: "cat", similar: true };
  const named = { concept: "kittens", label: "kitten", icon: "a" };
  const like = { concept: "cats", label: "cat", icon: "b", similar: true };
  kernel.say({ type: "found", client: "me", seq, features: [word, meaning], concepts: [named, like] });
  assert.deepEqual(store.search.found.value, [named, word, like, meaning]);
});

test("a search in the middle of a stroke does not lose its newest state", () => {
  const { kernel, store } = setUp();
  const middle = (row: number, col: number) => ({ row: row + 0.5, col: col + 0.5 });
  store.settings.size.value = 1;
  store.stroke.begin(middle(0, 0));
  for (const col of [1, 2, 3]) store.stroke.advance([middle(0, col)]);
  const sent = kernel.of("edit").length;
  store.search.search("tree");
  kernel.frame(kernel.of("edit").at(-1).seq);
  assert.equal(kernel.of("edit").length, sent + 1);
});

test("a factor is added to paint with it, so a tool that does not paint gives way to the brush", () => {
  const { kernel, store } = setUp();
  const { tool } = store.settings;
  for (const [before, after] of [
    ["move", "paint"],
    ["erase", "paint"],
    ["fill", "fill"],
  ] as const) {
    tool.value = before;
    store.palette.add("borrow", { factor: "castle" });
    assert.equal(tool.value, after);
  }
  const { verb, arguments: args } = kernel.of("palette")[0];
  assert.deepEqual([verb, args], ["borrow", { factor: "castle" }]);
});
