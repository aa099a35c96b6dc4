/** What the form contains: the request for the next scene. */

import { signal } from "@preact/signals-core";
import type { DrawRequest, SceneInfo } from "../transport/messages.ts";

const FIELDS = ["prompt", "style", "seed", "n_steps", "n_factors"] as const;

export class Draft {
  readonly fields = signal<DrawRequest>({ prompt: "", style: "", seed: "0", n_steps: 1, n_factors: 5 });
  /** Draw uses the next seed if nothing else is new, unless the seed is held. */
  readonly holdSeed = signal(false);
  /** A style was in the field when the press on Draw began, and not in force yet. */
  private isStyled = false;

  set(change: Partial<DrawRequest>): void {
    this.fields.value = { ...this.fields.value, ...change };
  }

  nextSeed(): void {
    this.set({ seed: String((BigInt(this.fields.value.seed) + 1n) % 2n ** 63n) });
  }

  /** Whether the form describes another picture than `info` does. */
  differsFrom(info: SceneInfo | null): boolean {
    const fields = this.fields.value;
    return info !== null && (["prompt", "seed", "n_steps"] as const).some((key) => info[key] !== fields[key]);
  }

  /** A press on Draw begins: the style's field is left after this, and that restyles the painting. */
  press(info: SceneInfo | null): void {
    this.isStyled = info !== null && info.style !== this.fields.value.style;
  }

  /** Whether Draw is to show the same picture in another style. */
  onlyRestyles(info: SceneInfo): boolean {
    const isStyled = this.isStyled || info.style !== this.fields.value.style;
    this.isStyled = false;
    return isStyled && !this.differsFrom(info);
  }

  /** The kernel refused something: of what acts without Draw, what is in force returns. */
  refuse(info: SceneInfo | null): void {
    if (info && !this.differsFrom(info)) this.set({ style: info.style, n_factors: info.n_factors });
  }

  /** Takes over what is new in a scene. What was typed and has not been drawn yet stays. */
  follow(before: SceneInfo | null, now: SceneInfo): void {
    const changed = FIELDS.filter((key) => before?.[key] !== now[key]);
    this.set(Object.fromEntries(changed.map((key) => [key, now[key]])));
  }
}
