/** Thumbnails by their keys, each requested once. */

import { signal } from "@preact/signals-core";
import type { IconMessage, Request } from "../transport/messages.ts";

export class Thumbnails {
  /** Data URLs by keys. */
  readonly urls = signal<Readonly<Record<string, string>>>({});
  private readonly requested = new Set<string>();

  constructor(private readonly ask: (request: Request) => void) {}

  /** Keeps these thumbnails and those of features, and requests the missing ones. */
  want(keys: readonly string[]): void {
    const isOld = (key: string) => !keys.includes(key) && !key.startsWith("feature");
    const urls = this.urls.peek();
    const kept = Object.entries(urls).filter(([key]) => !isOld(key));
    if (kept.length < Object.keys(urls).length) this.urls.value = Object.fromEntries(kept);
    for (const key of this.requested) if (isOld(key)) this.requested.delete(key);
    this.request(keys);
  }

  /** Requests those of these thumbnails that have not been requested yet. */
  request(keys: readonly string[]): void {
    const missing = [...new Set(keys)].filter((key) => key && !this.requested.has(key));
    for (const key of missing) this.requested.add(key);
    if (missing.length) this.ask({ type: "icons", keys: missing });
  }

  receive({ key, url }: IconMessage): void {
    this.urls.value = { ...this.urls.peek(), [key]: url };
  }

  /** The kernel is lost, or fails: requests that have not been answered have to be sent again. */
  forget(): void {
    this.requested.clear();
    for (const key of Object.keys(this.urls.peek())) this.requested.add(key);
  }

  /** Requests again what has not arrived. */
  retry(): void {
    const keys = [...this.requested];
    this.forget();
    this.request(keys);
  }
}
