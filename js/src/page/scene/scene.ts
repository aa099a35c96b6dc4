/**
 * Scene: all that is needed to draw a picture again, and the edits that lead from one to the next. The same value as
 * Python's ember_widgets/scene/scene.py, with its field names, for scenes of one site, without guidance and without a
 * photograph; tests/unit/scene/page_parity.json compares the two. A scene never changes: every edit returns a new one,
 * and a failed edit changes nothing. Edits round once, at their end.
 */

import type { Grid, Layers, Mask, PaintMode, Shares } from "../../paint/store/grid.ts";
import * as grids from "../../paint/store/grid.ts";
import type { Drawing, Drawn } from "../model/painter.ts";
import { columns, equal, joined, nonzero, row, setColumn, some, value } from "./arrays.ts";
import type { Steps } from "./checks.ts";
import * as checks from "./checks.ts";
import { freeName, nextColor, palette } from "./palette.ts";
import { plural, shown } from "./python.ts";
import { type Maps, StepLayers } from "./steps.ts";

export interface SceneFields {
  readonly rows: number;
  readonly cols: number;
  readonly prompt: string;
  /** 0..2^63 - 1. */
  readonly seed: bigint;
  readonly n_steps: number;
  /** (rows, cols, n_factors); 1 = as strong as the model itself makes that factor. */
  readonly strengths: Float32Array;
  /** (rows, cols) in 0..1: how much stays of what the factors do not explain. */
  readonly remainder: Float32Array;
  /** (n_factors, n_features), each factor's features in units of SAE codes. */
  readonly basis: Float32Array;
  readonly names: readonly string[];
  readonly colors: readonly string[];
  /** (rows, cols, n_base), the strengths of the analysed picture. */
  readonly base_strengths: Float32Array;
  /** (n_base, n_features), their basis as analysed. */
  readonly base_basis: Float32Array;
  /** (n_features,), each feature's typical activation. */
  readonly unit: Float32Array;
  readonly model: Readonly<Record<string, string>>;
  /** Per factor the analysed one that it is or was copied from; -1: it was added. Null: the first ones, in order. */
  readonly origins?: readonly number[] | null;
  readonly style?: string;
  readonly edit_steps?: readonly [number, number] | null;
  readonly image_strength?: number;
  /** Per factor a number that stays with it. Null: 0, 1, 2, ... */
  readonly factor_ids?: readonly number[] | null;
  readonly next_factor_id?: number | null;
  /** Per factor the steps that it acts at. Null: all. */
  readonly factor_steps?: readonly (Steps | null)[] | null;
}

export type Factor = number | string;

export class Scene implements SceneFields {
  readonly rows: number;
  readonly cols: number;
  readonly prompt: string;
  readonly seed: bigint;
  readonly n_steps: number;
  readonly strengths: Float32Array;
  readonly remainder: Float32Array;
  readonly basis: Float32Array;
  readonly names: readonly string[];
  readonly colors: readonly string[];
  readonly base_strengths: Float32Array;
  readonly base_basis: Float32Array;
  readonly unit: Float32Array;
  readonly model: Readonly<Record<string, string>>;
  readonly origins: readonly number[];
  readonly style: string;
  readonly edit_steps: readonly [number, number] | null;
  readonly image_strength: number;
  readonly factor_ids: readonly number[];
  readonly next_factor_id: number;
  readonly factor_steps: readonly (Steps | null)[] | null;
  private analysed: ReadonlyMap<number, number> | null = null;
  private stepLayers: StepLayers | null = null;

