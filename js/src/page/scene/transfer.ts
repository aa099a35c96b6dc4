/** Puts an edit on another scene. The same as ember_widgets/scene/edit_transfer.py, which says how. */

import { column, equal, joined, some, stacked, value } from "./arrays.ts";
import { editedPatches, NOTABLE } from "./difference.ts";
import { type FactorEdit, type PerFactor, patchesIn, perFactor, pictureOf, type SceneEdit } from "./edit.ts";
import { freeName, nextColor } from "./palette.ts";
import { plural, shown } from "./python.ts";
import type { Scene, SceneFields } from "./scene.ts";
import { said } from "./steps.ts";

/** Two factors are the same if the cosine of their weights is at least this. */
const SAME_FACTOR = 0.8;
/** How much closer two factors count that have the same name too. */
const SAME_NAME = 0.1;

export interface Transfer {
  readonly scene: Scene;
  /** The names of the factors that were added to it. */
  readonly added: readonly string[];
  /** What was decided, a sentence each. */
  readonly notes: readonly string[];
}

/** A factor of the scene that is being made. */
interface Column extends PerFactor {
  readonly strengths: Float64Array;
  readonly row: Float32Array;
  readonly origin: number;
  readonly id: number;
  readonly isRenamed?: boolean;
  readonly editedBy?: number;
}

/** Puts an edit on a scene. Throws if the scene has another SAE or another grid. */
export function transfer(edit: SceneEdit, scene: Scene): Transfer {
  check(edit, scene);
  const match = matched(edit, scene);
  const byFactor = new Map([...match].map(([e, t]) => [t, e]));
  const notes: string[] = [];
  let columns: Column[] = [];
  for (const t of scene.names.keys()) {
    const e = byFactor.get(t);
    const there = column(scene.strengths, scene.nFactors, t);
    const as = {
      row: scene.row(t),
      origin: value(scene.origins, t),
      id: value(scene.factor_ids, t),
      ...perFactor(scene, t),
    };
    if (e === undefined)
      columns.push({ ...as, strengths: there.map((strength, p) => strength * value(edit.is.covers, p)) });
    else if (edit.is.factors[e]?.after) columns.push(changed({ ...as, strengths: there }, edit, e, scene, t, notes));
  }
  const nKept = columns.length;
  let nextId = scene.next_factor_id;
  for (const [e, factor] of edit.is.factors.entries()) {
    if (match.has(e)) continue;
    const name = shown(factor.state.name);
    if (!factor.after) notes.push(`${name} is not there, so it is not removed`);
    else if (!factor.before || edit.adds(e, NOTABLE)) columns.push(addedColumn(edit, e, scene, columns, nextId++));
    else if (factor.reweighted.length || Object.keys(factor.changed).length || some(edit.ownChange(e)))
      notes.push(`${name} is not there, so it is left as it is`);
  }
  columns = named(columns, notes);
  const added = columns.slice(nKept).map(({ name }) => name);
  notes.push(...beyondTheLastStep(columns, nKept, edit, scene));
  if (edit.reorders) columns = ordered(columns, edit);
  const changes: Partial<SceneFields> = {
    strengths: stacked(
      columns.map(({ strengths }) => strengths),
      scene.nPatches,
    ),
    remainder: remainderOf(edit, scene),
    basis: joined(
      columns.map(({ row }) => row),
      scene.nFeatures,
    ),
    names: columns.map(({ name }) => name),
    colors: columns.map(({ color }) => color),
    factor_steps: columns.map(({ steps }) => steps),
    origins: columns.map(({ origin }) => origin),
    factor_ids: columns.map(({ id }) => id),
    next_factor_id: nextId,
    ...settings(edit, scene, notes),
  };
  notes.push(...over(edit, scene, match));
  return { scene: scene.replace(changes), added, notes };
}

