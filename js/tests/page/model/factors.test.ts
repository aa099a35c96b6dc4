import assert from "node:assert/strict";
import { test } from "node:test";
import { analysis } from "../../../src/page/model/analysis.ts";
import { fit, transform } from "../../../src/page/model/factors.ts";
import { distance, filled, floats, parity } from "./parity.ts";

const peak = (values: Float32Array): number => values.reduce((a, b) => Math.max(a, b), 0);

/**
 * Of the largest value. scikit-learn starts from a randomized SVD, the page from a converged one: with `scipy.linalg.svd`
 * as its start, scikit-learn's own factors of picture 2 move by 2e-5.
 */
const TOLERANCE = 1e-4;

for (const [i, { n_features, n_factors, positional, ...picture }] of parity.pictures.entries())
  test(`picture ${i} has the factors that Python finds`, () => {
    const values = filled(picture.codes);
    const codes = { values, n_features, n_patches: values.length / n_features };
    const found = analysis(codes, n_factors, new Set(positional), new Float32Array(n_features).fill(1), new Map());
    const [strengths, basis] = [floats(picture.strengths), filled(picture.basis)];
    assert.ok(
      distance(found.strengths, strengths) < TOLERANCE * peak(strengths),
      `${distance(found.strengths, strengths)}`,
    );
    assert.ok(distance(found.basis, basis) < TOLERANCE * peak(basis), `${distance(found.basis, basis)}`);
    assert.equal(new Set(found.names).size, found.names.length);
  });

test("features that are ignored get weights afterwards, and other pictures strengths", () => {
  const { codes, other, ...expected } = parity.dense;
  const shape = { n_patches: 64, n_features: 30 };
  const found = fit({ ...shape, values: floats(codes) }, 4, new Set([2, 5, 29]));
  assert.ok(
    distance(found.strengths, floats(expected.strengths)) < 1e-4,
    `${distance(found.strengths, floats(expected.strengths))}`,
  );
  assert.ok(distance(found.basis, floats(expected.basis)) < 1e-4, `${distance(found.basis, floats(expected.basis))}`);
  const transformed = transform({ ...shape, values: floats(other) }, floats(expected.basis));
  assert.ok(distance(transformed, floats(expected.transformed)) < 1e-4);
});

test("what cannot be fitted is refused with Python's words", () => {
  const codes = { values: new Float32Array(12), n_patches: 4, n_features: 3 };
  assert.throws(() => fit(codes, 1), /^RangeError: activations are all zero: this image has no active features/);
  assert.throws(() => fit(codes, 5), /n_factors=5, but an image has 4 patches; choose 1..4 \(3..8 reads best\)/);
  codes.values.set([1, 0, 0, 0, 2, 0]);
  assert.throws(
    () => fit(codes, 3),
    /n_factors=3, but this image has only 2 active features in 2 patches; choose 1..2/,
  );
  assert.throws(() => fit(codes, 1, new Set([0, 1])), /ignore names every active feature of this image; ignore fewer/);
});
