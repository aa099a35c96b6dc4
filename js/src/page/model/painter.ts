/**
 * What the page's kernel needs of its painter, which holds the model: the same as a painter in Python, where
 * ember_widgets/painter/protocol.py says it. Types only.
 */
import type { Grid } from "../../paint/store/grid.ts";

/** What to generate, before any edit. */
export interface Run {
  readonly prompt: string;
  /** 0..2^63 - 1. */
  readonly seed: bigint;
  readonly n_steps: number;
}

/** The factors of a run's picture; the largest share of its codes comes first. */
export interface Analysis {
  /** (rows, cols, n_factors), in C order as all arrays here. */
  readonly strengths: Float32Array;
  /** (n_factors, n_features), in units of SAE codes. */
  readonly basis: Float32Array;
  /** All different. */
  readonly names: readonly string[];
}

/** What is drawn at one step; see `Drawn` in ember_widgets/scene/steps.py. */
export interface Drawn {
  readonly strengths: Float32Array;
  readonly remainder: Float32Array;
  readonly basis: Float32Array;
  /** {index into base_basis: index here}. */
  readonly analysed: ReadonlyMap<number, number>;
}

/** A scene as the model draws it. */
export interface Drawing {
  readonly run: Run;
  /** Text that only the layers after the site read, appended to the prompt; "" = the prompt alone. */
  readonly style: string;
  readonly base_strengths: Float32Array;
  readonly base_basis: Float32Array;
  /** What is drawn at a step; null = the step is not edited. */
  at(step: number): Drawn | null;
}

export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** Four bytes per pixel; the fourth is 255. */
  readonly rgba: Uint8ClampedArray<ArrayBuffer>;
}

/** Thrown by `render` when `cancelled` returned true. */
export class Cancelled extends Error {}

export interface Painter {
  readonly grid: Grid;
  readonly n_features: number;
  /** (n_features,), each feature's typical activation. */
  readonly unit: Float32Array;
  /** (n_features,), the lengths of the SAE's decoder rows. */
  readonly lengths: Float32Array;
  /** What scenes remember of the model: "id", "revision", "site", "sae", "key", versions. */
  readonly facts: Readonly<Record<string, string>>;
  readonly labels: ReadonlyMap<number, string>;
  /** Side of the pictures in pixels. */
  readonly side: number;
  readonly most_steps: number;
  /** The words that the model knows. */
  readonly known_words: readonly string[];
  /** The factors of a run's picture. */
  analyze(run: Run, n_factors: number): Promise<Analysis>;
  /** SAE codes of a run's first step, (rows, cols, n_features). */
  codes(run: Run): Promise<Float32Array>;
  /** Draws a scene; `cancelled` is asked before every step. */
  render(drawing: Drawing, cancelled?: () => boolean): Promise<Pixels>;
  /** The icon of a feature as the file that the page ships (WebP or PNG); null if there is none. */
  icon(feature: number): Uint8Array<ArrayBuffer> | null;
  /** What the model does not read of a prompt and of a style ("" = nothing), in words for people. */
  notes(prompt: string, style: string): { readonly prompt: string; readonly style: string };
}
