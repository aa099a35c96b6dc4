/** What Python computes of the page's model; tests/unit/page/make_parity.py writes it. */

import parity from "../../../../tests/unit/page/parity.json" with { type: "json" };

export { parity };

const bytes = (text: string): ArrayBuffer => Uint8Array.from(Buffer.from(text, "base64")).buffer;

export const floats = (text: string): Float32Array<ArrayBuffer> => new Float32Array(bytes(text));

/** An array that was written without its zeros. */
export function filled({ n, at, values }: { n: number; at: string; values: string }): Float32Array<ArrayBuffer> {
  const places = new Uint32Array(bytes(at));
  const numbers = floats(values);
  const array = new Float32Array(n);
  for (const [i, place] of places.entries()) array[place] = numbers[i] ?? 0;
  return array;
}

/** The largest distance of two arrays of the same length. */
export function distance(one: ArrayLike<number>, other: ArrayLike<number>): number {
  if (one.length !== other.length) return Infinity;
  return Array.from(one).reduce((most, value, i) => Math.max(most, Math.abs(value - (other[i] ?? Number.NaN))), 0);
}
