/** Move: takes along the selection, or the connected region of the factor under the pointer. */

import { floor } from "../../shared/numbers.ts";
import { connected, type Mask, move, region, shiftedMask, strongestAt } from "../store/grid.ts";
import { type Point, patchAt } from "./brush.ts";
import type { Hand, Tool } from "./tool.ts";

interface Grasp {
  /** Null for all that stands in the patches. */
  readonly factor: number | null;
  readonly patches: Mask;
}

/** In a selection all of it; else the picked factor if it stands there, else the strongest one that shows. */
function graspAt(hand: Hand, patch: number): Grasp | null {
  const { before, brush, selection, locked } = hand;
  if (selection) return selection[patch] ? { factor: null, patches: selection } : null;
  if (!before.nFactors) return null;
  const factor = region(before, brush.factor)[patch] ? brush.factor : strongestAt(before, patch, hand.gains);
  if (factor === null || locked.has(factor)) return null;
  const patches = connected(region(before, factor), patch);
  return patches[patch] ? { factor, patches } : null;
}

export function moveTool(): Tool {
  let grasp: Grasp;
  let start: Point;
  let last: Point;
  const carried = (hand: Hand) => {
    const dRow = floor(last.row) - floor(start.row);
    const dCol = floor(last.col) - floor(start.col);
    const { factor, patches } = grasp;
    const { heal } = hand.brush;
    const there = shiftedMask(patches, dRow, dCol);
    return {
      layers: move(hand.before, factor, dRow, dCol, patches, heal),
      deed: { verb: "move" as const, shares: patches, factor, d_row: dRow, d_col: dCol, heal },
      ghost: [patches, there] as const,
      ...(hand.selection && { selection: there }),
      ...(factor !== null && { factor }),
    };
  };
  return {
    down(hand, at) {
      const patch = patchAt(at);
      const found = patch === null ? null : graspAt(hand, patch);
      if (!found) return null;
      grasp = found;
      start = last = at;
      return carried(hand);
    },
    move(hand, to) {
      last = to.at(-1) ?? last;
      return carried(hand);
    },
    up: () => ({}),
  };
}
