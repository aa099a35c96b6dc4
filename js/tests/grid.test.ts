import assert from "node:assert/strict";
import { test } from "node:test";
import parity from "../../tests/unit/scene/parity.json" with { type: "json" };
import {
  changeOf,
  connected,
  copyLayers,
  emptyLayers,
  emptyMask,
  erase,
  GRID,
  type Layers,
  type Mask,
  move,
  PATCHES,
  type PaintMode,
  paint,
  region,
  scale,
  strongestAt,
} from "../src/paint/store/grid.ts";
import { AREAS } from "../src/paint/tools/shapes.ts";

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

const OPS: Record<string, (layers: Layers, args: Args) => Layers> = {
  paint: (l, a) =>
    typeof a.opacity === "number"
      ? paint(l, a.factor ?? 0, some(a.patches), a.strength, a.opacity, a.mode)
      : paint(l, a.factor ?? 0, softened(some(a.patches), a.opacity), a.strength, 1, a.mode),
  erase: (l, a) => erase(l, some(a.patches), a.factor, a.heal),
  move: (l, a) => move(l, a.factor, a.d_row, a.d_col, a.patches === null ? null : some(a.patches), a.heal),
  scale: (l, a) => scale(l, a.factor ?? 0, a.gain, a.patches === null ? null : some(a.patches)),
};

const softened = (mask: Mask, shares: number[][]) =>
  Float32Array.from(mask, (on, p) => on * (shares[Math.floor(p / GRID)]?.[p % GRID] ?? 0));

function some(patches: readonly (readonly number[])[] | string | null): Mask {
  if (typeof patches === "string") return AREAS[patches] ?? assert.fail(`no area called ${patches}`);
  const mask = emptyMask();
  for (const [row = 0, col = 0] of patches ?? []) mask[row * GRID + col] = 1;
  return mask;
}

const layersOf = (maps: { strengths: number[]; remainder: number[] }): Layers => ({
  strengths: new Float32Array(maps.strengths),
  remainder: new Float32Array(maps.remainder),
  nFactors: parity.n_factors,
});

function assertClose(actual: Float32Array, expected: Float32Array): void {
  assert.equal(actual.length, expected.length);
  for (const [i, want] of expected.entries()) {
    const got = actual[i] ?? Number.NaN;
    assert.ok(Math.abs(got - want) <= 1e-6, `at ${i}: ${got} instead of ${want}`);
  }
}

// This grid has 16×16 patches; the file has edits on other grids too.
const OPERATIONS = parity.ops.filter(({ rows, cols }) => rows === GRID && cols === GRID);

for (const [i, { op, args, sites, before, after }] of OPERATIONS.entries()) {
  test(`edit ${i} (${op}) does what Python's does`, () => {
    const start = { ...layersOf(before), sites };
    const kept = copyLayers(start);
    const edited = OPS[op]?.(start, args as unknown as Args);
    assert.ok(edited, `no edit called ${op}`);
    const want = layersOf(after);
    assertClose(edited.strengths, want.strengths);
    assertClose(edited.remainder, want.remainder);
    assert.deepEqual(start, kept, "the edit changed what it was given");
  });
}

test("the parity file has every edit", () => {
  assert.deepEqual(new Set(parity.ops.map(({ op }) => op)), new Set(Object.keys(OPS)));
});

test("a region hangs together over corners, and two of them are two", () => {
  const mask = some([
    [1, 1],
    [2, 2],
    [2, 3],
    [9, 9],
  ]);
  const part = connected(mask, 1 * GRID + 1);
  assert.deepEqual(
    [...part.keys()].filter((p) => part[p]),
    [17, 34, 35],
  );
  assert.equal(connected(mask, 0).indexOf(1), -1);
});

test("a region does not reach around the border of the grid", () => {
  const mask = some([
    [4, 15],
    [5, 0],
  ]);
  assert.equal(connected(mask, 4 * GRID + 15)[5 * GRID], 0);
});

test("nothing has a region where nothing is", () => {
  assert.equal(region(emptyLayers(2), 0).indexOf(1), -1);
});

test("the strongest factor counts its slider, and negative strengths by their size", () => {
  const layers = emptyLayers(3);
  layers.strengths.set([0.5, 1, -0.8], 7 * 3);
  assert.equal(strongestAt(layers, 7, [1, 1, 1]), 1);
  assert.equal(strongestAt(layers, 7, [1, 0.2, 1]), 2);
  assert.equal(strongestAt(layers, 8, [1, 1, 1]), null);
});

test("a blank canvas without factors can be erased and is still blank", () => {
  const erased = erase(emptyLayers(0), new Uint8Array(PATCHES).fill(1), null, true);
  assert.equal(erased.strengths.length, 0);
  assert.equal(Math.max(...erased.remainder), 0);
});

test("a change is how far each factor, slider included, is from the unedited picture", () => {
  const layers = { ...emptyLayers(2), strengths: new Float32Array(2 * PATCHES).fill(0.5) };
  const unedited = new Float32Array(3 * PATCHES).fill(0.5);
  for (let p = 0; p < PATCHES; p++) unedited[3 * p + 2] = 9; // of no factor here
  assert.ok(changeOf(layers, [1, 1], unedited).strengths.every((change) => change === 0));
  layers.strengths[2 * 20] = 0;
  const { strengths } = changeOf(layers, [1, 2], unedited);
  assert.equal(strengths[2 * 20], 0.5);
  assert.equal(strengths[2 * 20 + 1], 0.5);
  assert.equal(strengths[0], 0);
});
