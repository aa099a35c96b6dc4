import assert from "node:assert/strict";
import { test } from "node:test";
import { Generator } from "../../../src/page/model/noise.ts";
import { distance, floats, parity } from "./parity.ts";

const SIZES = [1, 16, 3, 40, 17, 2, 5, 700];

for (const { seed, drawn, large } of parity.noise)
  test(`seed ${seed} gives PyTorch's noise, one array after the other`, () => {
    const generator = new Generator(BigInt(seed));
    for (const [i, size] of SIZES.entries()) {
      const expected = floats(drawn[i] ?? "");
      assert.ok(distance(generator.randn(size), expected) < 2e-6, `${size} numbers`);
    }
    assert.ok(distance(generator.randn(4 * 64 * 64).slice(-64), floats(large)) < 2e-6);
  });
