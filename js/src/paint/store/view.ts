/** What is each view's own: two views of one widget may look at it in different ways. */

import { clamp } from "../../shared/numbers.ts";
import { signal } from "../../shared/signals.ts";
import { middleOf, type Point } from "../tools/brush.ts";
import { TOOLS } from "../tools/index.ts";
import type { Shape } from "../tools/tool.ts";
import { colOf, GRID, rowOf } from "./grid.ts";
import type { Store } from "./store.ts";

/** How much of the tint shows over the picture to begin with: the picture shall keep its colours. */
export const OPACITY = 0.3;

export type Compare = "now" | "split" | "difference";

export class View {
  readonly overlay = signal(true);
  readonly sideBySide = signal(false);
  /** How much of the tint shows over the picture, 0..1. */
  readonly opacity = signal(OPACITY);
  readonly lines = signal(false);
  /** The factor whose drawer is open. */
  readonly drawer = signal<number | null>(null);
  /** What is being searched for, and in which of the search fields. */
  readonly query = signal({ where: "", text: "" });
  readonly compare = signal<Compare>("now");
  /** Is the unedited picture held up? */
  readonly holding = signal(false);
  /** How much of the width shows the unedited picture, 0..1. */
  readonly split = signal(0.5);
  /** Width of the picture in CSS pixels; null for as wide as there is room. */
  readonly zoom = signal<number | null>(null);
  /** Is the traceback of a fault open? */
  readonly details = signal(false);
  /** Is the sheet of keys open? */
  readonly help = signal(false);
  /** Where the pointer is over the grid. */
  readonly hover = signal<Point | null>(null);
  /** The patch that the arrow keys move, while they do. */
  readonly cursor = signal<number | null>(null);
  /** A factor to look at alone: its row is pointed at. */
  readonly solo = signal<number | null>(null);

  constructor(readonly store: Store) {
    store.followers.add(this.drawer);
  }

  close(): void {
    this.store.followers.delete(this.drawer);
  }

  /** Where the brush would paint. */
  get aim(): Point | null {
    if (this.hover.val) return this.hover.val;
    return this.cursor.val === null ? null : middleOf(this.cursor.val);
  }

  /** Moves the keyboard's cursor, and with it a stroke that is under way. */
  moveCursor(dRow: number, dCol: number): void {
    const from = this.cursor.val ?? (GRID / 2) * GRID + GRID / 2 - 1;
    const row = clamp(rowOf(from) + dRow, 0, GRID - 1);
    const col = clamp(colOf(from) + dCol, 0, GRID - 1);
    this.hover.val = null;
    this.cursor.val = row * GRID + col;
    if (this.store.isStroking) this.store.continueStroke([middleOf(this.cursor.val)]);
  }

  /** Space dabs, and with tools that drag it picks up and sets down, as Enter (`hold`) does with all of them. */
  press(shape: Shape = "free", hold = false): void {
    if (this.cursor.val === null) this.moveCursor(0, 0);
    const { store } = this;
    const begun = !store.isStroking && store.beginStroke(middleOf(this.cursor.val ?? 0), shape);
    if (!begun || !(hold || TOOLS[store.tool.val].drags)) store.endStroke();
  }
}
