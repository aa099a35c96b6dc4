import assert from "node:assert/strict";
import { test } from "node:test";
import { isPress } from "../../src/paint/ui/keys.ts";
import { isComposing } from "../../src/shared/composing.ts";
import { isForNotebook, keyOf } from "../../src/shared/notebook_keys.ts";

const press = (key: string, ...held: string[]) =>
  isForNotebook({
    key,
    code: "",
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

test("on a keyboard of another script the letters are those of the same keys", () => {
  const typed = (key: string, code: string, altKey = false) => keyOf({ key, code, altKey });
  assert.equal(typed("\u044f", "KeyZ"), "z", "Cyrillic");
  assert.equal(typed("\u0416", "Semicolon"), "\u0416");
  assert.equal(typed("\u05d6", "KeyZ"), "z", "Hebrew");
  assert.equal(typed("\u0131", "KeyI"), "i", "Turkish");
  assert.equal(typed("z", "KeyY"), "z", "German");
  assert.equal(typed("\u0107", "KeyC", true), "\u0107", "Alt types another letter in Polish");
  assert.equal(typed("Enter", "Enter"), "Enter");
  const held = { ctrlKey: true, metaKey: false, altKey: false, shiftKey: false };
  assert.equal(isForNotebook({ key: "\u044f", code: "KeyZ", ...held }), false, "undo stays in the widget");
  assert.equal(isForNotebook({ key: "\u044b", code: "KeyS", ...held }), true, "and saving does not");
});

test("a key that an input method takes is known in Safari too", () => {
  assert.ok(isComposing({ isComposing: true, keyCode: 13 }));
  assert.ok(isComposing({ isComposing: false, keyCode: 229 }));
  assert.equal(isComposing({ isComposing: false, keyCode: 13 }), false);
});
