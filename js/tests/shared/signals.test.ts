import assert from "node:assert/strict";
import { test } from "node:test";
import { signal } from "@preact/signals-core";
import { into, put, toggle } from "../../src/shared/signals.ts";

test("handlers set what they are given, a fixed value, or the opposite", () => {
  const [size, open] = [signal(1), signal(false)];
  into(size)(4);
  assert.equal(size.value, 4);
  put(size, 2)();
  assert.equal(size.value, 2);
  toggle(open)();
  assert.equal(open.value, true);
  toggle(open)();
  assert.equal(open.value, false);
});
