import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyMask, emptyLayers as emptyOn, type Layers, type Mask, patchesOf } from "../../../src/paint/store/grid.ts";
import { areasOf } from "../../../src/paint/tools/areas.ts";
import { TOOLS, type ToolName } from "../../../src/paint/tools/index.ts";
import type { BrushSettings, Change, Shape, StrokeStart } from "../../../src/paint/tools/tool.ts";

const GRID = { rows: 16, cols: 16 };
const emptyLayers = (nFactors: number) => emptyOn(GRID, nFactors);

const BRUSH: BrushSettings = {
  factor: 0,
  size: 1,
  strength: 1,
  opacity: 1,
  soft: false,
  mode: "over",
  gain: 2,
  eraseOnlyFactor: false,
  heal: false,
};

/** Factor 1 everywhere at 1, except two separate patches of factor 0. */
function scene(): Layers {
  const layers = emptyLayers(2);
  for (let p = 0; p < patchesOf(GRID); p++) layers.strengths.set([0, 1], 2 * p);
  for (const p of [at(3, 3), at(10, 10)]) layers.strengths.set([1, 0], 2 * p);
  return layers;
}

const at = (row: number, col: number) => row * GRID.cols + col;
const middle = (row: number, col: number) => ({ row: row + 0.5, col: col + 0.5 });
const strength = (layers: Layers | undefined, factor: number, row: number, col: number) =>
  layers?.strengths[2 * at(row, col) + factor];
const patches = (mask: Mask | null | undefined) =>
  mask && [...mask.keys()].filter((p) => mask[p]).map((p) => `${Math.floor(p / GRID.cols)},${p % GRID.cols}`);
const some = (...places: readonly (readonly [number, number])[]) => {
  const mask = emptyMask(GRID);
  for (const [row, col] of places) mask[at(row, col)] = 1;
  return mask;
};

interface Set {
  layers?: Layers;
  brush?: Partial<BrushSettings>;
  shape?: Shape;
  selection?: Mask;
  locked?: number[];
}

const startOf = ({ layers = scene(), brush = {}, shape = "free", selection, locked = [] }: Set): StrokeStart => ({
  before: layers,
  gains: [1, 1],
  brush: { ...BRUSH, ...brush },
  shape,
  selection: selection ?? null,
  locked: new Set(locked),
});

type Place = readonly [number, number];

/** Everything that a stroke through these points changes; null if the tool does nothing. */
function draw(tool: ToolName, set: Set, [first, ...others]: readonly [Place, ...Place[]]): Change | null {
  const start = startOf(set);
  const stroke = TOOLS[tool].start();
  let change = stroke.down(start, middle(...first));
  if (!change) return null;
  for (const place of others) change = { ...change, ...stroke.move(start, [middle(...place)]) };
  return { ...change, ...stroke.up(start) };
}

test("every tool has a key, a name and a hint of its own", () => {
  const tools = Object.values(TOOLS);
  for (const what of ["key", "label", "hint"] as const)
    assert.equal(new Set(tools.map((tool) => tool[what])).size, tools.length, what);
});

test("a click paints one dab", () => {
  const { layers } = draw("paint", { brush: { strength: 1.5 } }, [[7, 7]]) ?? {};
  assert.equal(strength(layers, 0, 7, 7), 1.5);
  assert.equal(strength(layers, 1, 7, 7), 0);
  assert.equal(strength(layers, 0, 7, 8), 0);
});

test("passing a patch twice in one stroke adds once", () => {
  const { layers } =
    draw("paint", { brush: { mode: "add", strength: 0.5 } }, [
      [7, 7],
      [7, 9],
      [7, 7],
    ]) ?? {};
  assert.equal(strength(layers, 0, 7, 8), 0.5);
});

test("opacity below 1 keeps a part of what was there", () => {
  const { layers } = draw("paint", { brush: { opacity: 0.25 } }, [[7, 7]]) ?? {};
  assert.deepEqual([strength(layers, 0, 7, 7), strength(layers, 1, 7, 7)], [0.25, 0.75]);
});

test("a soft brush is full in its middle and fades out at its edge", () => {
  const { layers } = draw("paint", { brush: { soft: true, size: 3 } }, [[7, 7]]) ?? {};
  const row = [5, 6, 7, 8, 9].map((r) => strength(layers, 0, r, 6) ?? 0);
  assert.equal(strength(layers, 0, 7, 7), 1);
  assert.equal(row[2], 1);
  assert.ok((row[1] ?? 0) > 0.5 && (row[1] ?? 0) < 0.7);
  assert.deepEqual([row[0], row[4]], [0, 0]);
});

test("a pen that presses half as hard paints half as much", () => {
  const start = startOf({});
  const change = TOOLS.paint.start().down(start, { ...middle(7, 7), pressure: 0.5 });
  assert.equal(strength(change?.layers, 0, 7, 7), 0.5);
});

