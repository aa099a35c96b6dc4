/** Bytes: packed by zlib, and as base64. Compression is the browser's own. */

export type Bytes = Uint8Array<ArrayBuffer>;

/** Packs bytes in zlib's format. */
export const packed = (bytes: Bytes): Promise<Bytes> => through(bytes, new CompressionStream("deflate"));

/**
 * Unpacks bytes in zlib's format.
 *
 * Throws if they are damaged, if something follows them, or if they become longer than `most`.
 */
export const unpacked = (bytes: Bytes, most: number): Promise<Bytes> =>
  through(bytes, new DecompressionStream("deflate"), most);

async function through(
  bytes: Bytes,
  stream: CompressionStream | DecompressionStream,
  most = Number.POSITIVE_INFINITY,
): Promise<Bytes> {
  const writer = stream.writable.getWriter();
  // What goes wrong in writing goes wrong in reading too.
  const written = writer.write(bytes).then(() => writer.close());
  written.catch(() => {});
  const pieces: Uint8Array[] = [];
  let length = 0;
  const reader = stream.readable.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    length += value.length;
    if (length > most) {
      await reader.cancel();
      throw new Error(`it would be longer than ${most} bytes`);
    }
  }
  await written;
  return concatenated(pieces);
}

export function concatenated(pieces: readonly ArrayLike<number>[]): Bytes {
  const whole = new Uint8Array(pieces.reduce((n, piece) => n + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** The bytes of an array, which may be a view; copied. */
export const bytesOf = (array: ArrayBufferView): Bytes =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength).slice() as Bytes;

const PIECE = 0x8000;

export function base64(bytes: Uint8Array): string {
  let letters = "";
  for (let at = 0; at < bytes.length; at += PIECE) letters += String.fromCharCode(...bytes.subarray(at, at + PIECE));
  return btoa(letters);
}

/** Throws if the text is not base64. */
export function fromBase64(text: string): Bytes {
  if (text.length % 4 || /[^A-Za-z0-9+/=]/.test(text)) throw new Error("it is not base64");
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** A short name of some values: equal for equal ones, and hardly ever for others (64 bits; not for secrets). */
export function hashOf(...parts: readonly (string | Uint8Array | Float32Array)[]): string {
  let [h1, h2] = [0xdeadbeef, 0x41c6ce57];
  for (const part of parts) {
    const bytes = typeof part === "string" ? new TextEncoder().encode(part) : viewOf(part);
    for (const byte of [bytes.length & 0xff, (bytes.length >> 8) & 0xff, (bytes.length >> 16) & 0xff]) mix(byte);
    for (let i = 0; i < bytes.length; i++) mix(bytes[i] ?? 0);
  }
  function mix(byte: number): void {
    h1 = Math.imul(h1 ^ byte, 2654435761);
    h2 = Math.imul(h2 ^ byte, 1597334677);
  }
  h1 = Math.imul(h1 ^ (h1 >>> 16), 2246822507) ^ Math.imul(h2 ^ (h2 >>> 13), 3266489909);
  h2 = Math.imul(h2 ^ (h2 >>> 16), 2246822507) ^ Math.imul(h1 ^ (h1 >>> 13), 3266489909);
  return [h1, h2].map((h) => (h >>> 0).toString(16).padStart(8, "0")).join("");
}

const viewOf = (array: ArrayBufferView): Uint8Array => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
