/** What the page shows, and the steps that led there; as ember_widgets/widgets/paint/history.py. */

import { equal, some, value } from "../scene/arrays.ts";
import { editedPatches } from "../scene/difference.ts";
import { checkSamePicture } from "../scene/edit.ts";
import type { Scene } from "../scene/scene.ts";
import type { Line, Programmed } from "../scene/to_python.ts";

const LIMIT = 100;

/** A scene and its sliders, which are not multiplied into it, so that they can be shown as they are set. */
export class State implements Programmed {
  private multiplied: Scene | null = null;

  constructor(
    /** The scene as painted, all sliders at 1. */
    readonly painted: Scene,
    readonly gains: Float32Array,
    /** The Python program that makes `painted`. */
    readonly code: readonly Line[] = [],
    /** How many factors were asked for; null: as many as it has. */
    readonly asked: number | null = null,
  ) {}

  /** A scene with every slider at 1. */
  static of(scene: Scene, code: readonly Line[] = [], asked: number | null = null): State {
    return new State(scene, new Float32Array(scene.nFactors).fill(1), code, asked);
  }

  /** The state that an edit on the grid leads to. Throws if sliders times strengths are too large for float32. */
  edited(strengths: Float32Array, remainder: Float32Array, gains: Float32Array): State {
    const state = new State(this.painted.replace({ strengths, remainder }), gains, this.code, this.asked);
    void state.scene; // throws here, before the state is used
    return state;
  }

  with(painted: Scene, gains: Float32Array): State {
    return new State(painted, gains, this.code, this.asked);
  }

  withCode(code: readonly Line[]): State {
    return new State(this.painted, this.gains, code, this.asked);
  }

  /** The scene as it is drawn. */
  get scene(): Scene {
    if (this.multiplied) return this.multiplied;
    const { painted, gains } = this;
    const n = painted.nFactors;
    this.multiplied = gains.every((gain) => gain === 1)
      ? painted
      : painted.replace({ strengths: painted.strengths.map((s, at) => s * value(gains, at % n)) });
    return this.multiplied;
  }

  /** Whether there is a painting: anything that an analysis or a blank canvas does not have. */
  get isEdited(): boolean {
    const { painted, gains } = this;
    if (gains.some((gain) => gain !== 1) || painted.origins.some((origin) => origin < 0)) return true;
    const isBlank = !some(painted.strengths) && !some(painted.remainder);
    return !isBlank && editedPatches(painted).includes(1);
  }

  /** Whether both show the same painting and the same sliders. */
  same(other: State): boolean {
    return this === other || (equal(this.gains, other.gains) && this.painted.same(other.painted));
  }
}

/**
 * The committed states, and which of them is current. Undo and redo go along a line. Undone states are forgotten when
 * another edit is made or a kept state is taken instead, and states more than LIMIT steps back are forgotten too. States that have a name are kept.
 */
export class History {
  /** The number of the current state; numbers are never used again. */
  step = 0;
  private states: Map<number, State>;
  private line = [0];
  private readonly named = new Map<number, string>();
  private replaced = new Map<number, number>();
  private count = 1;

  constructor(state: State) {
    this.states = new Map([[0, state]]);
  }

  /** The last committed state. */
  get current(): State {
    return this.at(this.step);
  }

  /** The first state that can be undone to. */
  get oldest(): State {
    return this.at(value(this.line, 0));
  }

  /** The numbers of all states, in the order in which they were made. */
  get steps(): number[] {
    return [...this.states.keys()].sort((a, b) => a - b);
  }

  /** The names of the states that are kept. */
  get names(): ReadonlyMap<number, string> {
    return this.named;
  }

  /** The numbers of the named states that a film can lead from: other edits of the current picture. */
  get filmFrom(): number[] {
    return [...this.named.keys()]
      .filter((step) => step !== this.step && this.isOfThisPicture(step))
      .sort((a, b) => a - b);
  }

  /** The key of the thumbnail of a step. */
  keyOf(step: number): string {
    return `step ${step}`;
  }

  state(step: number): State | null {
    return this.states.get(step) ?? null;
  }

  /** The number of the state `by` steps forward, or back if negative; null if there is none. */
  beside(by: number): number | null {
    return this.line[this.line.indexOf(this.step) + by] ?? null;
  }

  /** Whether the current state is another picture, made in place of a painting that undo brings back. */
  get hasReplacedPainting(): boolean {
    const before = this.beside(-1);
    return before !== null && this.replaced.get(this.step) === before;
  }

  /**
   * Goes on to a state, unless it is the current one; what was undone before is forgotten. `replaces`: it is another
   * picture, not an edit of the current one.
   */
  commit(state: State, replaces = false): void {
    if (state.same(this.current)) return;
    if (replaces && this.current.isEdited) this.replaced.set(this.count, this.step);
    this.extendLine(this.count);
    this.states.set(this.count, state);
    this.step = this.count++;
    this.forgetOthers();
  }

  /** Goes to an existing state. One that is not on the line comes after the current one, so that undo leads back to that. */
  go(step: number): State {
    if (!this.line.includes(step)) this.extendLine(step);
    this.step = step;
    this.forgetOthers();
    return this.current;
  }

  /** Forgets all states but the current one and those that have a name. */
  clear(): void {
    this.line = [this.step];
    this.forgetOthers();
  }

  /** Forgets one state; if it is the current one, the state before it (or else another) becomes current. */
  forget(step: number): void {
    this.check(step);
    if (this.states.size === 1) throw new Error(`step ${step} is the only one; it cannot be deleted`);
    if (step === this.step) {
      const others = this.steps.filter((other) => other !== step);
      this.go(this.beside(-1) ?? this.beside(1) ?? value(others, others.length - 1));
    }
    this.line = this.line.filter((at) => at !== step);
    this.named.delete(step);
    this.forgetOthers();
  }

  /** Gives a state a name, under which it is kept; "" removes the name. */
  keep(step: number, name: string): void {
    this.check(step);
    if ([...this.named].some(([at, other]) => name === other && step !== at))
      throw new Error(`name='${name}' is taken by another step; choose another name`);
    if (name) this.named.set(step, name);
    else {
      this.named.delete(step);
      this.forgetOthers();
    }
  }

  /** Throws if a state was forgotten. */
  check(step: number): void {
    if (!this.states.has(step)) throw new Error(`step ${step} is not in the history any more; choose one that is`);
  }

  private isOfThisPicture(step: number): boolean {
    try {
      checkSamePicture(this.at(step).painted, this.current.painted);
      return true;
    } catch {
      return false;
    }
  }

  private at(step: number): State {
    const state = this.states.get(step);
    if (!state) throw new Error(`step ${step} is not in the history`);
    return state;
  }

  /** Has a state follow the current one, in place of what was undone. */
  private extendLine(step: number): void {
    this.line = [...this.line.slice(0, this.line.indexOf(this.step) + 1).slice(-LIMIT), step];
  }

  private forgetOthers(): void {
    const kept = new Set([...this.line, ...this.named.keys()]);
    this.states = new Map([...this.states].filter(([step]) => kept.has(step)));
    this.replaced = new Map([...this.replaced].filter(([step]) => kept.has(step)));
  }
}
