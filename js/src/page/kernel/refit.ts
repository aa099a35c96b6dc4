/** Carries a scene's painting over to other factors, or to another seed's picture; as ember_widgets/painter/refit.py. */

import type { Analysis } from "../model/painter.ts";
import { column, columns, equal, joined, setColumn, some, value } from "../scene/arrays.ts";
import { SceneEdit } from "../scene/edit.ts";
import { freeFactorName, freeName, nextColor, withEnding } from "../scene/palette.ts";
import type { Scene } from "../scene/scene.ts";
import { said } from "../scene/steps.ts";
import { transfer } from "../scene/transfer.ts";

/** A new factor with at least this cosine to an old one counts as the same: it gets its name and colour. */
const ALIKE = 0.5;

/** Codes of a picture's patches, (n_patches, n_features) >= 0. */
export interface Codes {
  readonly values: Float32Array;
  readonly n_patches: number;
  readonly n_features: number;
}

/** How strong each factor of a basis is in a picture, (n_patches, n_factors): non-negative least squares. */
export type Transform = (codes: Codes, basis: Float32Array) => Float32Array;

const codesOf = (scene: Scene, values: Float32Array): Codes => ({
  values,
  n_patches: scene.nPatches,
  n_features: scene.nFeatures,
});

/**
 * The scene with other factors of its picture. Where nothing was painted, the new factors have the strengths of the
 * analysis; in painted patches those that come nearest to what was painted. Factors that were added or reweighted, and
 * layers, stay as they are, after the new ones.
 */
export function refitted(given: Scene, analysis: Analysis, transform: Transform): Scene {
  const scene = onlyAddedLayers(given);
  const when = scene.stepsOfAll;
  const every = [...scene.names.keys()];
  const same = every.filter((f) => !when[f] && scene.isAsAnalysed(f));
  const kept = every.filter((f) => !same.includes(f));
  const painted = codes(
    scene,
    columns(scene.strengths, scene.nFactors, same, scene.nPatches),
    same.map((f) => scene.row(f)),
  );
  const begun = codes(
    scene,
    scene.base_strengths,
    [...Array(scene.nBase).keys()].map((f) => scene.baseRow(f)),
  );
  const most = begun.reduce((a, b) => Math.max(a, Math.abs(b)), 0) || 1;
  const above = transform(
    codesOf(
      scene,
      painted.map((code) => Math.max(code, 0)),
    ),
    analysis.basis,
  );
  const below = transform(
    codesOf(
      scene,
      painted.map((code) => Math.max(-code, 0)),
    ),
    analysis.basis,
  );
  const n = analysis.names.length;
  const strengths = analysis.strengths.slice();
  for (let p = 0; p < scene.nPatches; p++) {
    // A removed or reweighted factor is missing from `painted`, so its patches count as painted too.
    let isTouched = value(scene.remainder, p) < 1;
    for (let i = p * scene.nFeatures; !isTouched && i < (p + 1) * scene.nFeatures; i++)
      isTouched = Math.abs(value(painted, i) - value(begun, i)) > 1e-5 * most;
    if (isTouched) for (let at = p * n; at < (p + 1) * n; at++) strengths[at] = value(above, at) - value(below, at);
  }
  const sameAs = resembling(scene, kept, analysis);
  const [names, colors] = namesAndColors(scene, kept, sameAs, analysis.names);
  const ids = analysis.names.map((_, i) => {
    const old = sameAs.get(i);
    return old === undefined ? scene.next_factor_id + i : value(scene.factor_ids, old);
  });
  const all = new Float32Array(scene.nPatches * (n + kept.length));
  for (let f = 0; f < n; f++) setColumn(all, n + kept.length, f, column(strengths, n, f));
  for (const [i, f] of kept.entries())
    setColumn(all, n + kept.length, n + i, column(scene.strengths, scene.nFactors, f));
  // The analysed factors are not a bank's concepts any more.
  const { concepts: _, ...model } = scene.model;
  return scene.replace({
    model,
    strengths: all,
    basis: Float32Array.from([
      ...analysis.basis,
      ...joined(
        kept.map((f) => scene.row(f)),
        scene.nFeatures,
      ),
    ]),
    base_strengths: analysis.strengths,
    base_basis: analysis.basis,
    names,
    colors,
    origins: [...analysis.names.keys(), ...kept.map(() => -1)],
    factor_ids: [...ids, ...kept.map((f) => value(scene.factor_ids, f))],
    next_factor_id: scene.next_factor_id + n,
    factor_steps: [...analysis.names.map(() => null), ...kept.map((f) => when[f] ?? null)],
  });
}

/**
 * The same painting, applied to the noise of another seed: strengths stay, and nothing else of that seed's picture.
 * `values` are the codes of its unedited run.
 */
export function reseeded(given: Scene, seed: bigint, values: Float32Array, transform: Transform): Scene {
  const scene = onlyAddedLayers(given);
  const base_strengths = transform(codesOf(scene, values), scene.base_basis);
  return scene.replace({ seed, base_strengths, remainder: new Float32Array(scene.nPatches) });
}

