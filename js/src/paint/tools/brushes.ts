/** Brush, eraser and gain: they change all patches that they pass over. */

import { erase, type Mask, paint, patchesOf, region, type Shares, scale, strongestAt } from "../store/grid.ts";
import { type Point, patchAt, stamp, stampLine } from "./brush.ts";
import { box } from "./shapes.ts";
import type { Change, StrokeStart, Tool } from "./tool.ts";

/** What a brush does to patches; `under` is the strongest factor where the stroke starts. */
export type Act = (stroke: StrokeStart, shares: Shares, under: number | null) => Change | null;

const canUse = ({ before, brush, locked }: StrokeStart) => brush.factor < before.nFactors && !locked.has(brush.factor);
const masked = (shares: Shares): Mask => Uint8Array.from(shares, (share) => (share ? 1 : 0));

export const paintOn: Act = (stroke, shares) => {
  const { factor, strength, opacity, mode } = stroke.brush;
  if (!canUse(stroke)) return null;
  return {
    layers: paint(stroke.before, factor, shares, strength, opacity, mode),
    call: { verb: "paint", shares, factor, strength, opacity, mode },
  };
};

export const scaleOn: Act = (stroke, shares) => {
  const { factor, gain } = stroke.brush;
  if (!canUse(stroke)) return null;
  return { layers: scale(stroke.before, factor, gain, masked(shares)), call: { verb: "scale", shares, factor, gain } };
};

const isBackground = ({ before }: StrokeStart, factor: number) =>
  4 * region(before, factor).reduce((count, is) => count + is, 0) > patchesOf(before.grid);

/**
 * If the eraser heals, it erases only the factor under it. Otherwise the middle of a tree would be filled with tree again.
 * Over a background it erases everything else, and the background fills the gap.
 */
export const eraseOn: Act = (stroke, shares, under) => {
  const { eraseOnlyFactor, factor, heal } = stroke.brush;
  if (eraseOnlyFactor && !canUse(stroke)) return null;
  const object = heal && under !== null && !isBackground(stroke, under) ? under : null;
  const erased = eraseOnlyFactor ? factor : object;
  return {
    layers: erase(stroke.before, masked(shares), erased, heal),
    call: { verb: "erase", shares, factor: erased, heal },
  };
};

export function brushTool(act: Act, soft: (stroke: StrokeStart) => boolean = () => false): () => Tool {
  return () => {
    let shares: Shares;
    let start: Point;
    let last: Point;
    let under: number | null;
    const change = (stroke: StrokeStart) => {
      const { selection } = stroke;
      return act(stroke, selection ? shares.map((share, p) => share * (selection[p] ?? 0)) : shares, under);
    };
    return {
      down(stroke, at) {
        const { grid } = stroke.before;
        const patch = patchAt(grid, at);
        under = patch === null ? null : strongestAt(stroke.before, patch, stroke.gains);
        start = last = at;
        shares = new Float32Array(patchesOf(grid));
        stamp(grid, shares, at, stroke.brush.size, soft(stroke));
        return change(stroke);
      },
      move(stroke, to) {
        const { grid } = stroke.before;
        const { size } = stroke.brush;
        if (stroke.shape === "free") {
          for (const point of to) {
            stampLine(grid, shares, last, point, size, soft(stroke));
            last = point;
          }
        } else {
          last = to.at(-1) ?? last;
          shares = stroke.shape === "box" ? box(grid, start, last) : new Float32Array(patchesOf(grid));
          if (stroke.shape === "line") {
            stamp(grid, shares, start, size, soft(stroke));
            stampLine(grid, shares, start, last, size, soft(stroke));
          }
        }
        return change(stroke) ?? {};
      },
      up: () => ({}),
    };
  };
}
