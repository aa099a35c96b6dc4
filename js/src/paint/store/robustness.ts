/** The edit on other seeds: their pictures, and where and how much they change. */

import { signal } from "@preact/signals-core";
import type { Request, RobustnessMessage } from "../transport/messages.ts";

export interface Trial {
  readonly pairs: readonly NonNullable<RobustnessMessage["pair"]>[];
  /** How many seeds there will be. */
  readonly n: number;
  readonly map: string;
  readonly text: string;
  readonly outdated: boolean;
}

const EMPTY: Trial = { pairs: [], n: 8, map: "", text: "", outdated: false };

export class Robustness {
  /** What is shown; null if the panel is closed. */
  readonly trial = signal<Trial | null>(null);
  /** The sequence number of the last request. */
  private asked = -1;
  /** The next change of the scene comes from a seed that was taken from here: it is the same edit. */
  private isTaken = false;

  constructor(
    private readonly ask: (request: Request) => number,
    private readonly reseed: (seed: string) => void,
  ) {}

  get isRunning(): boolean {
    const { value } = this.trial;
    return value !== null && !value.text && !value.outdated;
  }

  start(): void {
    this.isTaken = false;
    this.trial.value = EMPTY;
    this.asked = this.ask({ type: "robustness", on: true });
  }

  /** Closes the panel, and stops what is still drawn for it. */
  close(): void {
    if (this.isRunning) this.ask({ type: "robustness", on: false });
    this.trial.value = null;
    this.asked = -1;
  }

  /** Continues with a seed and the edit on it. */
  take(seed: string): void {
    this.isTaken = true;
    this.reseed(seed);
  }

  /** The scene has changed: what is shown is of an earlier one, and the kernel stops by itself. */
  outdate(): void {
    const { value } = this.trial;
    if (value && !value.outdated && !this.isTaken) this.trial.value = { ...value, outdated: true };
    this.isTaken = false;
  }

  receive({ seq, n, pair, map, text, outdated }: RobustnessMessage): void {
    const { value } = this.trial;
    if (!value || seq !== this.asked || value.outdated) return;
    const pairs = pair ? [...value.pairs, pair] : value.pairs;
    this.trial.value = { n, pairs, map: map || value.map, text, outdated };
  }
}
