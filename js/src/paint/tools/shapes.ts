/** Areas of the grid: boxes and loops. */

import { floor, max, min } from "../../shared/numbers.ts";
import { emptyMask, type Grid, type Mask, maskOf } from "../store/grid.ts";
import { middleOf, type Point, stampLine } from "./brush.ts";

/** All patches of the box that two points span. */
export function box(grid: Grid, from: Point, to: Point): Mask {
  const between = (v: number, a: number, b: number) => v >= floor(min(a, b)) && v <= floor(max(a, b));
  return maskOf(grid, (row, col) => between(row, from.row, to.row) && between(col, from.col, to.col));
}

/** The patches on a loop, and those whose middle is inside it. */
export function loop(grid: Grid, points: readonly Point[]): Mask {
  const mask = emptyMask(grid);
  for (const [i, point] of points.entries()) stampLine(grid, mask, points[i - 1] ?? point, point, 1);
  return mask.map((on, p) => on || (encloses(points, middleOf(grid, p)) ? 1 : 0));
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
