import assert from "node:assert/strict";
import { test } from "node:test";
import parity from "../../../../tests/unit/scene/parity.json" with { type: "json" };
import {
  changeOf,
  connected,
  copyLayers,
  emptyLayers,
  emptyMask,
  erase,
  type Grid,
  type Layers,
  type Mask,
  move,
  type PaintMode,
  paint,
  patchesOf,
  region,
  scale,
  strongestAt,
} from "../../../src/paint/store/grid.ts";
import { areasOf } from "../../../src/paint/tools/areas.ts";

interface Op {
  op: string;
  args: unknown;
  sites: number[];
  steps?: (readonly [number, number] | null)[];
  rows?: number;
  cols?: number;
  before: Maps;
  after: Maps;
}

interface Maps {
  strengths: number[];
  remainder: number[];
}

interface Args {
  factor: number | null;
  patches: number[][] | string | null;
  strength: number;
  opacity: number | number[][];
  mode: PaintMode;
  heal: boolean;
  d_row: number;
  d_col: number;
  gain: number;
}

// The parity file is too long for the type that TypeScript would infer.
const OPERATIONS = parity.ops as unknown as readonly Op[];
const SQUARE: Grid = { rows: 16, cols: 16 };

const OPS: Record<string, (layers: Layers, args: Args) => Layers> = {
  paint: (l, a) =>
    typeof a.opacity === "number"
      ? paint(l, a.factor ?? 0, some(l.grid, a.patches), a.strength, a.opacity, a.mode)
      : paint(l, a.factor ?? 0, softened(l.grid, some(l.grid, a.patches), a.opacity), a.strength, 1, a.mode),
  erase: (l, a) => erase(l, some(l.grid, a.patches), a.factor, a.heal),
  move: (l, a) => move(l, a.factor, a.d_row, a.d_col, a.patches === null ? null : some(l.grid, a.patches), a.heal),
  scale: (l, a) => scale(l, a.factor ?? 0, a.gain, a.patches === null ? null : some(l.grid, a.patches)),
};

const softened = ({ cols }: Grid, mask: Mask, shares: number[][]) =>
  Float32Array.from(mask, (on, p) => on * (shares[Math.floor(p / cols)]?.[p % cols] ?? 0));

function some(grid: Grid, patches: readonly (readonly number[])[] | string | null): Mask {
  if (typeof patches === "string") return areasOf(grid)[patches] ?? assert.fail(`no area called ${patches}`);
  const mask = emptyMask(grid);
  for (const [row = 0, col = 0] of patches ?? []) mask[row * grid.cols + col] = 1;
  return mask;
}

const layersOf = (grid: Grid, maps: Maps): Layers => ({
  grid,
  strengths: new Float32Array(maps.strengths),
  remainder: new Float32Array(maps.remainder),
  nFactors: parity.n_factors,
});

function assertEqual(actual: Float32Array, expected: Float32Array): void {
  assert.equal(actual.length, expected.length);
  for (const [i, want] of expected.entries()) {
    const got = actual[i] ?? Number.NaN;
    assert.ok(got === want, `at ${i}: ${got} instead of ${want}`);
  }
}

for (const [i, { op, args, sites, steps = [], before, after, rows = 16, cols = 16 }] of OPERATIONS.entries()) {
  test(`edit ${i} (${op} on ${rows}×${cols}) gives the same as in Python`, () => {
    const start = { ...layersOf({ rows, cols }, before), sites, steps };
    const kept = copyLayers(start);
    const edited = OPS[op]?.(start, args as unknown as Args);
    assert.ok(edited, `no edit called ${op}`);
    const want = layersOf({ rows, cols }, after);
    assertEqual(edited.strengths, want.strengths);
    assertEqual(edited.remainder, want.remainder);
    assert.deepEqual(start, kept, "the edit changed what it was given");
  });
}

test("the parity file has every edit", () => {
  assert.deepEqual(new Set(parity.ops.map(({ op }) => op)), new Set(Object.keys(OPS)));
});

test("patches that touch at a corner are connected, and separate regions are not", () => {
  const mask = some(SQUARE, [
    [1, 1],
    [2, 2],
    [2, 3],
    [9, 9],
  ]);
  const part = connected(SQUARE, mask, 17);
  assert.deepEqual(
    [...part.keys()].filter((p) => part[p]),
    [17, 34, 35],
  );
  assert.equal(connected(SQUARE, mask, 0).indexOf(1), -1);
});

test("a region does not continue at the opposite border of the grid", () => {
  const mask = some(SQUARE, [
    [4, 15],
    [5, 0],
  ]);
  assert.equal(connected(SQUARE, mask, 4 * 16 + 15)[5 * 16], 0);
});

test("a factor without strength has no region", () => {
  assert.equal(region(emptyLayers(SQUARE, 2), 0).indexOf(1), -1);
});

test("the strongest factor is found with sliders, and negative strengths count by their size", () => {
  const layers = emptyLayers(SQUARE, 3);
  layers.strengths.set([0.5, 1, -0.8], 7 * 3);
  assert.equal(strongestAt(layers, 7, [1, 1, 1]), 1);
  assert.equal(strongestAt(layers, 7, [1, 0.2, 1]), 2);
  assert.equal(strongestAt(layers, 8, [1, 1, 1]), null);
});

test("a blank canvas without factors can be erased and is still blank", () => {
  const erased = erase(emptyLayers(SQUARE, 0), new Uint8Array(patchesOf(SQUARE)).fill(1), null, true);
  assert.equal(erased.strengths.length, 0);
  assert.equal(Math.max(...erased.remainder), 0);
});

test("a change is how far each factor, slider included, is from the unedited picture", () => {
  const layers = { ...emptyLayers(SQUARE, 2), strengths: new Float32Array(2 * patchesOf(SQUARE)).fill(0.5) };
  const unedited = new Float32Array(3 * patchesOf(SQUARE)).fill(0.5);
  for (let p = 0; p < patchesOf(SQUARE); p++) unedited[3 * p + 2] = 9; // no factor explains this
  assert.ok(changeOf(layers, [1, 1], unedited).strengths.every((change) => change === 0));
  layers.strengths[2 * 20] = 0;
  const { strengths } = changeOf(layers, [1, 2], unedited);
  assert.equal(strengths[2 * 20], 0.5);
  assert.equal(strengths[2 * 20 + 1], 0.5);
  assert.equal(strengths[0], 0);
});
