import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { readSafetensors, unpacked } from "../../../src/page/model/files.ts";
import { encode, type SAE } from "../../../src/page/model/sae.ts";
import { distance, filled, floats, parity } from "./parity.ts";

// The tests run in js/build/tests.
const arrays = readSafetensors(
  new Uint8Array(readFileSync("../../../ember_widgets/embedded/assets/sae/sae.safetensors")),
);

function shipped(): SAE {
  const array = (name: string): Float32Array => {
    const found = arrays.get(name);
    assert.ok(found instanceof Float32Array, name);
    return found;
  };
  const weights = { W_enc: array("W_enc"), b_enc: array("b_enc"), W_dec: array("W_dec"), b_dec: array("b_dec") };
  const { length: d_model } = weights.b_dec;
  const { length: n_features } = weights.b_enc;
  return {
    d_model,
    n_features,
    activation: "batchtopk",
    k: 10,
    target: "update",
    threshold: array("threshold"),
    ...weights,
  };
}

test("patches of the embedded model get Python's codes", () => {
  const codes = encode(shipped(), floats(parity.sae.vectors));
  const expected = filled(parity.sae.codes);
  assert.ok(expected.some((code) => code > 1));
  assert.ok(distance(codes, expected) < 1e-3, `${distance(codes, expected)}`);
});

test("a channel count that four does not divide loses no channel", () => {
  const sae: SAE = {
    ...shipped(),
    d_model: 6,
    n_features: 2,
    W_enc: Float32Array.of(1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 5),
  };
  const small = { ...sae, b_enc: new Float32Array(2), b_dec: new Float32Array(6), threshold: Float32Array.of(0) };
  assert.deepEqual([...encode(small, Float32Array.of(1, 2, 3, 4, 5, 6))], [21, 30]);
});

test("a file that the host has unpacked already is taken as it is", async () => {
  const packed = new Uint8Array(
    await new Response(new Blob(["text"]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer(),
  );
  assert.equal(new TextDecoder().decode(await unpacked(packed)), "text");
  assert.equal(new TextDecoder().decode(await unpacked(new TextEncoder().encode("text"))), "text");
});