/** Which factor of a scene each one of an edit is; those that it does not have are missing. The closest come first. */
function matched(edit: SceneEdit, scene: Scene): Map<number, number> {
  const close = edit.is.factors.flatMap((factor, e) =>
    scene.names.map((_, t) => ({ score: closeness(factor, scene, t), e, t })).filter(({ score }) => score > 0),
  );
  close.sort((a, b) => b.score - a.score || a.e - b.e || a.t - b.t);
  const found = new Map<number, number>();
  const taken = new Set<number>();
  for (const { e, t } of close) {
    if (found.has(e) || taken.has(t)) continue;
    found.set(e, t);
    taken.add(t);
  }
  return found;
}

/** The cosine of a factor's weights to those of a scene's factor; 0 if they are not the same factor. */
function closeness({ before, after }: FactorEdit, scene: Scene, t: number): number {
  const theirs = scene.row(t);
  let best = 0;
  for (const [state, later] of [[before, 0] as const, [after, SAME_NAME / 2] as const]) {
    if (!state) continue;
    const isNamed = state.name === scene.names[t];
    // Weights that are all 0 have no direction, so only the name says whose they are.
    const isEqual = equal(state.row, theirs) && (isNamed || some(theirs));
    const cosine = isEqual ? 1 : cosineOf(state.row, theirs);
    if (cosine >= SAME_FACTOR) best = Math.max(best, cosine + (isNamed ? SAME_NAME : 0) - later);
  }
  return best;
}

function cosineOf(one: Float32Array, other: Float32Array): number {
  let [dot, a, b] = [0, 0, 0];
  for (let i = 0; i < one.length; i++) {
    const [x, y] = [value(one, i), value(other, i)];
    dot += x * y;
    a += x * x;
    b += y * y;
  }
  const size = Math.sqrt(a) * Math.sqrt(b);
  return size ? Math.min(dot / size, 1) : 0;
}

function check(edit: SceneEdit, scene: Scene): void {
  scene.checkSae(edit.sae, edit.nFeatures, "the edit", "an edit can only be put on");
  if (edit.rows !== scene.rows || edit.cols !== scene.cols)
    throw new Error(
      `the edit is of a picture with ${edit.rows}×${edit.cols} patches, and this one has ${scene.rows}×${scene.cols}; ` +
        "an edit can only be put on a picture of the same size",
    );
}

/** A factor that the scene has, changed. */
function changed(from: Column, edit: SceneEdit, e: number, scene: Scene, t: number, notes: string[]): Column {
  const factor = edit.is.factors[e] as FactorEdit;
  const { before, after } = edit.is;
  const strengths = from.strengths.map((there, p) => {
    const at = p * edit.n + e;
    // As it came out before the edit was taken up, to the last bit.
    if (there === before[at]) return value(after, at);
    return there * value(edit.shares, at) + value(edit.additions, at);
  });
  const column = { ...from, strengths, editedBy: e };
  if (!factor.before || !factor.after) return column;
  const { changed: fields, reweighted } = factor;
  const [old, now] = [factor.before.row, factor.after.row];
  const own = reweighted.filter(
    (i) =>
      from.origin >= 0 &&
      from.row[i] !== scene.baseRow(from.origin)[i] &&
      from.row[i] !== old[i] &&
      from.row[i] !== now[i],
  ).length;
  if (own) notes.push(`${shown(scene.names[t])} had other weights of ${plural(own, "feature")}; the edit's are kept`);
  const row = from.row.slice();
  for (const i of reweighted) row[i] = value(now, i);
  return { ...column, ...fields, row, isRenamed: fields.name !== undefined };
}

