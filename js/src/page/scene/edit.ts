/**
 * SceneEdit: what was done to a scene, as a value that can be put on another one. The same as
 * ember_widgets/scene/scene_edit.py, which says how an edit is found from two scenes.
 */

import type { Mask } from "../../paint/store/grid.ts";
import { equal, value } from "./arrays.ts";
import { hashOf } from "./bytes.ts";
import type { Steps } from "./checks.ts";
import { plural, repr, shown } from "./python.ts";
import type { Scene } from "./scene.ts";
import { said } from "./steps.ts";

/** A change smaller than this share of the strength itself is the rounding of float32, not an edit. */
const NOISE = 1e-5;

/** The fields with one value per factor that an edit carries. */
export interface PerFactor {
  readonly name: string;
  readonly color: string;
  readonly steps: Steps | null;
}

/** What a factor is, on one side of an edit. */
export interface FactorState extends PerFactor {
  readonly row: Float32Array;
  /** The analysed factor that it comes from; -1: none. */
  readonly origin: number;
}

export const stateOf = (scene: Scene, f: number): FactorState => ({
  row: scene.row(f),
  origin: value(scene.origins, f),
  ...perFactor(scene, f),
});

export const perFactor = (scene: Scene, f: number): PerFactor => ({
  name: scene.names[f] ?? "",
  color: scene.colors[f] ?? "",
  steps: scene.factor_steps?.[f] ?? null,
});

/** One factor of an edit. `before` is null if the edit adds it, `after` if the edit removes it. */
export class FactorEdit {
  constructor(
    readonly before: FactorState | null,
    readonly after: FactorState | null,
  ) {}

  /** The factor as the edit leaves it, or as it was if the edit removes it. */
  get state(): FactorState {
    const state = this.after ?? this.before;
    if (!state) throw new Error("an edit of no factor");
    return state;
  }

  /** The features whose weight the edit changes. */
  get reweighted(): number[] {
    const { before, after } = this;
    if (!before || !after) return [];
    return [...before.row.keys()].filter((i) => before.row[i] !== after.row[i]);
  }

  /** The new values of the fields that the edit changes. */
  get changed(): Partial<PerFactor> {
    const { before, after } = this;
    if (!before || !after) return {};
    const names = ["name", "color", "steps"] as const;
    return Object.fromEntries(
      names.filter((name) => String(before[name]) !== String(after[name])).map((name) => [name, after[name]]),
    );
  }
}

interface EditFields {
  /** The factors: first those from before the edit, then those that it adds. */
  readonly factors: readonly FactorEdit[];
  /** Indices into `factors`, the palette after the edit. */
  readonly order: readonly number[];
  /** (rows, cols, n), the strengths before; 0 for one that is added. */
  readonly before: Float32Array;
  /** The strengths after; 0 for one that is removed. */
  readonly after: Float32Array;
  /** (rows, cols), which share of what is there stays: 1 = all. */
  readonly covers: Float64Array;
  readonly remainder: readonly [before: Float32Array, after: Float32Array];
  readonly style: readonly [before: string, after: string];
  readonly editSteps: readonly [before: Scene["edit_steps"], after: Scene["edit_steps"]];
}

export class SceneEdit {
  readonly rows: number;
  readonly cols: number;
  readonly sae: string | undefined;
  readonly nFeatures: number;
  /** Names the picture that was edited; equal for scenes of one analysis. */
  readonly picture: string;
  /** (rows, cols, n), which share of a factor's strength stays, and what is added to it after that. */
  readonly shares: Float64Array;
  readonly additions: Float64Array;

  private constructor(
    scene: Scene,
    readonly is: EditFields,
  ) {
    this.rows = scene.rows;
    this.cols = scene.cols;
    this.sae = scene.model.sae;
    this.nFeatures = scene.nFeatures;
    this.picture = pictureOf(scene);
    [this.shares, this.additions] = partsOf(is);
  }

