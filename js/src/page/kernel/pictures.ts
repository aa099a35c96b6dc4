/** Pictures as bytes: BMP during a stroke, which takes no time to write; PNG with the scene inside after it. */

import type { Pixels } from "../model/painter.ts";
import { type Bytes, base64 } from "../scene/bytes.ts";
import { toPng } from "../scene/file.ts";
import { png } from "../scene/png.ts";
import type { Scene } from "../scene/scene.ts";

/** Of a thumbnail, in pixels. */
const SIDE = 72;

/** A rendered picture. */
export class Picture {
  private file: Promise<Bytes> | null = null;

  constructor(
    readonly pixels: Pixels,
    /** Time of the rendering. */
    readonly ms: number,
    /** What was rendered. */
    readonly scene: Scene,
  ) {}

  /** A PNG file; the scene is in it. */
  png(): Promise<Bytes> {
    this.file ??= toPng(this.scene, this.pixels);
    return this.file;
  }
}

/** A picture as a Windows bitmap, which every browser reads: 24 bits per pixel, the lowest row first. */
export function bmp({ width, height, rgba }: Pixels): Bytes {
  const stride = (3 * width + 3) & ~3;
  const start = 54;
  const view = new DataView(new ArrayBuffer(start + stride * height));
  const little = true;
  view.setUint16(0, 0x424d);
  view.setUint32(2, view.byteLength, little);
  view.setUint32(10, start, little);
  view.setUint32(14, 40, little);
  view.setInt32(18, width, little);
  view.setInt32(22, height, little);
  view.setUint16(26, 1, little);
  view.setUint16(28, 24, little);
  view.setUint32(34, stride * height, little);
  const bytes = new Uint8Array(view.buffer);
  for (let y = 0; y < height; y++) {
    let [from, to] = [4 * y * width, start + (height - 1 - y) * stride];
    for (let x = 0; x < width; x++, from += 4, to += 3) {
      bytes[to] = rgba[from + 2] as number;
      bytes[to + 1] = rgba[from + 1] as number;
      bytes[to + 2] = rgba[from] as number;
    }
  }
  return bytes;
}

/** A thumbnail as a data URL. */
export const thumbnailUrl = async (pixels: Pixels): Promise<string> =>
  dataUrl("image/png", await png(resized(pixels, SIDE)));

export const dataUrl = (mime: string, bytes: Uint8Array): string => `data:${mime};base64,${base64(bytes)}`;

/** The media type of a picture that the page ships. */
export const mimeOf = (file: Uint8Array): string => (file[0] === 0x89 ? "image/png" : "image/webp");

/** A smaller square picture; each of its pixels is the mean of those that it covers. */
export function resized(pixels: Pixels, side: number): Pixels {
  const { width, height, rgba } = pixels;
  if (width < side || height < side) return pixels;
  const [columns, rows] = [sharesOf(width, side), sharesOf(height, side)];
  const small = new Uint8ClampedArray(4 * side * side);
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++) {
      const sums = [0, 0, 0];
      for (const [from, down] of rows[y] ?? [])
        for (const [at, across] of columns[x] ?? [])
          for (let c = 0; c < 3; c++)
            sums[c] = (sums[c] as number) + down * across * (rgba[4 * (from * width + at) + c] as number);
      const at = 4 * (y * side + x);
      for (let c = 0; c < 3; c++) small[at + c] = sums[c] as number;
      small[at + 3] = 255;
    }
  return { width: side, height: side, rgba: small };
}

/** For each of `side` pixels, which of n it covers, and with which share. */
function sharesOf(n: number, side: number): (readonly [at: number, share: number])[][] {
  const ratio = n / side;
  return [...Array(side).keys()].map((i) => {
    const [start, stop] = [i * ratio, (i + 1) * ratio];
    const found: (readonly [number, number])[] = [];
    for (let at = Math.floor(start); at < stop && at < n; at++)
      found.push([at, (Math.min(at + 1, stop) - Math.max(at, start)) / ratio]);
    return found;
  });
}
