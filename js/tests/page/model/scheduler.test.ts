import assert from "node:assert/strict";
import { test } from "node:test";
import { Generator } from "../../../src/page/model/noise.ts";
import { initialLatents, nextLatents, type Schedule, scaledInput } from "../../../src/page/model/scheduler.ts";
import { distance, floats, parity } from "./parity.ts";

for (const { seed, scheduler, schedule: written, steps } of parity.schedules) {
  const schedule = written as Schedule;
  test(`${steps.length} steps of ${schedule.prediction_type} go as diffusers' ${scheduler} does them`, () => {
    const generator = new Generator(BigInt(seed));
    let latents = initialLatents(schedule, generator.randn(36));
    for (const [step, expected] of steps.entries()) {
      assert.ok(distance(scaledInput(schedule, step, latents), floats(expected.scaled)) < 1e-5);
      const noise = schedule.ancestral && step + 1 < steps.length ? generator.randn(36) : null;
      latents = nextLatents(schedule, step, latents, floats(expected.prediction), noise);
      assert.ok(distance(latents, floats(expected.latents)) < 2e-5, `step ${step}`);
    }
  });
}
