import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBytes } from "../../../src/page/scene/file.ts";

const reading = (numbers: string) =>
  fromBytes(
    new TextEncoder().encode(
      `{"format": "ember-scene", "version": 1, "prompt": "", "seed": 9223372036854775807, "n_steps": 1, "names": [],
        "colors": [], "model": {}, ${numbers}, "arrays": {"strengths": 0, "remainder": 0, "basis": 0, "base_strengths": 0,
        "base_basis": 0, "unit": 0}}`,
    ),
  );

test("numbers with many digits behind the point are numbers", async () => {
  await assert.rejects(
    reading('"guidance": 7.1000000000000005'),
    /it has guidance 7.1000000000000005, which this page/,
  );
  await assert.rejects(reading('"guidance": 1.2345678901234567e-1'), /it has guidance 0.1234567890123456/);
});
