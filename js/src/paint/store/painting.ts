/** The scene as the browser has it; during a stroke it is newer than the kernel's. */

import { batch, computed, signal } from "@preact/signals-core";
import type { Call } from "../tools/tool.ts";
import type { Edit, SceneInfo } from "../transport/messages.ts";
import { changeOf, emptyLayers, type Grid, type Layers, peaksOf } from "./grid.ts";

/** Sends edits to the kernel. */
export interface EditSender {
  stream(snapshot: () => Edit): void;
  commit(edit: Edit): void;
}

export class Painting {
  readonly info = signal<SceneInfo | null>(null);
  readonly gains = signal<readonly number[]>([]);
  /** Every edit replaces the whole value. */
  readonly layers = signal<Layers>(emptyLayers({ rows: 0, cols: 0 }, 0));
  /** For each patch, how strong each factor is in the unedited picture; then one number for what no factor explains now. */
  readonly unedited = signal<Float32Array>(new Float32Array(0));
  /** Whether anything was ever painted, here or elsewhere. Until then a hint on the picture says what to do. */
  readonly touched = signal(false);
  private lastPeaks: readonly number[] = [];
  /** For each factor its largest strength. While no number changes, it is the same array as before. */
  readonly peaks = computed(() => {
    const peaks = peaksOf(this.layers.value);
    if (`${peaks}` !== `${this.lastPeaks}`) this.lastPeaks = peaks;
    return this.lastPeaks;
  });

  constructor(private readonly sender: EditSender) {}

  get grid(): Grid {
    return this.layers.value.grid;
  }

  get revision(): number {
    return this.info.value?.revision ?? -1;
  }

  take(info: SceneInfo, gains: readonly number[], layers: Layers, unedited: Float32Array): void {
    batch(() => {
      this.info.value = info;
      this.gains.value = gains;
      this.layers.value = layers;
      this.unedited.value = unedited;
      this.touched.value ||= changeOf(layers, [], unedited).strengths.some(Boolean);
    });
  }

  setGain(factor: number, gain: number, commit: boolean): void {
    this.gains.value = this.gains.value.map((g, f) => (f === factor ? gain : g));
    if (commit) this.commit();
    else this.stream();
  }

  /** Sends the painting as soon as the kernel has time for it. */
  stream(): void {
    this.sender.stream(() => this.edit(false));
  }

  /** Sends the painting as a step of the history; `call` is the same edit in Python, if it is known. */
  commit(call?: Call): void {
    this.sender.commit({ ...this.edit(true), ...(call && { call }) });
  }

  private edit(commit: boolean): Edit {
    return { gains: this.gains.value, revision: this.revision, commit, layers: this.layers.value };
  }
}
