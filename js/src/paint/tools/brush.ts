/** From the pointer to patches: positions are in patch units, (0, 0) the grid's upper left corner. */

import { floor, max, min, round } from "../../shared/numbers.ts";
import { colOf, emptyMask, GRID, type Mask, rowOf, type Shares } from "../store/grid.ts";

export interface Point {
  readonly row: number;
  readonly col: number;
  /** How hard a pen presses, 0..1; 1 where nothing can tell. */
  readonly pressure?: number;
}

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** A pointer position (CSS pixels) in patch units; outside the grid it is negative or above 16. */
export function toPoint(clientX: number, clientY: number, box: Box): Point {
  return {
    row: ((clientY - box.top) / box.height) * GRID,
    col: ((clientX - box.left) / box.width) * GRID,
  };
}

/** The patch under a point, or null outside the grid. */
export function patchAt({ row, col }: Point): number | null {
  const inside = row >= 0 && row < GRID && col >= 0 && col < GRID;
  return inside ? floor(row) * GRID + floor(col) : null;
}

/** The middle of a patch, as a point. */
export const middleOf = (patch: number): Point => ({
  row: rowOf(patch) + 0.5,
  col: colOf(patch) + 0.5,
});

/**
 * Marks the patches under a round brush of `size` patches across. An odd brush snaps to patch middles and an even one to
 * patch corners, so that its shape is the same wherever it stands. A soft one reaches half a patch farther and fades out.
 */
export function stamp(shares: Shares, point: Point, size: number, soft = false): void {
  const snap = size % 2 ? (v: number) => floor(v) + 0.5 : round;
  const row = snap(point.row);
  const col = snap(point.col);
  const radius = size / 2 + (soft ? 0.5 : 1e-9);
  for (let r = max(0, floor(row - radius)); r < min(GRID, row + radius); r++) {
    for (let c = max(0, floor(col - radius)); c < min(GRID, col + radius); c++) {
      const away = Math.hypot(r + 0.5 - row, c + 0.5 - col) / radius;
      if (away > 1) continue;
      const share = (soft ? min(1, 2 - 2 * away) : 1) * (point.pressure ?? 1);
      // The strongest touch counts, so that going over a patch again in one stroke adds nothing.
      shares[r * GRID + c] = max(share, shares[r * GRID + c] ?? 0);
    }
  }
}

/** Marks all that the brush passes from one pointer sample to the next, so that a fast stroke has no gaps. */
export function stampLine(shares: Shares, from: Point, to: Point, size: number, soft = false): void {
  // Half a patch per stop: a line through the grid then misses no patch by more than a corner.
  const stops = max(1, Math.ceil(2 * Math.hypot(to.row - from.row, to.col - from.col)));
  for (let i = 1; i <= stops; i++) {
    const t = i / stops;
    const point = { row: from.row + (to.row - from.row) * t, col: from.col + (to.col - from.col) * t };
    stamp(shares, { ...to, ...point }, size, soft);
  }
}

export function footprint(point: Point, size: number): Mask {
  const mask = emptyMask();
  stamp(mask, point, size);
  return mask;
}
