/** Whether the kernel is busy, is lost, or has reported an error. */

import { signal } from "@preact/signals-core";
import type { Clock } from "../transport/transport.ts";

/** How long words stay on the picture, in ms. */
const SAID_MS = 6000;

export class Status {
  readonly task = signal<"" | "draw" | "render">("");
  /** The server that has the model cannot be reached; the kernel tries again by itself. */
  readonly reconnecting = signal(false);
  /** The kernel does not answer: it is busy, or gone. */
  readonly lost = signal(false);
  /** It is gone, and what is painted now would be lost. */
  readonly gone = signal(false);
  readonly error = signal<{ message: string; traceback: string; retry: boolean } | null>(null);
  /** In a saved page: there is no kernel, and nothing can be changed. */
  readonly frozen = signal(false);
  /** A few words on the picture, which go away by themselves. */
  readonly said = signal("");
  private timer: unknown = null;

  constructor(private readonly clock: Clock) {}

  /** Shows words on the picture for some seconds; "" removes them. */
  say(text: string): void {
    this.clock.clearTimeout(this.timer);
    this.said.value = text;
    if (text) this.timer = this.clock.setTimeout(() => this.say(""), SAID_MS);
  }

  fail(message: string, traceback = "", retry = false): void {
    this.error.value = { message, traceback, retry };
  }
}
