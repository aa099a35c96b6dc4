/** Requests for another scene: a new one, or a variation of the one that is shown. */

import type { Painter, Run } from "../model/painter.ts";
import * as checks from "../scene/checks.ts";
import { palette } from "../scene/palette.ts";
import { shown } from "../scene/python.ts";
import { Scene } from "../scene/scene.ts";
import type { Line } from "../scene/to_python.ts";
import { editReseeded, refitted, reseeded, type Transform } from "./refit.ts";
import { DEFAULT_N_FACTORS } from "./replies.ts";

/** The fields of a new scene, not checked; what is missing gets its default. */
export interface Wanted {
  readonly prompt?: unknown;
  readonly style?: unknown;
  readonly seed?: unknown;
  readonly n_steps?: unknown;
  readonly n_factors?: unknown;
}

/** A request for a new scene. */
export class NewScene {
  private constructor(
    private readonly run: Run,
    private readonly style: string,
    readonly nFactors: number,
  ) {}

  /** Reads what is wanted. Throws if a value is out of range. */
  static checked(wanted: Wanted, painter: Painter): NewScene {
    const { rows, cols } = painter.grid;
    const prompt = checks.text("prompt", wanted.prompt ?? "");
    const style = checks.text("style", wanted.style ?? "");
    const seed = checks.seed(digits(wanted.seed ?? 0));
    const n_steps = checks.nSteps(wanted.n_steps ?? 1);
    const hint = "the model is made for no more steps";
    checks.integer("n_steps", n_steps, 1, painter.most_steps, hint);
    const nFactors = checks.nFactors(wanted.n_factors ?? DEFAULT_N_FACTORS, rows * cols);
    return new NewScene({ prompt, seed, n_steps }, style, nFactors);
  }

  async madeBy(painter: Painter): Promise<Scene> {
    const { run, style } = this;
    const { strengths, basis, names } = await painter.analyze(run, this.nFactors);
    const { rows, cols } = painter.grid;
    return new Scene({
      ...run,
      style,
      rows,
      cols,
      strengths,
      remainder: new Float32Array(rows * cols).fill(1),
      basis,
      names,
      colors: palette(names.length),
      base_strengths: strengths,
      base_basis: basis,
      unit: painter.unit,
      model: painter.facts,
    });
  }
}

const VARIATIONS = { refit: "n_factors", reseed: "seed", reseed_edit: "seed" } as const;

/** A request for a variation of the scene as painted. */
export class Variation {
  private constructor(
    readonly verb: keyof typeof VARIATIONS,
    private readonly value: number | bigint,
  ) {}

  /** Reads a request. Throws if the verb is unknown, or the number is out of range. */
  static checked(verb: unknown, value: unknown, nPatches: number): Variation {
    if (typeof verb !== "string" || !Object.hasOwn(VARIATIONS, verb))
      throw new Error(`verb=${shown(verb)} is unknown; choose one of ${Object.keys(VARIATIONS).join(", ")}`);
    const number = verb === "refit" ? checks.nFactors(value, nPatches) : checks.seed(digits(value));
    return new Variation(verb as keyof typeof VARIATIONS, number);
  }

  /** How many factors are asked for; null: as many as before. */
  get nFactors(): number | null {
    return this.verb === "refit" ? Number(this.value) : null;
  }

  /** The same as a line of Python. */
  get line(): Line {
    const [verb, more] = this.verb === "reseed_edit" ? ["reseed", ", edit_only=True"] : [this.verb, ""];
    return [`scene = painter.${verb}(scene, ${VARIATIONS[this.verb]}=${this.value}${more})`];
  }

  async madeBy(painter: Painter, transform: Transform, scene: Scene): Promise<Scene> {
    const { prompt, n_steps } = scene;
    if (this.verb === "refit")
      return refitted(
        scene,
        await painter.analyze({ prompt, n_steps, seed: scene.seed }, Number(this.value)),
        transform,
      );
    const seed = BigInt(this.value);
    if (seed === scene.seed) return scene;
    const codes = await painter.codes({ prompt, n_steps, seed });
    return (this.verb === "reseed" ? reseeded : editReseeded)(scene, seed, codes, transform);
  }
}

/** Text of digits as a number: a seed goes up to 2^63 - 1, and a number of JavaScript does not. */
const digits = (value: unknown): unknown =>
  typeof value === "string" && /^\d{1,19}$/.test(value) ? BigInt(value) : value;

/** Refuses a scene that this page cannot draw. */
export function checkScene(scene: Scene, painter: Painter): void {
  const facts = { sae: "SAE", site: "site", id: "model" };
  for (const [key, noun] of Object.entries(facts)) {
    const [theirs, ours] = [scene.model[key] ?? "", painter.facts[key] ?? ""];
    if (!theirs || theirs === ours) continue;
    // The same weights may have another name.
    if (key === "id" && scene.model.key && scene.model.key === painter.facts.key) continue;
    throw new Error(
      `this scene was made with ${noun} ${shown(theirs)}, but this page has ${shown(ours)}; ` +
        "open it in Python with the painter it was made with",
    );
  }
  if (scene.nFeatures !== painter.n_features)
    throw new Error(
      `this scene has ${scene.nFeatures} features, but this page's SAE has ${painter.n_features}; ` +
        "open it in Python with the painter it was made with",
    );
  const { rows, cols } = painter.grid;
  if (scene.rows !== rows || scene.cols !== cols)
    throw new Error(
      `this scene has ${scene.rows}×${scene.cols} patches, but this page's model has ${rows}×${cols}; ` +
        "open it in Python with the painter it was made with",
    );
}
