/** Finds features by label or number, and concepts by name. */

import { signal } from "@preact/signals-core";
import type { ConceptInfo, FeatureInfo, FoundMessage, Request } from "../transport/messages.ts";

export type Found = FeatureInfo | ConceptInfo;

export class FeatureSearch {
  readonly found = signal<readonly Found[]>([]);
  /** The sequence number of the request that has not been answered yet. */
  private pending: number | null = null;
  private onFirst: ((first?: Found) => void) | null = null;

  constructor(private readonly ask: (request: Request) => number) {}

  /** Searches the features of one site, or ("") of all; and concepts, if they can be taken. */
  search(text: string, site = "", concepts = false): void {
    this.onFirst = null;
    this.pending = text.trim() ? this.ask({ type: "search", text, site, concepts }) : null;
    if (this.pending === null) this.found.value = [];
  }

  /** False while `found` answers an earlier text. */
  get isDone(): boolean {
    return this.pending === null;
  }

  /** Picks the best one found, or none if nothing was, now or as soon as the answer arrives. */
  pickFirst(pick: (first?: Found) => void): void {
    this.onFirst = pick;
    if (this.isDone) this.pickNow();
  }

  receive({ seq, features, concepts }: FoundMessage): void {
    if (seq !== this.pending) return;
    this.pending = null;
    // What has the word itself comes before what only means something like it.
    const all = [...concepts, ...features];
    this.found.value = [...all.filter((one) => !one.similar), ...all.filter((one) => one.similar)];
    this.pickNow();
  }

  private pickNow(): void {
    const [first] = this.found.value;
    const pick = this.onFirst;
    this.onFirst = null;
    pick?.(first);
  }
}
