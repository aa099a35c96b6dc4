/** How the hand is set: tool, picked factor, brush, and what is protected from it. */

import type { Mask, PaintMode } from "./grid.ts";
import { signal } from "./signals.ts";
import type { ToolName } from "./tools/index.ts";
import type { BrushSettings } from "./tools/tool.ts";

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

  get brush(): BrushSettings {
    return {
      factor: this.factor.value,
      size: this.size.value,
      strength: this.strength.value,
      opacity: this.opacity.value,
      soft: this.soft.value,
      mode: this.mode.value,
      gain: this.gain.value,
      eraseOnlyFactor: this.eraseOnlyFactor.value,
      heal: this.heal.value,
    };
  }

  toggle(what: "hidden" | "locked", factor: number): void {
    const next = new Set(this[what].value);
    if (!next.delete(factor)) next.add(factor);
    this[what].value = next;
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
    this.hidden.value = moved(this.hidden.value);
    this.locked.value = moved(this.locked.value);
    const soloed = this.soloed.value === null ? -1 : to(this.soloed.value);
    this.soloed.value = soloed < 0 ? null : soloed;
    // What was just added is what one wants to paint with.
    const picked = added >= 0 ? added : to(this.factor.value);
    this.factor.value = Math.max(0, Math.min(picked < 0 ? this.factor.value : picked, now.length - 1));
  }
}