  constructor(fields: SceneFields) {
    const { rows, cols, unit, basis, base_basis } = fields;
    const n = unit.length;
    const [nFactors, nBase] = [n ? basis.length / n : fields.names.length, n ? base_basis.length / n : 0];
    checks.countOfFactors(nFactors);
    if (nBase > nFactors && !fields.origins)
      throw new Error(
        `base_basis has ${nBase} rows, but basis only ${nFactors}; say with origins which of them each factor is`,
      );
    this.rows = rows;
    this.cols = cols;
    this.prompt = checks.text("prompt", fields.prompt);
    this.style = checks.text("style", fields.style ?? "");
    this.seed = checks.seed(fields.seed);
    this.n_steps = checks.nSteps(fields.n_steps);
    this.image_strength = fields.image_strength ?? 0.5;
    this.strengths = checks.array("strengths", fields.strengths, [rows, cols, nFactors]);
    this.remainder = checks.array("remainder", fields.remainder, [rows, cols]);
    this.basis = checks.array("basis", basis, [nFactors, n]);
    this.names = checks.factorNames(fields.names, nFactors);
    this.colors = checks.factorColors(fields.colors, nFactors);
    this.base_strengths = checks.array("base_strengths", fields.base_strengths, [rows, cols, nBase]);
    this.base_basis = checks.array("base_basis", base_basis, [nBase, n]);
    this.unit = checks.array("unit", unit, [n]);
    this.model = checks.model(fields.model);
    this.origins = checks.origins(fields.origins ?? firstOrigins(nBase, nFactors), nFactors, nBase);
    this.factor_ids = checks.factorIds(fields.factor_ids, nFactors);
    this.next_factor_id = checks.nextFactorId(fields.next_factor_id, this.factor_ids);
    this.edit_steps = fields.edit_steps ? checks.stepRange("edit_steps", fields.edit_steps, this.n_steps) : null;
    this.factor_steps = checks.factorSteps(fields.factor_steps, nFactors);
    if (this.remainder.some((left) => left < 0 || left > 1))
      throw new Error("remainder has values outside 0..1; give how much of the original stays in each patch (1 = all)");
    if (unit.some((one) => one <= 0))
      throw new Error("unit has values <= 0; give each feature's typical activation, all above 0");
  }

  get grid(): Grid {
    return { rows: this.rows, cols: this.cols };
  }

  get nPatches(): number {
    return this.rows * this.cols;
  }

  get nFactors(): number {
    return this.names.length;
  }

  get nFeatures(): number {
    return this.unit.length;
  }

  get nBase(): number {
    return this.nFeatures ? this.base_basis.length / this.nFeatures : 0;
  }

  /**
   * Which factor each analysed one is now: {index into base_basis: factor}. A copy has the origin of the factor that it
   * was copied from, but a higher id. One that was removed is missing, unless a copy of it is left.
   */
  get analysedFactors(): ReadonlyMap<number, number> {
    if (this.analysed) return this.analysed;
    const byAge = [...this.names.keys()].sort((a, b) => value(this.factor_ids, b) - value(this.factor_ids, a));
    const now = new Map<number, number>();
    for (const f of byAge) {
      const origin = value(this.origins, f);
      // The oldest comes last and stays, at the place of the first, as in a dict of Python.
      if (origin >= 0) now.set(origin, f);
    }
    this.analysed = now;
    return now;
  }

  /** The factors as layers over each other; see `setSteps`. */
  get layers(): StepLayers {
    this.stepLayers ??= new StepLayers({
      steps: this.stepsOfAll,
      analysed: this.analysedFactors,
      strengths: this.strengths,
      remainder: this.remainder,
      basis: this.basis,
      base_strengths: this.base_strengths,
      base_basis: this.base_basis,
      nFeatures: this.nFeatures,
    });
    return this.stepLayers;
  }

  /** Per factor its steps. */
  get stepsOfAll(): readonly (Steps | null)[] {
    return this.factor_steps ?? this.names.map(() => null);
  }

  /** What is drawn at a step at which these layers act: the scene itself if it has no layers. */
  drawn(acting: readonly number[]): Drawn {
    if (this.factor_steps) return this.layers.drawn(acting);
    const { strengths, remainder, basis } = this;
    return { strengths, remainder, basis, analysed: this.analysedFactors };
  }

  /** The scene as the model draws it. */
  drawing(): Drawing {
    const { prompt, seed, n_steps, style, base_strengths, base_basis, edit_steps } = this;
    // Most steps draw the same, so that the painter may compare by reference.
    const known = new Map<string, Drawn>();
    return {
      run: { prompt, seed, n_steps },
      style,
      base_strengths,
      base_basis,
      at: (step) => {
        if (edit_steps && !(edit_steps[0] <= step && step < edit_steps[1])) return null;
        const acting = this.factor_steps ? this.layers.acting(step) : [];
        const key = String(acting);
        const drawn = known.get(key) ?? this.drawn(acting);
        known.set(key, drawn);
        return drawn;
      },
    };
  }

  row(factor: number): Float32Array {
    return row(this.basis, this.nFeatures, factor);
  }

  baseRow(origin: number): Float32Array {
    return row(this.base_basis, this.nFeatures, origin);
  }

  // Edits of what a factor is

  setWeight(factor: Factor, feature: number, weight: number): Scene {
    const f = this.factor(factor);
    const at = checks.featureIndex(feature, this.nFeatures);
    const basis = this.basis.slice();
    basis[f * this.nFeatures + at] = this.amount(at, weight);
    return this.replace({ basis });
  }

