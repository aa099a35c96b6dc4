/** The factors of one picture: the same as ember_widgets/dictionary/factors.py finds, up to rounding. */

import { nonNegativeWeights } from "./nnls.ts";
import { largestTriplets, type Sparse } from "./svd.ts";

export interface Factors {
  /** (n_patches, n_factors) >= 0; 1 = the factor's own typical activation in the picture. */
  readonly strengths: Float32Array<ArrayBuffer>;
  /** (n_factors, n_features) >= 0, in units of SAE codes. */
  readonly basis: Float32Array<ArrayBuffer>;
}

/** Codes of a picture's patches, (n_patches, n_features) >= 0. */
export interface Codes {
  readonly values: Float32Array;
  readonly n_patches: number;
  readonly n_features: number;
}

const MAX_ITER = 400;
const TOLERANCE = 1e-4;
/** What is smaller in the start of NMF is 0. */
const SMALLEST = 1e-6;

/**
 * Finds the factors of a picture, the one with the largest share of its codes first.
 *
 * `ignore`: features that are left out of the fit. Their weights are computed afterwards.
 *
 * Throws a RangeError if there are fewer active features or patches than factors.
 */
export function fit(codes: Codes, n_factors: number, ignore: ReadonlySet<number> = new Set()): Factors {
  const { n_patches, n_features } = codes;
  if (!Number.isInteger(n_factors) || n_factors < 1 || n_factors > n_patches)
    throw new RangeError(
      `n_factors=${n_factors}, but an image has ${n_patches} patches; choose 1..${n_patches} (3..8 reads best)`,
    );
  const active = activeFeatures(codes);
  const sought = active.filter((f) => !ignore.has(f));
  checkThereAre(n_factors, codes, active, sought);

  const matrix = sparse(codes, sought);
  const { strengths: first, weights: found } = factorise(matrix, n_factors);
  const weights = new Map(sought.map((f, i) => [f, found.subarray(i * n_factors, (i + 1) * n_factors)]));
  const late = active.filter((f) => ignore.has(f));
  const gram = gramOf(first, n_factors);
  for (const f of late) weights.set(f, nonNegativeWeights(gram, productsOf(codes, f, first, n_factors)));
  const rows = active.map((f) => weights.get(f) ?? new Float64Array(n_factors));
  const strengths = mixes(sparse(codes, active), rows, n_factors);

  const typical = Array.from({ length: n_factors }, (_, k) => typicalStrength(strengths, k, n_factors));
  const energy = typical.map((unit, k) => {
    let [ofStrengths, ofWeights] = [0, 0];
    for (let p = 0; p < n_patches; p++) ofStrengths += (at(strengths, p * n_factors + k) / unit) ** 2;
    for (const row of rows) ofWeights += (at(row, k) * unit) ** 2;
    return ofStrengths * ofWeights;
  });
  const order = typical.map((_, k) => k).sort((a, b) => at(energy, b) - at(energy, a));
  const result: Factors = {
    strengths: new Float32Array(n_patches * n_factors),
    basis: new Float32Array(n_factors * n_features),
  };
  for (const [to, k] of order.entries()) {
    for (let p = 0; p < n_patches; p++)
      result.strengths[p * n_factors + to] = at(strengths, p * n_factors + k) / at(typical, k);
    for (const [i, f] of active.entries()) result.basis[to * n_features + f] = at(rows[i] ?? [], k) * at(typical, k);
  }
  return result;
}

/** How strong each factor is in a picture, this one or another: (n_patches, n_factors) >= 0. */
export function transform(codes: Codes, basis: Float32Array): Float32Array<ArrayBuffer> {
  const { n_features } = codes;
  const n_factors = basis.length / n_features;
  const column = (f: number) => Float64Array.from({ length: n_factors }, (_, k) => at(basis, k * n_features + f));
  const used = Array.from({ length: n_features }, (_, f) => f).filter((f) => column(f).some((weight) => weight !== 0));
  return Float32Array.from(mixes(sparse(codes, used), used.map(column), n_factors));
}

