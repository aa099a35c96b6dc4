/** Changes of the palette, sent one after the other, and another scene to borrow factors from. */

import { signal } from "@preact/signals-core";
import { TOOLS } from "../tools/index.ts";
import type { Request, SceneInfo, SourceScene } from "../transport/messages.ts";
import { isSameScene } from "./factors.ts";
import type { Settings } from "./settings.ts";

interface Change {
  readonly verb: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly commit: boolean;
  /** The scene that it was made for, in which its factors have their places. */
  readonly info: SceneInfo | null;
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
    private readonly info: () => SceneInfo | null,
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
    this.queue.push({ verb, arguments: args, commit, info: this.info() });
    this.next();
  }

  /** Takes back the last change that waits to be sent; false if none does. */
  takeBack(): boolean {
    return this.queue.pop() !== undefined;
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
    while (this.pending === null) {
      const change = this.queue.shift();
      if (!change) return;
      const { verb, commit } = change;
      const now = this.info();
      const args = argumentsIn(change, now);
      const revision = now?.revision ?? -1;
      if (args) this.pending = this.ask({ type: "palette", revision, verb, arguments: args, commit });
    }
  }
}

/**
 * The arguments of a change for the scene that there is now, in which factors may have other places; null if a factor is not
 * there any more, or if factors have come that their new order does not contain.
 */
function argumentsIn({ arguments: args, info: was }: Change, now: SceneInfo | null): Change["arguments"] | null {
  if (!was || !now) return args;
  const { factor, order } = args as { readonly factor?: unknown; readonly order?: readonly number[] };
  const named = order ?? (typeof factor === "number" ? [factor] : []);
  const places = named.map((place) => now.ids.indexOf(was.ids[place] as number));
  if (places.some((place) => place < 0 || !isSameScene(was, now))) return null;
  if (order) return places.length === now.ids.length ? { order: places } : null;
  return places.length ? { ...args, factor: places[0] } : args;
}
