/** Fill and eyedropper: they act on a click. */

import { area, strongestAt } from "../store/grid.ts";
import { type Point, patchAt } from "./brush.ts";
import { paintOn } from "./brushes.ts";
import { intersection } from "./shapes.ts";
import type { Change, StrokeStart, Tool } from "./tool.ts";

const clickTool =
  (act: (stroke: StrokeStart, patch: number) => Change | null): (() => Tool) =>
  () => ({
    down(stroke: StrokeStart, at: Point) {
      const patch = patchAt(stroke.before.grid, at);
      return patch === null ? null : act(stroke, patch);
    },
    move: () => ({}),
    up: () => ({}),
  });

/** Paints the connected area where one factor is the strongest. */
export const fillTool = clickTool((stroke, patch) =>
  paintOn(stroke, intersection(area(stroke.before, patch, stroke.gains), stroke.selection), null),
);

/** Picks the strongest factor of a patch. */
export const pickTool = clickTool((stroke, patch) => {
  const factor = strongestAt(stroke.before, patch, stroke.gains);
  return factor === null ? null : { factor };
});
