/**
 * Checks of what a scene is given, with the words of ember_widgets/util/checks.py: every error says what was given, what
 * is allowed and what to do.
 */

import { LONE_SURROGATE, plural, repr, reprText, shown } from "./python.ts";

export const MAX_SEED = 2n ** 63n - 1n;
export const MAX_STEPS = 4;
export const MAX_GUIDED_STEPS = 100;
export const MAX_TEXT = 10_000;
const MAX_FACTORS = 4096;
const MAX_FLOAT32 = 3.4028234663852886e38;

/** (start, stop), as Python's range counts; with "add", the layer covers nothing; null: all steps. */
export type Steps = readonly [start: number, stop: number] | readonly [start: number, stop: number, mode: "add"];

/** Text that a file can hold. */
export function text(name: string, value: unknown): string {
  if (typeof value !== "string") throw new Error(`${name}=${shown(value)} is not text; give a str`);
  // Python counts code points.
  const length = value.length > MAX_TEXT ? [...value].length : 0;
  if (length > MAX_TEXT)
    throw new Error(`${name} has ${length.toLocaleString("en-US")} characters; 10,000 are the most`);
  const half = LONE_SURROGATE.exec(value);
  if (half)
    throw new Error(
      `${name} holds ${reprText(half[0])} at ${[...value.slice(0, half.index)].length}, half of a surrogate pair, ` +
        "which no file can hold; leave it out",
    );
  return value;
}

export function whole(name: string, value: unknown, low: number | bigint, high: number | bigint): number {
  if (typeof value !== "number" || !Number.isInteger(value))
    throw new Error(`${name}=${shown(value)} is not a whole number; give an int ${low}..${high}`);
  return value;
}

export function integer(name: string, value: unknown, low: number, high: number, hint: string): number {
  const found = whole(name, value, low, high);
  if (found < low || found > high) throw new Error(`${name}=${found} is outside ${low}..${high}; ${hint}`);
  return found;
}

/** A finite number that float32 can hold. */
export function number(name: string, value: unknown, hint: string): number {
  if (typeof value !== "number") throw new Error(`${name}=${shown(value)} is not a number; ${hint}`);
  if (!Number.isFinite(value)) throw new Error(`${name}=${shown(value)} is not finite; ${hint}`);
  if (Math.abs(value) > MAX_FLOAT32) throw new Error(`${name}=${shown(value)} is too large for float32; ${hint}`);
  return value;
}

/** A number in 0..1. */
export function share(name: string, value: unknown): number {
  const hint = "give a number from 0 to 1";
  const found = number(name, value, hint);
  if (found < 0 || found > 1) throw new Error(`${name}=${shown(value)} is outside 0..1; ${hint}`);
  return found;
}

/** A seed: a whole number 0..2^63 - 1. */
export function seed(value: unknown): bigint {
  const is_whole = typeof value === "bigint" || (typeof value === "number" && Number.isInteger(value));
  if (!is_whole) throw new Error(`seed=${shown(value)} is not a whole number; give an int 0..${MAX_SEED}`);
  const found = BigInt(value);
  if (found < 0n || found > MAX_SEED)
    throw new Error(`seed=${found} is outside 0..${MAX_SEED}; the same seed gives the same picture`);
  return found;
}

export function nSteps(value: unknown, guidance = 0): number {
  if (guidance > 1)
    return integer("n_steps", value, 1, MAX_GUIDED_STEPS, `with guidance=${guidance}, 20 to 50 are usual`);
  return integer("n_steps", value, 1, MAX_STEPS, "the model is made for 1 to 4 steps (1 is the fastest to edit)");
}

export function nFactors(value: unknown, nPatches: number): number {
  const found = whole("n_factors", value, 1, nPatches);
  if (found < 1 || found > nPatches)
    throw new Error(
      `n_factors=${found}, but an image has ${nPatches} patches; choose 1..${nPatches} (3..8 reads best)`,
    );
  return found;
}

export function stepRange(name: string, value: unknown, n: number): readonly [number, number] {
  const hint = `give (start, stop) with 0 <= start < stop <= ${n}, or None for all steps`;
  if (!Array.isArray(value) || value.length !== 2) throw new Error(`${name}=${shown(value)} is not a pair; ${hint}`);
  const [start, stop] = value.map((item) => whole(name, item, 0, n)) as [number, number];
  if (!(0 <= start && start < stop && stop <= n))
    throw new Error(`${name}=(${start}, ${stop}) is not a range of the ${plural(n, "step")}; ${hint}`);
  return [start, stop];
}

/** Per factor its steps; null if every factor acts at all steps. */
export function factorSteps(value: unknown, count: number): readonly (Steps | null)[] | null {
  if (value === null || value === undefined) return null;
  if (!Array.isArray(value) || value.length !== count)
    throw new Error(
      `factor_steps=${shown(value)} does not fit; give (start, stop) or None for each of the ` +
        `${plural(count, "factor")}, or None for all`,
    );
  const found = value.map((one: unknown): Steps | null => {
    if (one === null) return null;
    const isAdded = Array.isArray(one) && one.length === 3 && one[2] === "add";
    const [start, stop] = stepRange("factor_steps", isAdded ? one.slice(0, 2) : one, MAX_GUIDED_STEPS);
    return isAdded ? [start, stop, "add"] : [start, stop];
  });
  return found.every((one) => one === null) ? null : found;
}

