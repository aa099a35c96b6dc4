/** Fetching of files with progress, and what they hold. */

import type { ModelFile } from "./manifest.ts";

export type Bytes = Uint8Array<ArrayBuffer>;

/** Called while files arrive: how much of all of them is here, in bytes. */
export type OnProgress = (here: number, all: number) => void;

/** Fetches files that belong together, and says how far all of them are. */
export class Download {
  private here = 0;
  private readonly all: number;

  constructor(
    private readonly folder: URL,
    files: readonly ModelFile[],
    private readonly onProgress: OnProgress = () => {},
  ) {
    this.all = files.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** The bytes of a file, unpacked. Throws an Error that names the file if it cannot be fetched. */
  async fetch({ file, bytes, unpacked: length }: ModelFile): Promise<Bytes> {
    const url = new URL(file, this.folder);
    const response = await fetched(url);
    let left = bytes;
    const parts: Bytes[] = [];
    for await (const part of chunksOf(response, url)) {
      parts.push(part);
      // A host may unpack the file by itself, so that more arrives than was packed.
      const counted = Math.min(part.length, left);
      left -= counted;
      this.here += counted;
      this.onProgress(this.here, this.all);
    }
    this.here += left;
    this.onProgress(this.here, this.all);
    const data = await unpacked(joined(parts)).catch(() => {
      throw new Error(`${url} cannot be fetched: what came is damaged or was cut off`);
    });
    // A host may answer with a page of its own where a file is missing.
    if (length !== undefined && data.length !== length)
      throw new Error(`${url} cannot be fetched: the server sends something else, or not all of it`);
    return data;
  }
}

/** The content of a JSON file. Throws an Error that names the file if it cannot be fetched. */
export async function fetchJson<T>(url: URL): Promise<T> {
  const response = await fetched(url);
  try {
    return (await response.json()) as T;
  } catch {
    throw new Error(`${url} cannot be fetched: the server sends something else, or not all of it`);
  }
}

async function fetched(url: URL): Promise<Response> {
  const response = await fetch(url).catch((fault: unknown) => notFetched(url, fault));
  if (!response.ok) throw new Error(`${url} cannot be fetched: the server answers ${response.status}`);
  return response;
}

function notFetched(url: URL, fault: unknown): never {
  throw new Error(`${url} cannot be fetched: ${fault instanceof Error ? fault.message : fault}`);
}

async function* chunksOf({ body }: Response, url: URL): AsyncGenerator<Bytes> {
  const reader = body?.getReader();
  for (;;) {
    // The connection may end in the middle of a file.
    const { value, done } = (await reader?.read().catch((fault: unknown) => notFetched(url, fault))) ?? { done: true };
    if (done || !value) return;
    yield value;
  }
}

function joined(parts: readonly Bytes[]): Bytes {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** What gzip packed; other bytes as they are. */
export async function unpacked(bytes: Bytes): Promise<Bytes> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The arrays of a safetensors file: float32 or bytes. */
export function readSafetensors(bytes: Bytes): Map<string, Float32Array<ArrayBuffer> | Bytes> {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const start = 8 + length;
  const header: Record<string, { dtype: string; data_offsets: [number, number] }> = JSON.parse(
    new TextDecoder().decode(bytes.subarray(8, start)),
  );
  const arrays = new Map<string, Float32Array<ArrayBuffer> | Bytes>();
  for (const [name, { dtype, data_offsets }] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const data = bytes.slice(start + data_offsets[0], start + data_offsets[1]);
    if (dtype !== "F32" && dtype !== "U8") throw new Error(`${name} is of ${dtype}; F32 and U8 can be read`);
    arrays.set(name, dtype === "F32" ? new Float32Array(data.buffer) : data);
  }
  return arrays;
}