  /** What a factor is made of, [feature, weight] with 1 = the feature's typical activation; the strongest come first. */
  weights(factor: Factor, top = Number.POSITIVE_INFINITY): [feature: number, weight: number][] {
    const { unit } = this;
    const row = this.row(this.factor(factor));
    const order = nonzero(row).sort((a, b) => Math.abs(value(row, b)) - Math.abs(value(row, a)) || a - b);
    return order.slice(0, top).map((i) => [i, value(row, i) / value(unit, i)]);
  }

  /** Adds a factor made of features, {feature: weight}. */
  addFactor(features: unknown, name: string | null = null, color: string | null = null): Scene {
    const given = features instanceof Map ? [...features] : null;
    if (!given?.length)
      throw new Error(
        `features=${shown(features)}; give at least one, as {feature: weight}, e.g. {7: 1.0}, or a concept of a bank, ` +
          "e.g. bank[0]",
      );
    const row = new Float32Array(this.nFeatures);
    for (const [feature, weight] of given) {
      const at = checks.featureIndex(feature, this.nFeatures);
      row[at] = this.amount(at, weight);
    }
    const made = given.length === 1 ? `feature ${given[0]?.[0]}` : `factor ${this.nFactors}`;
    return this.append(row, name ?? made, color ?? nextColor(this.colors));
  }

  /** Takes over a factor of another picture, to paint with it here. */
  borrow(other: Scene, factor: Factor): Scene {
    this.checkLender(other);
    const f = other.factor(factor);
    const color = other.colors[f] ?? "";
    const free = this.colors.includes(color) ? nextColor(this.colors) : color;
    return this.append(other.row(f), other.names[f] ?? "", free);
  }

  /** Refuses a scene whose factors cannot be borrowed here. */
  checkLender(other: Scene): void {
    this.checkSae(other.model.sae, other.nFeatures, "the other scene", "factors can only be borrowed from");
  }

  /** Refuses what belongs to another SAE; `whose` and `only` are parts of the message. */
  checkSae(sae: string | undefined, nFeatures: number, whose: string, only: string): void {
    if (nFeatures !== this.nFeatures)
      throw new Error(
        `${whose}'s SAE has ${nFeatures} features, this one's ${this.nFeatures}; ${only} a scene of the same SAE`,
      );
    const ours = this.model.sae;
    if (sae !== ours)
      throw new Error(
        `${whose}'s SAE is ${shown(sae)}, this one's ${shown(ours)}; their features mean different things, so ` +
          "analyse the other picture with this painter first",
      );
  }

  /** Reduces a factor to its strongest features. */
  keepTop(factor: Factor, top = 1): Scene {
    const f = this.factor(factor);
    checks.integer("top", top, 1, this.nFeatures, "leave it out for all features");
    const from = this.row(f);
    const row = new Float32Array(this.nFeatures);
    for (const [i] of this.weights(f, top)) row[i] = value(from, i);
    const basis = this.basis.slice();
    basis.set(row, f * this.nFeatures);
    return this.replace({ basis });
  }

  /** Gives a factor back the weights that it was analysed with. */
  resetWeights(factor: Factor): Scene {
    const f = this.factor(factor);
    const origin = value(this.origins, f);
    if (origin < 0)
      throw new Error(
        `${shown(this.names[f])} was added, not analysed, so there is nothing to go back to; ` +
          "use undo, or set_weight for each feature",
      );
    const basis = this.basis.slice();
    basis.set(this.baseRow(origin), f * this.nFeatures);
    return this.replace({ basis });
  }

  // Edits of the palette

  /** Copies a factor; the copy is the last, with strength 0 everywhere. */
  duplicate(factor: Factor): Scene {
    const f = this.factor(factor);
    const scene = this.append(this.row(f), this.names[f] ?? "", nextColor(this.colors), value(this.origins, f));
    if (!this.factor_steps) return scene;
    return scene.replace({ factor_steps: [...this.factor_steps, this.factor_steps[f] ?? null] });
  }

  /** Takes a factor out of the picture and off the palette. */
  remove(factor: Factor): Scene {
    const f = this.factor(factor);
    return this.arranged([...this.names.keys()].filter((i) => i !== f));
  }

  /** Puts the factors in another order; the picture stays. */
  reorder(order: readonly unknown[]): Scene {
    const indices = order.map((one) => this.factor(one));
    const sorted = [...indices].sort((a, b) => a - b);
    if (sorted.length !== this.nFactors || sorted.some((f, i) => f !== i))
      throw new Error(
        `order=${shown(indices)} is not every factor once; ` +
          `give the ${plural(this.nFactors, "factor")} in another order`,
      );
    return this.arranged(indices);
  }

