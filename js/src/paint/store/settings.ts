/** How the hand is set: tool, picked factor, brush, and what is protected from it. */

import { clamp } from "../../shared/numbers.ts";
import { signal } from "../../shared/signals.ts";
import type { ToolName } from "../tools/index.ts";
import type { BrushSettings } from "../tools/tool.ts";
import type { Mask, PaintMode } from "./grid.ts";

export const MAX_BRUSH = 8;

type Factors = ReadonlySet<number>;

export class Settings {
  readonly tool = signal<ToolName>("paint");
  readonly factor = signal(0);
  readonly size = signal(2);
  readonly strength = signal(1);
  readonly opacity = signal(1);
  readonly soft = signal(false);
  readonly mode = signal<PaintMode>("over");
  /** What the gain tool multiplies by. */
  readonly gain = signal(1.25);
  readonly eraseOnlyFactor = signal(false);
  readonly heal = signal(true);
  /** Where tools work; null for everywhere. */
  readonly selection = signal<Mask | null>(null);
  /** Factors without a tint on the grid. */
  readonly hidden = signal<Factors>(new Set());
  /** Factors that no tool changes. */
  readonly locked = signal<Factors>(new Set());
  /** Draw takes the next seed if nothing else is new, unless the seed is held. */
  readonly holdSeed = signal(false);
  /** The one factor with a tint, if only one is to have it. */
  readonly soloed = signal<number | null>(null);
  /** What else names a factor, and goes along with it. */
  readonly followers = new Set([this.soloed]);

  get brush(): BrushSettings {
    return {
      factor: this.factor.val,
      size: this.size.val,
      strength: this.strength.val,
      opacity: this.opacity.val,
      soft: this.soft.val,
      mode: this.mode.val,
      gain: this.gain.val,
      eraseOnlyFactor: this.eraseOnlyFactor.val,
      heal: this.heal.val,
    };
  }

  toggle(what: "hidden" | "locked", factor: number): void {
    const next = new Set(this[what].val);
    if (!next.delete(factor)) next.add(factor);
    this[what].val = next;
  }

  /** Factors were renamed, added, taken away or put in another order: what is set for each goes along. */
  protected follow(before: readonly string[], now: readonly string[]): void {
    const added = now.length > before.length ? now.findIndex((name) => !before.includes(name)) : -1;
    const renamed = now.length === before.length && now.filter((name) => !before.includes(name)).length === 1;
    const to = (factor: number) => {
      const found = now.indexOf(before[factor] ?? "");
      return found < 0 && renamed ? now.findIndex((name) => !before.includes(name)) : found;
    };
    const moved = (set: Factors): Factors => new Set([...set].map(to).filter((factor) => factor >= 0));
    this.hidden.val = moved(this.hidden.val);
    this.locked.val = moved(this.locked.val);
    for (const named of this.followers) {
      const factor = named.val === null ? -1 : to(named.val);
      named.val = factor < 0 ? null : factor;
    }
    // What was just added is what one wants to paint with.
    const picked = added >= 0 ? added : to(this.factor.val);
    this.factor.val = clamp(picked < 0 ? this.factor.val : picked, 0, now.length - 1);
  }
}
