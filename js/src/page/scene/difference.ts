/** Where a scene differs from what was analysed. The same as ember_widgets/scene/difference.py. */

import type { Grid, Mask } from "../../paint/store/grid.ts";
import type { Pixels } from "../model/painter.ts";
import { value } from "./arrays.ts";
import type { Scene } from "./scene.ts";

/** A patch counts as edited if a strength, or the remainder, changed by more than this. */
export const NOTABLE = 0.01;

/**
 * How strong each factor is in the unedited picture, (rows, cols, n_factors + 1). The last map is the strongest, patch by
 * patch, of the analysed factors that the scene no longer has, because they were removed or have other weights now.
 */
export function unedited(scene: Scene): Float32Array<ArrayBuffer> {
  const { nPatches, nFactors, nBase, base_strengths } = scene;
  const n = nFactors + 1;
  const before = new Float32Array(nPatches * n);
  const gone = new Set(Array(nBase).keys());
  for (const [origin, f] of scene.analysedFactors) {
    if (!scene.isAsAnalysed(f)) continue;
    for (let p = 0; p < nPatches; p++) before[p * n + f] = value(base_strengths, p * nBase + origin);
    gone.delete(origin);
  }
  for (const origin of gone)
    for (let p = 0; p < nPatches; p++) {
      const at = p * n + nFactors;
      before[at] = Math.max(value(before, at), Math.abs(value(base_strengths, p * nBase + origin)));
    }
  return before;
}

/** The patches in which the scene differs from what was analysed. */
export function editedPatches(scene: Scene): Mask {
  const before = unedited(scene);
  const { nFactors: n, strengths, remainder } = scene;
  return Uint8Array.from(remainder, (left, p) => {
    let most = Math.max(value(before, p * (n + 1) + n), Math.fround(1 - left));
    for (let f = 0; f < n; f++) {
      const change = Math.abs(Math.fround(value(before, p * (n + 1) + f) - value(strengths, p * n + f)));
      most = Math.max(most, change);
    }
    return most > Math.fround(NOTABLE) ? 1 : 0;
  });
}

/** Whether a scene is a blank canvas: no analysed factors, and no remainder of the model's picture. */
export const isBlank = (scene: Scene): boolean => !scene.nBase && scene.remainder.every((left) => left === 0);

/**
 * How much two pictures differ in the edited patches, and elsewhere: means of absolute differences, 0..255. Patches that
 * touch an edited one count as neither. Null if there is no patch of one of the two kinds.
 */
export function pixelChange(
  before: Pixels,
  after: Pixels,
  edited: Mask,
  { rows, cols }: Grid,
): readonly [number, number] | null {
  const near = edited.map((_, p) => {
    const [row, col] = [Math.floor(p / cols), p % cols];
    for (let r = Math.max(row - 1, 0); r <= Math.min(row + 1, rows - 1); r++)
      for (let c = Math.max(col - 1, 0); c <= Math.min(col + 1, cols - 1); c++) if (edited[r * cols + c]) return 1;
    return 0;
  });
  if (!edited.includes(1) || !near.includes(0)) return null;
  const { width, height } = after;
  const totals = new Float64Array(rows * cols);
  const [patchHeight, patchWidth] = [height / rows, width / cols];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const at = 4 * (y * width + x);
      let change = 0;
      for (let c = 0; c < 3; c++) change += Math.abs(value(after.rgba, at + c) - value(before.rgba, at + c));
      const p = Math.floor(y / patchHeight) * cols + Math.floor(x / patchWidth);
      totals[p] = value(totals, p) + change / 3;
    }
  const mean = (mask: Mask, on: number) => {
    let [total, count] = [0, 0];
    for (const [p, flag] of mask.entries()) if (flag === on) [total, count] = [total + value(totals, p), count + 1];
    return total / count / (patchHeight * patchWidth);
  };
  return [mean(edited, 1), mean(near, 0)];
}
