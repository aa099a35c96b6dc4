/** Finds features by label or number. */

import { signal } from "@preact/signals-core";
import type { FeatureInfo, FoundMessage, Request } from "../transport/messages.ts";

export class FeatureSearch {
  readonly found = signal<readonly FeatureInfo[]>([]);
  /** The sequence number of the request that has not been answered yet. */
  private pending: number | null = null;
  private onFirst: ((feature?: FeatureInfo) => void) | null = null;

  constructor(private readonly ask: (request: Request) => number) {}

  /** Searches the features of one site, or ("") of all. */
  search(text: string, site = ""): void {
    this.onFirst = null;
    this.pending = text.trim() ? this.ask({ type: "search", text, site }) : null;
    if (this.pending === null) this.found.value = [];
  }

  /** False while `found` answers an earlier text. */
  get isDone(): boolean {
    return this.pending === null;
  }

  /** Picks the best feature found, or none if nothing was, now or as soon as the answer arrives. */
  pickFirst(pick: (feature?: FeatureInfo) => void): void {
    this.onFirst = pick;
    if (this.isDone) this.pickNow();
  }

  receive({ seq, features }: FoundMessage): void {
    if (seq !== this.pending) return;
    this.pending = null;
    this.found.value = features;
    this.pickNow();
  }

  private pickNow(): void {
    const [first] = this.found.value;
    const pick = this.onFirst;
    this.onFirst = null;
    pick?.(first);
  }
}
