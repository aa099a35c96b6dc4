/** Changes of the palette, sent one after the other, and another scene to borrow factors from. */

import { signal } from "@preact/signals-core";
import { TOOLS } from "../tools/index.ts";
import type { Request, SourceScene } from "../transport/messages.ts";
import type { Settings } from "./settings.ts";

interface Change {
  readonly verb: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly commit: boolean;
}

export class Palette {
  /** The scene whose factors can be borrowed. */
  readonly source = signal<SourceScene | null>(null);
  /** The prompt whose factors have been requested. */
  readonly fetching = signal("");
  /** The sequence number of that request. */
  private fetchSeq = 0;
  private queue: Change[] = [];
  /** The sequence number of the change that has not been answered yet. */
  private pending: number | null = null;

  constructor(
    private readonly ask: (request: Request, buffers?: ArrayBuffer[]) => number,
    private readonly settings: Settings,
    private readonly revision: () => number,
  ) {}

  /** Whether all changes have been answered. */
  get isIdle(): boolean {
    return this.pending === null && !this.queue.length;
  }

  /**
   * Calls a method of the scene. A change needs the revision that the change before it made, so each one waits for the
   * answer to the last. While a slider moves (`commit` false), only its newest change waits.
   */
  change(verb: string, args: Change["arguments"], commit = true): void {
    if (this.queue.at(-1)?.commit === false) this.queue.pop();
    this.queue.push({ verb, arguments: args, commit });
    this.next();
  }

  /** Adds a factor. It is added to paint with it, so a tool that does not paint gives way to the brush. */
  add(verb: "add_factor" | "add_concept" | "borrow", args: Change["arguments"]): void {
    const { tool } = this.settings;
    if (!TOOLS[tool.value].uses.includes("strength")) tool.value = "paint";
    this.change(verb, args);
  }

  /** Requests the factors of a prompt's picture, or of the scene in a file; if both are empty, the source is closed. */
  borrowFrom(prompt: string, file = "", bytes: ArrayBuffer[] = []): void {
    this.fetching.value = prompt;
    this.fetchSeq = this.ask({ type: "borrow_source", prompt, file }, bytes);
  }

  /** A request failed; `isIt` says of a sequence number whether that may be its own. */
  fail(isIt: (seq: number) => boolean): void {
    if (isIt(this.fetchSeq)) this.fetching.value = "";
  }

  receiveSource(source: SourceScene | null): void {
    this.fetching.value = "";
    this.source.value = source;
  }

  /** The kernel has answered everything up to `seq`. */
  answered(seq: number): void {
    if (this.pending === null || seq < this.pending) return;
    this.pending = null;
    this.next();
  }

  /** The kernel is lost: no change will be answered. */
  forget(): void {
    this.pending = null;
    this.fetching.value = "";
    this.queue = [];
  }

  private next(): void {
    const change = this.pending === null ? this.queue.shift() : undefined;
    if (change) this.pending = this.ask({ type: "palette", revision: this.revision(), ...change });
  }
}