/** The features that are active in some patch, in their order. */
export function activeFeatures({ values, n_features }: Codes): number[] {
  const isActive = new Uint8Array(n_features);
  for (let i = 0; i < values.length; i++) if (at(values, i)) isActive[i % n_features] = 1;
  return Array.from(isActive.keys()).filter((f) => isActive[f]);
}

function checkThereAre(
  n_factors: number,
  { values, n_patches, n_features }: Codes,
  active: readonly number[],
  sought: readonly number[],
): void {
  if (!active.length)
    throw new RangeError("activations are all zero: this image has no active features; give another image");
  if (!sought.length) throw new RangeError("ignore names every active feature of this image; ignore fewer");
  let patches = 0;
  for (let p = 0; p < n_patches; p++) if (sought.some((f) => at(values, p * n_features + f) > 0)) patches++;
  const limit = Math.min(patches, sought.length);
  if (n_factors > limit)
    throw new RangeError(
      `n_factors=${n_factors}, but this image has only ${sought.length} active features in ${patches} patches; ` +
        `choose 1..${limit}`,
    );
}

/** The columns of some features. */
function sparse({ values, n_patches, n_features }: Codes, features: readonly number[]): Sparse {
  const [row, col, value]: number[][] = [[], [], []];
  for (let p = 0; p < n_patches; p++)
    for (const [i, f] of features.entries()) {
      const code = at(values, p * n_features + f);
      if (!code) continue;
      row?.push(p);
      col?.push(i);
      value?.push(code);
    }
  return {
    n_rows: n_patches,
    n_cols: features.length,
    row: Int32Array.from(row ?? []),
    col: Int32Array.from(col ?? []),
    value: Float32Array.from(value ?? []),
  };
}

/**
 * NMF as sklearn's `NMF(init="nndsvd", max_iter=400, tol=1e-4)` does it, in float32: strengths (n_rows, k) and weights
 * (n_cols, k).
 */
function factorise(matrix: Sparse, k: number): { strengths: Float32Array; weights: Float64Array } {
  const { strengths, weights } = nndsvd(matrix, k);
  const transposed = { ...matrix, n_rows: matrix.n_cols, n_cols: matrix.n_rows, row: matrix.col, col: matrix.row };
  let atFirst = 0;
  // sklearn stops where the last change is small next to the first one.
  for (let turn = 0; turn < MAX_ITER; turn++) {
    const change = descend(matrix, strengths, weights, k) + descend(transposed, weights, strengths, k);
    if (!turn) atFirst = change;
    if (!atFirst || change / atFirst <= TOLERANCE) break;
  }
  return { strengths, weights: Float64Array.from(weights) };
}

/** The start of NMF, "non-negative double singular value decomposition" (Boutsidis and Gallopoulos 2008). */
function nndsvd(matrix: Sparse, k: number): { strengths: Float32Array; weights: Float32Array } {
  const strengths = new Float32Array(matrix.n_rows * k);
  const weights = new Float32Array(matrix.n_cols * k);
  for (const [j, { value, left, right }] of largestTriplets(matrix, k).entries()) {
    // The first vectors have one sign. Of others, the larger of the two parts is used.
    const signs = j ? [1, -1] : [0];
    const parts = signs.map((sign) => {
      const [u, v] = [left, right].map((vector) => vector.map((x) => (sign ? Math.max(sign * x, 0) : Math.abs(x))));
      return { u, v, lengths: [u, v].map((x) => Math.hypot(...(x ?? []))) };
    });
    const size = ({ lengths }: { lengths: number[] }) => at(lengths, 0) * at(lengths, 1);
    const part = parts.reduce((a, b) => (size(a) > size(b) ? a : b));
    const scale = Math.sqrt(value * size(part));
    for (const [to, vector, length] of [
      [strengths, part.u, at(part.lengths, 0)],
      [weights, part.v, at(part.lengths, 1)],
    ] as const)
      for (const [i, x] of (vector ?? []).entries()) {
        const start = length ? (scale * x) / length : 0;
        to[i * k + j] = start < SMALLEST ? 0 : start;
      }
  }
  return { strengths, weights };
}

