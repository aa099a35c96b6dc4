/** Fill and eyedropper: a click is all they need. */

import { area, strongestAt } from "../store/grid.ts";
import { type Point, patchAt } from "./brush.ts";
import { paintOn } from "./brushes.ts";
import { intersection } from "./shapes.ts";
import type { Change, Hand, Tool } from "./tool.ts";

const clickTool =
  (act: (hand: Hand, patch: number) => Change | null): (() => Tool) =>
  () => ({
    down(hand: Hand, at: Point) {
      const patch = patchAt(at);
      return patch === null ? null : act(hand, patch);
    },
    move: () => ({}),
    up: () => ({}),
  });

/** Paints the connected area that one factor rules. */
export const fillTool = clickTool((hand, patch) =>
  paintOn(hand, intersection(area(hand.before, patch, hand.gains), hand.selection), null),
);

/** Takes up the strongest factor of a patch. */
export const pickTool = clickTool((hand, patch) => {
  const factor = strongestAt(hand.before, patch, hand.gains);
  return factor === null ? null : { factor };
});
