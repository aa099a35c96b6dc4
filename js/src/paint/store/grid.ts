/**
 * The grid and its edits, the same as ember_widgets/scene's (tests/unit/scene/parity.json compares the two).
 * Nothing here touches the DOM, and every edit returns new arrays, so that a stroke can always be cancelled.
 */

import { abs, floor, max } from "../../shared/numbers.ts";

/** Every model and every scene has its own. Patches are numbered in C order. */
export interface Grid {
  readonly rows: number;
  readonly cols: number;
}

/** A factor's region: the patches where it is stronger than this share of its strongest patch. */
export const REGION_SHARE = 0.25;

/** The steps that a factor acts at, as Python's range counts them; null: all. With "add", it covers nothing. */
export type FactorSteps = readonly [start: number, stop: number, mode?: string] | null;

/** What painting changes: strengths (rows, cols, n_factors) and remainder (rows, cols), both in C order. */
export interface Layers {
  readonly grid: Grid;
  readonly strengths: Float32Array;
  readonly remainder: Float32Array;
  readonly nFactors: number;
  /** For each factor the number of its site, if several sites are steered. */
  readonly sites?: readonly number[];
  /** For each factor the steps that it acts at, if any factor has steps of its own. */
  readonly steps?: readonly FactorSteps[];
}

/** One flag per patch. */
export type Mask = Uint8Array;

/** One number 0..1 per patch: a mask may have soft edges. */
export type Shares = Mask | Float32Array;

export const patchesOf = ({ rows, cols }: Grid): number => rows * cols;

export const emptyMask = (grid: Grid): Mask => new Uint8Array(patchesOf(grid));

export const maskOf = (grid: Grid, inside: (row: number, col: number) => boolean): Mask =>
  emptyMask(grid).map((_, p) => (inside(rowOf(grid, p), colOf(grid, p)) ? 1 : 0));

export function emptyLayers(grid: Grid, nFactors: number): Layers {
  return {
    grid,
    strengths: new Float32Array(patchesOf(grid) * nFactors),
    remainder: new Float32Array(patchesOf(grid)).fill(1),
    nFactors,
  };
}

export const copyLayers = (layers: Layers): Layers => ({
  ...layers,
  strengths: layers.strengths.slice(),
  remainder: layers.remainder.slice(),
});

export const rowOf = ({ cols }: Grid, patch: number): number => floor(patch / cols);

export const colOf = ({ cols }: Grid, patch: number): number => patch % cols;

/** The number of a patch; -1 outside the grid. */
export const patchOf = ({ rows, cols }: Grid, row: number, col: number): number =>
  row >= 0 && row < rows && col >= 0 && col < cols ? row * cols + col : -1;

const siteOf = ({ sites }: Layers, factor: number): number => sites?.[factor] ?? 0;

/** Whether a factor acts at all steps that another one acts at. */
function includesSteps({ steps }: Layers, factor: number, other: number): boolean {
  const [mine, theirs] = [steps?.[factor], steps?.[other]];
  return !mine || (!!theirs && mine[0] <= theirs[0] && theirs[1] <= mine[1]);
}

/**
 * Whether an edit of `factor` (null: of all) changes another factor too: an edit of one factor stays at its site, and
 * leaves what acts at other steps too.
 */
const isAtSiteOf = (layers: Layers, other: number, factor: number | null): boolean =>
  factor === null || (siteOf(layers, other) === siteOf(layers, factor) && includesSteps(layers, factor, other));

/** The remainder belongs to the first site and to all steps. */
const isAtFirstSite = (layers: Layers, factor: number | null): boolean =>
  factor === null || !(siteOf(layers, factor) || layers.steps?.[factor]);

export type PaintMode = "over" | "add";

/**
 * Paints one factor: "over" covers what was there as far as opacity goes, "add" leaves it. `shares` says how much of the
 * stroke counts in each patch, 0..1; a mask is a stroke with a hard edge.
 */
export function paint(
  layers: Layers,
  factor: number,
  shares: Shares,
  strength = 1,
  full = 1,
  mode: PaintMode = "over",
): Layers {
  const next = copyLayers(layers);
  const { strengths, remainder, nFactors } = next;
  for (let p = 0; p < remainder.length; p++) {
    const opacity = full * value(shares, p);
    if (!opacity) continue;
    const at = p * nFactors;
    if (mode === "add") {
      strengths[at + factor] = value(strengths, at + factor) + opacity * strength;
      continue;
    }
    for (let f = 0; f < nFactors; f++) {
      if (!isAtSiteOf(layers, f, factor)) continue;
      const painted = f === factor ? opacity * strength : 0;
      strengths[at + f] = (1 - opacity) * value(strengths, at + f) + painted;
    }
    if (isAtFirstSite(layers, factor)) remainder[p] = (1 - opacity) * value(remainder, p);
  }
  return next;
}

