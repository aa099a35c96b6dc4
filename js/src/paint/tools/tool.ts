/** What every tool is: three methods, called in turn, that say what a gesture changes. */

import type { Layers, Mask, PaintMode, Shares } from "../store/grid.ts";
import type { Point } from "./brush.ts";

export interface BrushSettings {
  readonly factor: number;
  readonly size: number;
  readonly strength: number;
  readonly opacity: number;
  readonly soft: boolean;
  readonly mode: PaintMode;
  readonly gain: number;
  /** Erase everything under the brush, or only the picked factor. */
  readonly eraseOnlyFactor: boolean;
  /** Fill what erasing and moving leave behind from around it. */
  readonly heal: boolean;
}

/** Shift draws a straight line, Shift and Alt a box; a selection is then added to. */
export type Shape = "free" | "line" | "box";

/** The hand as it came down, and what lay under it. */
export interface Hand {
  readonly before: Layers;
  readonly gains: readonly number[];
  readonly brush: BrushSettings;
  readonly shape: Shape;
  readonly selection: Mask | null;
  readonly locked: ReadonlySet<number>;
}

/** The scene's verb that does in Python what the gesture did, and its arguments. */
export interface Deed {
  readonly verb: "paint" | "erase" | "move" | "scale";
  readonly shares: Shares;
  readonly [argument: string]: unknown;
}

/** What is left out stays as it is. */
export interface Change {
  readonly layers?: Layers;
  readonly deed?: Deed;
  readonly factor?: number;
  readonly selection?: Mask | null;
  /** Outlines of what is carried: where it came from, and where it is. */
  readonly ghost?: readonly [Mask, Mask];
}

/** One gesture. Always computed afresh from what was there before it, so that no order of events can spoil it. */
export interface Tool {
  /** Null where there is nothing for this tool to do. */
  down(hand: Hand, at: Point): Change | null;
  move(hand: Hand, to: readonly Point[]): Change;
  up(hand: Hand): Change;
}
