/** Edits of the palette: what a factor is and how it is called; as ember_widgets/widgets/paint/palette_edits.py. */

import { factorIndex, text } from "../scene/checks.ts";
import { shown, Tuple } from "../scene/python.ts";
import type { Factor, Scene } from "../scene/scene.ts";
import { type Arguments, changed, type Line, lineOf } from "../scene/to_python.ts";
import type { State } from "./history.ts";

interface Verb {
  readonly names: readonly string[];
  /** The scene after it; `given` are its arguments in the order of `names`. */
  apply(scene: Scene, given: readonly unknown[], source: Scene | null): Scene;
}

const verb = (names: string, apply: Verb["apply"]): Verb => ({ names: names.split(" "), apply });

/** The scene's verbs that the front end may use, and their arguments. */
const VERBS: Readonly<Record<string, Verb>> = {
  rename: verb("factor name", (scene, [factor, name]) => scene.rename(factor as Factor, name as string)),
  recolor: verb("factor color", (scene, [factor, color]) => scene.recolor(factor as Factor, color as string)),
  duplicate: verb("factor", (scene, [factor]) => scene.duplicate(factor as Factor)),
  remove: verb("factor", (scene, [factor]) => scene.remove(factor as Factor)),
  reorder: verb("order", (scene, [order]) => scene.reorder(order as unknown[])),
  set_weight: verb("factor feature weight", (scene, [factor, feature, weight]) =>
    scene.setWeight(factor as Factor, feature as number, weight as number),
  ),
  reset_weights: verb("factor", (scene, [factor]) => scene.resetWeights(factor as Factor)),
  add_factor: verb("features name", (scene, [features, name]) => scene.addFactor(features, name as string | null)),
  add_concept: verb("concept", () => {
    throw new Error("this page has no concepts; use ember_widgets in Python to paint with them");
  }),
  restyle: verb("style", (scene, [style]) => scene.restyle(style as string)),
  borrow: verb("factor", (scene, [factor], source) => {
    if (!source) throw new Error("there is nothing to borrow from; give a prompt, or open a scene, first");
    return scene.borrow(source, factor as Factor);
  }),
  set_steps: verb("factor steps", (scene, [factor, steps]) =>
    scene.setSteps(factor as Factor, steps instanceof Tuple ? steps.items : steps),
  ),
};

/** One of VERBS with its arguments, as far as they can be checked without a scene. */
export class PaletteEdit {
  private constructor(
    private readonly verb: string,
    /** As they were given, which is the order in which they are written. */
    private readonly given: Arguments,
  ) {}

  /** Reads a request. Throws if the verb is unknown, or the arguments are not its own. */
  static checked(verb: unknown, given: unknown): PaletteEdit {
    const known = typeof verb === "string" && Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined;
    if (!known) throw new Error(`verb=${shown(verb)} is unknown; choose one of ${Object.keys(VERBS).join(", ")}`);
    const isObject = typeof given === "object" && given !== null && !Array.isArray(given);
    const keys = isObject ? Object.keys(given) : [];
    if (!isObject || keys.length !== known.names.length || !known.names.every((name) => keys.includes(name)))
      throw new Error(`${verb}: arguments=${shown(given)} do not fit; give ${known.names.join(", ")}`);
    const read = Object.entries(given).map(([name, one]): [string, unknown] => {
      if (name === "order" && !Array.isArray(one)) throw new Error(`order=${shown(one)} is not a list of factors`);
      if (typeof one === "string") text(name, one);
      if (name === "features" && typeof one === "object" && one !== null && !Array.isArray(one))
        return [name, new Map(Object.entries(one).map(([feature, weight]) => [numberOf(feature), weight]))];
      return [name, name === "steps" && Array.isArray(one) ? new Tuple(one) : one];
    });
    return new PaletteEdit(String(verb), read);
  }

  /** The state it leads to, with each slider still at its factor; `source` is the scene that `borrow` takes from. */
  apply(state: State, source: Scene | null): State {
    const known = VERBS[this.verb] as Verb;
    const given = new Map(this.given);
    const painted = known.apply(
      state.painted,
      known.names.map((name) => given.get(name)),
      source,
    );
    return state.with(painted, this.gains(state, painted));
  }

  /** The edit as Python, with what was not committed before it. `code` is an expression that makes `source`. */
  lines(before: State, now: State, after: State, source: Scene | null, code: Line): readonly Line[] {
    const first = this.verb === "borrow" ? code : undefined;
    const line = lineOf(now.painted, this.verb, this.given, first);
    if (now.painted.same(before.painted)) return [line];
    try {
      if (this.apply(before, source).painted.same(after.painted))
        return [lineOf(before.painted, this.verb, this.given, first)]; // the end of a drag
    } catch {
      // It needs what was not committed.
    }
    return [...changed(before.painted, now.painted), line];
  }

  private gains({ gains, painted: { names } }: State, painted: Scene): Float32Array {
    if (["duplicate", "add_factor", "borrow"].includes(this.verb)) return Float32Array.from([...gains, 1]);
    if (this.verb === "remove") {
      const removed = factorIndex(this.given[0]?.[1], names);
      return gains.filter((_, f) => f !== removed);
    }
    if (this.verb === "reorder") return Float32Array.from(painted.names, (name) => gains[names.indexOf(name)] ?? 1);
    return gains;
  }
}

/** JSON's keys are text. */
const numberOf = (feature: string): number | string => (/^\d{1,9}$/.test(feature) ? Number(feature) : feature);
