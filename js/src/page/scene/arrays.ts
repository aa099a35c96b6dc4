/** Arrays in C order whose last axis is factors, and rows of a basis. */

/** One factor's values in every patch. */
export function column(array: ArrayLike<number>, n: number, f: number): Float64Array<ArrayBuffer> {
  const found = new Float64Array(n ? array.length / n : 0);
  for (let p = 0; p < found.length; p++) found[p] = array[p * n + f] ?? 0;
  return found;
}

/** Writes one factor's values into an array of n factors. */
export function setColumn(array: Float32Array | Float64Array, n: number, f: number, values: ArrayLike<number>): void {
  for (let p = 0; p < values.length; p++) array[p * n + f] = values[p] ?? 0;
}

/** Some factors of an array (n_patches, n), in an order; -1 stands for zeros. */
export function columns(
  array: ArrayLike<number>,
  n: number,
  factors: readonly number[],
  nPatches: number,
): Float32Array {
  const m = factors.length;
  const found = new Float32Array(nPatches * m);
  for (const [to, from] of factors.entries())
    if (from >= 0) for (let p = 0; p < nPatches; p++) found[p * m + to] = array[p * n + from] ?? 0;
  return found;
}

/** (n_patches, n) of one map per factor. */
export function stacked(maps: readonly ArrayLike<number>[], nPatches: number): Float32Array {
  const found = new Float32Array(nPatches * maps.length);
  for (const [f, map] of maps.entries()) setColumn(found, maps.length, f, map);
  return found;
}

/** One row of a basis; a view. */
export const row = (basis: Float32Array, nFeatures: number, f: number): Float32Array =>
  basis.subarray(f * nFeatures, (f + 1) * nFeatures);

/** Rows one after the other. */
export function joined(rows: readonly ArrayLike<number>[], nFeatures: number): Float32Array {
  const found = new Float32Array(rows.length * nFeatures);
  for (const [i, one] of rows.entries()) found.set(one, i * nFeatures);
  return found;
}

export function equal(one: ArrayLike<number>, other: ArrayLike<number>): boolean {
  if (one === other) return true;
  if (one.length !== other.length) return false;
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return false;
  return true;
}

export function some(array: ArrayLike<number>): boolean {
  for (let i = 0; i < array.length; i++) if (array[i]) return true;
  return false;
}

/** The indices of what is not 0. */
export function nonzero(array: ArrayLike<number>): number[] {
  const found: number[] = [];
  for (let i = 0; i < array.length; i++) if (array[i]) found.push(i);
  return found;
}

// An index that the loops keep in range; the fallback only satisfies the type checker.
export const value = (array: ArrayLike<number>, index: number): number => array[index] ?? 0;

const BLOCK = 128;

/** The sum in the order in which NumPy adds, so that both get the same bits. */
export function sum(array: ArrayLike<number>, start = 0, length = array.length): number {
  if (length < 8) {
    let total = 0;
    for (let i = 0; i < length; i++) total += value(array, start + i);
    return total;
  }
  if (length > BLOCK) {
    const half = Math.floor(length / 2);
    const first = half - (half % 8);
    return sum(array, start, first) + sum(array, start + first, length - first);
  }
  const r = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => value(array, start + i));
  let i = 8;
  for (; i < length - (length % 8); i += 8)
    for (let k = 0; k < 8; k++) r[k] = value(r, k) + value(array, start + i + k);
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = r;
  let total = a + b + (c + d) + (e + f + (g + h));
  for (; i < length; i++) total += value(array, start + i);
  return total;
}
