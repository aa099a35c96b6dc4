/** Thumbnails: of each factor alone on a blank canvas, of each step of the history, and of the next seeds. */

import { areasOf } from "../../paint/tools/areas.ts";
import { equal } from "../scene/arrays.ts";
import { hashOf } from "../scene/bytes.ts";
import { MAX_SEED } from "../scene/checks.ts";
import type { Scene } from "../scene/scene.ts";
import type { History } from "./history.ts";
import { type Picture, thumbnailUrl } from "./pictures.ts";

const N_SEEDS = 4n;
const LIMIT = 512;

/** Equal for two scenes if and only if their unedited pictures are the same. */
export const runKey = ({ prompt, style, seed, n_steps }: Scene): string =>
  hashOf(JSON.stringify([prompt, style, String(seed), n_steps]));

/**
 * Whether two scenes were made from one picture, or of the same factors, so that a factor of one is that with the same id in
 * the other.
 */
export const isSamePicture = (one: Scene, other: Scene): boolean =>
  (one.base_basis.length > 0 && equal(one.base_basis, other.base_basis)) ||
  runKey(one.restyle("")) === runKey(other.restyle(""));

/** The key of each factor's thumbnail; another one as soon as the factor is. It is drawn in no style. */
export function keysOfFactors(scene: Scene): string[] {
  const run = runKey(scene.style ? scene.restyle("") : scene);
  return scene.names.map((_, f) => hashOf(run, scene.row(f)));
}

/** The next seeds of the current painting, and the keys of their thumbnails. */
export function keysOfSeeds(history: History): [seed: bigint, key: string][] {
  const found: [bigint, string][] = [];
  const { seed } = history.current.painted;
  for (let next = seed + 1n; next <= seed + N_SEEDS && next <= MAX_SEED; next++)
    found.push([next, `seed ${next} of ${history.step}`]);
  return found;
}

/** A scene of one factor in the centre of a blank canvas, in no style. */
export function alone(scene: Scene, factor: number): Scene {
  const strengths = new Float32Array(scene.strengths.length);
  const centre = areasOf(scene.grid).centre ?? new Uint8Array(0);
  for (const [p, on] of centre.entries()) if (on) strengths[p * scene.nFactors + factor] = 1;
  return scene.replace({ style: "", strengths, remainder: new Float32Array(scene.nPatches) });
}

/** The thumbnails drawn so far, by their keys; the oldest are forgotten. */
export class Thumbnails {
  private readonly urls = new Map<string, string>();

  /** A thumbnail as a data URL. */
  get(key: string): string | undefined {
    return this.urls.get(key);
  }

  /** Makes a thumbnail of a picture; returns its data URL. */
  async keep(key: string, { pixels }: Picture): Promise<string> {
    const url = await thumbnailUrl(pixels);
    this.urls.set(key, url);
    const [oldest] = this.urls.keys();
    if (this.urls.size > LIMIT && oldest !== undefined) this.urls.delete(oldest);
    return url;
  }
}
