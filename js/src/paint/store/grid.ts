/**
 * The 16×16 grid and its edits, the same as ember_widgets/scene/scene.py (tests/unit/parity.json holds the two together).
 * Nothing here touches the DOM, and every edit returns new arrays, so a stroke can always be taken back.
 */

import { abs, floor, max } from "../../shared/numbers.ts";

export const GRID = 16;
export const PATCHES = GRID * GRID;

/** A factor's region: the patches where it is stronger than this share of its strongest patch. */
export const REGION_SHARE = 0.25;

/** What painting changes: strengths (16, 16, n_factors) and remainder (16, 16), both in C order. */
export interface Layers {
  readonly strengths: Float32Array;
  readonly remainder: Float32Array;
  readonly nFactors: number;
  /** Per factor the number of its site, where several are steered; nothing else is where there is one. */
  readonly sites?: readonly number[];
}

/** 256 flags, one per patch, in C order. */
export type Mask = Uint8Array;

/** 256 numbers 0..1, one per patch: a mask may have soft edges. */
export type Shares = Mask | Float32Array;

export const emptyMask = (): Mask => new Uint8Array(PATCHES);

export function emptyLayers(nFactors: number): Layers {
  return {
    strengths: new Float32Array(PATCHES * nFactors),
    remainder: new Float32Array(PATCHES).fill(1),
    nFactors,
  };
}

export const copyLayers = (layers: Layers): Layers => ({
  ...layers,
  strengths: layers.strengths.slice(),
  remainder: layers.remainder.slice(),
});

const siteOf = ({ sites }: Layers, factor: number): number => sites?.[factor] ?? 0;

/** Whether what happens to `factor` (null: to all) happens to another one too: those of other sites are let be. */
const isBeside = (layers: Layers, other: number, factor: number | null): boolean =>
  factor === null || siteOf(layers, other) === siteOf(layers, factor);

/** The remainder is the first site's. */
const isFirst = (layers: Layers, factor: number | null): boolean => factor === null || !siteOf(layers, factor);

export const rowOf = (patch: number): number => floor(patch / GRID);

export const colOf = (patch: number): number => patch % GRID;

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
  for (let p = 0; p < PATCHES; p++) {
    const opacity = full * value(shares, p);
    if (!opacity) continue;
    const at = p * nFactors;
    if (mode === "add") {
      strengths[at + factor] = value(strengths, at + factor) + opacity * strength;
      continue;
    }
    for (let f = 0; f < nFactors; f++) {
      if (!isBeside(layers, f, factor)) continue;
      const painted = f === factor ? opacity * strength : 0;
      strengths[at + f] = (1 - opacity) * value(strengths, at + f) + painted;
    }
    if (isFirst(layers, factor)) remainder[p] = (1 - opacity) * value(remainder, p);
  }
  return next;
}

/**
 * Erases everything (factor null) or one factor; healed, the surroundings close over the gap. The remainder, which still
 * shows what stood there, goes too, except where one factor is taken out of a patch that otherwise stays as it is.
 */
export function erase(layers: Layers, patches: Mask, factor: number | null = null, healed = false): Layers {
  if (factor === null || healed) return emptied(layers, patches, factor, healed);
  const next = copyLayers(layers);
  for (let p = 0; p < PATCHES; p++) if (patches[p]) next.strengths[p * layers.nFactors + factor] = 0;
  return next;
}

/** Takes out of patches, or heals there, all that is at a factor's site (null: at any). */
function emptied(layers: Layers, patches: Mask, factor: number | null, healed: boolean): Layers {
  const next = healed ? heal(layers, patches, factor) : copyLayers(layers);
  const { strengths, remainder, nFactors } = next;
  for (let p = 0; p < PATCHES; p++) {
    if (!patches[p]) continue;
    if (isFirst(layers, factor)) remainder[p] = 0;
    for (let f = 0; f < nFactors; f++) {
      const at = p * nFactors + f;
      if (!isBeside(layers, f, factor)) strengths[at] = value(layers.strengths, at);
      else if (!healed) strengths[at] = 0;
    }
  }
  return next;
}

/** Multiplies one factor's strengths; patches null means everywhere. */
export function scale(layers: Layers, factor: number, gain: number, patches: Mask | null = null): Layers {
  const next = copyLayers(layers);
  for (let p = 0; p < PATCHES; p++) {
    if (patches && !patches[p]) continue;
    const at = p * next.nFactors + factor;
    next.strengths[at] = value(next.strengths, at) * gain;
  }
  return next;
}

