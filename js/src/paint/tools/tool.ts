/** A tool has three methods. They are called one after the other, and return what the stroke changes. */

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
  /** Fill the gap that erasing or moving leaves, from its surroundings. */
  readonly heal: boolean;
}

/** Shift draws a straight line, Shift and Alt a box; with a selection tool both add to the selection. */
export type Shape = "free" | "line" | "box";

export const shapeOf = ({ shift, alt }: { readonly shift: boolean; readonly alt: boolean }): Shape =>
  shift ? (alt ? "box" : "line") : "free";

/** What a stroke starts from. */
export interface StrokeStart {
  readonly before: Layers;
  readonly gains: readonly number[];
  readonly brush: BrushSettings;
  readonly shape: Shape;
  readonly selection: Mask | null;
  readonly locked: ReadonlySet<number>;
  /** What is under the selection, if it was just pasted. */
  readonly under?: Layers | null;
}

/** The scene's method that does the same in Python, and its arguments. */
export interface Call {
  readonly verb: "paint" | "erase" | "move" | "scale";
  readonly shares: Shares;
  readonly [argument: string]: unknown;
}

/** What is left out stays as it is. */
export interface Change {
  readonly layers?: Layers;
  readonly call?: Call;
  readonly factor?: number;
  readonly selection?: Mask | null;
  /** Outlines of what is moved: where it was, and where it is now. */
  readonly outlines?: readonly [Mask, Mask];
}

/** One stroke. Every step computes the whole stroke again from its start, so that lost pointer events do no harm. */
export interface Tool {
  /** Null if the tool can do nothing there. */
  down(stroke: StrokeStart, at: Point): Change | null;
  move(stroke: StrokeStart, to: readonly Point[]): Change;
  up(stroke: StrokeStart): Change;
}
