/** Brush, eraser and gain: they do one thing to all patches that they pass over. */

import { erase, type Mask, PATCHES, paint, region, type Shares, scale, strongestAt } from "../store/grid.ts";
import { type Point, patchAt, stamp, stampLine } from "./brush.ts";
import { box } from "./shapes.ts";
import type { Change, Hand, Tool } from "./tool.ts";

/** What a brush does to patches; `under` is the factor that was strongest where it came down. */
export type Act = (hand: Hand, shares: Shares, under: number | null) => Change | null;

const canUse = ({ before, brush, locked }: Hand) => brush.factor < before.nFactors && !locked.has(brush.factor);
const masked = (shares: Shares): Mask => Uint8Array.from(shares, (share) => (share ? 1 : 0));

export const paintOn: Act = (hand, shares) => {
  const { factor, strength, opacity, mode } = hand.brush;
  if (!canUse(hand)) return null;
  return {
    layers: paint(hand.before, factor, shares, strength, opacity, mode),
    deed: { verb: "paint", shares, factor, strength, opacity, mode },
  };
};

export const scaleOn: Act = (hand, shares) => {
  const { factor, gain } = hand.brush;
  if (!canUse(hand)) return null;
  return { layers: scale(hand.before, factor, gain, masked(shares)), deed: { verb: "scale", shares, factor, gain } };
};

const isBackground = ({ before }: Hand, factor: number) =>
  4 * region(before, factor).reduce((count, is) => count + is, 0) > PATCHES;

/**
 * Where the eraser fills the gap from around, it must know what it takes out: else the middle of a tree would be filled
 * with tree again. A background is not taken out: what lay on it goes, and it closes over the gap.
 */
export const eraseOn: Act = (hand, shares, under) => {
  const { eraseOnlyFactor, factor, heal } = hand.brush;
  if (eraseOnlyFactor && !canUse(hand)) return null;
  const thing = heal && under !== null && !isBackground(hand, under) ? under : null;
  const erased = eraseOnlyFactor ? factor : thing;
  return {
    layers: erase(hand.before, masked(shares), erased, heal),
    deed: { verb: "erase", shares, factor: erased, heal },
  };
};

export function brushTool(act: Act, soft: (hand: Hand) => boolean = () => false): () => Tool {
  return () => {
    let shares: Shares;
    let start: Point;
    let last: Point;
    let under: number | null;
    const change = (hand: Hand) => {
      const { selection } = hand;
      return act(hand, selection ? shares.map((share, p) => share * (selection[p] ?? 0)) : shares, under);
    };
    return {
      down(hand, at) {
        const patch = patchAt(at);
        under = patch === null ? null : strongestAt(hand.before, patch, hand.gains);
        start = last = at;
        shares = new Float32Array(PATCHES);
        stamp(shares, at, hand.brush.size, soft(hand));
        return change(hand);
      },
      move(hand, to) {
        const { size } = hand.brush;
        if (hand.shape === "free") {
          for (const point of to) {
            stampLine(shares, last, point, size, soft(hand));
            last = point;
          }
        } else {
          last = to.at(-1) ?? last;
          shares = hand.shape === "box" ? box(start, last) : new Float32Array(PATCHES);
          if (hand.shape === "line") {
            stamp(shares, start, size, soft(hand));
            stampLine(shares, start, last, size, soft(hand));
          }
        }
        return change(hand) ?? {};
      },
      up: () => ({}),
    };
  };
}
