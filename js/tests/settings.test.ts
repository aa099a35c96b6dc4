import assert from "node:assert/strict";
import { test } from "node:test";
import { View } from "../src/paint/store/view.ts";
import { openStore } from "./fake_kernel.ts";

const NAMES = ["sky", "tree", "sun"];

function setUp() {
  const { kernel, store } = openStore();
  kernel.state({ names: NAMES });
  const view = new View(store);
  view.drawer.val = 1;
  store.soloed.val = 1;
  store.toggle("locked", 1);
  let revision = 1;
  const become = (names: readonly string[]) => kernel.state({ names, revision: ++revision });
  return { store, view, become };
}

for (const [what, names, at] of [
  ["put in another order", ["tree", "sun", "sky"], 0],
  ["renamed", ["sky", "oak", "sun"], 1],
  ["joined by another", ["sky", "tree", "sun", "tree 2"], 1],
] as const)
  test(`drawer, solo and lock go along when factors are ${what}`, () => {
    const { store, view, become } = setUp();
    become(names);
    assert.equal(view.drawer.val, at);
    assert.equal(store.soloed.val, at);
    assert.deepEqual([...store.locked.val], [at]);
  });

test("the drawer of a factor that is gone is closed, and what comes next does not open it", () => {
  const { store, view, become } = setUp();
  become(["sky", "sun"]);
  assert.equal(view.drawer.val, null);
  assert.equal(store.soloed.val, null);
  become(["sky", "sun", "cat"]);
  assert.equal(view.drawer.val, null);
});

test("a view that is gone is told nothing", () => {
  const { view, become } = setUp();
  view.close();
  become(["tree", "sun", "sky"]);
  assert.equal(view.drawer.val, 1);
});