  /** What leads from one scene to another of the same picture. Throws if they are of two pictures. */
  static between(before: Scene, after: Scene): SceneEdit {
    checkSamePicture(before, after);
    const pairs = sameFactors(before, after);
    const taken = new Set(pairs.values());
    const added = [...after.names.keys()].filter((f) => !taken.has(f));
    const factors = [
      ...before.names.map((_, f) => {
        const now = pairs.get(f);
        return new FactorEdit(stateOf(before, f), now === undefined ? null : stateOf(after, now));
      }),
      ...added.map((f) => new FactorEdit(null, stateOf(after, f))),
    ];
    const place = new Map([...pairs].map(([then, now]) => [now, then]));
    for (const [i, now] of added.entries()) place.set(now, before.nFactors + i);
    const [n, nPatches] = [factors.length, before.nPatches];
    const maps = [new Float32Array(nPatches * n), new Float32Array(nPatches * n)] as const;
    for (let p = 0; p < nPatches; p++) {
      for (let f = 0; f < before.nFactors; f++) maps[0][p * n + f] = value(before.strengths, p * before.nFactors + f);
      for (const [now, f] of place) maps[1][p * n + f] = value(after.strengths, p * after.nFactors + now);
    }
    // Factors that are removed say nothing about strokes.
    const here = [...factors.keys()].filter((f) => factors[f]?.after);
    return new SceneEdit(before, {
      factors,
      order: [...after.names.keys()].map((now) => place.get(now) ?? 0),
      before: maps[0],
      after: maps[1],
      covers: coverOf(maps, n, here, before.remainder, after.remainder),
      remainder: [before.remainder, after.remainder],
      style: [before.style, after.style],
      editSteps: [before.edit_steps, after.edit_steps],
    });
  }

  /** An edit that covers patches with what a scene has there. */
  static ofPatches(scene: Scene, patches: Mask): SceneEdit {
    if (!patches.includes(1)) throw new Error("there are no patches to copy; give one or more");
    const held = [...scene.names.keys()].filter((f) => scene.holds(f, patches));
    const n = held.length;
    const after = new Float32Array(scene.nPatches * n);
    for (const [i, f] of held.entries())
      for (let p = 0; p < scene.nPatches; p++)
        if (patches[p]) after[p * n + i] = value(scene.strengths, p * scene.nFactors + f);
    return new SceneEdit(scene, {
      factors: held.map((f) => new FactorEdit(stateOf(scene, f), stateOf(scene, f))),
      order: [...held.keys()],
      before: new Float32Array(after.length),
      after,
      covers: Float64Array.from(patches, (on) => (on ? 0 : 1)),
      remainder: [new Float32Array(scene.nPatches).fill(1), Float32Array.from(patches, (on) => (on ? 0 : 1))],
      style: ["", ""],
      editSteps: [null, null],
    });
  }

  get n(): number {
    return this.is.factors.length;
  }

  /** The patches that the edit changes. */
  get patches(): Mask {
    const { before, covers, remainder } = this.is;
    return Uint8Array.from(covers, (cover, p) => {
      for (let f = 0; f < this.n; f++) {
        const at = p * this.n + f;
        if ((this.shares[at] !== 1 && before[at] !== 0) || this.additions[at] !== 0) return 1;
      }
      return cover < 1 || remainder[0][p] !== remainder[1][p] ? 1 : 0;
    });
  }

  /** Whether it changes the order of the palette, other than by adding factors at its end. */
  get reorders(): boolean {
    const { order } = this.is;
    return order.some((f, i) => i > 0 && f < value(order, i - 1));
  }

  /** Per patch by which share a factor changed that its patch did not; 0 = none. */
  ownChange(f: number): Float64Array {
    return this.is.covers.map((cover, p) => {
      const at = p * this.n + f;
      const own = value(this.shares, at) - cover;
      return Math.abs(own) > NOISE && this.is.before[at] !== 0 ? own : 0;
    });
  }

  /** Whether a factor's strength is added to anywhere by more than `least`. */
  adds(f: number, least = 0): boolean {
    return this.countOf(f, least) > 0;
  }

  countOf(f: number, least = 0): number {
    let count = 0;
    for (let at = f; at < this.additions.length; at += this.n) if (Math.abs(value(this.additions, at)) > least) count++;
    return count;
  }

