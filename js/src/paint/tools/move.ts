/** Move: moves the selection, or the connected region of the factor under the pointer. */

import { floor } from "../../shared/numbers.ts";
import { connected, type Layers, type Mask, move, region, shiftedMask, strongestAt } from "../store/grid.ts";
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

/** Where something that was pasted is moved away, what was under it is there again. */
function uncovered(layers: Layers, left: Mask, there: Mask, under: Layers): Layers {
  for (const [p, was] of left.entries()) {
    if (!was || there[p]) continue;
    layers.remainder[p] = under.remainder[p] ?? 0;
    for (let f = 0; f < layers.nFactors; f++)
      // A factor that came with it was not there before.
      layers.strengths[p * layers.nFactors + f] =
        f < under.nFactors ? (under.strengths[p * under.nFactors + f] ?? 0) : 0;
  }
  return layers;
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
    return {
      layers: stroke.under && factor === null ? uncovered(layers, patches, there, stroke.under) : layers,
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