test("with Shift, a stroke is a straight line from its start", () => {
  const { layers } =
    draw("paint", { shape: "line" }, [
      [2, 2],
      [9, 2],
      [2, 6],
    ]) ?? {};
  for (let col = 2; col <= 6; col++) assert.equal(strength(layers, 0, 2, col), 1);
  assert.equal(strength(layers, 0, 5, 2), 0);
});

test("with Alt and Shift, it is a box, whichever corner is first", () => {
  const { call } =
    draw("paint", { shape: "box" }, [
      [5, 6],
      [9, 9],
      [4, 4],
    ]) ?? {};
  assert.deepEqual(patches(call?.shares as Mask), ["4,4", "4,5", "4,6", "5,4", "5,5", "5,6"]);
});

test("with a selection, the brush paints nowhere else", () => {
  const { layers } =
    draw("paint", { selection: some([7, 8]) }, [
      [7, 7],
      [7, 9],
    ]) ?? {};
  assert.deepEqual(
    [7, 8, 9].map((col) => strength(layers, 0, 7, col)),
    [0, 1, 0],
  );
});

test("a locked factor cannot be painted, filled, scaled, moved or erased alone", () => {
  const locked = [0];
  for (const tool of ["paint", "fill", "gain", "move"] as const)
    assert.equal(draw(tool, { locked }, [[3, 3]]), null, tool);
  assert.equal(draw("erase", { locked, brush: { eraseOnlyFactor: true } }, [[3, 3]]), null);
});

test("the eraser can erase only the picked factor", () => {
  const { layers } = draw("erase", { brush: { eraseOnlyFactor: true } }, [[7, 7]]) ?? {};
  assert.equal(strength(layers, 1, 7, 7), 1);
  assert.equal(layers?.remainder[at(7, 7)], 1);
});

test("the eraser erases a whole patch and leaves a gap if it does not heal", () => {
  const { layers } = draw("erase", {}, [[7, 7]]) ?? {};
  assert.equal(strength(layers, 0, 7, 7), 0);
  assert.equal(strength(layers, 1, 7, 7), 0);
  assert.equal(layers?.remainder[at(7, 7)], 0);
});

test("an eraser that heals does not fill the middle of an object with the same object", () => {
  const layers = emptyLayers(2);
  for (let p = 0; p < patchesOf(GRID); p++) layers.strengths.set([p < 64 ? 1 : 0, 0.25], 2 * p);
  const erased = draw("erase", { layers, brush: { heal: true, factor: 1 } }, [[2, 7]])?.layers;
  assert.equal(strength(erased, 0, 2, 7), 0);
  assert.equal(strength(erased, 1, 2, 7), 0.25);
});

test("an eraser that heals fills the gap in a background and erases what was on it", () => {
  const layers = emptyLayers(2);
  for (let p = 0; p < patchesOf(GRID); p++) layers.strengths.set([1, p === 7 * 16 + 7 ? 0.9 : 0], 2 * p);
  const drawn = draw("erase", { layers, brush: { heal: true, factor: 1 } }, [[7, 7]]);
  assert.equal(strength(drawn?.layers, 0, 7, 7), 1);
  assert.equal(strength(drawn?.layers, 1, 7, 7), 0);
  assert.equal(drawn?.call?.verb === "erase" && drawn.call.factor, null);
});

test("gain makes the picked factor stronger where the brush passes, once per stroke", () => {
  const { layers } =
    draw("gain", { brush: { factor: 1, gain: 1.5 } }, [
      [7, 7],
      [7, 8],
      [7, 7],
    ]) ?? {};
  assert.deepEqual(
    [6, 7, 8, 9].map((col) => strength(layers, 1, 7, col)),
    [1, 1.5, 1.5, 1],
  );
});

test("only the part of the region under the pointer is moved", () => {
  const { layers, outlines } =
    draw("move", {}, [
      [3, 3],
      [3, 4],
      [5, 6],
    ]) ?? {};
  assert.equal(strength(layers, 0, 5, 6), 1);
  assert.equal(strength(layers, 0, 3, 3), 0);
  assert.equal(strength(layers, 0, 10, 10), 1);
  assert.deepEqual(outlines?.map(patches), [["3,3"], ["5,6"]]);
});

test("moving back to where it began changes nothing", () => {
  assert.deepEqual(
    draw("move", { brush: { heal: true } }, [
      [3, 3],
      [5, 6],
      [3, 3],
    ])?.layers,
    scene(),
  );
});

test("moving picks the factor under the pointer", () => {
  assert.equal(draw("move", { brush: { factor: 1 } }, [[3, 3]])?.factor, 0);
});

