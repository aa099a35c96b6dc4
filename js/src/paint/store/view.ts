/** The state of one view: a widget can be shown in several places. */

import { computed, type Signal, signal } from "@preact/signals-core";
import { abs, clamp, floor } from "../../shared/numbers.ts";
import { middleOf, type Point } from "../tools/brush.ts";
import { TOOLS } from "../tools/index.ts";
import type { Shape } from "../tools/tool.ts";
import type { SceneInfo } from "../transport/messages.ts";
import type { FactorKey } from "./factors.ts";
import { colOf, patchOf, rowOf, strongestAt } from "./grid.ts";
import type { Store } from "./store.ts";

/** The tint's opacity at first: low, so that the picture keeps its colours. */
export const OPACITY = 0.3;

export type Compare = "now" | "split" | "difference";

/** Steps that were chosen on a factor's bar; `anchor` is where a drag began. */
export interface StepChoice {
  readonly info: SceneInfo;
  readonly factor: number;
  readonly range: readonly [number, number];
  readonly anchor: number | null;
}

export class View {
  /** Belongs to this view alone, for ids in the page. */
  readonly id = `e${Math.random()}`;
  readonly overlay = signal(true);
  readonly sideBySide = signal(false);
  /** Opacity of the tint over the picture, 0..1. */
  readonly opacity = signal(OPACITY);
  readonly lines = signal(false);
  /** The text of a search, which search field it is in, and which of the lines below it is highlighted. */
  readonly query = signal({ where: "", text: "", at: 0 });
  readonly compare = signal<Compare>("now");
  /** Whether a key or button is held to see the unedited picture. */
  readonly holding = signal(false);
  /** How much of the width shows the unedited picture, 0..1. */
  readonly split = signal(0.5);
  /** Width of the picture in CSS pixels; null: as wide as possible. */
  readonly zoom = signal<number | null>(null);
  /** Whether the traceback of an error is open. */
  readonly details = signal(false);
  /** Whether the list of keys is open. */
  readonly help = signal(false);
  /** Where the pointer is over the grid. */
  readonly hover = signal<Point | null>(null);
  /** The patch where the cursor of the arrow keys is, while they are used. */
  readonly cursor = signal<number | null>(null);
  /** Where it is and what is there, for a screen reader. */
  readonly spoken = signal("");
  readonly steps = signal<StepChoice | null>(null);
  /** The only factor to show while the pointer is over its row. */
  readonly solo = signal<FactorKey | null>(null);
  /** The index of the only factor to show; null for all. */
  readonly soloIndex = computed(() => {
    const { factors } = this.store;
    return factors.indexOf(this.solo.value) ?? factors.soloIndex.value;
  });

  /** The stroke that a key has started here. */
  private pressed: object | null = null;

  constructor(readonly store: Store) {}

  /** The factor whose drawer is open. */
  get drawer(): Signal<FactorKey | null> {
    return this.store.factors.drawer;
  }

  /** Where the brush would paint. */
  get target(): Point | null {
    if (this.hover.value) return this.hover.value;
    const patch = this.cursor.value;
    return patch === null ? null : middleOf(this.store.painting.grid, patch);
  }

  /** Moves the keyboard's cursor, and with it the stroke in progress. */
  moveCursor(dRow: number, dCol: number): void {
    const { painting, stroke } = this.store;
    const { grid } = painting;
    const from = this.cursor.value ?? patchOf(grid, floor(grid.rows / 2), floor((grid.cols - 1) / 2));
    const row = clamp(rowOf(grid, from) + dRow, 0, grid.rows - 1);
    const col = clamp(colOf(grid, from) + dCol, 0, grid.cols - 1);
    this.hover.value = null;
    this.cursor.value = patchOf(grid, row, col);
    stroke.advance([middleOf(grid, this.cursor.value)]);
    if (painting.info.value)
      this.spoken.value = `Row ${row}, column ${col}, ${this.factorAt(this.cursor.value) || "no factor"}`;
  }

  /** The name of the factor that is strongest at a patch, and how strong it is; "" if there is hardly any. */
  factorAt(patch: number): string {
    const { painting } = this.store;
    const [layers, gains] = [painting.layers.value, painting.gains.value];
    const factor = strongestAt(layers, patch, gains) ?? 0;
    const strength = (layers.strengths[patch * layers.nFactors + factor] ?? 0) * (gains[factor] ?? 1);
    return abs(strength) > 0.05 ? `${painting.info.value?.names[factor]} ${strength.toFixed(2)}` : "";
  }

  /**
   * Space paints one dab; if the tool drags, it starts or ends a stroke instead. Enter (`hold`) starts or ends a stroke
   * with every tool.
   */
  press(shape: Shape = "free", hold = false): void {
    if (this.cursor.value === null) this.moveCursor(0, 0);
    const { stroke, painting, settings } = this.store;
    const at = middleOf(painting.grid, this.cursor.value ?? 0);
    const isBegun = !stroke.isActive && stroke.begin(at, shape);
    if (!isBegun || !(hold || TOOLS[settings.tool.value].drags)) stroke.end();
    this.pressed = stroke.key;
  }

  /** Ends the use of the keyboard, and the stroke that a key has started here: nothing else may end it. */
  leaveKeys(): void {
    this.cursor.value = null;
    this.spoken.value = "";
    const { stroke } = this.store;
    if (this.pressed === stroke.key) stroke.end();
  }
}
