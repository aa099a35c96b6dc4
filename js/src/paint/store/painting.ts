/** The scene as the browser has it; during a stroke it is newer than the kernel's. */

import { batch, computed, signal } from "@preact/signals-core";
import type { Call } from "../tools/tool.ts";
import type { Edit, SceneInfo } from "../transport/messages.ts";
import type { Clock } from "../transport/transport.ts";
import { carried, type Painted } from "./carried.ts";
import { changeOf, emptyLayers, type Grid, type Layers, peaksOf } from "./grid.ts";

/** Changes of one slider that follow within this time are one step of the history, in ms. */
const SLIDE_MS = 600;

/** Sends edits to the kernel. */
export interface EditSender {
  stream(snapshot: () => Edit): void;
  /** Returns the edit's sequence number. */
  commit(edit: Edit): number;
}

/** A step that the kernel has not confirmed yet. */
interface Sent {
  readonly seq: number;
  readonly revision: number;
  /** What it was painted on. */
  readonly before: Painted;
  readonly call: Call | undefined;
  /** It is sent for the second time. */
  readonly again: boolean;
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
  /** The sequence numbers of the steps that were sent, but for those that were refused. */
  readonly steps = signal<readonly number[]>([]);
  /** The painting without a stroke in progress: as the last step that was sent, or the last scene that came. */
  settled: Painted = this.now;
  private sent: readonly Sent[] = [];
  /**
   * The painting as the steps under way have it, if another page has painted meanwhile: that is here already, but in the
   * kernel these steps take its place.
   */
  private behind: Painted | null = null;
  /** The slider whose last change is not a step of the history yet, and what will make it one. */
  private slid: { readonly factor: number; readonly timer: unknown } | null = null;
  private lastPeaks: readonly number[] = [];
  /** For each factor its largest strength. While no number changes, it is the same array as before. */
  readonly peaks = computed(() => {
    const peaks = peaksOf(this.layers.value);
    if (`${peaks}` !== `${this.lastPeaks}`) this.lastPeaks = peaks;
    return this.lastPeaks;
  });

  constructor(
    private readonly sender: EditSender,
    private readonly clock: Clock,
  ) {}

  get grid(): Grid {
    return this.layers.value.grid;
  }

  get revision(): number {
    return this.info.value?.revision ?? -1;
  }

  /** Takes over a scene, with what was painted here and is not in it yet; false if that does not fit there. */
  take(info: SceneInfo, gains: readonly number[], layers: Layers, unedited: Float32Array): boolean {
    const scene = { info, gains, layers };
    const from = this.sent[0]?.before ?? this.settled;
    const carry = (to: Painted) => carried(from, to, scene);
    const was = this.settled;
    const settled = carry(was);
    const now = settled && carry(this.now);
    this.sent = settled ? this.sent.map((step) => ({ ...step, before: carry(step.before) ?? scene })) : [];
    this.settled = settled ?? scene;
    if (!this.sent.length || info.revision !== this.revision) this.behind = null;
    else if (textOf(this.settled) !== textOf(was)) this.behind ??= was;
    batch(() => {
      this.show(now ?? this.settled);
      this.unedited.value = unedited;
      this.touched.value ||= changeOf(layers, [], unedited).strengths.some(Boolean);
    });
    return now !== null;
  }

  /** The kernel has made the next step of those that were sent. What another page has painted meanwhile is sent again. */
  confirm(): void {
    this.sent = this.sent.slice(1);
    const { behind } = this;
    if (this.sent.length || !behind) return;
    this.behind = null;
    this.send(behind);
  }

  /**
   * The kernel has answered everything up to `seq`. A step that it has not confirmed came after its scene was replaced,
   * and is sent again, once; false if that was too late too.
   */
  answered(seq: number): boolean {
    const { sent, revision } = this;
    const [first] = sent;
    if (!first || first.seq > seq) return true;
    const open = sent.filter((step) => step.seq > seq && step.revision === revision);
    this.sent = open;
    // If its scene is still there, the kernel has said what else was wrong.
    if (first.revision === revision) return true;
    const { before, call } = first;
    this.steps.value = [...this.steps.value.filter((step) => step < first.seq), ...open.map((step) => step.seq)];
    const [later, ...others] = open;
    if (later) {
      // It was painted on the new scene, and contains what was refused.
      this.sent = [{ ...later, before }, ...others];
      return true;
    }
    if (sent.at(-1)?.again) {
      this.settled = before;
      this.show(before);
      return false;
    }
    this.send(before, sent.length > 1 ? undefined : call, true);
    return true;
  }

  /** Moves a slider; `commit` once it is let go. */
  setGain(factor: number, gain: number, commit: boolean): void {
    if (this.slid?.factor !== factor) this.commitSlid();
    else this.clock.clearTimeout(this.slid.timer);
    this.gains.value = this.gains.value.map((g, f) => (f === factor ? gain : g));
    this.stream();
    if (commit) this.slid = { factor, timer: this.clock.setTimeout(() => this.commitSlid(), SLIDE_MS) };
  }

  /** Makes a step of what a slider has changed. Everything else that is done comes after it. */
  commitSlid(): void {
    if (!this.slid) return;
    this.clock.clearTimeout(this.slid.timer);
    this.slid = null;
    if (this.gains.value !== this.settled.gains) this.commit();
  }

  /** Sends the painting as soon as the kernel has time for it. */
  stream(): void {
    this.sender.stream(() => this.edit(this.now, false));
  }

  /** Sends the painting as a step of the history; `call` is the same edit in Python, if it is known. */
  commit(call?: Call): void {
    const before = this.settled;
    this.settled = this.now;
    this.send(before, call);
  }

  private get now(): Painted {
    return { info: this.info.value, layers: this.layers.value, gains: this.gains.value };
  }

  private show({ info, layers, gains }: Painted): void {
    batch(() => {
      this.info.value = info;
      this.layers.value = layers;
      this.gains.value = gains;
    });
  }

  private send(before: Painted, call?: Call, again = false): void {
    const edit = this.edit(this.settled, true);
    const seq = this.sender.commit(call ? { ...edit, call } : edit);
    this.sent = [...this.sent, { seq, revision: edit.revision, before, call, again }];
    this.steps.value = [...this.steps.value, seq];
  }

  private edit({ layers, gains }: Painted, commit: boolean): Edit {
    return { gains, revision: this.revision, commit, layers };
  }
}

/** Equal for paintings that show the same. The kernel's sliders are float32. */
const textOf = ({ layers, gains }: Painted): string =>
  `${layers.strengths};${layers.remainder};${Float32Array.from(gains)}`;
