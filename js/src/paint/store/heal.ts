/**
 * Fills a hole with the background at that height: the same as ember_widgets/scene/heal.py, sum by sum in the same
 * order, so that both get the same bits (tests/unit/scene/parity.json).
 */

import { abs, clamp, floor, max, min } from "../../shared/numbers.ts";

/** The strength that counts as one more factor, so that an empty patch is a background too. */
const NOTHING = 0.1;

/** A patch counts half if it is a third of a row away, or a quarter of the picture's width along the row. */
const ROWS_APART = 3;
const COLS_APART = 4;

/** Up to the first width a factor is a thing; from the second on, it is background. */
const [NARROW, WIDE] = [0.5, 0.7];
/** How much a thing counts, compared with background. */
const LEAST = 1e-3;

/**
 * A patch outside counts the more, the closer its row and its column are (far columns still count), and the more of what
 * it is made of spreads over its row and is found in most columns, or at the sides with nothing wider around it.
 */
export function heal(
  { rows, cols }: { readonly rows: number; readonly cols: number },
  strengths: Float32Array,
  hole: Uint8Array,
  exclude: number | null = null,
): Float32Array<ArrayBuffer> {
  const nFactors = strengths.length / hole.length;
  const filled = strengths.slice();
  const n = nFactors + 1;
  // For each patch the weighted strength of every factor, then the weight itself; both are zero in the hole.
  const weighted = new Float64Array(rows * cols * n);
  // What each patch is made of, for each row the mean and the maximum of it, and how many columns each factor is found in.
  const mixes: Float64Array[] = [];
  const spreads: Float64Array[] = [];
  const reaches: Float64Array[] = [];
  const width = new Float64Array(n);
  const sides = new Float64Array(n);
  for (let row = 0; row < rows; row++) {
    const spread = new Float64Array(n);
    const reach = new Float64Array(n);
    let known = 0;
    for (let col = 0; col < cols; col++) {
      const p = row * cols + col;
      if (hole[p]) continue;
      known++;
      const sizes = new Float64Array(n);
      let total = NOTHING;
      sizes[0] = NOTHING;
      for (let f = 0; f < nFactors; f++) {
        sizes[f + 1] = f === exclude ? 0 : abs(value(filled, p * nFactors + f));
        total += value(sizes, f + 1);
      }
      const mix = sizes.map((size) => size / total);
      mixes[p] = mix;
      for (let f = 0; f < n; f++) {
        spread[f] = value(spread, f) + value(mix, f);
        reach[f] = max(value(reach, f), value(mix, f));
        if (col === 0 || col === cols - 1) sides[f] = max(value(sides, f), value(mix, f));
      }
    }
    spreads.push(spread.map((sum) => sum / max(known, 1)));
    reaches.push(reach);
  }
  const mosts: Float64Array[] = [];
  let nColumns = 0;
  for (let col = 0; col < cols; col++) {
    const most = new Float64Array(n);
    const found = [...Array(rows).keys()].flatMap((row) => mixes[row * cols + col] ?? []);
    if (found.length) nColumns++;
    for (const mix of found) for (let f = 0; f < n; f++) most[f] = max(value(most, f), value(mix, f));
    for (let f = 0; f < n; f++) width[f] = value(width, f) + value(most, f);
    mosts.push(most);
  }
  const columns = width.map((sum) => sum / max(nColumns, 1));
  // What reaches a side goes on behind the hole; unless a factor in more columns is around it, in its rows and columns.
  const counts = columns.map((own, f) => {
    let total = 0;
    let stands = 0;
    mixes.forEach((mix, p) => {
      const [reach = mix, most = mix] = [reaches[floor(p / cols)], mosts[p % cols]];
      const around = columns.map((other, g) =>
        other > own ? min(value(reach, g), value(most, g)) * max(other, value(sides, g)) : 0,
      );
      total += value(mix, f);
      stands += value(mix, f) * max(...around);
    });
    const share = max(own, min(value(sides, f), 1 - (total && stands / total)));
    return clamp((share - NARROW) / (WIDE - NARROW), LEAST, 1);
  });
  for (let p = 0; p < rows * cols; p++) {
    const mix = mixes[p];
    if (!mix) continue;
    const spread = spreads[floor(p / cols)] ?? width;
    let alike = 0;
    for (let f = 0; f < n; f++) alike += value(mix, f) * (value(spread, f) * value(counts, f));
    const weight = square(alike);
    weighted[p * n + nFactors] = weight;
    for (let f = 0; f < nFactors; f++)
      if (f !== exclude) weighted[p * n + f] = value(filled, p * nFactors + f) * weight;
  }
  const columnSums = new Float64Array(cols * n);
  const sums = new Float64Array(n);
  for (let row = 0; row < rows; row++) {
    if (!hole.subarray(row * cols, (row + 1) * cols).includes(1)) continue;
    columnSums.fill(0);
    for (let other = 0; other < rows; other++) {
      const level = 1 / square(1 + square(ROWS_APART * (row - other)));
      for (let i = 0; i < cols * n; i++)
        columnSums[i] = value(columnSums, i) + level * value(weighted, other * cols * n + i);
    }
    for (let col = 0; col < cols; col++) {
      const p = row * cols + col;
      if (!hole[p]) continue;
      sums.fill(0);
      for (let other = 0; other < cols; other++) {
        const nearby = 1 / (1 + square((COLS_APART * (other - col)) / cols));
        for (let f = 0; f < n; f++) sums[f] = value(sums, f) + nearby * value(columnSums, other * n + f);
      }
      const weight = value(sums, nFactors);
      for (let f = 0; f < nFactors; f++) filled[p * nFactors + f] = weight && value(sums, f) / weight;
    }
  }
  return filled;
}

// Math.pow need not round as a product does.
const square = (x: number): number => x * x;

// An index that the loops above keep in range; the fallback only satisfies the type checker.
const value = (array: ArrayLike<number>, index: number): number => array[index] ?? 0;