test("the picked factor is moved, even if another one is stronger there", () => {
  const layers = scene();
  layers.strengths.set([0.5, 1], 2 * at(3, 3));
  assert.equal(draw("move", { layers, brush: { factor: 0 } }, [[3, 3]])?.factor, 0);
  assert.equal(draw("move", { layers, brush: { factor: 1 } }, [[3, 3]])?.factor, 1);
});

test("a selection is moved with all factors in it", () => {
  const selection = some([3, 3], [3, 4]);
  const { layers, selection: there } =
    draw("move", { selection }, [
      [3, 4],
      [5, 4],
    ]) ?? {};
  assert.deepEqual([strength(layers, 0, 5, 3), strength(layers, 1, 5, 4)], [1, 1]);
  assert.deepEqual([strength(layers, 0, 3, 3), strength(layers, 1, 3, 4)], [0, 0]);
  assert.deepEqual(patches(there), ["5,3", "5,4"]);
  assert.equal(
    draw("move", { selection }, [
      [10, 10],
      [5, 4],
    ]),
    null,
    "beside the selection there is nothing to move",
  );
});

test("nothing is moved where there is no factor", () => {
  assert.equal(draw("move", { layers: emptyLayers(2) }, [[3, 3]]), null);
});

test("there is nothing to paint with on a blank canvas, but the eraser works", () => {
  const layers = emptyLayers(0);
  for (const tool of ["paint", "move", "fill", "gain", "pick"] as const)
    assert.equal(draw(tool, { layers }, [[3, 3]]), null, tool);
  assert.equal(draw("erase", { layers }, [[3, 3]])?.layers?.remainder[at(3, 3)], 0);
});

test("a rectangle selects its patches, and Shift adds to what is selected", () => {
  const selection = some([0, 0]);
  const corners: [Place, Place] = [
    [6, 5],
    [5, 4],
  ];
  assert.deepEqual(patches(draw("rect", { selection }, corners)?.selection), ["5,4", "5,5", "6,4", "6,5"]);
  assert.equal(patches(draw("rect", { selection, shape: "line" }, corners)?.selection)?.[0], "0,0");
});

test("a click with a selection tool removes the selection, or selects one patch if there is none", () => {
  assert.equal(draw("rect", { selection: some([1, 1]) }, [[7, 7]])?.selection, null);
  assert.deepEqual(patches(draw("lasso", {}, [[7, 7]])?.selection), ["7,7"]);
});

test("a lasso selects the patches on and inside its line", () => {
  const { selection } =
    draw("lasso", {}, [
      [2, 2],
      [2, 8],
      [8, 8],
      [8, 2],
    ]) ?? {};
  assert.equal(patches(selection)?.includes("5,5"), true);
  assert.equal(patches(selection)?.includes("2,5"), true);
  assert.equal(patches(selection)?.includes("9,5"), false);
  assert.equal(patches(selection)?.includes("5,9"), false);
});

test("fill paints the connected area of the strongest factor, within the selection", () => {
  const layers = scene();
  for (let col = 0; col < GRID.cols; col++) layers.strengths.set([1, 0], 2 * at(8, col));
  const filled = draw("fill", { layers, brush: { strength: 0.5 } }, [[0, 0]])?.layers;
  assert.equal(strength(filled, 0, 0, 15), 0.5);
  assert.equal(strength(filled, 0, 8, 5), 1);
  assert.equal(strength(filled, 0, 12, 5), 0);
  const inside = draw("fill", { layers, brush: { strength: 0.5 }, selection: some([0, 0]) }, [[0, 0]])?.layers;
  assert.deepEqual([strength(inside, 0, 0, 0), strength(inside, 0, 0, 1)], [0.5, 0]);
});

test("the eyedropper picks the strongest factor and changes nothing", () => {
  assert.deepEqual(draw("pick", { brush: { factor: 0 } }, [[7, 7]]), { factor: 1 });
});

test("areas have the shapes that their names say", () => {
  const areas = areasOf(GRID);
  const counts = Object.entries(areas).map(([name, mask]) => [name, mask.reduce((n, v) => n + v, 0)]);
  assert.deepEqual(counts, [
    ["everything", 256],
    ["floor", 80],
    ["centre", 52],
    ["left", 80],
    ["right", 80],
  ]);
  assert.equal(areas.left?.[at(3, 4)], 1);
  assert.equal(areas.right?.[at(3, 11)], 1);
  assert.equal(areas.floor?.[at(11, 3)], 1);
});

test("areas cover the same part of any grid", () => {
  const { floor, left, centre } = areasOf({ rows: 32, cols: 48 });
  const count = (mask: Mask | undefined) => mask?.reduce((n, v) => n + v, 0);
  assert.deepEqual([count(floor), count(left)], [10 * 48, 15 * 32]);
  assert.equal(Math.round((100 * (count(centre) ?? 0)) / (32 * 48)), 20);
});
