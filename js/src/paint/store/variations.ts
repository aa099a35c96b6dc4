/** The same painting with another seed or another number of factors. */

import { signal } from "@preact/signals-core";
import type { Request, StateMessage } from "../transport/messages.ts";

export class Variations {
  /** The next seeds, and the keys of their thumbnails. */
  readonly seeds = signal<StateMessage["seeds"]>([]);
  /** Whether the strip of other seeds is open. */
  readonly isOpen = signal(false);

  constructor(
    private readonly ask: (request: Request) => void,
    /** Called before a request: from then on the scene cannot be edited. */
    private readonly onStart: () => void,
  ) {}

  refit(nFactors: number): void {
    this.vary("refit", nFactors);
  }

  reseed(seed: string): void {
    this.vary("reseed", seed);
  }

  /** Carries only the edit to a seed's own picture. */
  reseedEdit(seed: string): void {
    this.vary("reseed_edit", seed);
  }

  private vary(verb: "refit" | "reseed" | "reseed_edit", value: number | string): void {
    this.onStart();
    this.ask({ type: "vary", verb, value });
  }
}