  recolor(factor: Factor, color: string): Scene {
    const f = this.factor(factor);
    const checked = checks.color("color", color);
    return this.replace({ colors: this.colors.map((one, i) => (i === f ? checked : one)) });
  }

  rename(factor: Factor, name: string): Scene {
    const f = this.factor(factor);
    const checked = checks.text("name", name);
    return this.replace({ names: this.names.map((one, i) => (i === f ? checked : one)) });
  }

  /** Draws the same things in another style; "" takes it away. */
  restyle(style: string): Scene {
    return this.replace({ style: checks.text("style", style) });
  }

  // Edits of where factors are, and how strong: those of js/src/paint/store/grid.ts

  /** `shares` says how much of the stroke counts in each patch, times `opacity`. */
  paint(factor: Factor, shares: Shares, strength = 1, opacity = 1, mode: PaintMode = "over"): Scene {
    checks.number("strength", strength, "give a number (1.0 = as strong as the model itself makes it)");
    checks.share("opacity", opacity);
    if (mode !== "over" && mode !== "add")
      throw new Error(`mode=${shown(mode)} is unknown; choose 'over' (cover what is there) or 'add'`);
    return this.withMaps(grids.paint(this.maps, this.factor(factor), shares, strength, opacity, mode));
  }

  erase(patches: Mask, factor: Factor | null = null, heal = false): Scene {
    return this.withMaps(grids.erase(this.maps, patches, factor === null ? null : this.factor(factor), heal));
  }

  scale(factor: Factor, gain: number, patches: Mask | null = null): Scene {
    const f = this.factor(factor);
    checks.number("gain", gain, "give a number (0 = gone, 1 = as it is, 2 = twice as strong)");
    return this.withMaps(grids.scale(this.maps, f, gain, patches));
  }

  move(factor: Factor | null, dRow: number, dCol: number, patches: Mask | null = null, heal = true): Scene {
    const f = factor === null ? null : this.factor(factor);
    const hint = (n: number) => `farther than ${n} patches everything is off the grid; use erase to remove it`;
    const [rows, cols] = [this.rows - 1, this.cols - 1];
    checks.integer("d_row", dRow, -rows, rows, hint(rows));
    checks.integer("d_col", dCol, -cols, cols, hint(cols));
    if (f === null && !patches)
      throw new Error("factor=None moves everything in some patches; say which with patches=");
    return this.withMaps(grids.move(this.maps, f, dRow, dCol, patches, heal));
  }

  /** What edits of patches work on. */
  get maps(): Layers {
    const { grid, strengths, remainder, nFactors, factor_steps: steps } = this;
    return { grid, strengths, remainder, nFactors, ...(steps && { steps }) };
  }

  withMaps({ strengths, remainder }: Maps): Scene {
    return this.replace({ strengths, remainder });
  }

  // Edits of when factors act

  /**
   * Lets a factor act at some sampling steps only: (start, stop), or null for all. Such a factor is a layer over the
   * others; see Python's `Scene.set_steps`. `mode` "over" covers what is below, "add" covers nothing; null: as it is now.
   */
  setSteps(factor: Factor, steps: unknown, mode: PaintMode | null = null): Scene {
    const f = this.factor(factor);
    const now = [...this.stepsOfAll];
    const before = now[f] ?? null;
    if (steps === null) {
      if (!before) return this;
      now[f] = null;
      return this.replace({ ...this.layers.folded(f), factor_steps: now });
    }
    const [start, stop] = checks.stepRange("steps", steps, this.n_steps);
    const isAdded = mode === "add" || (mode === null && before?.length === 3);
    now[f] = isAdded ? [start, stop, "add"] : [start, stop];
    if (before || isAdded) return this.replace({ factor_steps: now });
    return this.replace({ ...this.layers.uncovered(f), factor_steps: now });
  }

  // Copies

  /** The scene as it was analysed. It is drawn as the unedited picture. */
  original(): Scene {
    const { nBase } = this;
    const names = Array<string>(nBase).fill("");
    const colors = palette(nBase);
    const next_factor_id = this.next_factor_id + nBase;
    const factor_ids = names.map((_, f) => this.next_factor_id + f);
    for (const [origin, f] of this.analysedFactors) {
      names[origin] = this.names[f] ?? "";
      colors[origin] = this.colors[f] ?? "";
      factor_ids[origin] = value(this.factor_ids, f);
    }
    for (const [f, name] of names.entries()) names[f] = name || freeName(`factor ${f + 1}`, names);
    return this.replace({
      strengths: this.base_strengths,
      basis: this.base_basis,
      remainder: new Float32Array(this.nPatches).fill(1),
      names,
      colors,
      origins: [...Array(nBase).keys()],
      factor_ids,
      next_factor_id,
      factor_steps: null,
    });
  }

