/** Areas of the grid: boxes, loops, and those that have a name. */

import { floor, max, min } from "../../shared/numbers.ts";
import { colOf, emptyMask, type Mask, rowOf } from "../store/grid.ts";
import { middleOf, type Point, stampLine } from "./brush.ts";

const maskOf = (inside: (row: number, col: number) => boolean): Mask =>
  emptyMask().map((_, p) => (inside(rowOf(p), colOf(p)) ? 1 : 0));

/** Areas with a name; ember_widgets/scene/grid.py has the same. */
export const AREAS: Readonly<Record<string, Mask>> = {
  everything: maskOf(() => true),
  floor: maskOf((row) => row >= 11),
  centre: maskOf((row, col) => (row - 7.5) ** 2 + (col - 7.5) ** 2 <= 16),
  left: maskOf((_, col) => col < 5),
  right: maskOf((_, col) => col >= 11),
};

/** All patches of the box that two points span. */
export function box(from: Point, to: Point): Mask {
  const between = (v: number, a: number, b: number) => v >= floor(min(a, b)) && v <= floor(max(a, b));
  return maskOf((row, col) => between(row, from.row, to.row) && between(col, from.col, to.col));
}

/** The patches on a loop, and those whose middle it goes around. */
export function loop(points: readonly Point[]): Mask {
  const mask = emptyMask();
  for (const [i, point] of points.entries()) stampLine(mask, points[i - 1] ?? point, point, 1);
  return mask.map((on, p) => on || (encloses(points, middleOf(p)) ? 1 : 0));
}

/** Whether a ray from the point crosses the loop an odd number of times. */
function encloses(points: readonly Point[], { row, col }: Point): boolean {
  let inside = false;
  for (const [i, a] of points.entries()) {
    const b = points.at(i - 1) ?? a;
    if (a.row > row !== b.row > row && col < a.col + ((row - a.row) / (b.row - a.row)) * (b.col - a.col))
      inside = !inside;
  }
  return inside;
}

export const intersection = (one: Mask, other: Mask | null): Mask =>
  other ? one.map((v, p) => v && (other[p] ?? 0)) : one;

export const union = (one: Mask, other: Mask | null): Mask => (other ? one.map((v, p) => v || (other[p] ?? 0)) : one);
