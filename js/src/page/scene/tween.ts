/**
 * Scenes between two edits of one picture: what is painted travels from where it was to where it will be. The same as
 * ember_widgets/scene/tween.py, which says why and how.
 */

import { heal } from "../../paint/store/heal.ts";
import { column, joined, setColumn, sum, value } from "./arrays.ts";
import { assigned } from "./assignment.ts";
import { checkSamePicture, sameFactors } from "./edit.ts";
import { freeName } from "./palette.ts";
import type { Scene } from "./scene.ts";

/** A factor's strength is paired in so many shares, or in as many as there are patches. */
const SHARES = 1200;
/** A factor travels if less than this share of it is in the same place in both scenes; else it fades. */
const STAYS = 2 / 3;
/** Less of a patch than this does not show what is in it. */
const LEAST = 1e-3;

/** n scenes from one edit of a picture to another; the first and the last are these. */
export function tween(first: Scene, last: Scene, n: number): Scene[] {
  checkSamePicture(first, last);
  const [start, stop] = withAllFactors(first, last);
  const way = between(start, stop);
  const middle = [...Array(n - 2).keys()].map((i) => {
    const t = (i + 1) * (1 / (n - 1));
    return (t < 0.5 ? start : stop).replace(way(t));
  });
  return [first, ...middle, last];
}

type Maps = Pick<Scene, "strengths" | "basis" | "remainder">;

/** How a factor's strengths get from one map to another. */
interface Travel {
  /** The part of the first map that fades where it stands, and the part of the last map that appears where it stands. */
  readonly out: Float64Array;
  readonly into: Float64Array;
  /** The patch that each share comes from, and the one it goes to. */
  readonly start: Int32Array;
  readonly stop: Int32Array;
  readonly firstShare: number;
  readonly lastShare: number;
}

/** The shortest way from one map to another; null if nothing travels. Negative strengths always fade. */
function travelBetween(first: Float64Array, last: Float64Array, cols: number): Travel | null {
  const [a, b] = [first, last].map((map) => map.map((s) => Math.max(s, 0))) as [Float64Array, Float64Array];
  const [total, goal] = [sum(a), sum(b)];
  if (sum(a.map((s, p) => Math.min(s, value(b, p)))) >= STAYS * Math.min(total, goal)) return null;
  const n = Math.max(SHARES, a.length);
  const [firstShare, lastShare] = [total / n, goal / n];
  let [start, stop] = [placesOf(a, firstShare), placesOf(b, lastShare)];
  const isLonger = start.length > stop.length;
  const [few, many] = isLonger ? [stop, start] : [start, stop];
  const pairs = assigned(few.length, many.length, distances(few, many, cols));
  // In the order of the first map's shares, as in Python.
  const order = [...pairs.keys()];
  if (isLonger) order.sort((i, j) => value(pairs, i) - value(pairs, j));
  const [ofFew, ofMany] = [order.map((i) => value(few, i)), order.map((i) => value(many, value(pairs, i)))];
  [start, stop] = isLonger
    ? [Int32Array.from(ofMany), Int32Array.from(ofFew)]
    : [Int32Array.from(ofFew), Int32Array.from(ofMany)];
  // Rounding leaves a little of each patch; it fades.
  const [out, into] = [first.slice(), last.slice()];
  for (const p of start) out[p] = value(out, p) - firstShare;
  for (const p of stop) into[p] = value(into, p) - lastShare;
  return { out, into, start, stop, firstShare, lastShare };
}

/** The squared distance of each of some patches to each of others. */
function distances(from: Int32Array, to: Int32Array, cols: number): Float64Array {
  const found = new Float64Array(from.length * to.length);
  for (const [i, p] of from.entries())
    for (const [j, q] of to.entries())
      found[i * to.length + j] = square(Math.floor(p / cols) - Math.floor(q / cols)) + square((p % cols) - (q % cols));
  return found;
}

const square = (x: number): number => x * x;

/** The patch of every share of a map. */
function placesOf(strengths: Float64Array, share: number): Int32Array {
  const found: number[] = [];
  for (const [p, strength] of strengths.entries()) for (let i = roundEven(strength / share); i > 0; i--) found.push(p);
  return Int32Array.from(found);
}