/** A factor of the edit that the scene does not have. */
function addedColumn(edit: SceneEdit, e: number, scene: Scene, columns: readonly Column[], id: number): Column {
  const { row, origin, name, color, steps } = (edit.is.factors[e] as FactorEdit).state;
  const isSamePicture = edit.picture === pictureOf(scene);
  const colors = columns.map((one) => one.color);
  return {
    strengths: column(edit.additions, edit.n, e),
    row,
    origin: isSamePicture ? origin : -1,
    id,
    name,
    color: colors.includes(color) && !isSamePicture ? nextColor(colors) : color,
    steps,
    isRenamed: true,
    editedBy: e,
  };
}

/** Every factor with a name of its own; those that the edit did not name keep theirs. */
function named(columns: readonly Column[], notes: string[]): Column[] {
  const taken = columns.filter(({ isRenamed }) => !isRenamed).map(({ name }) => name);
  return columns.map((column) => {
    if (!column.isRenamed) return column;
    const name = freeName(column.name, taken);
    taken.push(name);
    if (name !== column.name) notes.push(`the name ${shown(column.name)} is taken, so it is called ${shown(name)}`);
    return { ...column, name };
  });
}

/** Which factors cannot be seen, because the edit lets them act at steps that the picture does not have. */
function beyondTheLastStep(columns: readonly Column[], nKept: number, edit: SceneEdit, scene: Scene): string[] {
  return columns.flatMap(({ name, steps, editedBy }, i) => {
    const edited = editedBy === undefined ? undefined : edit.is.factors[editedBy];
    const isFromEdit = i >= nKept || edited?.changed.steps !== undefined;
    if (!isFromEdit || !steps || steps[0] < scene.n_steps) return [];
    return [`${shown(name)} acts at ${said(steps)}, which this picture does not have`];
  });
}

/** The edit's factors in its order, at the places that they have together. */
function ordered(columns: readonly Column[], edit: SceneEdit): Column[] {
  const rank = (column: Column) => edit.is.order.indexOf(column.editedBy ?? 0);
  const theirs = columns.filter(({ editedBy }) => editedBy !== undefined).sort((a, b) => rank(a) - rank(b));
  return columns.map((column) => (column.editedBy === undefined ? column : (theirs.shift() ?? column)));
}

function remainderOf(edit: SceneEdit, scene: Scene): Float32Array {
  const [before, after] = edit.is.remainder;
  return Float32Array.from(scene.remainder, (there, p) => {
    const [was, is] = [value(before, p), value(after, p)];
    if (there === was) return is;
    const share = was > 0 ? is / was : value(edit.is.covers, p);
    return Math.min(Math.max(is > was ? there + is - was : there * share, 0), 1);
  });
}

/** The style, and the steps that edits apply at. */
function settings(edit: SceneEdit, scene: Scene, notes: string[]): Partial<SceneFields> {
  const changes: { style?: string; edit_steps?: Scene["edit_steps"] } = {};
  const [before, after] = edit.is.style;
  if (before !== after) {
    changes.style = after;
    if (![before, after].includes(scene.style)) notes.push(`the style was ${shown(scene.style)}; the edit's is kept`);
  }
  const [was, steps] = edit.is.editSteps;
  if (String(was) !== String(steps)) {
    if (!steps || steps[1] <= scene.n_steps) changes.edit_steps = steps;
    else notes.push(`edit_steps (${steps.join(", ")}) do not fit ${plural(scene.n_steps, "step")}; they stay`);
  }
  return changes;
}

/** Where the edit lies over what was painted in the scene itself. */
function over(edit: SceneEdit, scene: Scene, match: ReadonlyMap<number, number>): string[] {
  const { before, factors } = edit.is;
  const edited = editedPatches(scene);
  const differs = (p: number) =>
    [...factors.keys()].some((e) => {
      const t = match.get(e);
      const there = t === undefined ? 0 : value(scene.strengths, p * scene.nFactors + t);
      return there !== before[p * edit.n + e];
    });
  const n = [...edit.patches.entries()].filter(([p, on]) => on && edited[p] && differs(p)).length;
  return n ? [`the edit lies over what was painted in ${patchesIn(n)}`] : [];
}
