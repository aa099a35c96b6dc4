import assert from "node:assert/strict";
import { test } from "node:test";
import { isPress } from "../../src/paint/ui/keys.ts";
import { isForNotebook } from "../../src/shared/notebook_keys.ts";

const press = (key: string, ...held: string[]) =>
  isForNotebook({
    key,
    ctrlKey: held.includes("ctrl"),
    metaKey: held.includes("meta"),
    altKey: held.includes("alt"),
    shiftKey: held.includes("shift"),
  });

test("letters, digits and named keys stay in the widget, with Shift too", () => {
  for (const key of ["d", "x", "a", "b", "z", "0", "Enter", "Escape", "ArrowUp", " ", "Delete"])
    assert.equal(press(key), false, key);
  for (const key of ["M", "Tab", "ArrowDown", "V"]) assert.equal(press(key, "shift"), false, key);
});

test("undo, redo, copy and paste stay in the widget", () => {
  for (const key of ["z", "Z", "y", "c", "v"]) {
    assert.equal(press(key, "ctrl"), false, key);
    assert.equal(press(key, "meta", "shift"), false, key);
  }
});

test("running the cell, saving and other commands are left to the notebook", () => {
  assert.equal(press("Enter", "shift"), true);
  assert.equal(press("Enter", "ctrl"), true);
  assert.equal(press("Enter", "alt"), true);
  assert.equal(press("s", "ctrl"), true);
  assert.equal(press("s", "meta"), true);
  assert.equal(press("b", "ctrl"), true);
});

test("only Space and Enter press a button: n, t, e and r do not", () => {
  assert.deepEqual([" ", "Enter", "n", "t", "e", "r", "E", ""].filter(isPress), [" ", "Enter"]);
});
