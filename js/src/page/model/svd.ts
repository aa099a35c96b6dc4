/** The largest singular values of a sparse matrix. */

import { Generator } from "./noise.ts";

/** A matrix (n_rows, n_cols), of which only the values that are not 0 are listed, row after row. */
export interface Sparse {
  readonly n_rows: number;
  readonly n_cols: number;
  readonly row: Int32Array;
  readonly col: Int32Array;
  readonly value: Float32Array;
}

/** One singular value and its vectors, (n_rows,) and (n_cols,), of unit length. */
export interface Triplet {
  readonly value: number;
  readonly left: Float64Array;
  readonly right: Float64Array;
}

/** So many more vectors than are wanted are iterated; they make the wanted ones converge faster. */
const MORE = 10;
/** scikit-learn's `randomized_svd`, which the fit in Python uses, has 4 to 7. */
const TURNS = 12;

/** The k largest singular values, largest first, by subspace iteration. */
export function largestTriplets(matrix: Sparse, k: number): Triplet[] {
  const { n_rows, n_cols } = matrix;
  const generator = new Generator(0n);
  let right: ArrayLike<number>[] = Array.from({ length: Math.min(k + MORE, n_rows, n_cols) }, () =>
    generator.randn(n_cols),
  );
  let left: Float64Array[] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    left = orthonormal(right.map((vector) => times(matrix, vector)));
    right = orthonormal(left.map((vector) => transposedTimes(matrix, vector)));
  }
  left = orthonormal(right.map((vector) => times(matrix, vector)));
  // Of the vectors in the span of `left`, these are the singular ones.
  const mixed = left.map((vector) => transposedTimes(matrix, vector));
  const { values, vectors } = eigen(mixed.map((one) => Float64Array.from(mixed, (other) => dot(one, other))));
  return vectors.slice(0, k).map((vector, j) => {
    const value = Math.sqrt(Math.max(values[j] ?? 0, 0));
    const right = combined(mixed, vector).map((x) => (value > 0 ? x / value : 0));
    return { value, left: combined(left, vector), right };
  });
}

function times({ n_rows, row, col, value }: Sparse, vector: ArrayLike<number>): Float64Array {
  const found = new Float64Array(n_rows);
  for (let i = 0; i < value.length; i++)
    found[at(row, i)] = at(found, at(row, i)) + at(value, i) * at(vector, at(col, i));
  return found;
}

const transposedTimes = (matrix: Sparse, vector: ArrayLike<number>): Float64Array =>
  times({ ...matrix, n_rows: matrix.n_cols, row: matrix.col, col: matrix.row }, vector);

function dot(one: Float64Array, other: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < one.length; i++) sum += at(one, i) * at(other, i);
  return sum;
}

function combined(vectors: readonly Float64Array[], weights: Float64Array): Float64Array {
  const sum = new Float64Array(vectors[0]?.length ?? 0);
  for (const [k, vector] of vectors.entries())
    for (let i = 0; i < sum.length; i++) sum[i] = at(sum, i) + at(weights, k) * at(vector, i);
  return sum;
}

/** The method of Gram and Schmidt, twice, because once loses digits. A vector that depends on the others becomes 0. */
function orthonormal(vectors: readonly Float64Array[]): Float64Array[] {
  const done: Float64Array[] = [];
  for (const vector of vectors) {
    const rest = vector.slice();
    const length = Math.sqrt(dot(rest, rest));
    for (const other of [...done, ...done]) {
      const share = dot(other, rest);
      for (let i = 0; i < rest.length; i++) rest[i] = at(rest, i) - share * at(other, i);
    }
    const left = Math.sqrt(dot(rest, rest));
    done.push(rest.map((x) => (left > 1e-12 * length ? x / left : 0)));
  }
  return done;
}

/** Eigenvalues of a small symmetric matrix, largest first, with their vectors, by Jacobi's rotations. */
function eigen(matrix: readonly Float64Array[]): { values: number[]; vectors: Float64Array[] } {
  const a = matrix.map((row) => row.slice());
  const n = a.length;
  const cell = (i: number, j: number): number => a[i]?.[j] ?? 0;
  // Row i is the vector of value i.
  const vectors = a.map((_, i) => Float64Array.from({ length: n }, (_, j) => (i === j ? 1 : 0)));
  const rotate = (one: Float64Array | undefined, other: Float64Array | undefined, c: number, s: number) => {
    if (one && other)
      for (let i = 0; i < n; i++) {
        const [x, y] = [at(one, i), at(other, i)];
        [one[i], other[i]] = [c * x - s * y, s * x + c * y];
      }
  };
  for (let sweep = 0; sweep < 50; sweep++) {
    let off = 0;
    let on = 0;
    for (let p = 0; p < n; p++) {
      on += cell(p, p) ** 2;
      for (let q = p + 1; q < n; q++) {
        off += cell(p, q) ** 2;
        if (!cell(p, q)) continue;
        const theta = (cell(q, q) - cell(p, p)) / (2 * cell(p, q));
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta ** 2 + 1));
        const c = 1 / Math.sqrt(t ** 2 + 1);
        for (const row of a) {
          const [x, y] = [at(row, p), at(row, q)];
          [row[p], row[q]] = [c * x - t * c * y, t * c * x + c * y];
        }
        rotate(a[p], a[q], c, t * c);
        rotate(vectors[p], vectors[q], c, t * c);
      }
    }
    if (off <= 1e-30 * on) break;
  }
  const order = a.map((_, i) => i).sort((i, j) => cell(j, j) - cell(i, i));
  return { values: order.map((i) => cell(i, i)), vectors: order.map((i) => vectors[i] ?? new Float64Array(n)) };
}

// An index that the loops above keep in range; the fallback only satisfies the type checker.
const at = (array: ArrayLike<number>, index: number): number => array[index] ?? 0;