/**
 * Erases everything (factor null) or one factor; `healed` fills the gap from its surroundings. The remainder still shows
 * what was there, so it is erased too, except where one factor is erased and nothing is healed.
 */
export function erase(layers: Layers, patches: Mask, factor: number | null = null, healed = false): Layers {
  if (factor === null || healed) return emptied(layers, patches, factor, healed);
  const next = copyLayers(layers);
  for (let p = 0; p < patches.length; p++) if (patches[p]) next.strengths[p * layers.nFactors + factor] = 0;
  return next;
}

/** Erases or heals everything at a factor's site (null: at every site) in some patches. */
function emptied(layers: Layers, patches: Mask, factor: number | null, healed: boolean): Layers {
  const next = healed ? heal(layers, patches, factor) : copyLayers(layers);
  const { strengths, remainder, nFactors } = next;
  for (let p = 0; p < remainder.length; p++) {
    if (!patches[p]) continue;
    if (isAtFirstSite(layers, factor)) remainder[p] = 0;
    for (let f = 0; f < nFactors; f++) {
      const at = p * nFactors + f;
      if (!isAtSiteOf(layers, f, factor)) strengths[at] = value(layers.strengths, at);
      else if (!healed) strengths[at] = 0;
    }
  }
  return next;
}

/** Multiplies one factor's strengths; patches null means everywhere. */
export function scale(layers: Layers, factor: number, gain: number, patches: Mask | null = null): Layers {
  const next = copyLayers(layers);
  for (let p = 0; p < next.remainder.length; p++) {
    if (patches && !patches[p]) continue;
    const at = p * next.nFactors + factor;
    next.strengths[at] = value(next.strengths, at) * gain;
  }
  return next;
}

/**
 * Moves a factor's region, or everything in the patches (factor null). What leaves the grid is lost. The patches that it
 * leaves are healed or stay empty.
 */
export function move(
  layers: Layers,
  factor: number | null,
  dRow: number,
  dCol: number,
  patches: Mask | null = null,
  healed = true,
): Layers {
  if (dRow === 0 && dCol === 0) return copyLayers(layers);
  const from = patches ?? region(layers, factor ?? 0);
  const { nFactors } = layers;
  // Heal before the region arrives at its new place, which may be part of its surroundings.
  const next = emptied(layers, from, factor, healed);
  for (let p = 0; p < from.length; p++) {
    const to = from[p] ? shifted(layers.grid, p, dRow, dCol) : -1;
    if (to < 0) continue;
    for (let f = 0; f < nFactors; f++) {
      if (!isAtSiteOf(layers, f, factor)) continue;
      const moved = factor === null || f === factor;
      next.strengths[to * nFactors + f] = moved ? value(layers.strengths, p * nFactors + f) : 0;
    }
    if (isAtFirstSite(layers, factor)) next.remainder[to] = value(layers.remainder, p);
  }
  return next;
}

/**
 * Fills a hole ring by ring: every patch that touches a known one (8 neighbours) becomes their mean, all of a ring at
 * once, so that the result does not depend on the order. If nothing is known, the hole stays empty.
 */
export function heal(layers: Layers, hole: Mask, exclude: number | null = null): Layers {
  const next = copyLayers(layers);
  const { strengths, nFactors } = next;
  const known = hole.map((h) => (h ? 0 : 1));
  for (let p = 0; p < hole.length; p++) if (hole[p]) strengths.fill(0, p * nFactors, (p + 1) * nFactors);
  const sums = new Float64Array(nFactors);
  for (;;) {
    const ring: { p: number; mean: Float64Array }[] = [];
    for (let p = 0; p < hole.length; p++) {
      if (known[p]) continue;
      let count = 0;
      sums.fill(0);
      for (const q of neighbours(layers.grid, p)) {
        if (!known[q]) continue;
        count++;
        for (let f = 0; f < nFactors; f++) sums[f] = (sums[f] ?? 0) + value(strengths, q * nFactors + f);
      }
      if (count) ring.push({ p, mean: sums.map((s) => s / count) });
    }
    if (!ring.length) break;
    for (const { p, mean } of ring) {
      strengths.set(mean, p * nFactors);
      known[p] = 1;
    }
  }
  if (exclude !== null) {
    for (let p = 0; p < hole.length; p++) if (hole[p]) strengths[p * nFactors + exclude] = 0;
  }
  return next;
}

