/** Rectangle and lasso: they say where the other tools work. */

import type { Mask } from "../store/grid.ts";
import { type Point, patchAt } from "./brush.ts";
import { box, loop, union } from "./shapes.ts";
import type { Hand, Tool } from "./tool.ts";

function selectTool(maskOf: (points: readonly Point[]) => Mask): () => Tool {
  return () => {
    let points: Point[];
    const selected = (hand: Hand) => ({
      selection: union(maskOf(points), hand.shape === "free" ? null : hand.selection),
    });
    return {
      down(hand, at) {
        points = [at];
        return selected(hand);
      },
      move(hand, to) {
        points.push(...to);
        return selected(hand);
      },
      up(hand) {
        const first = points[0] && patchAt(points[0]);
        // A mere click beside a selection lets go of it, as in any drawing program.
        const clicked = hand.selection && points.every((point) => patchAt(point) === first);
        return clicked && hand.shape === "free" ? { selection: null } : {};
      },
    };
  };
}

export const rectTool = selectTool((points) => box(points[0] as Point, points.at(-1) as Point));
export const lassoTool = selectTool(loop);
