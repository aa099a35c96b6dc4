/** Areas of the grid: boxes, loops and named areas. */

import { floor, max, min } from "../../shared/numbers.ts";
import { emptyMask, type Grid, type Mask, maskOf } from "../store/grid.ts";
import { middleOf, type Point, stampLine } from "./brush.ts";

/** The named areas of a grid; ember_widgets/scene/grid.py has the same. */
export const areasOf = (grid: Grid): Readonly<Record<string, Mask>> => {
  const { rows, cols } = grid;
  return {
    everything: maskOf(grid, () => true),
    floor: maskOf(grid, (row) => row >= floor((11 * rows) / 16)),
    centre: maskOf(grid, (row, col) => ((row + 0.5) / rows - 0.5) ** 2 + ((col + 0.5) / cols - 0.5) ** 2 <= 1 / 16),
    left: maskOf(grid, (_, col) => col < floor((5 * cols) / 16)),
    right: maskOf(grid, (_, col) => col >= cols - floor((5 * cols) / 16)),
  };
};

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
