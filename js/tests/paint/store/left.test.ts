import assert from "node:assert/strict";
import { test } from "node:test";
import type { Store } from "../../../src/paint/store/store.ts";
import type { Left } from "../../../src/paint/transport/messages.ts";
import { FakeKernel, openStore } from "../fake_kernel.ts";

/** The page is loaded again: the same traits, another store. */
function reload(traits: Record<string, unknown>): { kernel: FakeKernel; store: Store } {
  const kernel = new FakeKernel();
  Object.assign(kernel.traits, traits);
  const { store } = openStore(undefined, kernel);
  kernel.state({ names: ["sky", "tree", "sun"] });
  return { kernel, store };
}

test("tool, brush, picked factor and open drawer are as they were after a reload", () => {
  const { kernel, store } = openStore();
  kernel.state({ names: ["sky", "tree", "sun"] });
  store.settings.tool.value = "gain";
  store.settings.size.value = 5;
  store.settings.soft.value = true;
  store.factors.pick(2);
  store.factors.drawer.value = store.factors.keys.value[1] ?? null;
  const now = reload(kernel.traits).store;
  assert.deepEqual([now.settings.tool.value, now.settings.size.value, now.settings.soft.value], ["gain", 5, true]);
  assert.equal(now.factors.picked.value, 2);
  assert.equal(now.factors.indexOf(now.factors.drawer.value), 1);
});

test("after a cell was run again, the factor of the same name is picked", () => {
  const left = { tool: "erase", factor: "sun", drawer: "sky" };
  const again = reload({ _left: { ...left, again: true } });
  assert.equal(again.store.settings.tool.value, "erase");
  assert.equal(again.store.factors.picked.value, 2);
  assert.equal(again.store.factors.indexOf(again.store.factors.drawer.value), 0);
  assert.equal((again.kernel.get("_left") as Left).again, undefined);
  const elsewhere = reload({ _left: { ...left, factor: "whale", drawer: "whale", again: true }, selected_factor: 1 });
  assert.equal(elsewhere.store.factors.picked.value, 1);
  assert.equal(elsewhere.store.factors.drawer.value, null);
});

test("what is wrong in it is left out", () => {
  const { settings } = reload({ _left: { tool: "saw", size: 999, strength: "much", soft: 1 } }).store;
  const found = [settings.tool.value, settings.size.value, settings.strength.value, settings.soft.value];
  assert.deepEqual(found, ["paint", 8, 1, false]);
});