  /** Whether it changes anything. */
  get isSomething(): boolean {
    return this.describe().length > 0 || this.patches.includes(1);
  }

  /** What the edit does, in a few words for each change. */
  describe(): string[] {
    const found: string[] = [];
    for (const [f, factor] of this.is.factors.entries()) {
      const name = shown(factor.state.name);
      if (!factor.after) {
        found.push(`removes ${name}`);
        continue;
      }
      const n = factor.reweighted.length;
      if (!factor.before) found.push(`adds ${name}`);
      else if (n > 0) found.push(`re-weights ${plural(n, "feature")} of ${name}`);
      found.push(...renamed(factor));
      const painted = this.countOf(f);
      if (painted) found.push(`paints ${name} in ${patchesIn(painted)}`);
      const own = this.ownChange(f);
      const weaker = own.filter((change) => change < 0).length;
      const stronger = own.filter((change) => change > 0).length;
      if (weaker) found.push(`makes ${name} weaker in ${patchesIn(weaker)}`);
      if (stronger) found.push(`makes ${name} stronger in ${patchesIn(stronger)}`);
    }
    const { covers, style, editSteps } = this.is;
    const covered = covers.filter((cover) => cover < 1).length;
    if (covered) found.push(`covers ${patchesIn(covered)}`);
    if (this.reorders) found.push("reorders the factors");
    if (style[0] !== style[1]) found.push(`sets the style to ${shown(style[1])}`);
    if (String(editSteps[0]) !== String(editSteps[1])) {
      const steps = editSteps[1];
      found.push(`sets edit_steps to ${steps ? `(${steps.join(", ")})` : "None"}`);
    }
    return found;
  }
}

function renamed({ before, changed, state }: FactorEdit): string[] {
  const found: string[] = [];
  const name = shown(state.name);
  if (changed.name !== undefined) found.push(`renames ${shown(before?.name)} to ${shown(changed.name)}`);
  if (changed.color !== undefined) found.push(`sets the color of ${name} to ${shown(changed.color)}`);
  if (changed.steps !== undefined)
    found.push(`lets ${name} act at ${changed.steps ? said(changed.steps) : "all steps"}`);
  return found;
}

export const patchesIn = (n: number): string => `${n} patch${n === 1 ? "" : "es"}`;

/** A short name of the analysis that a scene comes from. */
export const pictureOf = ({ base_strengths, base_basis, unit }: Scene): string =>
  hashOf(base_strengths, base_basis, unit);

/** Refuses scenes that are not edits of one picture. */
export function checkSamePicture(before: Scene, after: Scene): void {
  const advice = "give two edits of one picture, such as two steps of one history";
  for (const name of ["prompt", "seed", "n_steps", "image_strength"] as const)
    if (before[name] !== after[name])
      throw new Error(
        `the two scenes are of two pictures: they differ in ${name} ` +
          `(${shown(before[name])} and ${shown(after[name])}); ${advice}`,
      );
  for (const name of ["base_strengths", "base_basis"] as const)
    if (!equal(before[name], after[name]))
      throw new Error(`the two scenes are of two pictures: they differ in ${name}; ${advice}`);
  if (before.model.sae !== after.model.sae || before.nFeatures !== after.nFeatures)
    throw new Error(`the two scenes have different SAEs; ${advice}`);
  if (!equal(before.unit, after.unit)) throw new Error(`the two scenes differ in unit; ${advice}`);
}

/** Which factor each one from before is after an edit; those that were removed are missing. */
export function sameFactors(before: Scene, after: Scene): Map<number, number> {
  // An id names a factor only within one scene's history, so something else has to agree too.
  const keys = (scene: Scene, f: number): (string | null)[] => {
    const [id, name, origin] = [value(scene.factor_ids, f), repr(scene.names[f]), value(scene.origins, f)];
    return [
      `${id} ${origin} ${name}`,
      `${id} ${origin} ${hashOf(scene.row(f))}`,
      origin >= 0 ? `${id} ${origin}` : null,
      `${origin} ${name}`,
    ];
  };
  const theirs = after.names.map((_, f) => keys(after, f));
  const mine = before.names.map((_, f) => keys(before, f));
  const pairs = new Map<number, number>();
  const taken = new Set<number>();
  for (let level = 0; level < 4; level++) {
    const free = new Map<string, number>();
    // The first of equal ones stays.
    for (const f of [...after.names.keys()].reverse()) {
      const key = theirs[f]?.[level];
      if (key && !taken.has(f)) free.set(key, f);
    }
    for (const f of before.names.keys()) {
      const key = mine[f]?.[level] ?? "";
      const now = pairs.has(f) ? undefined : free.get(key);
      if (now === undefined) continue;
      free.delete(key);
      pairs.set(f, now);
      taken.add(now);
    }
  }
  return new Map([...pairs].sort(([a], [b]) => a - b));
}

