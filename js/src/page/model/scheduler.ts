/** The sampling steps of diffusers' EulerAncestralDiscreteScheduler for a model that predicts v. */

/** The schedule for one number of steps, as `set_timesteps` makes it. */
export interface Schedule {
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
 * `noise`: what is drawn for this step, as long as the latents; after the last step there is none.
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
  const up = Math.sqrt((to ** 2 * (from ** 2 - to ** 2)) / from ** 2);
  const down = Math.sqrt(to ** 2 - up ** 2);
  const ofPrediction = -from / Math.sqrt(from ** 2 + 1);
  const ofLatents = 1 / (from ** 2 + 1);
  return latents.map((latent, i) => {
    const clean = (prediction[i] as number) * ofPrediction + latent * ofLatents;
    return latent + ((latent - clean) / from) * (down - from) + (noise?.[i] ?? 0) * up;
  }) as Float32Array<ArrayBuffer>;
}
