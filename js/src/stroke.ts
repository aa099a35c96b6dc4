/** One gesture, from pointer down to pointer up: always computed afresh from what was there before it. */
import { type Point, patchAt, stamp, stampLine } from "./brush.ts";
import {
  connected,
  emptyMask,
  erase,
  type Layers,
  type Mask,
  move,
  type PaintMode,
  paint,
  region,
  strongestAt,
} from "./grid.ts";

export type Tool = "paint" | "erase" | "move";

export interface BrushSettings {
  readonly factor: number;
  readonly size: number;
  readonly strength: number;
  readonly mode: PaintMode;
  /** Erase everything under the brush, or only the picked factor. */
  readonly eraseOnlyFactor: boolean;
  /** Fill what erasing and moving leave behind from around it. */
  readonly heal: boolean;
}

export interface Stroke {
  /** Goes on through these points and returns what the layers are now. */
  to(points: readonly Point[]): Layers;
}

/**
 * A stroke of the brush or the eraser; `erased` is the factor that the eraser takes out, null for all of them. Where it
 * fills the gap from around, it must know one: else the middle of a tree would be filled with tree again.
 */
function brushStroke(
  before: Layers,
  tool: "paint" | "erase",
  brush: BrushSettings,
  erased: number | null,
  start: Point,
): Stroke {
  const mask = emptyMask();
  let last = start;
  stamp(mask, start, brush.size);
  return {
    to(points) {
      for (const point of points) {
        stampLine(mask, last, point, brush.size);
        last = point;
      }
      if (tool === "erase") return erase(before, mask, erased, brush.heal);
      return paint(before, brush.factor, mask, brush.strength, 1, brush.mode);
    },
  };
}

/** What a drag from a patch would carry: the picked factor if it stands there, else the strongest one that shows. */
function graspAt(
  layers: Layers,
  patch: number,
  picked: number,
  gains: readonly number[],
): { factor: number; patches: Mask } | null {
  const factor = region(layers, picked)[patch] ? picked : strongestAt(layers, patch, gains);
  if (factor === null) return null;
  const patches = connected(region(layers, factor), patch);
  return patches[patch] ? { factor, patches } : null;
}

function moveStroke(before: Layers, factor: number, patches: Mask, heal: boolean, start: Point): Stroke {
  let last = start;
  return {
    to(points) {
      last = points.at(-1) ?? last;
      const dRow = Math.floor(last.row) - Math.floor(start.row);
      const dCol = Math.floor(last.col) - Math.floor(start.col);
      return move(before, factor, dRow, dCol, patches, heal);
    },
  };
}

/** Starts the gesture that a tool makes at a point; null where there is nothing to paint with or to grasp. */
export function startStroke(
  layers: Layers,
  gains: readonly number[],
  tool: Tool,
  brush: BrushSettings,
  start: Point,
): { stroke: Stroke; factor: number } | null {
  const patch = patchAt(start);
  if (tool !== "move") {
    const needsFactor = tool === "paint" || brush.eraseOnlyFactor;
    if (needsFactor && brush.factor >= layers.nFactors) return null;
    const under = brush.heal && patch !== null ? strongestAt(layers, patch, gains) : null;
    const erased = brush.eraseOnlyFactor ? brush.factor : under;
    return { stroke: brushStroke(layers, tool, brush, erased, start), factor: brush.factor };
  }
  const grasp = patch === null || !layers.nFactors ? null : graspAt(layers, patch, brush.factor, gains);
  if (!grasp) return null;
  return { stroke: moveStroke(layers, grasp.factor, grasp.patches, brush.heal, start), factor: grasp.factor };
}
