/** The binary parts of messages. */

import type { Layers } from "../store/grid.ts";
import type { Edit, SceneInfo } from "./messages.ts";

/** Copied, because the view may lie in a websocket message that is reused later. */
export const copied = (bytes: ArrayBufferView): Uint8Array =>
  new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength).slice();

/**
 * Reads the three buffers of a state message: strengths, remainder, and the unedited picture. The last one has, for each
 * patch, the strength of every factor and then one number for what no factor explains now. Null if the sizes are wrong.
 */
export function readLayers(
  buffers: readonly ArrayBufferView[],
  {
    names,
    sites,
    factor_steps: steps,
    rows,
    cols,
  }: Pick<SceneInfo, "names" | "sites" | "factor_steps" | "rows" | "cols">,
): [Layers, unedited: Float32Array] | null {
  const nFactors = names.length;
  const nPatches = rows * cols;
  const [strengths, remainder, unedited] = buffers.map((b) => new Float32Array(copied(b).buffer as ArrayBuffer));
  if (strengths?.length !== nPatches * nFactors || remainder?.length !== nPatches) return null;
  if (unedited?.length !== nPatches * (nFactors + 1)) return null;
  return [{ grid: { rows, cols }, strengths, remainder, nFactors, sites, steps }, unedited];
}

export const editBuffers = ({ layers }: Edit): ArrayBuffer[] => [
  layers.strengths.slice().buffer as ArrayBuffer,
  layers.remainder.slice().buffer as ArrayBuffer,
];