/**
 * One turn of coordinate descent: changes `left` (n_rows, k) so that left · rightᵀ comes nearer to the matrix. The result
 * says how far it was from an optimum.
 */
function descend(matrix: Sparse, left: Float32Array, right: Float32Array, k: number): number {
  const { n_rows, row, col, value } = matrix;
  const gram = gramOf(right, k);
  const products = new Float64Array(n_rows * k);
  for (let i = 0; i < value.length; i++)
    for (let t = 0, to = at(row, i) * k, from = at(col, i) * k; t < k; t++)
      products[to + t] = at(products, to + t) + at(value, i) * at(right, from + t);
  let change = 0;
  for (let t = 0; t < k; t++) {
    const curvature = at(gram, t * k + t);
    for (let i = 0; i < n_rows; i++) {
      let slope = -at(products, i * k + t);
      for (let r = 0; r < k; r++) slope += at(gram, t * k + r) * at(left, i * k + r);
      const now = at(left, i * k + t);
      change += Math.abs(now === 0 ? Math.min(0, slope) : slope);
      if (curvature) left[i * k + t] = Math.max(now - slope / curvature, 0);
    }
  }
  return change;
}

/** rowsᵀ · rows: (n, k) -> (k, k). */
function gramOf(rows: ArrayLike<number>, k: number): Float64Array<ArrayBuffer> {
  const gram = new Float64Array(k * k);
  for (let i = 0; i < rows.length; i += k)
    for (let a = 0; a < k; a++)
      for (let b = 0; b < k; b++) gram[a * k + b] = at(gram, a * k + b) + at(rows, i + a) * at(rows, i + b);
  return gram;
}

/** One feature's codes times strengths: (k,). */
function productsOf({ values, n_patches, n_features }: Codes, feature: number, strengths: Float32Array, k: number) {
  const products = new Float64Array(k);
  for (let p = 0; p < n_patches; p++)
    for (let t = 0; t < k; t++)
      products[t] = at(products, t) + at(values, p * n_features + feature) * at(strengths, p * k + t);
  return products;
}

/** Weights >= 0 with which the sum of factors comes nearest to each patch; `rows`: per feature its weights. */
function mixes(matrix: Sparse, rows: readonly ArrayLike<number>[], k: number): Float64Array<ArrayBuffer> {
  const gram = gramOf(
    rows.flatMap((row) => Array.from(row)),
    k,
  );
  const products = new Float64Array(matrix.n_rows * k);
  for (let i = 0; i < matrix.value.length; i++) {
    const [to, row] = [at(matrix.row, i) * k, rows[at(matrix.col, i)] ?? []];
    for (let t = 0; t < k; t++) products[to + t] = at(products, to + t) + at(matrix.value, i) * at(row, t);
  }
  const found = new Float64Array(products.length);
  for (let p = 0; p < matrix.n_rows; p++)
    found.set(nonNegativeWeights(gram, products.subarray(p * k, (p + 1) * k)), p * k);
  return found;
}

/** The mean of a factor's strengths, weighted by themselves; 1 for a factor that is nowhere. */
function typicalStrength(strengths: Float64Array, factor: number, k: number): number {
  let [total, squares] = [0, 0];
  for (let i = factor; i < strengths.length; i += k) {
    total += at(strengths, i);
    squares += at(strengths, i) ** 2;
  }
  return total > 0 ? squares / total : 1;
}

// An index that the loops above keep in range; the fallback only satisfies the type checker.
const at = (array: ArrayLike<number>, index: number): number => array[index] ?? 0;