/** The index of a factor given by index or by name. */
export function factorIndex(factor: unknown, names: readonly string[]): number {
  if (typeof factor === "string") {
    const found = names.indexOf(factor);
    if (found >= 0) return found;
  } else if (typeof factor !== "number" || !Number.isInteger(factor)) {
    throw new Error(`factor=${shown(factor)} is neither an index nor a name; ${toChoose(names)}`);
  } else if (factor >= 0 && factor < names.length) return factor;
  throw new Error(`factor=${shown(factor)}, but this scene has ${plural(names.length, "factor")}; ${toChoose(names)}`);
}

function toChoose(names: readonly string[]): string {
  if (!names.length) return "add one with scene.add_factor({feature: weight})";
  const listed = names.slice(0, 8).map(repr).join(", ") + (names.length > 8 ? ", ..." : "");
  return `choose 0..${names.length - 1} or one of ${listed}`;
}

export function featureIndex(feature: unknown, n: number): number {
  if (n === 0) throw new Error(`feature=${shown(feature)}, but this scene's SAE has no features`);
  return integer("feature", feature, 0, n - 1, `the SAE has ${plural(n, "feature")}`);
}

/** One name per factor, all different, none empty. */
export function factorNames(value: readonly unknown[], count: number): readonly string[] {
  const names = texts("names", value, count);
  const seen = new Set<string>();
  for (const name of names) {
    if (!name.trim()) throw new Error("names holds an empty name; give every factor a name");
    if (seen.has(name))
      throw new Error(`names holds ${shown(name)} twice; factors are picked by name, so all must differ`);
    seen.add(name);
  }
  return names;
}

export const factorColors = (value: readonly unknown[], count: number): readonly string[] =>
  texts("colors", value, count).map((one) => color("colors", one));

/** A colour as "#rrggbb", in lower case. */
export function color(name: string, value: unknown): string {
  const found = text(name, value);
  if (!/^#[0-9a-fA-F]{6}$/.test(found))
    throw new Error(`${name}: ${shown(value)} is not a colour; write it as '#rrggbb', for example '#e69f00'`);
  return found.toLowerCase();
}

function texts(name: string, value: readonly unknown[], count: number): readonly string[] {
  if (!Array.isArray(value)) throw new Error(`${name}=${shown(value)} is not a tuple; give one str per factor`);
  const found = value.map((item) => text(name, item));
  if (found.length !== count)
    throw new Error(`${name} holds ${found.length}, but basis has ${plural(count, "row")}; give one per factor`);
  return found;
}

/** Per factor the index of an analysed one, or -1. */
export function origins(value: unknown, count: number, nBase: number): readonly number[] {
  if (!Array.isArray(value))
    throw new Error(`origins=${shown(value)} is not a tuple; give one index per factor, -1 for added ones`);
  if (value.length !== count)
    throw new Error(`origins holds ${value.length}, but basis has ${plural(count, "row")}; give one per factor`);
  const hint = "give the index of an analysed factor, or -1 for one that was added";
  return value.map((item) => integer("origins", item, -1, nBase - 1, hint));
}

/** One id per factor, all different. */
export function factorIds(value: unknown, count: number): readonly number[] {
  if (value === null || value === undefined) return [...Array(count).keys()];
  if (!Array.isArray(value))
    throw new Error(`factor_ids=${shown(value)} is not a tuple; give one whole number per factor`);
  const hint = "give one whole number per factor, all different";
  const ids = value.map((item) => integer("factor_ids", item, 0, 2 ** 53 - 1, hint));
  if (ids.length !== count || new Set(ids).size < ids.length)
    throw new Error(
      `factor_ids=${shown(value)} are not ${plural(count, "different id")}; ` +
        `basis has ${plural(count, "row")}, and each factor has an id of its own`,
    );
  return ids;
}

/** The id of the next factor: above all that there are. */
export function nextFactorId(value: unknown, ids: readonly number[]): number {
  const least = ids.reduce((a, b) => Math.max(a, b), -1) + 1;
  return value === null || value === undefined
    ? least
    : integer("next_factor_id", value, least, 2 ** 53, "it is above all ids");
}

export function model(value: unknown): Readonly<Record<string, string>> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Error(`model=${shown(value)} is not a mapping; give {'id': ..., 'sae': ...}`);
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [text("a key of model", key), text(`model[${repr(key)}]`, item)]),
  );
}

// Scenes share what an edit did not touch, so an array is looked at once.
const finite = new WeakSet<Float32Array>();

/** An array of a shape, all of it finite. */
export function array(name: string, value: unknown, shape: readonly number[]): Float32Array {
  const size = shape.reduce((a, b) => a * b, 1);
  if (!(value instanceof Float32Array) || value.length !== size)
    throw new Error(`${name} does not have shape (${shape.join(", ")})`);
  if (finite.has(value)) return value;
  for (let i = 0; i < value.length; i++)
    if (!Number.isFinite(value[i]))
      throw new Error(`${name} holds ${repr(value[i])} at ${place(i, shape)}; give finite numbers only`);
  finite.add(value);
  return value;
}

function place(index: number, shape: readonly number[]): string {
  const at: number[] = [];
  for (const length of [...shape].reverse()) {
    at.unshift(index % length);
    index = Math.floor(index / length);
  }
  return at.length === 1 ? `(${at[0]},)` : `(${at.join(", ")})`;
}

export function countOfFactors(n: number): void {
  if (n > MAX_FACTORS) throw new Error(`basis has ${n} rows; a scene has up to ${MAX_FACTORS} factors`);
}
