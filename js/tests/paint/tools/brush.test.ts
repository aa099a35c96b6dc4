import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyMask, type Mask } from "../../../src/paint/store/grid.ts";
import { footprint, middleOf, patchAt, stamp, stampLine, toPoint } from "../../../src/paint/tools/brush.ts";

const GRID = { rows: 16, cols: 16 };
const WIDE = { rows: 12, cols: 20 };

const patches = (mask: Mask) =>
  [...mask.keys()].filter((p) => mask[p]).map((p) => `${Math.floor(p / GRID.cols)},${p % GRID.cols}`);

const shape = (mask: Mask) =>
  Array.from({ length: GRID.rows }, (_, row) => [...mask.slice(16 * row, 16 * (row + 1))].join(""))
    .filter((line) => line.includes("1"))
    .map((line) => line.slice(5, 12));

test("a pointer position becomes a patch, whatever the size of the grid on screen", () => {
  const box = { left: 100, top: 50, width: 320, height: 320 };
  assert.equal(patchAt(GRID, toPoint(GRID, 100, 50, box)), 0);
  assert.equal(patchAt(GRID, toPoint(GRID, 419.9, 369.9, box)), 255);
  assert.equal(patchAt(GRID, toPoint(GRID, 100 + 3.5 * 20, 50 + 2.5 * 20, box)), 2 * 16 + 3);
  assert.equal(patchAt(WIDE, toPoint(WIDE, 419.9, 369.9, box)), 239);
  assert.equal(patchAt(WIDE, toPoint(WIDE, 100 + 19.5 * 16, 50 + 1, box)), 19);
});

test("outside the grid there is no patch", () => {
  for (const point of [
    { row: -0.01, col: 3 },
    { row: 3, col: 16 },
    { row: 16, col: 3 },
    { row: 3, col: -1 },
  ])
    assert.equal(patchAt(GRID, point), null);
  assert.equal(patchAt(WIDE, { row: 12, col: 3 }), null);
  assert.equal(patchAt(WIDE, { row: 11.9, col: 19.9 }), 239);
});

test("a brush of one patch paints the patch under the pointer", () => {
  assert.deepEqual(patches(footprint(GRID, { row: 4.99, col: 7.01 }, 1)), ["4,7"]);
});

test("brushes are round and as wide as their size", () => {
  const middle = { row: 8.5, col: 8.5 };
  assert.deepEqual(shape(footprint(GRID, middle, 3)), ["0011100", "0011100", "0011100"]);
  assert.deepEqual(shape(footprint(GRID, middle, 5)), ["0011100", "0111110", "0111110", "0111110", "0011100"]);
  assert.deepEqual(shape(footprint(GRID, { row: 8, col: 8 }, 2)), ["0011000", "0011000"]);
  assert.deepEqual(shape(footprint(GRID, { row: 8, col: 8 }, 4)), ["0011000", "0111100", "0111100", "0011000"]);
});

test("an even brush keeps its shape when the pointer is not on a corner", () => {
  assert.equal(patches(footprint(GRID, { row: 8.3, col: 8.4 }, 2)).length, 4);
});

test("at the border a brush paints only patches inside the grid", () => {
  assert.deepEqual(patches(footprint(GRID, { row: 0.5, col: 0.5 }, 3)), ["0,0", "0,1", "1,0", "1,1"]);
  assert.deepEqual(patches(footprint(GRID, { row: -5, col: 30 }, 3)), []);
});

test("a fast stroke has no gaps", () => {
  const mask = emptyMask(GRID);
  stamp(GRID, mask, { row: 2.5, col: 0.5 }, 1);
  stampLine(GRID, mask, { row: 2.5, col: 0.5 }, { row: 2.5, col: 15.5 }, 1);
  assert.equal(patches(mask).length, 16);
});

test("in a diagonal stroke each patch touches the next", () => {
  const mask = emptyMask(GRID);
  stampLine(GRID, mask, { row: 0.5, col: 0.5 }, { row: 11.5, col: 5.5 }, 1);
  for (let row = 0; row < 12; row++) assert.ok(mask.slice(16 * row, 16 * (row + 1)).includes(1), `row ${row}`);
});

test("a stroke that continues outside the grid paints up to the border", () => {
  const mask = emptyMask(GRID);
  stampLine(GRID, mask, { row: 8.5, col: 14.5 }, { row: 8.5, col: 300 }, 1);
  assert.deepEqual(patches(mask), ["8,15"]);
});

test("the middle of a patch lies in it", () => {
  for (const grid of [GRID, WIDE])
    for (const patch of [0, 15, 16, 239]) assert.equal(patchAt(grid, middleOf(grid, patch)), patch);
});
