/** The sampling steps of diffusers' EulerDiscreteScheduler and EulerAncestralDiscreteScheduler. */

/** The schedule for one number of steps, as `set_timesteps` makes it. */
export interface Schedule {
  /** Whether each step but the last adds new noise. */
  readonly ancestral: boolean;
  /** What the model predicts; "sample" are the clean latents. */
  readonly prediction_type: "epsilon" | "v_prediction" | "sample";
  /** One per step. */
  readonly timesteps: readonly number[];
  /** One more than steps; the last is 0. */
  readonly sigmas: readonly number[];
  readonly init_noise_sigma: number;
}

/** How much noise there is at a step, counted from 0. */
const sigmaAt = ({ sigmas }: Schedule, step: number): number => sigmas[step] as number;

/** The latents that a run starts from. */
export function initialLatents(schedule: Schedule, noise: Float32Array): Float32Array<ArrayBuffer> {
  return Float32Array.from(noise, (value) => value * schedule.init_noise_sigma);
}

/** The latents as the model takes them at a step. */
export function scaledInput(schedule: Schedule, step: number, latents: Float32Array): Float32Array<ArrayBuffer> {
  const scale = Math.sqrt(sigmaAt(schedule, step) ** 2 + 1);
  return Float32Array.from(latents, (value) => value / scale);
}

/**
 * The latents after a step.
 *
 * `noise`: what is drawn for this step, as long as the latents; there is none after the last step, and only an ancestral
 * schedule adds it.
 */
export function nextLatents(
  schedule: Schedule,
  step: number,
  latents: Float32Array,
  prediction: Float32Array,
  noise: Float32Array | null,
): Float32Array<ArrayBuffer> {
  const from = sigmaAt(schedule, step);
  const to = sigmaAt(schedule, step + 1);
  const up = schedule.ancestral ? Math.sqrt((to ** 2 * (from ** 2 - to ** 2)) / from ** 2) : 0;
  const down = Math.sqrt(to ** 2 - up ** 2);
  const [ofPrediction, ofLatents] = partsOfClean(schedule, from);
  return latents.map((latent, i) => {
    const clean = (prediction[i] as number) * ofPrediction + latent * ofLatents;
    return latent + ((latent - clean) / from) * (down - from) + (noise?.[i] ?? 0) * up;
  }) as Float32Array<ArrayBuffer>;
}

/** How much of the prediction and of the latents make up the clean latents. */
function partsOfClean({ prediction_type }: Schedule, sigma: number): readonly [prediction: number, latents: number] {
  switch (prediction_type) {
    case "sample":
      return [1, 0];
    case "epsilon":
      return [-sigma, 1];
    case "v_prediction":
      return [-sigma / Math.sqrt(sigma ** 2 + 1), 1 / (sigma ** 2 + 1)];
  }
}
