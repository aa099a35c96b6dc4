/** Brings what was painted on one scene to the scene that has replaced it meanwhile. */

import { abs } from "../../shared/numbers.ts";
import type { SceneInfo } from "../transport/messages.ts";
import { isSameScene } from "./factors.ts";
import { type Layers, patchesOf } from "./grid.ts";

/** A scene and its sliders at one moment. */
export interface Painted {
  readonly info: SceneInfo | null;
  readonly layers: Layers;
  readonly gains: readonly number[];
}

/**
 * `onto`, with the patches and sliders in which `to` differs from `from`; factors are found by their ids. Null if that
 * does not fit: `onto` is another scene, or no longer has the factor that was painted.
 */
export function carried(from: Painted, to: Painted, onto: Painted): Painted | null {
  if (from.layers === to.layers && from.gains === to.gains) return onto;
  const [was, now, { nFactors }] = [from.layers, to.layers, onto.layers];
  if (!to.info || !onto.info || !isSameScene(to.info, onto.info)) return null;
  if (patchesOf(now.grid) !== patchesOf(onto.layers.grid)) return null;
  const { ids } = onto.info;
  const places = to.info.ids.map((id) => ids.indexOf(id));
  const [strengths, remainder] = [onto.layers.strengths.slice(), onto.layers.remainder.slice()];
  for (let p = 0; p < remainder.length; p++) {
    const [before, after] = [was, now].map((one) => one.strengths.subarray(p * one.nFactors, (p + 1) * one.nFactors));
    if (!before || !after) continue;
    if (was.remainder[p] === now.remainder[p] && after.every((strength, f) => strength === before[f])) continue;
    remainder[p] = now.remainder[p] ?? 0;
    for (const [f, strength] of after.entries()) {
      const place = places[f] ?? -1;
      if (place >= 0) strengths[p * nFactors + place] = strength;
      else if (abs(strength) > abs(before[f] ?? 0)) return null;
    }
  }
  const gains = onto.gains.map((gain, place) => {
    const f = places.indexOf(place);
    return from.gains[f] === to.gains[f] ? gain : (to.gains[f] ?? gain);
  });
  return { ...onto, layers: { ...onto.layers, strengths, remainder }, gains };
}
