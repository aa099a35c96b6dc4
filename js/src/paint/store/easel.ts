/** The hand's side of what all views share: the scene as the hand has it, and the stroke that is under way. */

import { batch, signal } from "../../shared/signals.ts";
import type { Point } from "../tools/brush.ts";
import { TOOLS } from "../tools/index.ts";
import type { BrushSettings, Change, Deed, Hand, Shape, Tool } from "../tools/tool.ts";
import type { Edit, SceneInfo, StateMessage } from "../transport/messages.ts";
import type { Transport } from "../transport/transport.ts";
import { emptyLayers, type Layers, type Mask, withFactorsOf } from "./grid.ts";
import { Settings } from "./settings.ts";

export abstract class Easel extends Settings {
  readonly info = signal<SceneInfo | null>(null);
  readonly gains = signal<readonly number[]>([]);
  /** Replaced as a whole by every edit. */
  readonly layers = signal<Layers>(emptyLayers(0));
  /** How strong each factor is in the unedited picture; last, what none of them stands for any more. */
  readonly unedited = signal<Float32Array>(new Float32Array(0));
  /** Per factor its largest strength. Not another list with every stroke, as rows are drawn again then. */
  readonly peaks = signal<readonly number[]>([]);
  readonly canUndo = signal(false);
  readonly canRedo = signal(false);
  readonly film = signal<Pick<StateMessage, "steps" | "step" | "seeds" | "able" | "frozen">>({
    steps: [],
    step: 0,
    seeds: [],
    able: [],
  });
  /** Is the strip of other seeds open? */
  readonly seedsOpen = signal(false);
  readonly task = signal<"" | "draw" | "render">("");
  readonly lost = signal(false);
  readonly error = signal<{ message: string; traceback: string } | null>(null);

  /** Outlines of what is being carried. */
  readonly ghost = signal<Change["ghost"] | null>(null);

  protected abstract readonly line: Transport;
  protected gesture: { tool: Tool; hand: Hand; deed: Deed | null } | null = null;

  /** Shows the picture as it would be with only the strongest feature of a factor in it; null: as it is. */
  abstract compareTop(factor: number | null): void;

  /** False while there is nothing to paint on, or a new scene is on its way. */
  get editable(): boolean {
    return this.info.val !== null && this.task.val !== "draw" && !this.film.val.frozen;
  }

  get isStroking(): boolean {
    return this.gesture !== null;
  }

  /** Puts the hand down. False where the tool has nothing to do. */
  beginStroke(start: Point, shape: Shape = "free", tool = this.tool.val): boolean {
    if (!this.editable || this.gesture) return false;
    const gesture = { tool: TOOLS[tool].start(), hand: this.hand(shape), deed: null };
    const change = gesture.tool.down(gesture.hand, start);
    if (!change) return false;
    this.gesture = gesture;
    this.apply(change);
    return true;
  }

  continueStroke(points: readonly Point[]): void {
    if (this.gesture) this.apply(this.gesture.tool.move(this.gesture.hand, points));
  }

  endStroke(): void {
    if (!this.gesture) return;
    this.apply(this.gesture.tool.up(this.gesture.hand));
    this.letGo();
  }

  cancelStroke(): void {
    if (!this.gesture) return;
    const { before, selection } = this.gesture.hand;
    this.layers.val = before;
    this.selection.val = selection;
    this.letGo(true);
  }

  /** Does with an area what the tool would do there; tools that do not paint select it. */
  useOn(patches: Mask, tool = this.tool.val, settings: Partial<BrushSettings> = {}): void {
    if (!this.editable || this.gesture) return;
    const { act } = TOOLS[tool];
    const { selection } = this;
    if (!act) {
      selection.val = patches;
      return;
    }
    const free = this.hand("free");
    const hand = { ...free, brush: { ...free.brush, ...settings } };
    const within = selection.val;
    const change = act(hand, within ? patches.map((p, i) => p && (within[i] ?? 0)) : patches, null);
    if (!change) return;
    this.gesture = { tool: TOOLS[tool].start(), hand, deed: null };
    this.apply(change);
    this.letGo();
  }

  private hand(shape: Shape): Hand {
    const { layers, gains, selection, locked } = this;
    return {
      before: layers.val,
      gains: gains.val,
      brush: this.brush,
      shape,
      selection: selection.val,
      locked: locked.val,
    };
  }

  private apply(change: Change): void {
    const { gesture } = this;
    if (!gesture) return;
    batch(() => {
      if (change.factor !== undefined) this.factor.val = change.factor;
      if (change.selection !== undefined) this.selection.val = change.selection;
      if (change.ghost) this.ghost.val = change.ghost;
      if (!change.layers) return;
      this.compareTop(null);
      const { before, locked } = gesture.hand;
      this.layers.val = locked.size ? withFactorsOf(change.layers, before, locked) : change.layers;
      gesture.deed = change.deed ?? null;
      this.line.stream(() => this.edit(false));
    });
  }

  private letGo(cancelled = false): void {
    const deed = this.gesture?.deed;
    this.gesture = null;
    this.ghost.val = null;
    if (deed) this.line.commit(cancelled ? this.edit(true) : { ...this.edit(true), deed });
  }

  setGain(factor: number, gain: number, commit: boolean): void {
    this.compareTop(null);
    this.gains.val = this.gains.val.map((g, f) => (f === factor ? gain : g));
    if (commit) this.line.commit(this.edit(true));
    else this.line.stream(() => this.edit(false));
  }

  protected edit(commit: boolean): Edit {
    return {
      gains: this.gains.val,
      revision: this.info.val?.revision ?? -1,
      commit,
      layers: this.layers.val,
    };
  }
}
