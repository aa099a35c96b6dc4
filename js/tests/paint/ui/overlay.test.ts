import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyLayers, emptyMask } from "../../../src/paint/store/grid.ts";
import { type OverlayState, outline, rgb, tint } from "../../../src/paint/ui/overlay.ts";

const GRID = { rows: 16, cols: 16 };

function overlay(change: Partial<OverlayState>): OverlayState {
  const layers = emptyLayers(GRID, 2);
  layers.strengths.set([1, 0.5], 0);
  return {
    layers,
    gains: [1, 1],
    colors: ["#ff0000", "#0000ff"],
    hidden: new Set(),
    picked: 0,
    solo: null,
    target: null,
    brushSize: 1,
    selection: null,
    outlines: null,
    opacity: 0.5,
    lines: false,
    beside: false,
    tinted: true,
    ...change,
  };
}

const pixel = (state: OverlayState) => [...tint(state).slice(0, 4)];

test("a patch has the colour of its strongest factor, and no colour without one", () => {
  const [red = 0, , blue = 0, alpha = 0] = pixel(overlay({}));
  assert.ok(red > 3 * blue);
  assert.ok(alpha > 60);
  assert.deepEqual([...tint(overlay({})).slice(4, 8)], [0, 0, 0, 0]);
});

test("hidden factors have no tint, and a factor shown alone has the only one", () => {
  assert.deepEqual(pixel(overlay({ hidden: new Set([0]) })).slice(0, 3), [0, 0, 255]);
  assert.deepEqual(pixel(overlay({ hidden: new Set([1]), solo: 1 })).slice(0, 3), [0, 0, 255]);
});

test("sliders count in the tint", () => {
  assert.deepEqual(pixel(overlay({ gains: [0, 1] })).slice(0, 3), [0, 0, 255]);
});

test("colours are read from hex", () => {
  assert.deepEqual(rgb("#56b4e9"), [86, 180, 233]);
});

test("an outline goes around a region, the border of the grid included", () => {
  const mask = emptyMask(GRID);
  mask[0] = 1;
  mask[1] = 1;
  assert.equal(outline(GRID, mask).length, 6);
});

test("on any grid, the tint has one pixel per patch and outlines end at the borders", () => {
  const grid = { rows: 2, cols: 3 };
  assert.equal(tint(overlay({ layers: emptyLayers(grid, 2) })).length, 4 * 6);
  const mask = emptyMask(grid).fill(1);
  assert.equal(outline(grid, mask).length, 10);
});
