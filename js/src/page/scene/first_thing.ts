/** Which factor to paint with at first: the first thing, not sky or ground; as ember_widgets/scene/first_thing.py. */

import { region } from "../../paint/store/grid.ts";
import { column, sum, value } from "./arrays.ts";
import type { Scene } from "./scene.ts";

/** A thing covers at most this share of the patches, and touches at most this share of those along the border. */
const [MOST_PATCHES, MOST_BORDER] = [0.4, 0.25];
/** A thing adds at least this share of what the largest factor adds. */
const LEAST_AMOUNT = 0.02;
/** Without a thing, a factor that touches at most this share of what the first one touches comes first. */
const CLEARLY_LESS = 0.5;

/** The index of the first thing among a scene's factors; 0 on a blank canvas. */
export function firstThing(scene: Scene): number {
  const measures = scene.names.map((_, f) => measured(scene, f));
  const most = measures.reduce((a, { amount }) => Math.max(a, amount), 0);
  const counts = measures.map(({ amount }) => amount >= LEAST_AMOUNT * most && amount > 0);
  const thing = measures.findIndex((m, f) => counts[f] && m.covers <= MOST_PATCHES && m.touches <= MOST_BORDER);
  if (thing >= 0) return thing;
  const first = counts.indexOf(true);
  if (first < 0) return 0;
  const touches = measures.map((m, f) => (counts[f] ? m.touches : Number.POSITIVE_INFINITY));
  const best = touches.indexOf(Math.min(...touches));
  return value(touches, best) <= CLEARLY_LESS * value(touches, first) ? best : first;
}

/** A factor's share of the patches, its share of the border, and how much it adds. */
function measured(scene: Scene, f: number): { covers: number; touches: number; amount: number } {
  const { rows, cols } = scene;
  const inside = region(scene.maps, f);
  const isBorder = (p: number) => {
    const [row, col] = [Math.floor(p / cols), p % cols];
    return row === 0 || col === 0 || row === rows - 1 || col === cols - 1;
  };
  const border = [...inside.keys()].filter(isBorder);
  let size = 0;
  for (const [i, weight] of scene.row(f).entries()) size += (weight / value(scene.unit, i)) ** 2;
  return {
    covers: inside.reduce((a, on) => a + on, 0) / inside.length,
    touches: border.reduce((a, p) => a + value(inside, p), 0) / border.length,
    amount: sum(column(scene.strengths, scene.nFactors, f).map(Math.abs)) * Math.sqrt(size),
  };
}
