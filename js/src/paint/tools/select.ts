/** Rectangle and lasso: they limit where the other tools work. */

import type { Grid, Mask } from "../store/grid.ts";
import { type Point, patchAt } from "./brush.ts";
import { box, loop, union } from "./shapes.ts";
import type { StrokeStart, Tool } from "./tool.ts";

function selectTool(maskOf: (grid: Grid, points: readonly Point[]) => Mask): () => Tool {
  return () => {
    let points: Point[];
    const selected = (stroke: StrokeStart) => ({
      selection: union(maskOf(stroke.before.grid, points), stroke.shape === "free" ? null : stroke.selection),
    });
    return {
      down(stroke, at) {
        points = [at];
        return selected(stroke);
      },
      move(stroke, to) {
        points.push(...to);
        return selected(stroke);
      },
      up(stroke) {
        const { grid } = stroke.before;
        const first = points[0] && patchAt(grid, points[0]);
        // A click removes the selection, as in other drawing programs.
        const clicked = stroke.selection && points.every((point) => patchAt(grid, point) === first);
        return clicked && stroke.shape === "free" ? { selection: null } : {};
      },
    };
  };
}

export const rectTool = selectTool((grid, points) => box(grid, points[0] as Point, points.at(-1) as Point));
export const lassoTool = selectTool(loop);
