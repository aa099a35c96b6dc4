/** Move: moves the selection, or the connected region of the factor under the pointer. */

import { floor } from "../../shared/numbers.ts";
import { connected, type Mask, move, region, shiftedMask, strongestAt, withPatchesOf } from "../store/grid.ts";
import { type Point, patchAt } from "./brush.ts";
import type { StrokeStart, Tool } from "./tool.ts";

interface Moved {
  /** Null: all factors in the patches. */
  readonly factor: number | null;
  readonly patches: Mask;
}

/** The selection if there is one; else the picked factor if it is there; else the strongest factor. */
function movedFrom(stroke: StrokeStart, patch: number): Moved | null {
  const { before, brush, selection, locked } = stroke;
  if (selection) return selection[patch] ? { factor: null, patches: selection } : null;
  if (!before.nFactors) return null;
  const factor = region(before, brush.factor)[patch] ? brush.factor : strongestAt(before, patch, stroke.gains);
  if (factor === null || locked.has(factor)) return null;
  const patches = connected(before.grid, region(before, factor), patch);
  return patches[patch] ? { factor, patches } : null;
}

export function moveTool(): Tool {
  let moved: Moved;
  let start: Point;
  let last: Point;
  const change = (stroke: StrokeStart) => {
    const dRow = floor(last.row) - floor(start.row);
    const dCol = floor(last.col) - floor(start.col);
    const { factor, patches } = moved;
    const { heal } = stroke.brush;
    const there = shiftedMask(stroke.before.grid, patches, dRow, dCol);
    const layers = move(stroke.before, factor, dRow, dCol, patches, heal);
    const left = patches.map((was, p) => Number(was && !there[p]));
    return {
      layers: stroke.under && factor === null ? withPatchesOf(layers, left, stroke.under) : layers,
      call: { verb: "move" as const, shares: patches, factor, d_row: dRow, d_col: dCol, heal },
      outlines: [patches, there] as const,
      ...(stroke.selection && { selection: there }),
      ...(factor !== null && { factor }),
    };
  };
  return {
    down(stroke, at) {
      const patch = patchAt(stroke.before.grid, at);
      const found = patch === null ? null : movedFrom(stroke, patch);
      if (!found) return null;
      moved = found;
      start = last = at;
      return change(stroke);
    },
    move(stroke, to) {
      last = to.at(-1) ?? last;
      return change(stroke);
    },
    up: () => ({}),
  };
}
