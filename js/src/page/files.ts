/**
 * The page's files. Each is fetched once: it is put into the browser's cache storage, from where the service worker and
 * later visits take it, so that the page also opens without a network.
 */

const PREFIX = "ember-page-";

/** The name of the cache of one version. Another page of the same site has another one. */
export const cacheName = (base: string, version: string): string => `${PREFIX}${base}@${version}`;

/** The caches of other versions of the same page. */
export const isOutdated = (name: string, base: string, version: string): boolean =>
  name.startsWith(`${PREFIX}${base}@`) && name !== cacheName(base, version);

export class Files {
  private loaded = 0;

  /**
   * @param base Where the files are, a URL that ends in "/".
   * @param version Of all files; it is a part of each file's URL, so that no cache mixes two versions.
   * @param total Bytes of all files that will be fetched.
   * @param onProgress Called with the bytes that have come so far, of `total`.
   */
  constructor(
    private readonly base: string,
    private readonly version: string,
    private readonly total: number,
    private readonly onProgress: (loaded: number, total: number) => void,
  ) {}

  url(name: string): string {
    return `${this.base}${name}?v=${this.version}`;
  }

  /** The bytes of a file. A name that ends in ".gz" is a file compressed with gzip, and is unpacked. */
  readonly read = async (name: string): Promise<Uint8Array<ArrayBuffer>> => {
    const url = this.url(name);
    const cache = await openCache(cacheName(this.base, this.version));
    let response = await cache?.match(url);
    if (!response) {
      response = await fetch(url);
      if (!response.ok) throw new Error(`${name} could not be loaded: the server says ${response.status}`);
      // A browser that is short of space may refuse; the page then works without a copy.
      await cache?.put(url, response.clone()).catch(() => {});
    }
    const packed = await this.counted(response);
    if (!name.endsWith(".gz") || !isGzip(packed)) return packed; // some servers unpack it by themselves
    const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(unpacked).arrayBuffer());
  };

  private async counted(response: Response): Promise<Uint8Array<ArrayBuffer>> {
    const parts: Uint8Array<ArrayBuffer>[] = [];
    const reader = response.body?.getReader();
    if (!reader) return new Uint8Array(await response.arrayBuffer());
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      parts.push(next.value as Uint8Array<ArrayBuffer>);
      this.loaded += next.value.length;
      this.onProgress(Math.min(this.loaded, this.total), this.total);
    }
    const whole = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }
}

const isGzip = (bytes: Uint8Array): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b;

/** Null where there is no cache storage: on a page without https, other than on this computer. */
async function openCache(name: string): Promise<Cache | null> {
  try {
    return await caches.open(name);
  } catch {
    return null;
  }
}
