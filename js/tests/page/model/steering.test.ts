import assert from "node:assert/strict";
import { test } from "node:test";
import { encode, type SAE } from "../../../src/page/model/sae.ts";
import { steered } from "../../../src/page/model/steering.ts";
import { distance, floats, parity } from "./parity.ts";

const { sae, cases, ...site } = parity.steering;
const [hiddenIn, hiddenOut] = [floats(site.hidden_in), floats(site.hidden_out)];
const saeOf = (target: "update" | "output"): SAE => ({
  d_model: 6,
  n_features: 10,
  activation: "batchtopk",
  k: 2,
  threshold: null,
  target,
  W_enc: floats(sae.W_enc),
  b_enc: floats(sae.b_enc),
  W_dec: floats(sae.W_dec),
  b_dec: floats(sae.b_dec),
});

for (const [i, { drawn, out }] of cases.entries())
  test(`scene ${i} changes the site as in Python, whatever the SAE's target`, () => {
    const base = { base_strengths: floats(site.base_strengths), base_basis: floats(site.base_basis) };
    for (const target of ["update", "output"] as const)
      for (const [step, one] of drawn.entries()) {
        const scene = {
          strengths: floats(one.strengths),
          remainder: floats(one.remainder),
          basis: floats(one.basis),
          analysed: new Map(one.analysed.map(([origin = 0, f = 0]) => [origin, f])),
        };
        const found = steered(saeOf(target), base, scene, hiddenIn, hiddenOut);
        assert.ok(distance(found, floats(out[target][step] ?? "")) < 1e-5, `${target} ${step}`);
        if (i === 0) assert.equal(found, hiddenOut);
      }
  });

test("small SAEs keep the largest codes of a patch or of a picture", () => {
  const { small, topk, batchtopk } = parity.sae;
  const one = { ...saeOf("output"), n_features: 40, k: 3 };
  const [W_enc, b_enc, W_dec, b_dec] = [small.W_enc, small.b_enc, small.W_dec, small.b_dec].map(floats);
  assert.ok(W_enc && b_enc && W_dec && b_dec);
  for (const [activation, expected] of [
    ["topk", topk],
    ["batchtopk", batchtopk],
  ] as const) {
    const codes = encode({ ...one, W_enc, b_enc, W_dec, b_dec, activation }, floats(small.x));
    assert.ok(distance(codes, floats(expected)) < 1e-5, activation);
  }
});
