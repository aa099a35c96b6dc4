import assert from "node:assert/strict";
import { test } from "node:test";
import { isForBrowser } from "../../src/shared/canvases.ts";

const press = (key: string, ...held: string[]) =>
  isForBrowser({
    key,
    ctrlKey: held.includes("ctrl"),
    metaKey: held.includes("meta"),
    altKey: held.includes("alt"),
  });

test("Tab moves the focus, and keys with Ctrl, Cmd or Alt are the browser's", () => {
  assert.ok(press("Tab"));
  for (const held of ["ctrl", "meta", "alt"]) for (const key of ["c", "r", "ArrowLeft"]) assert.ok(press(key, held));
  assert.ok(press("Control", "ctrl"));
});

test("what the inspector does with a key reaches it, Shift too", () => {
  for (const key of ["ArrowUp", "Enter", " ", "Escape", "1", "9", "Shift"]) assert.equal(press(key), false, key);
});