/** The edit alone, applied to the picture of another seed. */
export function editReseeded(scene: Scene, seed: bigint, values: Float32Array, transform: Transform): Scene {
  const strengths = transform(codesOf(scene, values), scene.base_basis);
  const unedited = scene.original();
  const other = unedited.replace({ seed, base_strengths: strengths, strengths });
  return transfer(SceneEdit.between(unedited, scene), other).scene;
}

/**
 * Nearly the same scene, in which every analysed factor acts at all steps. What was painted with one at some steps only
 * becomes a factor of its own, with the difference; the rest of it is part of the picture.
 */
function onlyAddedLayers(given: Scene): Scene {
  let scene = given;
  for (const [origin, f] of [...scene.analysedFactors]) {
    const when = scene.factor_steps?.[f];
    if (!when) continue;
    const before = scene.layers.unpainted(f);
    const row = scene.row(f);
    const isReweighted = !equal(row, scene.baseRow(origin));
    const now = column(scene.strengths, scene.nFactors, f);
    const painted = isReweighted ? now : now.map((s, p) => s - value(before, p));
    const name = freeName(withEnding(scene.names[f] ?? "", ` (${said(when)})`), scene.names);
    const color = nextColor(scene.colors);
    const strengths = scene.strengths.slice();
    setColumn(strengths, scene.nFactors, f, before);
    const basis = scene.basis.slice();
    basis.set(scene.baseRow(origin), f * scene.nFeatures);
    scene = scene.replace({
      strengths,
      basis,
      factor_steps: scene.stepsOfAll.map((one, i) => (i === f ? null : one)),
    });
    if (!some(painted)) continue;
    const grown = scene.append(row, name, color, -1, painted);
    scene = grown.replace({ factor_steps: [...scene.stepsOfAll, when] });
  }
  return scene;
}

/** Strengths times rows: (n_patches, n_features). */
function codes(scene: Scene, strengths: Float32Array, rows: readonly Float32Array[]): Float32Array {
  const [n, m] = [scene.nFeatures, rows.length];
  const found = new Float32Array(scene.nPatches * n);
  const sums = new Float64Array(n);
  for (let p = 0; p < scene.nPatches; p++) {
    sums.fill(0);
    for (const [f, row] of rows.entries()) {
      const strength = strengths[p * m + f] as number;
      if (strength) for (let i = 0; i < n; i++) sums[i] = (sums[i] as number) + strength * (row[i] as number);
    }
    found.set(sums, p * n);
  }
  return found;
}

/** {new factor: the scene's factor that it resembles}, each of the scene's at most once. */
function resembling(scene: Scene, kept: readonly number[], { basis, names }: Analysis): Map<number, number> {
  const old = [...scene.names.keys()].filter((f) => value(scene.origins, f) >= 0 && !kept.includes(f));
  const n = scene.nFeatures;
  const pairs = names.flatMap((_, i) =>
    old.map((f) => ({ i, f, cosine: cosineOf(basis.subarray(i * n, (i + 1) * n), scene.row(f)) })),
  );
  pairs.sort((a, b) => b.cosine - a.cosine || a.i - b.i || old.indexOf(a.f) - old.indexOf(b.f));
  const found = new Map<number, number>();
  for (const { i, f, cosine } of pairs)
    if (cosine >= ALIKE && !found.has(i) && ![...found.values()].includes(f)) found.set(i, f);
  return found;
}

function cosineOf(one: Float32Array, other: Float32Array): number {
  let [dot, a, b] = [0, 0, 0];
  for (const [i, x] of one.entries()) {
    const y = value(other, i);
    [dot, a, b] = [dot + x * y, a + x * x, b + y * y];
  }
  return dot / (Math.max(Math.sqrt(a), 1e-12) * Math.max(Math.sqrt(b), 1e-12));
}

function namesAndColors(
  scene: Scene,
  kept: readonly number[],
  sameAs: ReadonlyMap<number, number>,
  names: readonly string[],
): [string[], string[]] {
  const after = { names: kept.map((f) => scene.names[f] ?? ""), colors: kept.map((f) => scene.colors[f] ?? "") };
  const found = new Map([...sameAs].map(([i, f]) => [i, scene.names[f] ?? ""]));
  const colors = new Map([...sameAs].map(([i, f]) => [i, scene.colors[f] ?? ""]));
  for (const [i, name] of names.entries()) {
    if (found.has(i)) continue;
    found.set(i, freeFactorName(name, [...found.values(), ...after.names]));
    colors.set(i, nextColor([...colors.values(), ...after.colors]));
  }
  const inOrder = (of: ReadonlyMap<number, string>) => names.map((_, i) => of.get(i) ?? "");
  return [
    [...inOrder(found), ...after.names],
    [...inOrder(colors), ...after.colors],
  ];
}
