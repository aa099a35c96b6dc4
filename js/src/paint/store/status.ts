/** Whether the kernel is busy, is lost, or has reported an error. */

import { signal } from "@preact/signals-core";

export class Status {
  readonly task = signal<"" | "draw" | "render">("");
  /** The kernel does not answer. */
  readonly lost = signal(false);
  readonly error = signal<{ message: string; traceback: string; retry: boolean } | null>(null);
  /** In a saved page: there is no kernel, and nothing can be changed. */
  readonly frozen = signal(false);

  fail(message: string, traceback = "", retry = false): void {
    this.error.value = { message, traceback, retry };
  }
}
