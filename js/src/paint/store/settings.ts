/** The tool, the settings of the brush, and the selection. */

import { signal } from "@preact/signals-core";
import { clamp, round } from "../../shared/numbers.ts";
import type { ToolName } from "../tools/index.ts";
import type { BrushSettings } from "../tools/tool.ts";
import type { Layers, Mask, PaintMode } from "./grid.ts";

export const MAX_BRUSH = 8;
/** The end of a strength slider. */
export const MAX_GAIN = 2;

export class Settings {
  readonly tool = signal<ToolName>("paint");
  readonly size = signal(2);
  private suggested = 2;
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
  /** The selection that was pasted, and what is under it: that is there again where it is moved away. */
  floating: { readonly selection: Mask; readonly under: Layers } | null = null;

  /** Makes the brush as large as a thing of so many patches, so that one dab draws another one; but not after the user. */
  suggestSize(nPatches: number): void {
    if (this.size.value === this.suggested)
      this.size.value = this.suggested = clamp(round(1.3 * Math.sqrt(nPatches)), 2, 6);
  }

  brush(factor: number): BrushSettings {
    return {
      factor,
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
}
