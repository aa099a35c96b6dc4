/** What Python computes of the page's model; tests/unit/page/make_parity.py writes it. */

import parity from "../../../../tests/unit/page/parity.json" with { type: "json" };

export { parity };

const bytes = (text: string): ArrayBuffer => Uint8Array.from(Buffer.from(text, "base64")).buffer;

export const floats = (text: string): Float32Array<ArrayBuffer> => new Float32Array(bytes(text));

/** An array that was written without its zeros. */
export function filled({ n, at, values }: { n: number; at: string; values: string }): Float32Array<ArrayBuffer> {
  const places = new Uint32Array(bytes(at));
  const found = bytes(values);
  const isHalf = found.byteLength === 2 * places.length;
  const numbers = isHalf ? new Float32Array(new Uint16Array(found)).map(halfOf) : new Float32Array(found);
  const array = new Float32Array(n);
  for (const [i, place] of places.entries()) array[place] = numbers[i] ?? 0;
  return array;
}

/** A float16 by its bits. */
function halfOf(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const size = exponent ? (1 + (bits & 1023) / 1024) * 2 ** (exponent - 15) : ((bits & 1023) / 1024) * 2 ** -14;
  return bits & 0x8000 ? -size : size;
}

/** The largest distance of two arrays of the same length. */
export function distance(one: ArrayLike<number>, other: ArrayLike<number>): number {
  if (one.length !== other.length) return Infinity;
  return Array.from(one).reduce((most, value, i) => Math.max(most, Math.abs(value - (other[i] ?? Number.NaN))), 0);
}
