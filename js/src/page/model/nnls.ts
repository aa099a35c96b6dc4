/** Non-negative least squares: the weights >= 0 with which the sum of a few rows comes nearest to a target. */

/** Added to the diagonal of the Gram matrix, relative to it, so that rows that are alike have one solution. */
const RIDGE = 1e-12;
/** A slope below this share of the largest product counts as 0. */
const FLAT = 1e-12;

/**
 * The method of Lawson and Hanson, on the normal equations.
 *
 * `gram`: (n, n), rows times rows. `products`: (n,), rows times the target. The result is (n,).
 */
export function nonNegativeWeights(gram: Float64Array, products: Float64Array): Float64Array<ArrayBuffer> {
  const n = products.length;
  const weights = new Float64Array(n);
  const flat = FLAT * products.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  let passive: number[] = [];
  for (let turn = 0; turn < 3 * n; turn++) {
    const entering = steepest(gram, products, weights, passive, flat);
    if (entering < 0) break;
    passive.push(entering);
    let solution = solve(gram, products, passive);
    while (solution.some((value) => value <= 0)) {
      const share = passive.reduce((least, i, k) => {
        const [now, next] = [at(weights, i), at(solution, k)];
        return next > 0 ? least : Math.min(least, now / (now - next));
      }, 1);
      const leaving = passive.filter((i, k) => {
        const [now, next] = [at(weights, i), at(solution, k)];
        return next <= 0 && now / (now - next) <= share;
      });
      for (const [k, i] of passive.entries())
        weights[i] = leaving.includes(i) ? 0 : at(weights, i) + share * (at(solution, k) - at(weights, i));
      passive = passive.filter((i) => !leaving.includes(i));
      solution = solve(gram, products, passive);
    }
    for (const [k, i] of passive.entries()) weights[i] = at(solution, k);
  }
  return weights;
}

/** The row that reduces the distance most if its weight grows; -1 if none does. */
function steepest(
  gram: Float64Array,
  products: Float64Array,
  weights: Float64Array,
  passive: readonly number[],
  flat: number,
): number {
  const n = products.length;
  let best = -1;
  let most = flat;
  for (let i = 0; i < n; i++) {
    if (passive.includes(i)) continue;
    let slope = at(products, i);
    for (const j of passive) slope -= at(gram, i * n + j) * at(weights, j);
    if (slope > most) [best, most] = [i, slope];
  }
  return best;
}

/** The weights of the passive rows without the condition that they are >= 0, by Cholesky's method. */
function solve(gram: Float64Array, products: Float64Array, passive: readonly number[]): Float64Array {
  const n = products.length;
  const m = passive.length;
  const lower = new Float64Array(m * m);
  const found = new Float64Array(m);
  for (const [a, i] of passive.entries()) {
    for (let b = 0; b <= a; b++) {
      const j = passive[b] ?? 0;
      let sum = at(gram, i * n + j) * (a === b ? 1 + RIDGE : 1);
      for (let c = 0; c < b; c++) sum -= at(lower, a * m + c) * at(lower, b * m + c);
      lower[a * m + b] = a === b ? Math.sqrt(Math.max(sum, RIDGE * at(gram, i * n + i))) : sum / at(lower, b * m + b);
    }
    let side = at(products, i);
    for (let c = 0; c < a; c++) side -= at(lower, a * m + c) * at(found, c);
    found[a] = side / at(lower, a * m + a);
  }
  for (let a = m - 1; a >= 0; a--) {
    let side = at(found, a);
    for (let c = a + 1; c < m; c++) side -= at(lower, c * m + a) * at(found, c);
    found[a] = side / at(lower, a * m + a);
  }
  return found;
}

// An index that the loops above keep in range; the fallback only satisfies the type checker.
const at = (array: ArrayLike<number>, index: number): number => array[index] ?? 0;
