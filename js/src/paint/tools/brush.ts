/** From the pointer to patches: positions are in patch units, (0, 0) the grid's upper left corner. */

import { floor, max, min, round } from "../../shared/numbers.ts";
import { colOf, emptyMask, type Grid, type Mask, patchOf, rowOf, type Shares } from "../store/grid.ts";

export interface Point {
  readonly row: number;
  readonly col: number;
  /** How hard a pen presses, 0..1; 1 if it is not known. */
  readonly pressure?: number;
}

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** A pointer position (CSS pixels) in patch units; it may lie outside the grid. */
export function toPoint({ rows, cols }: Grid, clientX: number, clientY: number, box: Box): Point {
  return {
    row: ((clientY - box.top) / box.height) * rows,
    col: ((clientX - box.left) / box.width) * cols,
  };
}

/** The patch under a point, or null outside the grid. */
export function patchAt(grid: Grid, { row, col }: Point): number | null {
  const patch = patchOf(grid, floor(row), floor(col));
  return patch < 0 ? null : patch;
}

/** The middle of a patch, as a point. */
export const middleOf = (grid: Grid, patch: number): Point => ({
  row: rowOf(grid, patch) + 0.5,
  col: colOf(grid, patch) + 0.5,
});

/**
 * Marks the patches under a round brush of `size` patches across. An odd brush snaps to patch middles and an even one to
 * patch corners, so that its shape is the same everywhere. A soft brush is half a patch wider and fades out.
 */
export function stamp(grid: Grid, shares: Shares, point: Point, size: number, soft = false): void {
  const snap = size % 2 ? (v: number) => floor(v) + 0.5 : round;
  const row = snap(point.row);
  const col = snap(point.col);
  const radius = size / 2 + (soft ? 0.5 : 1e-9);
  for (let r = max(0, floor(row - radius)); r < min(grid.rows, row + radius); r++) {
    for (let c = max(0, floor(col - radius)); c < min(grid.cols, col + radius); c++) {
      const away = Math.hypot(r + 0.5 - row, c + 0.5 - col) / radius;
      if (away > 1) continue;
      const share = (soft ? min(1, 2 - 2 * away) : 1) * (point.pressure ?? 1);
      // The strongest sample counts, so that passing a patch twice in one stroke adds nothing.
      const patch = patchOf(grid, r, c);
      shares[patch] = max(share, shares[patch] ?? 0);
    }
  }
}

/** Marks all patches between two pointer samples, so that a fast stroke has no gaps. */
export function stampLine(grid: Grid, shares: Shares, from: Point, to: Point, size: number, soft = false): void {
  // With a stop every half patch, a line misses at most the corner of a patch.
  const stops = max(1, Math.ceil(2 * Math.hypot(to.row - from.row, to.col - from.col)));
  for (let i = 1; i <= stops; i++) {
    const t = i / stops;
    const point = { row: from.row + (to.row - from.row) * t, col: from.col + (to.col - from.col) * t };
    stamp(grid, shares, { ...to, ...point }, size, soft);
  }
}

export function footprint(grid: Grid, point: Point, size: number): Mask {
  const mask = emptyMask(grid);
  stamp(grid, mask, point, size);
  return mask;
}
