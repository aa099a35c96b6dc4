/** How a scene changes the site's output; the equation of ember_widgets/painter/steering.py. */

import type { Drawing, Drawn } from "./painter.ts";
import { directions, type SAE, targetOf } from "./sae.ts";

/**
 * What leaves the site when this is drawn, (d_model, n_patches).
 *
 * `hiddenIn`, `hiddenOut`: what enters and leaves the site in the unedited run, of the same shape. If nothing is changed,
 * the result is `hiddenOut` itself.
 */
export function steered(
  sae: SAE,
  { base_strengths, base_basis }: Pick<Drawing, "base_strengths" | "base_basis">,
  { strengths, remainder, basis, analysed }: Drawn,
  hiddenIn: Float32Array,
  hiddenOut: Float32Array,
): Float32Array {
  const { d_model, n_features, b_dec } = sae;
  const n_patches = remainder.length;
  const n = basis.length / n_features;
  const nBase = base_basis.length / n_features;
  const originOf = new Map([...analysed].map(([origin, f]) => [f, origin]));

  // What each factor adds now is compared with what the one that it was analysed as added then.
  const moved = strengths.slice();
  const reweighted = basis.slice();
  const base = new Float32Array(strengths.length);
  for (const [f, origin] of originOf) {
    for (let p = 0; p < n_patches; p++) {
      const then = at(base_strengths, p * nBase + origin);
      base[p * n + f] = then;
      moved[p * n + f] = at(moved, p * n + f) - then;
    }
    for (let i = 0; i < n_features; i++)
      reweighted[f * n_features + i] = at(basis, f * n_features + i) - at(base_basis, origin * n_features + i);
  }
  for (let f = 0; f < n; f++) if (!originOf.has(f)) reweighted.fill(0, f * n_features, (f + 1) * n_features);
  const isRemoved = (origin: number) => !analysed.has(origin) && some(rowOf(base_basis, origin, n_features));
  const removed = Array.from({ length: nBase }, (_, origin) => (isRemoved(origin) ? -1 : 0));
  const fades = remainder.some((share) => share !== 1);
  const isReweighted = some(reweighted);
  if (!some(moved) && !isReweighted && !some(removed) && !fades) return hiddenOut;

  const now = directions(sae, basis);
  const more = isReweighted ? directions(sae, reweighted) : null;
  const then = some(removed) || fades ? directions(sae, base_basis) : null;
  const target = fades ? targetOf(sae, hiddenIn, hiddenOut) : null;
  const out = hiddenOut.slice();
  const delta = new Float64Array(d_model);
  const add = (amount: number, rows: ArrayLike<number>, row: number) => {
    if (amount) for (let c = 0; c < d_model; c++) delta[c] = at(delta, c) + amount * at(rows, row * d_model + c);
  };
  for (let p = 0; p < n_patches; p++) {
    delta.fill(0);
    for (let f = 0; f < n; f++) {
      add(at(moved, p * n + f), now, f);
      if (more) add(at(base, p * n + f), more, f);
    }
    const gone = 1 - at(remainder, p);
    if (then) for (let k = 0; k < nBase; k++) add(at(base_strengths, p * nBase + k) * (at(removed, k) + gone), then, k);
    if (target && gone) {
      add(-gone, target, p);
      add(gone, b_dec, 0);
    }
    for (let c = 0; c < d_model; c++) {
      const i = c * n_patches + p;
      out[i] = at(hiddenOut, i) + Math.fround(at(delta, c));
    }
  }
  return out;
}

const some = (numbers: ArrayLike<number>): boolean => Array.prototype.some.call(numbers, (number) => number !== 0);

const rowOf = (rows: Float32Array, row: number, length: number): Float32Array =>
  rows.subarray(row * length, (row + 1) * length);

// An index that the loops above keep in range; the fallback only satisfies the type checker.
const at = (array: ArrayLike<number>, index: number): number => array[index] ?? 0;
