/** Writes PNG pictures, still or moving, and reads and writes texts inside them; as ember_widgets/util/png.py. */

import type { Pixels } from "../model/painter.ts";
import { type Bytes, concatenated, packed, unpacked } from "./bytes.ts";

const SIGNATURE = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** A packed text has up to so many bytes, or so many times as many as it takes in the file. */
const [MAX_TEXT_BYTES, MAX_GROWTH] = [2 ** 22, 8];

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

/** A picture as PNG. */
export async function png(picture: Pixels): Promise<Bytes> {
  return concatenated([SIGNATURE, header(picture), chunk("IDAT", await packed(filtered(picture))), chunk("IEND")]);
}

/**
 * Pictures one after the other, as an animated PNG that repeats for ever.
 *
 * All have one size. `times` says how long each is shown, in ms.
 */
export async function animatedPng(pictures: readonly Pixels[], times: readonly number[]): Promise<Bytes> {
  const [first] = pictures;
  if (!first) throw new Error("an animation needs one picture or more");
  const pieces: Bytes[] = [SIGNATURE as Bytes, header(first), chunk("acTL", numbers(32, pictures.length, 0))];
  let sequence = 0;
  for (const [i, picture] of pictures.entries()) {
    const { width, height } = picture;
    const place = numbers(32, sequence++, width, height, 0, 0);
    // The delay is so many thousandths; the last two bytes say how the picture covers the one before: it replaces it.
    pieces.push(chunk("fcTL", concatenated([place, numbers(16, times[i] ?? 0, 1000), [0, 0]])));
    const data = await packed(filtered(picture));
    pieces.push(i === 0 ? chunk("IDAT", data) : chunk("fdAT", concatenated([numbers(32, sequence++), data])));
  }
  return concatenated([...pieces, chunk("IEND")]);
}

const header = ({ width, height }: Pixels): Bytes =>
  // 8 bits per value, RGB, and the only ways to pack, filter and order.
  chunk("IHDR", concatenated([numbers(32, width, height), [8, 2, 0, 0, 0]]));

/** The rows of a picture, each value as its difference from the nearest of its neighbours ("Paeth"): so it packs well. */
function filtered({ width, height, rgba }: Pixels): Bytes {
  const stride = 3 * width;
  const found = new Uint8Array(height * (stride + 1));
  let above = new Uint8Array(stride);
  for (let y = 0; y < height; y++) {
    const row = new Uint8Array(stride);
    for (let x = 0; x < width; x++) for (let c = 0; c < 3; c++) row[3 * x + c] = rgba[4 * (y * width + x) + c] ?? 0;
    const at = y * (stride + 1);
    found[at] = 4;
    for (let i = 0; i < stride; i++) {
      const [left, up, corner] = i < 3 ? [0, above[i] ?? 0, 0] : [row[i - 3] ?? 0, above[i] ?? 0, above[i - 3] ?? 0];
      found[at + 1 + i] = (row[i] ?? 0) - nearest(left, up, corner);
    }
    above = row;
  }
  return found;
}

function nearest(left: number, up: number, corner: number): number {
  const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}

/** A PNG with a text in it, as a compressed international text chunk before the pixels. */
export async function withText(file: Bytes, key: string, text: string): Promise<Bytes> {
  const { end } = chunkAt(file, SIGNATURE.length); // the header, which has to stay first
  const data = concatenated([latin1(key), [0, 1, 0, 0, 0], await packed(new TextEncoder().encode(text))]);
  return concatenated([file.subarray(0, end), chunk("iTXt", data), file.subarray(end)]);
}

export const isPng = (file: Uint8Array): boolean => SIGNATURE.every((byte, i) => file[i] === byte);

/** The text that a PNG has under this key; null if there is none. */
export async function textIn(file: Bytes, key: string): Promise<string | null> {
  const start = concatenated([latin1(key), [0]]);
  for (let at = SIGNATURE.length; at < file.length; ) {
    const { kind, end } = chunkAt(file, at);
    const data = file.subarray(at + 8, end - 4);
    if (kind === "iTXt" && start.every((byte, i) => data[i] === byte)) return read(data.slice(start.length));
    at = end;
  }
  return null;
}

async function read(data: Bytes): Promise<string> {
  const [isPacked, method] = data;
  const language = data.indexOf(0, 2);
  const keyword = language < 0 ? -1 : data.indexOf(0, language + 1);
  try {
    if (keyword < 0) throw new Error();
    let text = data.slice(keyword + 1);
    if (isPacked === 1 && method === 0) text = await unpacked(text, Math.max(MAX_TEXT_BYTES, MAX_GROWTH * text.length));
    return new TextDecoder("utf-8", { fatal: true }).decode(text);
  } catch {
    throw new Error("the text in it is damaged");
  }
}

function chunkAt(file: Uint8Array, at: number): { kind: string; end: number } {
  const isWhole = at + 8 <= file.length;
  const end = isWhole
    ? at + 12 + new DataView(file.buffer, file.byteOffset + at).getUint32(0)
    : Number.POSITIVE_INFINITY;
  if (end > file.length) throw new Error("it is a PNG that was cut off");
  return { kind: String.fromCharCode(...file.subarray(at + 4, at + 8)), end };
}

function chunk(kind: string, data: Uint8Array = new Uint8Array(0)): Bytes {
  const body = concatenated([latin1(kind), data]);
  return concatenated([numbers(32, data.length), body, numbers(32, crc(body))]);
}

function crc(bytes: Uint8Array): number {
  let sum = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) sum = (CRC[(sum ^ (bytes[i] ?? 0)) & 0xff] ?? 0) ^ (sum >>> 8);
  return (sum ^ 0xffffffff) >>> 0;
}

const latin1 = (text: string): number[] => [...text].map((letter) => letter.charCodeAt(0));

/** Whole numbers of 16 or 32 bits, the high byte first. */
function numbers(bits: 16 | 32, ...values: readonly number[]): Bytes {
  const view = new DataView(new ArrayBuffer((values.length * bits) / 8));
  for (const [i, value] of values.entries()) bits === 16 ? view.setUint16(2 * i, value) : view.setUint32(4 * i, value);
  return new Uint8Array(view.buffer);
}
