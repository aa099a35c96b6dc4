import assert from "node:assert/strict";
import { test } from "node:test";
import { isZoom } from "../../src/shared/wheel.ts";

const none = { ctrlKey: false, metaKey: false };

test("the wheel zooms a map that is in use, and any other only with Ctrl or Cmd", () => {
  assert.equal(isZoom(none, false), false);
  assert.equal(isZoom(none, true), true);
  assert.equal(isZoom({ ...none, ctrlKey: true }, false), true);
  assert.equal(isZoom({ ...none, metaKey: true }, false), true);
});