  /**
   * A copy with fields replaced, checked like a new scene. Factors keep their ids and steps; if their number or
   * `base_basis` changes, they are other factors, and get new ids and act at all steps unless the changes say otherwise.
   */
  replace(changes: Partial<SceneFields>): Scene {
    const basis = changes.basis ?? this.basis;
    const n = this.nFeatures ? basis.length / this.nFeatures : (changes.names ?? this.names).length;
    const analysedAgain = changes.base_basis !== undefined && changes.base_basis !== this.base_basis;
    const others = n !== this.nFactors || analysedAgain;
    const ids = [...Array(n).keys()].map((f) => this.next_factor_id + f);
    const renewed = others && !("factor_ids" in changes) ? { factor_ids: ids, next_factor_id: null } : {};
    return new Scene({ ...this.fields, ...(others && { factor_steps: null }), ...changes, ...renewed });
  }

  get fields(): SceneFields {
    const { analysed: _, stepLayers: __, ...fields } = this as unknown as SceneFields & Record<string, unknown>;
    return fields;
  }

  /** Whether both are the same value. Ids are not compared: they change nothing that is drawn. */
  same(other: Scene): boolean {
    if (this === other) return true;
    const arrays = ["strengths", "remainder", "basis", "base_strengths", "base_basis", "unit"] as const;
    const plain = (one: Scene) =>
      JSON.stringify([
        [one.rows, one.cols, one.prompt, String(one.seed), one.n_steps, one.style, one.image_strength],
        [one.names, one.colors, one.origins, one.edit_steps, one.factor_steps],
        Object.entries(one.model).sort(([a], [b]) => (a < b ? -1 : 1)),
        // Of copies with other steps, it makes a difference which one was analysed.
        one.factor_steps && [...one.analysedFactors].sort(([a], [b]) => a - b),
      ]);
    return plain(this) === plain(other) && arrays.every((name) => equal(this[name], other[name]));
  }

  /** The index of a factor given by index or name. */
  factor(factor: unknown): number {
    return checks.factorIndex(factor, this.names);
  }

  /** Whether a factor still has the weights that it was analysed with. */
  isAsAnalysed(f: number): boolean {
    const origin = value(this.origins, f);
    return origin >= 0 && equal(this.row(f), this.baseRow(origin));
  }

  /** Whether a factor has any strength in some patches. */
  holds(f: number, patches: Mask): boolean {
    return some(patches.map((on, p) => (on && this.strengths[p * this.nFactors + f] ? 1 : 0)));
  }

  /** The scene with one more factor, the last, whose strengths are `map`, or 0. */
  append(rowOf: Float32Array, name: string, color: string, origin = -1, map?: ArrayLike<number>): Scene {
    const n = this.nFactors;
    const every = [...Array(n).keys()];
    const strengths = columns(this.strengths, n, [...every, -1], this.nPatches);
    if (map) setColumn(strengths, n + 1, n, map);
    return this.replace({
      strengths,
      basis: this.withRow(rowOf),
      names: [...this.names, freeName(checks.text("name", name), this.names)],
      colors: [...this.colors, color],
      origins: [...this.origins, origin],
      factor_ids: [...this.factor_ids, this.next_factor_id],
      next_factor_id: this.next_factor_id + 1,
      factor_steps: this.factor_steps && [...this.factor_steps, null],
    });
  }

  private withRow(one: Float32Array): Float32Array {
    const basis = new Float32Array(this.basis.length + one.length);
    basis.set(this.basis);
    basis.set(one, this.basis.length);
    return basis;
  }

  private arranged(factors: readonly number[]): Scene {
    const pick = <T>(all: readonly T[]): T[] => factors.map((f) => all[f] as T);
    return this.replace({
      strengths: columns(this.strengths, this.nFactors, factors, this.nPatches),
      basis: joined(
        factors.map((f) => this.row(f)),
        this.nFeatures,
      ),
      names: pick(this.names),
      colors: pick(this.colors),
      origins: pick(this.origins),
      factor_ids: pick(this.factor_ids),
      factor_steps: this.factor_steps && pick(this.factor_steps),
    });
  }

  private amount(feature: number, weight: unknown): number {
    return (
      checks.number("weight", weight, "give a number (1.0 = the feature's typical activation)") *
      value(this.unit, feature)
    );
  }
}

/** Origins where nothing else is known: the first factors are the analysed ones. */
export const firstOrigins = (nBase: number, nFactors: number): number[] =>
  [...Array(nFactors).keys()].map((f) => (f < nBase ? f : -1));