/** Rounds halves to even numbers, as NumPy does. */
function roundEven(x: number): number {
  const near = Math.round(x);
  return Math.abs(x % 1) === 0.5 && near % 2 !== 0 ? near - 1 : near;
}

/** The map at a time from 0 to 1. Between patches, a share counts in those around it. */
function travelled({ out, into, start, stop, firstShare, lastShare }: Travel, t: number, cols: number): Float64Array {
  const strengths = out.map((fading, p) => (1 - t) * fading + t * value(into, p));
  const share = (1 - t) * firstShare + t * lastShare;
  const [lastRow, lastCol] = [out.length / cols - 1, cols - 1];
  const along = (from: number, to: number, farthest: number) => Math.min((1 - t) * from + t * to, farthest);
  // Corner by corner, which is the order in which Python adds.
  for (const [dRow, dCol] of CORNERS)
    for (const [i, p] of start.entries()) {
      const q = value(stop, i);
      const row = along(Math.floor(p / cols), Math.floor(q / cols), lastRow);
      const col = along(p % cols, q % cols, lastCol);
      const [top, left] = [Math.floor(row), Math.floor(col)];
      const counts = (dRow ? row - top : 1 - (row - top)) * (dCol ? col - left : 1 - (col - left));
      if (counts <= 0) continue; // the patch may be off the grid
      const at = (top + dRow) * cols + left + dCol;
      strengths[at] = value(strengths, at) + share * counts;
    }
  return strengths;
}

const CORNERS = [
  [0, 0],
  [0, 1],
  [1, 0],
  [1, 1],
] as const;

/** How the factors that travel cover the others in the first or the last scene. */
interface End {
  /** How much they fade what is below them: 1 if they were painted over it, 0 if they were added. */
  readonly covers: number;
  /** Per patch how much they leave to the others. */
  readonly free: Float64Array;
  /** How much of the remainder there is in them. */
  readonly remainder: number;
}

function endOf({ strengths, remainder }: Maps, n: number, travelling: ReadonlySet<number>): End {
  const every = [...Array(n).keys()];
  const cover = coverOf(
    every.filter((f) => travelling.has(f)).map((f) => column(strengths, n, f)),
    remainder.length,
  );
  const total = sum(cover);
  if (!cover.some(Boolean)) return { covers: 1, free: cover.map((one) => 1 - one), remainder: 0 };
  const others = coverOf(
    every.filter((f) => !travelling.has(f)).map((f) => column(strengths, n, f)),
    remainder.length,
  );
  const covers = sum(cover.map((one, p) => one * (1 - value(others, p)))) / total;
  return {
    covers,
    free: cover.map((one) => 1 - covers * one),
    remainder: sum(cover.map((one, p) => one * value(remainder, p))) / total,
  };
}

/** How much of each patch factors cover, 0..1. */
function coverOf(maps: readonly Float64Array[], nPatches: number): Float64Array {
  const total = new Float64Array(nPatches);
  for (const map of maps) for (const [p, s] of map.entries()) total[p] = value(total, p) + Math.max(s, 0);
  return total.map((covered) => Math.min(Math.max(covered, 0), 1));
}

