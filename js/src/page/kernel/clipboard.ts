/** What was copied, to be pasted on this scene or another; as ember_widgets/widgets/paint/clipboard.py. */

import type { Mask } from "../../paint/store/grid.ts";
import { columns, joined, value } from "../scene/arrays.ts";
import { isBlank } from "../scene/difference.ts";
import { patchesIn, SceneEdit } from "../scene/edit.ts";
import type { Scene } from "../scene/scene.ts";
import { type Line, opened, patchesOf } from "../scene/to_python.ts";

/** A strength that changes by less is hardly seen in the picture. */
const SEEN = 0.05;

export class Copied {
  private constructor(
    readonly edit: SceneEdit,
    /** A Python expression that makes it. */
    readonly code: Line,
    /** The patches that are selected once it is pasted; null: none. */
    readonly patches: Mask | null = null,
    /** A scene that holds what the patches held, and nothing else; null if there are no patches. */
    private readonly part: Scene | null = null,
  ) {}

  /**
   * What patches hold, by their numbers; without any, all that was done to the scene; null if that is nothing. On a blank
   * canvas that is what is painted: the emptiness around it is not copied.
   */
  static of(scene: Scene, patches: readonly number[]): Copied | null {
    let where = new Uint8Array(scene.nPatches);
    for (const p of patches) where[p] = 1;
    if (!patches.length && isBlank(scene)) {
      where = where.map((_, p) => Number(scene.names.some((_, f) => value(scene.strengths, p * scene.nFactors + f))));
      if (!where.includes(1)) return null;
    }
    const found = where.includes(1) ? Copied.region(scene, where) : Copied.allOf(scene);
    return found.edit.isSomething ? found : null;
  }

  /** What some patches hold. */
  static region(scene: Scene, patches: Mask): Copied {
    const held = [...scene.names.keys()].filter((f) => scene.holds(f, patches));
    const part = partOf(scene, held);
    const strengths = part.strengths.map((s, at) => (patches[Math.floor(at / held.length)] ? s : 0));
    const remainder = new Float32Array(scene.nPatches).fill(1);
    return Copied.held(part.replace({ strengths, remainder }), patches.slice());
  }

  /** All that was done to a scene since it was analysed. */
  static allOf(scene: Scene): Copied {
    const original = scene.original();
    const [after, before] = [scene, original].map((one) => partOf(one, [...one.names.keys()])) as [Scene, Scene];
    return new Copied(SceneEdit.between(before, after), [...opened(after), " - ", ...opened(before)]);
  }

  private static held(part: Scene, patches: Mask): Copied {
    const code = [...opened(part), `.copy_patches(${patchesOf(part, patches)})`];
    return new Copied(SceneEdit.ofPatches(part, patches), code, patches, part);
  }

  /**
   * The same patches beside where they were, for a scene that holds there already what they hold: at the first place where
   * a paste is seen. What fills the grid stays.
   */
  beside(scene: Scene): Copied {
    const { patches, part } = this;
    if (!patches || !part) return this;
    const places = movesOf(patches, scene);
    const differs = (by: readonly [number, number]) =>
      [...patches.keys()].some((p) => {
        const q = p + by[0] * scene.cols + by[1];
        const n = scene.nFactors;
        const change = (f: number) => value(scene.strengths, q * n + f) - value(scene.strengths, p * n + f);
        return patches[p] && scene.names.some((_, f) => Math.abs(change(f)) > SEEN);
      });
    const by = places.find(differs) ?? places[0];
    if (!by) return this;
    const n = part.nFactors;
    const strengths = new Float32Array(part.strengths.length);
    const moved = new Uint8Array(patches.length);
    for (const [p, on] of patches.entries()) {
      if (!on) continue;
      const q = p + by[0] * scene.cols + by[1];
      moved[q] = 1;
      strengths.set(part.strengths.subarray(p * n, (p + 1) * n), q * n);
    }
    return Copied.held(part.replace({ strengths }), moved);
  }

  toString(): string {
    const { edit, patches } = this;
    if (!patches) return `this painting's edits (${edit.describe().join("; ")})`;
    const count = patchesIn(patches.reduce((a, on) => a + on, 0));
    const names = edit.is.factors.map(({ state }) => state.name);
    return names.length ? `${count} of ${names.join(", ")}` : count;
  }
}

/** Whether nobody sees what a paste has changed: what no factor explains is not looked at. */
export const changesNothing = (before: Scene, after: Scene): boolean =>
  before.nFactors === after.nFactors &&
  before.strengths.every((s, at) => Math.abs(s - value(after.strengths, at)) <= SEEN);

/** By how many rows and columns patches can move within the grid: to the right, to the left, down, up. */
function movesOf(patches: Mask, { rows, cols }: Scene): (readonly [number, number])[] {
  const where = [...patches.keys()].filter((p) => patches[p]);
  const [row, col] = [where.map((p) => Math.floor(p / cols)), where.map((p) => p % cols)];
  const [top, bottom, left, right] = [Math.min(...row), Math.max(...row), Math.min(...col), Math.max(...col)];
  const [height, width] = [bottom - top + 1, right - left + 1];
  const found: (readonly [number, number])[] = [];
  for (const [down, across] of [
    [0, width],
    [0, -width],
    [height, 0],
    [-height, 0],
    [0, 1],
    [0, -1],
    [1, 0],
    [-1, 0],
  ])
    for (let n = 1; n < Math.max(rows, cols); n++) {
      const [by, over] = [n * (down ?? 0), n * (across ?? 0)];
      if (top + by < 0 || left + over < 0 || bottom + by >= rows || right + over >= cols) break;
      found.push([by, over]);
    }
  return found;
}

/** Some factors of a scene without the picture behind them, so that little is left to write down. */
function partOf(scene: Scene, factors: readonly number[]): Scene {
  const { model } = scene;
  const pick = <T>(all: readonly T[]): T[] => factors.map((f) => all[f] as T);
  return scene.replace({
    prompt: "",
    seed: 0n,
    strengths: columns(scene.strengths, scene.nFactors, factors, scene.nPatches),
    basis: joined(
      factors.map((f) => scene.row(f)),
      scene.nFeatures,
    ),
    names: pick(scene.names),
    colors: pick(scene.colors),
    base_strengths: new Float32Array(0),
    base_basis: new Float32Array(0),
    unit: new Float32Array(scene.nFeatures).fill(1),
    model: Object.fromEntries(["sae", "site"].flatMap((name) => (model[name] ? [[name, model[name]]] : []))),
    origins: factors.map(() => -1),
    image_strength: 0.5,
    factor_ids: pick(scene.factor_ids),
    next_factor_id: scene.next_factor_id,
    factor_steps: scene.factor_steps && pick(scene.factor_steps),
  });
}
