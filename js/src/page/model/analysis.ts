/** The factors of a picture and their names, as ember_widgets/painter/analysis.py finds them. */

import { activeFeatures, type Codes, type Factors, fit } from "./factors.ts";
import type { Analysis } from "./painter.ts";

/** A feature with less than this share of the energy of a picture's codes cannot be seen in the picture. */
const VISIBLE_SHARE = 1e-4;
/** Maps with at least this cosine similarity count as one. */
const ALIKE = 0.9;

/**
 * The factors of a picture and a name for each.
 *
 * `lengths`: how much each feature moves the site, per unit of code.
 */
export function analysis(
  codes: Codes,
  n_factors: number,
  positional: ReadonlySet<number>,
  lengths: Float32Array,
  labels: ReadonlyMap<number, string>,
): Analysis {
  const { strengths, basis } = fitted(codes, n_factors, positional);
  const names: string[] = [];
  for (let k = 0; k * codes.n_features < basis.length; k++) {
    const row = basis.subarray(k * codes.n_features, (k + 1) * codes.n_features);
    names.push(freeName(labelOf(row, lengths, labels) || `factor ${k + 1}`, names));
  }
  return { strengths, basis, names };
}

/** As many factors as are wanted, or as there are features that can be seen and differ. */
function fitted(codes: Codes, n_factors: number, positional: ReadonlySet<number>): Factors {
  const { values, n_patches, n_features } = codes;
  const energy = new Float64Array(n_features);
  for (let i = 0; i < values.length; i++) energy[i % n_features] = at(energy, i % n_features) + at(values, i) ** 2;
  const total = energy.reduce((sum, one) => sum + one, 0);
  const seen = activeFeatures(codes).filter((f) => at(energy, f) > VISIBLE_SHARE * total && !positional.has(f));
  const isMore = seen.length > 0 && seen.length <= n_factors && n_factors <= n_patches;
  return fit(codes, isMore ? nDistinct(codes, seen, energy) : n_factors, positional);
}

/** How many of the features have a map that differs from every earlier one. */
function nDistinct(
  { values, n_patches, n_features }: Codes,
  features: readonly number[],
  energy: Float64Array,
): number {
  const first: number[] = [];
  for (const f of features) {
    const isAlike = first.some((other) => {
      let sum = 0;
      for (let p = 0; p < n_patches; p++) sum += at(values, p * n_features + f) * at(values, p * n_features + other);
      return sum / Math.sqrt(at(energy, f) * at(energy, other)) >= ALIKE;
    });
    if (!isAlike) first.push(f);
  }
  return first.length;
}

/** The label that carries most of a factor, without what stands in brackets; "" if none of its features has one. */
function labelOf(row: Float32Array, lengths: Float32Array, labels: ReadonlyMap<number, string>): string {
  const shares = new Map<string, number>();
  for (const [f, weight] of row.entries()) {
    const label = weight && labels.get(f);
    if (label) shares.set(label, (shares.get(label) ?? 0) + Math.fround(weight * at(lengths, f)));
  }
  const [most] = [...shares].reduce((a, b) => (b[1] > a[1] ? b : a), ["", Number.NEGATIVE_INFINITY]);
  return most.split(" (")[0] ?? "";
}

/** The name, or one like it that is not taken: "lion 2" for "lion", but "factor 6" for "factor 5". */
function freeName(name: string, taken: readonly string[]): string {
  const numbered = /^((?:.* )?factor )(\d+)$/.exec(name);
  let count = numbered ? Number(numbered[2]) : 1;
  let candidate = name;
  while (taken.includes(candidate)) candidate = numbered ? `${numbered[1]}${++count}` : `${name} ${++count}`;
  return candidate;
}

// An index that the loops above keep in range; the fallback only satisfies the type checker.
const at = (array: ArrayLike<number>, index: number): number => array[index] ?? 0;
