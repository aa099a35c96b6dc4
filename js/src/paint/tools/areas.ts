/** The areas of the grid that have a name. Apart from other shapes, because only panels.js needs them. */

import { type Grid, type Mask, maskOf } from "../store/grid.ts";

/** The named areas of a grid, in sixteenths of its height and width; ember_widgets/scene/grid.py has the same. */
export function areasOf(grid: Grid): Readonly<Record<string, Mask>> {
  const areaOf = (inside: (down: number, right: number) => boolean) =>
    maskOf(grid, (row, col) => inside(((row + 0.5) / grid.rows) * 16, ((col + 0.5) / grid.cols) * 16));
  return {
    everything: areaOf(() => true),
    floor: areaOf((down) => down > 11),
    centre: areaOf((down, right) => (down - 8) ** 2 + (right - 8) ** 2 <= 16),
    left: areaOf((_, right) => right < 5),
    right: areaOf((_, right) => right > 11),
  };
}
