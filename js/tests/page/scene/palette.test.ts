import assert from "node:assert/strict";
import { test } from "node:test";
import { freeName, withEnding } from "../../../src/page/scene/palette.ts";

test("a name that is too long with its number is cut, by characters as Python counts them", () => {
  const long = "✨𝕏".repeat(5000);
  const free = freeName(long, [long]);
  assert.equal([...free].length, 10_000);
  assert.ok(free.endsWith("𝕏 2") && long.startsWith(free.slice(0, -2)));
  assert.equal(freeName(long, [long, free]), `${free.slice(0, -1)}3`);
  assert.equal(freeName(long, []), long);
  assert.equal(freeName("lion", ["lion", "lion 2"]), "lion 3");
  assert.equal(withEnding("lion", " (steps 3-4)"), "lion (steps 3-4)");
});
