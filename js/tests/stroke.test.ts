import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyLayers, GRID, type Layers } from "../src/grid.ts";
import { type BrushSettings, startStroke, type Tool } from "../src/stroke.ts";

const BRUSH: BrushSettings = { factor: 0, size: 1, strength: 1, mode: "over", eraseOnlyFactor: false, heal: false };

/** Factor 1 everywhere at 1, except two separate patches of factor 0. */
function scene(): Layers {
  const layers = emptyLayers(2);
  for (let p = 0; p < GRID * GRID; p++) layers.strengths.set([0, 1], 2 * p);
  for (const p of [at(3, 3), at(10, 10)]) layers.strengths.set([1, 0], 2 * p);
  return layers;
}

const at = (row: number, col: number) => row * GRID + col;
const middle = (row: number, col: number) => ({ row: row + 0.5, col: col + 0.5 });
const strength = (layers: Layers | undefined, factor: number, row: number, col: number) =>
  layers?.strengths[2 * at(row, col) + factor];

const start = (layers: Layers, tool: Tool, brush: Partial<BrushSettings>, row: number, col: number) =>
  startStroke(layers, [1, 1], tool, { ...BRUSH, ...brush }, middle(row, col));

test("a click paints one dab", () => {
  const begun = start(scene(), "paint", { strength: 1.5 }, 7, 7);
  const layers = begun?.stroke.to([]);
  assert.equal(strength(layers, 0, 7, 7), 1.5);
  assert.equal(strength(layers, 1, 7, 7), 0);
  assert.equal(strength(layers, 0, 7, 8), 0);
});

test("passing a patch twice in one stroke adds once", () => {
  const begun = start(scene(), "paint", { mode: "add", strength: 0.5 }, 7, 7);
  const layers = begun?.stroke.to([middle(7, 9), middle(7, 7)]);
  assert.equal(strength(layers, 0, 7, 8), 0.5);
});

test("the eraser takes the picked factor alone if told so", () => {
  const layers = start(scene(), "erase", { eraseOnlyFactor: true }, 7, 7)?.stroke.to([]);
  assert.equal(strength(layers, 1, 7, 7), 1);
  assert.equal(layers?.remainder[at(7, 7)], 1);
});

test("the eraser takes all of a patch and leaves a gap if it is not to fill it", () => {
  const layers = start(scene(), "erase", {}, 7, 7)?.stroke.to([]);
  assert.equal(strength(layers, 0, 7, 7), 0);
  assert.equal(strength(layers, 1, 7, 7), 0);
  assert.equal(layers?.remainder[at(7, 7)], 0);
});

test("filling the gap, the eraser does not bring back in the middle of a thing what it took out", () => {
  const layers = emptyLayers(2);
  for (let p = 0; p < GRID * GRID; p++) layers.strengths.set([1, 0.25], 2 * p);
  const erased = start(layers, "erase", { heal: true, factor: 1 }, 7, 7)?.stroke.to([]);
  assert.equal(strength(erased, 0, 7, 7), 0);
  assert.equal(strength(erased, 1, 7, 7), 0.25);
});

test("moving carries the part of the region that was grasped, not its twin", () => {
  const layers = start(scene(), "move", {}, 3, 3)?.stroke.to([middle(3, 4), middle(5, 6)]);
  assert.equal(strength(layers, 0, 5, 6), 1);
  assert.equal(strength(layers, 0, 3, 3), 0);
  assert.equal(strength(layers, 0, 10, 10), 1);
});

test("moving back to where it began changes nothing", () => {
  const layers = start(scene(), "move", { heal: true }, 3, 3)?.stroke.to([middle(5, 6), middle(3, 3)]);
  assert.deepEqual(layers, scene());
});

test("moving grasps and picks what lies under the pointer", () => {
  assert.equal(start(scene(), "move", { factor: 1 }, 3, 3)?.factor, 0);
});

test("the picked factor is grasped where it stands, even under a stronger one", () => {
  const layers = scene();
  layers.strengths.set([0.5, 1], 2 * at(3, 3));
  assert.equal(start(layers, "move", { factor: 0 }, 3, 3)?.factor, 0);
  assert.equal(start(layers, "move", { factor: 1 }, 3, 3)?.factor, 1);
});

test("there is nothing to move where nothing is", () => {
  assert.equal(start(emptyLayers(2), "move", {}, 3, 3), null);
});

test("there is nothing to paint with on a blank canvas, but the eraser works", () => {
  assert.equal(start(emptyLayers(0), "paint", {}, 3, 3), null);
  assert.equal(start(emptyLayers(0), "move", {}, 3, 3), null);
  assert.equal(start(emptyLayers(0), "erase", {}, 3, 3)?.stroke.to([]).remainder[at(3, 3)], 0);
});