/** Where a factor is: above REGION_SHARE of its strongest patch. Negative strengths count by their size. */
export function region(layers: Layers, factor: number): Mask {
  const { grid, strengths, nFactors } = layers;
  const sizes = Float32Array.from(emptyMask(grid), (_, p) => abs(value(strengths, p * nFactors + factor)));
  const most = sizes.reduce((a, b) => max(a, b), 0);
  return Uint8Array.from(sizes, (size) => (size > REGION_SHARE * most ? 1 : 0));
}

/** For each factor the size of its largest strength. */
export function peaksOf({ strengths, nFactors }: Layers): number[] {
  const peaks = Array<number>(nFactors).fill(0);
  for (const [at, strength] of strengths.entries()) {
    const f = at % nFactors;
    peaks[f] = max(value(peaks, f), abs(strength));
  }
  return peaks;
}

/** The part of a mask that is connected to one patch (8 neighbours), for example one of two trees. */
export function connected(grid: Grid, mask: Mask, start: number): Mask {
  const part = emptyMask(grid);
  const stack = mask[start] ? [start] : [];
  for (let p = stack.pop(); p !== undefined; p = stack.pop()) {
    if (part[p]) continue;
    part[p] = 1;
    for (const q of neighbours(grid, p)) if (mask[q] && !part[q]) stack.push(q);
  }
  return part;
}

/** The factor that is strongest at a patch, its slider included; null if there is none. */
export function strongestAt(layers: Layers, patch: number, gains: readonly number[]): number | null {
  let best: number | null = null;
  let most = 1e-6;
  for (let f = 0; f < layers.nFactors; f++) {
    const s = abs(value(layers.strengths, patch * layers.nFactors + f) * (gains[f] ?? 1));
    if (s > most) [best, most] = [f, s];
  }
  return best;
}

/** A mask, moved. What leaves the grid is lost. */
export function shiftedMask(grid: Grid, mask: Mask, dRow: number, dCol: number): Mask {
  const moved = emptyMask(grid);
  for (let p = 0; p < mask.length; p++) {
    const to = mask[p] ? shifted(grid, p, dRow, dCol) : -1;
    if (to >= 0) moved[to] = 1;
  }
  return moved;
}

/** The patches connected to one patch where the same factor is the strongest. */
export function area(layers: Layers, patch: number, gains: readonly number[]): Mask {
  const { grid } = layers;
  const strongest = strongestAt(layers, patch, gains);
  return connected(
    grid,
    emptyMask(grid).map((_, p) => (strongestAt(layers, p, gains) === strongest ? 1 : 0)),
    patch,
  );
}

/** `next`, but with the strengths of some factors as they were `before`. */
export function withFactorsOf(next: Layers, before: Layers, factors: Iterable<number>): Layers {
  const kept = copyLayers(next);
  for (const f of factors)
    for (let at = f; at < kept.strengths.length; at += next.nFactors) kept.strengths[at] = value(before.strengths, at);
  return kept;
}

/** `layers`, but some patches as they are in `other`, which may lack the last factors. */
export function withPatchesOf(layers: Layers, patches: Mask, other: Layers): Layers {
  const next = copyLayers(layers);
  for (const [p, on] of patches.entries()) {
    if (!on) continue;
    next.remainder[p] = value(other.remainder, p);
    for (let f = 0; f < next.nFactors; f++)
      next.strengths[p * next.nFactors + f] = f < other.nFactors ? value(other.strengths, p * other.nFactors + f) : 0;
  }
  return next;
}

const shifted = (grid: Grid, patch: number, dRow: number, dCol: number): number =>
  patchOf(grid, rowOf(grid, patch) + dRow, colOf(grid, patch) + dCol);

const AROUND = [-1, 0, 1].flatMap((row) => [-1, 0, 1].map((col) => [row, col] as const));

function neighbours(grid: Grid, patch: number): number[] {
  const found: number[] = [];
  for (const [row, col] of AROUND) {
    const other = shifted(grid, patch, row, col);
    if (other >= 0 && other !== patch) found.push(other);
  }
  return found;
}

/** How far each factor is from the unedited picture, as layers. `unedited` has one more number per patch: see Painting. */
export function changeOf(layers: Layers, gains: readonly number[], unedited: Float32Array): Layers {
  const { nFactors } = layers;
  const strengths = layers.strengths.map((strength, i) => {
    const factor = i % nFactors;
    return abs(strength * (gains[factor] ?? 1) - value(unedited, i + floor(i / nFactors)));
  });
  return { ...layers, strengths };
}

// An index that the loops above keep in range; the fallback only satisfies the type checker.
const value = (array: ArrayLike<number>, index: number): number => array[index] ?? 0;
