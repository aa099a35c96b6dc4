/** The stroke in progress: a tool, what it started from, and what it has changed so far. */

import { batch, signal } from "@preact/signals-core";
import type { Point } from "../tools/brush.ts";
import { TOOLS, type ToolName } from "../tools/index.ts";
import { intersection } from "../tools/shapes.ts";
import type { BrushSettings, Call, Change, Shape, StrokeStart, Tool } from "../tools/tool.ts";
import type { Factors } from "./factors.ts";
import { type Mask, withFactorsOf, withPatchesOf } from "./grid.ts";
import type { Painting } from "./painting.ts";
import type { Settings } from "./settings.ts";

/** The tools that paint with the picked factor. */
const USE_FACTOR: readonly ToolName[] = ["paint", "fill", "gain"];

const OUTSIDE = "Outside the selection, which Esc removes";

export class Stroke {
  /** Outlines of what is moved. */
  readonly outlines = signal<Change["outlines"] | null>(null);
  /** The last words on why a tool did nothing that is seen. */
  said = "";
  private current: { tool: Tool; start: StrokeStart; call: Call | null } | null = null;

  constructor(
    private readonly painting: Painting,
    private readonly settings: Settings,
    private readonly factors: Factors,
    private readonly isEditable: () => boolean,
    /** Shows words on the picture. */
    private readonly say: (text: string) => void,
  ) {}

  get isActive(): boolean {
    return this.current !== null;
  }

  /** Names the stroke in progress. */
  get key(): object | null {
    return this.current;
  }

  /** False if the tool can do nothing there. */
  begin(at: Point, shape: Shape = "free", name = this.settings.tool.value): boolean {
    if (!this.isEditable() || this.current) return false;
    this.sayWhyUnseen(name);
    const current = { tool: TOOLS[name].start(), start: this.start(shape), call: null };
    const change = current.tool.down(current.start, at);
    if (!change) {
      const { before, selection } = current.start;
      if (USE_FACTOR.includes(name) && !before.nFactors) this.saySo("The palette is empty");
      if (name === "move" && selection) this.saySo(OUTSIDE);
      return false;
    }
    this.current = current;
    this.apply(change);
    return true;
  }

  advance(points: readonly Point[]): void {
    if (this.current) this.apply(this.current.tool.move(this.current.start, points));
  }

  end(): void {
    if (!this.current) return;
    this.apply(this.current.tool.up(this.current.start));
    this.finish(true);
  }

  /** Restores what was there before the stroke. False if there is no stroke. */
  cancel(): boolean {
    if (!this.current) return false;
    const { before, selection, under } = this.current.start;
    batch(() => {
      this.painting.layers.value = before;
      this.settings.selection.value = selection;
      if (selection && under) this.settings.floating = { selection, under };
    });
    this.finish(false);
    return true;
  }

  /** The scene under the stroke was replaced: it goes on there. */
  rebase(): void {
    const { current, painting } = this;
    if (!current) return;
    const { layers: before, gains } = painting.settled;
    current.start = { ...current.start, before, gains };
  }

  /** Forgets the stroke. */
  drop(): void {
    this.current = this.outlines.value = null;
  }

  /** Uses the tool on a whole area; tools that change nothing select the area. */
  useOn(patches: Mask, name = this.settings.tool.value, settings: Partial<BrushSettings> = {}): void {
    if (!this.isEditable() || this.current) return;
    const { act, start } = TOOLS[name];
    const { selection } = this.settings;
    if (!act) {
      selection.value = patches;
      return;
    }
    this.sayWhyUnseen(name);
    const free = this.start("free");
    const from = { ...free, brush: { ...free.brush, ...settings } };
    const change = act(from, intersection(patches, selection.value), null);
    if (!change) return;
    this.current = { tool: start(), start: from, call: null };
    this.apply(change);
    this.finish(true);
  }

  /** Says why the picture or the grid will not show what a tool does with the picked factor. */
  private sayWhyUnseen(tool: ToolName): void {
    const { painting, factors } = this;
    const info = painting.info.value;
    const factor = factors.picked.value;
    const why = () => {
      if (!info || !USE_FACTOR.includes(tool)) return "";
      if (factors.locked.value.has(factor)) return " is locked";
      if (painting.gains.value[factor] === 0) return "’s slider is at 0";
      if ((info.factor_steps[factor]?.[0] ?? 0) >= info.n_steps) return " acts at no step here";
      return factors.hidden.value.has(factor) ? " is hidden on the grid" : "";
    };
    const text = why();
    this.saySo(text && `${info?.names[factor]}${text}`);
  }

  /** Says why a stroke has changed nothing. */
  private sayWhyNothing({ verb, shares }: Call, { before, brush }: StrokeStart): void {
    const { strengths, nFactors } = before;
    if (!shares.some(Boolean)) this.saySo(OUTSIDE);
    else if (verb === "scale" && !shares.some((share, p) => share && strengths[p * nFactors + brush.factor]))
      this.saySo(`${this.painting.info.value?.names[brush.factor]} is not there`);
  }

  private saySo(text: string): void {
    this.said = text;
    this.say(text);
  }

  private start(shape: Shape): StrokeStart {
    const { painting, settings, factors } = this;
    const { floating } = settings;
    painting.commitSlid();
    const [before, selection] = [painting.layers.value, settings.selection.value];
    return {
      before,
      gains: painting.gains.value,
      brush: settings.brush(factors.picked.value),
      shape,
      selection,
      locked: factors.locked.value,
      under: floating?.selection === selection ? withPatchesOf(before, floating.selection, floating.under) : null,
    };
  }

  private apply(change: Change): void {
    const { current } = this;
    if (!current) return;
    batch(() => {
      if (change.factor !== undefined) this.factors.pick(change.factor);
      if (change.selection !== undefined) this.settings.selection.value = change.selection;
      const { under } = current.start;
      if (under && change.call?.verb === "move" && change.selection)
        this.settings.floating = { selection: change.selection, under };
      if (change.outlines) this.outlines.value = change.outlines;
      if (!change.layers) return;
      this.painting.touched.value = true;
      const { before, locked } = current.start;
      this.painting.layers.value = locked.size ? withFactorsOf(change.layers, before, locked) : change.layers;
      current.call = change.call ?? null;
      this.painting.stream();
    });
  }

  private finish(isDone: boolean): void {
    const { call, start } = this.current ?? {};
    this.drop();
    // Once more, so that it is there for some seconds after a long stroke too.
    this.say(this.said);
    if (isDone && call && start) this.sayWhyNothing(call, start);
    // What was streamed before a stroke was cancelled has to be undone in the kernel too.
    if (call) this.painting.commit(isDone ? call : undefined);
  }
}
