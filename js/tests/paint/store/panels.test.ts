import assert from "node:assert/strict";
import { test } from "node:test";
import { Panels } from "../../../src/paint/store/panels.ts";
import type { PanelsMessage } from "../../../src/paint/transport/messages.ts";
import { openStore } from "../fake_kernel.ts";

const message: PanelsMessage = { type: "panels", client: "me", seq: 1, source: "components" };

test("the second file is requested once, by what is shown first", () => {
  const { kernel, store } = openStore();
  kernel.state();
  assert.equal(kernel.of("panels").length, 0);
  store.panels.want();
  store.panels.want();
  assert.equal(kernel.of("panels").length, 1);
});

test("its components are there when the kernel has sent it, and are not requested again", async () => {
  const { kernel, store } = openStore();
  store.panels.want();
  kernel.say({ ...message, client: "another page" });
  await Promise.resolve();
  assert.equal(store.panels.components.value, null);
  kernel.say(message);
  await Promise.resolve();
  assert.deepEqual(store.panels.components.value, { source: "components" });
  store.panels.forget();
  store.panels.want();
  assert.equal(kernel.of("panels").length, 1);
});

test("a kernel that was lost is asked again", () => {
  const { kernel, store } = openStore();
  store.panels.want();
  store.panels.forget();
  store.panels.want();
  assert.equal(kernel.of("panels").length, 2);
});

test("a browser that refuses to load it is not asked to for ever", async () => {
  let nLoads = 0;
  const panels = new Panels(
    () => {},
    async () => {
      nLoads++;
      throw new Error("not allowed");
    },
  );
  panels.want();
  await panels.receive(message);
  assert.equal(panels.isRefused.value, true);
  assert.equal(panels.components.value, null);
  panels.want();
  assert.equal(nLoads, 1);
});
