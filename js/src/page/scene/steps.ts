/** Layers: factors that act at some sampling steps only. The same as ember_widgets/scene/steps.py. */

import type { Drawn } from "../model/painter.ts";
import { column, columns, joined, row, setColumn, value } from "./arrays.ts";
import type { Steps } from "./checks.ts";

/** A patch of which less than this is visible is hidden. */
const GONE = 1e-6;

export interface Maps {
  readonly strengths: Float32Array;
  readonly remainder: Float32Array;
}

/** Whether all of `others` are among `steps`; null: all steps. */
export function includes(steps: Steps | null, others: Steps | null): boolean {
  if (!steps || !others) return !steps;
  return steps[0] <= others[0] && others[1] <= steps[1];
}

/** Steps as people count them, from 1: "steps 3-4" or "step 4". */
export function said(steps: Steps): string {
  const [first, last] = [steps[0] + 1, steps[1]];
  const text = first === last ? `step ${last}` : `steps ${first}-${last}`;
  return steps.length === 2 ? text : `${text}, added`;
}

/** A scene's fields that layers need. */
export interface LayerFields extends Maps {
  readonly steps: readonly (Steps | null)[];
  /** {index into base_basis: factor}. */
  readonly analysed: ReadonlyMap<number, number>;
  readonly basis: Float32Array;
  readonly base_strengths: Float32Array;
  readonly base_basis: Float32Array;
  readonly nFeatures: number;
}

export class StepLayers {
  /** {factor: index into base_basis}. */
  private readonly origins: ReadonlyMap<number, number>;

  constructor(private readonly of: LayerFields) {
    this.origins = new Map([...of.analysed].map(([origin, f]) => [f, origin]));
  }

  /** The layers that act at a step. */
  acting(step: number): number[] {
    const { steps } = this.of;
    return [...steps.keys()].filter((f) => {
      const one = steps[f];
      return one ? one[0] <= step && step < one[1] : false;
    });
  }

  /** How strong a layer is at the steps that it does not act at, per patch. */
  unpainted(factor: number): Float64Array {
    const { remainder, base_strengths, base_basis, nFeatures } = this.of;
    const origin = this.origins.get(factor);
    if (origin === undefined) return new Float64Array(remainder.length);
    const nBase = base_basis.length / nFeatures;
    return column(base_strengths, nBase, origin).map((strength, p) => strength * value(remainder, p));
  }

  /** How much a factor hides per patch, 0..1: as much as was painted; 0 if it is only added. */
  covers(factor: number): Float64Array {
    const { steps, strengths, remainder } = this.of;
    if (steps[factor]?.length === 3) return new Float64Array(remainder.length);
    const unpainted = this.unpainted(factor);
    return column(strengths, steps.length, factor).map((now, p) => Math.min(Math.max(now - value(unpainted, p), 0), 1));
  }

  /** What is drawn at a step at which these layers act. */
  drawn(acting: readonly number[]): Drawn & { readonly factors: readonly number[] } {
    const { steps, basis, base_basis, nFeatures } = this.of;
    const n = steps.length;
    const every = [...steps.keys()];
    const strengths = Float64Array.from(this.of.strengths);
    const remainder = Float64Array.from(this.of.remainder);
    const resting = every.filter((f) => steps[f] && !acting.includes(f));
    for (const f of resting) setColumn(strengths, n, f, this.unpainted(f));
    // A layer that rests is part of the picture below.
    const now = steps.map((one, f) => (resting.includes(f) ? null : one));
    for (const layer of acting) this.cover(layer, strengths, remainder, now);
    const kept = every.filter((f) => !resting.includes(f) || this.origins.has(f));
    const rows = kept.map((f) => {
      const origin = this.origins.get(f);
      const isAnalysed = resting.includes(f) && origin !== undefined;
      return isAnalysed ? row(base_basis, nFeatures, origin) : row(basis, nFeatures, f);
    });
    return {
      strengths: columns(strengths, n, kept, remainder.length),
      remainder: Float32Array.from(remainder),
      basis: joined(rows, nFeatures),
      analysed: new Map(
        kept.flatMap((f, i) => {
          const origin = this.origins.get(f);
          return origin === undefined ? [] : [[origin, i] as const];
        }),
      ),
      factors: kept,
    };
  }

  /** Strengths and remainder less what a layer hides, so that it can act at all steps. */
  folded(layer: number): Maps {
    const strengths = Float64Array.from(this.of.strengths);
    const remainder = Float64Array.from(this.of.remainder);
    this.cover(layer, strengths, remainder, this.of.steps);
    return { strengths: Float32Array.from(strengths), remainder: Float32Array.from(remainder) };
  }

  /** Strengths and remainder with what a factor hides given back, so that it can become a layer. */
  uncovered(factor: number): Maps {
    const { steps, base_strengths, base_basis, nFeatures } = this.of;
    const n = steps.length;
    const nBase = base_basis.length / nFeatures;
    const strengths = Float64Array.from(this.of.strengths);
    let remainder = Float64Array.from(this.of.remainder);
    const visible = this.covers(factor).map((cover) => 1 - cover);
    for (const [f, origin] of this.origins) {
      if (f === factor) continue;
      for (let p = 0; p < visible.length; p++) {
        const [now, then] = [value(strengths, p * n + f), value(base_strengths, p * nBase + origin)];
        const back = value(visible, p) < GONE ? then : now / value(visible, p);
        strengths[p * n + f] = Math.min(Math.max(back, Math.min(now, then)), Math.max(now, then));
      }
    }
    if (nBase)
      remainder = remainder.map((left, p) =>
        value(visible, p) < GONE ? 1 : Math.min(Math.max(left / value(visible, p), 0), 1),
      );
    return { strengths: Float32Array.from(strengths), remainder: Float32Array.from(remainder) };
  }

  /** Fades what lies below a layer, in place. */
  private cover(
    layer: number,
    strengths: Float64Array,
    remainder: Float64Array,
    steps: readonly (Steps | null)[],
  ): void {
    const n = steps.length;
    const covers = this.covers(layer);
    const below = [...steps.keys()].filter((f) => isBelow(steps[f] ?? null, steps[layer] ?? null));
    for (let p = 0; p < remainder.length; p++) {
      const visible = 1 - value(covers, p);
      for (const f of below) strengths[p * n + f] = value(strengths, p * n + f) * visible;
      remainder[p] = value(remainder, p) * visible;
    }
  }
}

/** Of two factors, the one lies above that starts later, then the one that stops earlier. */
function isBelow(one: Steps | null, other: Steps | null): boolean {
  const [a, b] = one ? [one[0], -one[1]] : [-1, 0];
  const [c, d] = other ? [other[0], -other[1]] : [-1, 0];
  return a < c || (a === c && b < d);
}
