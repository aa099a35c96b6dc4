import assert from "node:assert/strict";
import { test } from "node:test";
import { Factors } from "../../../src/paint/store/factors.ts";
import { View } from "../../../src/paint/store/view.ts";
import { openStore } from "../fake_kernel.ts";

const feature = (factor: number) => [{ feature: 10 + factor, label: "", weight: 1, share: 1 }];

/** Factor 1 of three is locked, hidden, shown alone and picked, and its drawer is open. */
function setUp() {
  const { kernel, store } = openStore();
  const view = new View(store);
  let revision = 0;
  const become = (ids: readonly number[], change: object = {}) =>
    kernel.state({
      ids,
      names: ids.map((id) => `factor ${id}`),
      features: ids.map(feature),
      revision: ++revision,
      ...change,
    });
  become([0, 1, 2]);
  const { factors } = store;
  factors.toggle("locked", 1);
  factors.toggle("hidden", 1);
  factors.toggleSolo(1);
  factors.pick(1);
  view.drawer.value = factors.keys.value[1] ?? null;
  const marks = () => [
    [...factors.locked.value],
    [...factors.hidden.value],
    factors.soloIndex.value,
    factors.indexOf(view.drawer.value),
    factors.picked.value,
  ];
  return { kernel, store, view, become, marks };
}

for (const [what, ids, change, at] of [
  ["reordered", [1, 2, 0], {}, 0],
  ["renamed", [0, 1, 2], { names: ["sky", "oak", "sun"] }, 1],
  ["renamed and reordered at once", [2, 0, 1], { names: ["factor 0", "b", "c"] }, 2],
  ["drawn with another seed", [1, 0, 2], { seed: "4", run: "another run", features: [1, 0, 2].map(feature) }, 0],
] as const)
  test(`lock, eye, solo, drawer and selection stay with their factor when factors are ${what}`, () => {
    const { become, marks } = setUp();
    const sameFeatures = what.includes("seed") ? { features: [0, 1, 2].map(feature) } : {};
    become(ids, { ...change, ...sameFeatures });
    assert.deepEqual(marks(), [[at], [at], at, at, at]);
  });

test("names do not matter: two factors that swap names keep their marks", () => {
  const { become, marks } = setUp();
  become([0, 1, 2], { names: ["factor 1", "factor 0", "factor 2"] });
  assert.deepEqual(marks(), [[1], [1], 1, 1, 1]);
});

test("a factor that is added is picked, and the others keep their marks", () => {
  const { become, marks } = setUp();
  become([3, 0, 1, 2]);
  assert.deepEqual(marks(), [[2], [2], 2, 2, 0]);
});

test("a removed factor's marks disappear with it and return with it", () => {
  const { become, marks } = setUp();
  become([0, 2]);
  assert.deepEqual(marks(), [[], [], null, null, 1]);
  become([0, 2, 3]);
  assert.deepEqual(marks(), [[], [], null, null, 2]);
  become([0, 1, 2]);
  assert.deepEqual(marks().slice(0, 4), [[1], [1], 1, 1]);
});

test("another scene with the same ids has other factors", () => {
  const { become, marks } = setUp();
  become([0, 1, 2], { run: "another run", features: [5, 6, 7].map(feature), first_thing: 2 });
  assert.deepEqual(marks(), [[], [], null, null, 2]);
});

test("another picture of the same factors, with other shares, keeps their marks", () => {
  const { become, marks } = setUp();
  const features = [0, 1, 2].map((factor) => feature(factor).map((part) => ({ ...part, share: 0.5 })));
  become([0, 1, 2], { run: "another seed", features });
  assert.deepEqual(marks(), [[1], [1], 1, 1, 1]);
});

test("without factors the picked index is 0, and picking another one changes nothing", () => {
  const factors = new Factors();
  factors.pick(3);
  assert.equal(factors.picked.value, 0);
  factors.follow({ ids: [4, 7], run: "a run", features: [[], []], first_thing: 0 });
  assert.equal(factors.picked.value, 0);
  factors.pick(9);
  assert.equal(factors.picked.value, 1);
});

test("the kernel's selected factor is picked, and the widget's is sent", () => {
  const { kernel, store } = setUp();
  assert.equal(kernel.traits.selected_factor, 1);
  kernel.traits.selected_factor = 2;
  for (const listener of kernel.listeners.get("change:selected_factor") ?? []) listener(null, []);
  assert.equal(store.factors.picked.value, 2);
});

test("in another picture the first thing is picked, and in the first one what the kernel says", () => {
  const { kernel, store } = openStore();
  kernel.traits.selected_factor = 2;
  const names = ["sky", "snow", "pine"];
  kernel.state({ names, first_thing: 1 });
  assert.equal(store.factors.picked.value, 2);
  const features = names.map((_, factor) => feature(factor + 5));
  kernel.state({ names, run: "another run", features, first_thing: 1 });
  assert.equal(store.factors.picked.value, 1);
  assert.equal(kernel.traits.selected_factor, 1);
  store.factors.pick(0);
  kernel.state({ names, run: "another run", features, first_thing: 1, revision: 2 });
  assert.equal(store.factors.picked.value, 0);
});

test("without a kernel's word, as in a saved page, the first thing is picked", () => {
  const { kernel, store } = openStore();
  kernel.state({ names: ["sky", "snow", "pine"], first_thing: 2 });
  assert.equal(store.factors.picked.value, 2);
});