/**
 * Carries a factor's region, or all that patches hold (factor null); what leaves the grid is lost, what it uncovers is
 * healed or left empty.
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
  // Healing looks at the picture before the region lands: its surroundings are still whole then.
  const next = emptied(layers, from, factor, healed);
  for (let p = 0; p < PATCHES; p++) {
    const to = from[p] ? shifted(p, dRow, dCol) : -1;
    if (to < 0) continue;
    for (let f = 0; f < nFactors; f++) {
      if (!isBeside(layers, f, factor)) continue;
      const carried = factor === null || f === factor;
      next.strengths[to * nFactors + f] = carried ? value(layers.strengths, p * nFactors + f) : 0;
    }
    if (isFirst(layers, factor)) next.remainder[to] = value(layers.remainder, p);
  }
  return next;
}

/**
 * Fills a hole ring by ring: every patch that touches a known one (8 neighbours) becomes their mean, all of a ring at
 * once, so that the result does not depend on the order. Where nothing is known the hole stays empty.
 */
export function heal(layers: Layers, hole: Mask, exclude: number | null = null): Layers {
  const next = copyLayers(layers);
  const { strengths, nFactors } = next;
  const known = hole.map((h) => (h ? 0 : 1));
  for (let p = 0; p < PATCHES; p++) if (hole[p]) strengths.fill(0, p * nFactors, (p + 1) * nFactors);
  const sums = new Float64Array(nFactors);
  for (;;) {
    const ring: { p: number; mean: Float64Array }[] = [];
    for (let p = 0; p < PATCHES; p++) {
      if (known[p]) continue;
      let count = 0;
      sums.fill(0);
      for (const q of neighbours(p)) {
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
    for (let p = 0; p < PATCHES; p++) if (hole[p]) strengths[p * nFactors + exclude] = 0;
  }
  return next;
}

/** Where a factor stands: above REGION_SHARE of its strongest patch; negative strengths count by their size. */
export function region(layers: Layers, factor: number): Mask {
  const { strengths, nFactors } = layers;
  const size = (p: number) => abs(value(strengths, p * nFactors + factor));
  let most = 0;
  for (let p = 0; p < PATCHES; p++) most = max(most, size(p));
  const mask = emptyMask();
  for (let p = 0; p < PATCHES; p++) mask[p] = size(p) > REGION_SHARE * most ? 1 : 0;
  return mask;
}

/** Per factor the size of its largest strength. */
export function peaksOf({ strengths, nFactors }: Layers): number[] {
  const peaks = Array<number>(nFactors).fill(0);
  for (const [at, strength] of strengths.entries()) {
    const f = at % nFactors;
    peaks[f] = max(value(peaks, f), abs(strength));
  }
  return peaks;
}

/** The part of a mask that hangs together with one patch (8 neighbours): one of two trees. */
export function connected(mask: Mask, start: number): Mask {
  const part = emptyMask();
  const stack = mask[start] ? [start] : [];
  for (let p = stack.pop(); p !== undefined; p = stack.pop()) {
    if (part[p]) continue;
    part[p] = 1;
    for (const q of neighbours(p)) if (mask[q] && !part[q]) stack.push(q);
  }
  return part;
}

/** The factor with the largest gained strength at a patch, or null where there is none. */
export function strongestAt(layers: Layers, patch: number, gains: readonly number[]): number | null {
  let best: number | null = null;
  let most = 1e-6;
  for (let f = 0; f < layers.nFactors; f++) {
    const s = abs(value(layers.strengths, patch * layers.nFactors + f) * (gains[f] ?? 1));
    if (s > most) [best, most] = [f, s];
  }
  return best;
}

/** A mask carried along; what leaves the grid is lost. */
export function shiftedMask(mask: Mask, dRow: number, dCol: number): Mask {
  const moved = emptyMask();
  for (let p = 0; p < PATCHES; p++) {
    const to = mask[p] ? shifted(p, dRow, dCol) : -1;
    if (to >= 0) moved[to] = 1;
  }
  return moved;
}

/** The patches around one (and hanging together with it) that the same factor rules. */
export function area(layers: Layers, patch: number, gains: readonly number[]): Mask {
  const ruler = strongestAt(layers, patch, gains);
  return connected(
    emptyMask().map((_, p) => (strongestAt(layers, p, gains) === ruler ? 1 : 0)),
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

function shifted(patch: number, dRow: number, dCol: number): number {
  const row = rowOf(patch) + dRow;
  const col = colOf(patch) + dCol;
  return row >= 0 && row < GRID && col >= 0 && col < GRID ? row * GRID + col : -1;
}

const NEIGHBOURS: readonly (readonly number[])[] = Array.from({ length: PATCHES }, (_, p) =>
  [-1, 0, 1].flatMap((r) => [-1, 0, 1].map((c) => (r || c ? shifted(p, r, c) : -1))).filter((q) => q >= 0),
);

const neighbours = (patch: number): readonly number[] => NEIGHBOURS[patch] ?? [];

/** As layers, how far each factor is from what it is in the unedited picture, which has one number more per patch. */
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