/** After ÷ before; -1 where there was nothing before. */
const ratioOf = (before: number, after: number): number => (before === 0 ? -1 : after / before);

/** Which share of what is there stays in each patch. See `_cover` in scene_edit.py. */
function coverOf(
  [before, after]: readonly [Float32Array, Float32Array],
  n: number,
  factors: readonly number[],
  there: Float32Array,
  left: Float32Array,
): Float64Array {
  return Float64Array.from(there, (was, p) => {
    let [least, grew, isWeaker, isEmpty] = [1, false, false, true];
    for (const f of factors) {
      const [old, now] = [value(before, p * n + f), value(after, p * n + f)];
      const ratio = ratioOf(old, now);
      const weaker = ratio >= 0 && ratio < 1 && old !== now;
      if (weaker) least = Math.min(least, ratio);
      else if (old !== now) grew = true;
      isWeaker ||= weaker;
      isEmpty &&= now === 0;
    }
    const now = value(left, p);
    if (now < was) return was > 0 ? now / was : 1;
    const cover = grew ? least : 1;
    if (was > 0) return cover > 0 ? 1 : 0;
    return isWeaker && isEmpty ? 0 : cover;
  });
}

/** The shares and the additions of an edit. */
function partsOf({ before, after, covers, factors }: EditFields): [Float64Array, Float64Array] {
  const n = factors.length;
  const shares = new Float64Array(before.length);
  const additions = new Float64Array(before.length);
  for (let f = 0; f < n; f++) {
    const places = [...covers.keys()].map((p) => p * n + f);
    const changed = places.filter((at) => before[at] !== after[at]);
    const gain = gainOf(before, after, covers, n, changed);
    // What was scaled wherever it was is scaled wherever it is.
    const everywhere = gain !== null && places.every((at) => (before[at] !== after[at]) === (before[at] !== 0));
    for (const [p, at] of places.entries()) {
      const [old, now, cover] = [value(before, at), value(after, at), value(covers, p)];
      const ratio = ratioOf(old, now);
      // What fades by more than its patch was made weaker by itself; it must not become negative elsewhere.
      const weaker = ratio >= 0 && ratio <= cover;
      const scaled = gain !== null && ((old !== 0 && old !== now) || everywhere);
      shares[at] = scaled ? gain : weaker ? ratio : cover;
      const added = now - value(shares, at) * old;
      const isNoise = Math.abs(added) <= NOISE * Math.max(Math.abs(old), Math.abs(now));
      additions[at] = weaker || scaled || isNoise ? 0 : added;
    }
  }
  return [shares, additions];
}

/** The number that a factor was multiplied by wherever it was changed; null if there is no such number. */
function gainOf(
  before: Float32Array,
  after: Float32Array,
  covers: Float64Array,
  n: number,
  changed: readonly number[],
): number | null {
  if (changed.length < 2) return null;
  if (changed.some((at) => before[at] === 0 || value(covers, Math.floor(at / n)) < 1)) return null;
  const ratios = changed.map((at) => value(after, at) / value(before, at));
  const sorted = [...ratios].sort((a, b) => a - b);
  const half = sorted.length / 2;
  const gain = Number.isInteger(half)
    ? (value(sorted, half - 1) + value(sorted, half)) / 2
    : value(sorted, Math.floor(half));
  return ratios.every((ratio) => Math.abs(ratio - gain) <= NOISE * Math.abs(gain)) ? gain : null;
}