/** Gives the maps at a time; both scenes have the same factors. */
function between(first: Scene, last: Scene): (t: number) => Maps {
  const { nFactors: n, nPatches, rows, cols } = first;
  const ways = new Map<number, Travel>();
  for (let f = 0; f < n; f++) {
    const way = travelBetween(column(first.strengths, n, f), column(last.strengths, n, f), cols);
    if (way) ways.set(f, way);
  }
  const travelling = new Set(ways.keys());
  const [a, b] = [endOf(first, n, travelling), endOf(last, n, travelling)];

  return (t) => {
    const moved = new Map([...ways].map(([f, way]) => [f, travelled(way, t, cols)]));
    const onTop = coverOf([...moved.values()], nPatches);
    const free = onTop.map((cover) => 1 - ((1 - t) * a.covers + t * b.covers) * cover);
    const weights = free.map((_, p) => (1 - t) * value(a.free, p) + t * value(b.free, p));
    const hidden = Uint8Array.from(weights, (weight) => (weight < LEAST ? 1 : 0));
    const shown = weights.map((weight) => (weight < LEAST ? 1 : weight));
    let below = new Float64Array(nPatches * n);
    for (let at = 0; at < below.length; at++) {
      const [here, there] = [value(first.strengths, at), value(last.strengths, at)];
      const faded = ((1 - t) * here + t * there) / value(shown, Math.floor(at / n));
      below[at] = Math.min(Math.max(faded, Math.min(here, there, 0)), Math.max(here, there, 0));
    }
    if (ways.size) {
      for (const f of travelling) setColumn(below, n, f, new Float64Array(nPatches));
      below = Float64Array.from(healed({ rows, cols }, Float32Array.from(below), hidden));
    }
    const strengths = Float32Array.from(below, (s, at) => value(free, Math.floor(at / n)) * s);
    for (const [f, map] of moved) setColumn(strengths, n, f, map);
    const above = (1 - t) * a.remainder + t * b.remainder;
    const remainder = Float32Array.from(free, (share, p) => {
      const [here, there] = [value(first.remainder, p), value(last.remainder, p)];
      const left = ((1 - t) * value(a.free, p) * here + t * value(b.free, p) * there) / value(shown, p);
      return Math.min(Math.max(share * left + (1 - share) * above, 0), 1);
    });
    const basis = first.basis.map((weight, i) => (1 - t) * weight + t * value(last.basis, i));
    return { strengths, basis, remainder };
  };
}

/** A hole that is the whole grid has nothing to be filled from, and becomes zero. */
function healed(grid: { rows: number; cols: number }, strengths: Float32Array, hole: Uint8Array): Float32Array {
  return hole.includes(1) ? heal(grid, strengths, hole) : strengths;
}

/**
 * Both scenes with the factors of both, in one order; where one had none, its strength is 0. Each keeps the names and
 * colours of its own factors.
 */
function withAllFactors(first: Scene, last: Scene): [Scene, Scene] {
  const pairs = sameFactors(first, last);
  const taken = new Set(pairs.values());
  const added = [...last.names.keys()].filter((g) => !taken.has(g));
  const names = [...first.names];
  for (const g of added) names.push(freeName(last.names[g] ?? "", names));
  const colors = [...first.colors, ...added.map((g) => last.colors[g] ?? "")];
  const shared = {
    origins: [...first.origins, ...added.map((g) => value(last.origins, g))],
    factor_ids: [...first.factor_ids, ...added.map((_, i) => first.next_factor_id + i)],
    next_factor_id: null,
  };
  const there = last.stepsOfAll;
  const steps = [...first.stepsOfAll, ...added.map((g) => there[g] ?? null)];
  const [n, nPatches] = [names.length, first.nPatches];
  const strengths = new Float32Array(nPatches * n);
  for (const f of first.names.keys()) setColumn(strengths, n, f, column(first.strengths, first.nFactors, f));
  const rows = [...first.names.map((_, f) => first.row(f)), ...added.map((g) => last.row(g))];
  const basis = joined(rows, first.nFeatures);
  const start = first.replace({ strengths, basis, factor_steps: steps, names, colors, ...shared });
  const now = new Map([...pairs, ...added.map((g, i) => [first.nFactors + i, g] as const)]);
  const after = new Float32Array(nPatches * n);
  const [namesAfter, colorsAfter, used] = [[...names], [...colors], [...last.names]];
  for (const [f, g] of now) {
    setColumn(after, n, f, column(last.strengths, last.nFactors, g));
    rows[f] = last.row(g);
    namesAfter[f] = last.names[g] ?? "";
    colorsAfter[f] = last.colors[g] ?? "";
  }
  for (const [f, name] of first.names.entries()) {
    if (now.has(f)) continue;
    namesAfter[f] = freeName(name, used);
    used.push(namesAfter[f]);
  }
  const stepsAfter = steps.map((one, f) => {
    const g = pairs.get(f);
    return g === undefined ? one : (there[g] ?? null);
  });
  return [
    start,
    last.replace({
      strengths: after,
      basis: joined(rows, first.nFeatures),
      factor_steps: stepsAfter,
      names: namesAfter,
      colors: colorsAfter,
      ...shared,
    }),
  ];
}
