/** The encoder and decoder of one site's sparse autoencoder; see ember_widgets/dictionary/sae.py. */

export interface SAE {
  readonly d_model: number;
  readonly n_features: number;
  /** (d_model, n_features). */
  readonly W_enc: Float32Array;
  readonly b_enc: Float32Array;
  /** (n_features, d_model). */
  readonly W_dec: Float32Array;
  readonly b_dec: Float32Array;
  readonly activation: "topk" | "batchtopk";
  /** Codes per patch, on average; what matters where there is no threshold. */
  readonly k: number;
  /** Codes that are not above it become 0; one number, or one per feature. */
  readonly threshold: Float32Array | null;
  readonly target: "update" | "output";
}

/**
 * What the SAE encodes, (n_patches, d_model), of what enters and leaves the site, both (d_model, n_patches).
 */
export function targetOf(
  { target, d_model }: SAE,
  hiddenIn: Float32Array,
  hiddenOut: Float32Array,
): Float32Array<ArrayBuffer> {
  const n_patches = hiddenOut.length / d_model;
  const vectors = new Float32Array(hiddenOut.length);
  for (let c = 0; c < d_model; c++)
    for (let p = 0; p < n_patches; p++) {
      const i = c * n_patches + p;
      vectors[p * d_model + c] = (hiddenOut[i] as number) - (target === "update" ? (hiddenIn[i] as number) : 0);
    }
  return vectors;
}

/** Codes of the patches of one picture: (n_patches, d_model) -> (n_patches, n_features), most of them 0. */
export function encode(sae: SAE, vectors: Float32Array): Float32Array<ArrayBuffer> {
  const { d_model, n_features, W_enc, b_enc, b_dec, threshold } = sae;
  const n_patches = vectors.length / d_model;
  const codes = new Float32Array(n_patches * n_features);
  const sums = new Float64Array(n_features);
  // Sums are read and written for four channels at once, which halves the time.
  const rows = Array.from({ length: Math.ceil(d_model / 4) }, (_, i) =>
    [0, 1, 2, 3].map((k) => {
      const row = Math.min(4 * i + k, d_model - 1) * n_features;
      return W_enc.subarray(row, row + n_features);
    }),
  );
  for (let p = 0; p < n_patches; p++) {
    sums.set(b_enc);
    const centred = (c: number) =>
      c < d_model ? Math.fround((vectors[p * d_model + c] as number) - (b_dec[c] as number)) : 0;
    for (const [i, [first, second, third, fourth]] of rows.entries()) {
      if (!first || !second || !third || !fourth) continue;
      const [a, b, c, d] = [centred(4 * i), centred(4 * i + 1), centred(4 * i + 2), centred(4 * i + 3)];
      for (let f = 0; f < n_features; f++)
        sums[f] =
          (sums[f] as number) +
          a * (first[f] as number) +
          b * (second[f] as number) +
          c * (third[f] as number) +
          d * (fourth[f] as number);
    }
    const at = p * n_features;
    for (let f = 0; f < n_features; f++) {
      const code = sums[f] as number;
      const least = threshold ? (threshold[threshold.length === 1 ? 0 : f] as number) : 0;
      if (code > 0 && code > least) codes[at + f] = code;
    }
  }
  if (!threshold && sae.activation === "topk")
    for (let p = 0; p < n_patches; p++) keepLargest(codes.subarray(p * n_features, (p + 1) * n_features), sae.k);
  else if (!threshold) keepLargest(codes, sae.k * n_patches);
  return codes;
}

/** Sets all but the k largest to 0. */
function keepLargest(codes: Float32Array, k: number): void {
  const sorted = codes.filter((code) => code > 0).sort();
  if (sorted.length <= k) return;
  const least = sorted[sorted.length - k] as number;
  // Of equal codes, the first ones are kept.
  let equal = k;
  for (let i = sorted.length - 1; i >= 0 && (sorted[i] as number) > least; i--) equal--;
  for (const [i, code] of codes.entries()) if (code < least || (code === least && equal-- <= 0)) codes[i] = 0;
}

/** rows · W_dec: (n, n_features) -> (n, d_model), what the rows' features add at the site. */
export function directions({ W_dec, n_features, d_model }: SAE, rows: Float32Array): Float32Array<ArrayBuffer> {
  const n = rows.length / n_features;
  const found = new Float32Array(n * d_model);
  const sums = new Float64Array(d_model);
  for (let k = 0; k < n; k++) {
    sums.fill(0);
    for (let f = 0; f < n_features; f++) {
      const weight = rows[k * n_features + f] as number;
      if (!weight) continue;
      for (let c = 0; c < d_model; c++) sums[c] = (sums[c] as number) + weight * (W_dec[f * d_model + c] as number);
    }
    found.set(sums, k * d_model);
  }
  return found;
}
