import assert from "node:assert/strict";
import { test } from "node:test";
import { Float, general, repr, reprFloat, shortFloat32, shown, Tuple } from "../../../src/page/scene/python.ts";

// What Python 3.11 writes.

test("texts are written as Python's repr writes them", () => {
  const written: [string, string][] = [
    ["it's", `"it's"`],
    [`it's "so"`, `'it\\'s "so"'`],
    ["a\\b\n\t\r\u0000\u007f\u00a0\u2028", String.raw`'a\\b\n\t\r\x00\x7f\xa0\u2028'`],
    ["é 狮 ✨", "'é 狮 ✨'"],
    ["\ud800", String.raw`'\ud800'`],
    ["\u{e0001}", String.raw`'\U000e0001'`],
  ];
  for (const [text, want] of written) assert.equal(repr(text), want);
});

test("numbers are written as Python writes floats and ints", () => {
  const floats: [number, string][] = [
    [1, "1.0"],
    [-0, "-0.0"],
    [0.1, "0.1"],
    [1e-4, "0.0001"],
    [1.5e-5, "1.5e-05"],
    [1.25e-7, "1.25e-07"],
    [123456789012345.6, "123456789012345.6"],
    [1e15, "1000000000000000.0"],
    [1e16, "1e+16"],
    [1.7976931348623157e308, "1.7976931348623157e+308"],
    [Number.NEGATIVE_INFINITY, "-inf"],
    [Number.NaN, "nan"],
  ];
  for (const [number, want] of floats) assert.equal(reprFloat(number), want);
  assert.equal(repr([1, 0.5, 2n ** 63n, new Float(1), null, true]), "[1, 0.5, 9223372036854775808, 1.0, None, True]");
  assert.equal(repr(new Tuple([1])), "(1,)");
  assert.equal(repr(new Map<number, unknown>([[7, 1]])), "{7: 1}");
});

test("numbers of six digits are written as Python's :g writes them", () => {
  const short: [number, string][] = [
    [0.85, "0.85"],
    [2, "2"],
    [1e6, "1e+06"],
    [123456, "123456"],
    [0.0001, "0.0001"],
    [0.00001234, "1.234e-05"],
    [-0.5, "-0.5"],
  ];
  for (const [number, want] of short) assert.equal(general(number), want);
  assert.equal(shortFloat32(Math.fround(0.85)), 0.85);
  assert.equal(shortFloat32(Math.fround(1 / 3)), 0.33333334);
});

test("long values are shortened as Python's reprlib shortens them", () => {
  assert.equal(shown("x".repeat(100)), `'${"x".repeat(27)}...${"x".repeat(28)}'`);
  assert.equal(shown([..."abcdefgh"]), "['a', 'b', 'c', 'd', 'e', 'f', ...]");
  assert.equal(shown({ z: 1, y: [2], x: "3", w: null, v: true }), "{'v': True, 'w': None, 'x': '3', 'y': [2], ...}");
});
