/** A model whose kernel is the test: it records what the widget sends, and the test sends the answers. */
import { emptyLayers, patchesOf } from "../../src/paint/store/grid.ts";
import { Store } from "../../src/paint/store/store.ts";
import type { Model, StateMessage } from "../../src/paint/transport/messages.ts";

// biome-ignore lint/suspicious/noExplicitAny: messages are read as the kernel would
type Sent = any;
type Listener = (content: unknown, buffers: ArrayBufferView[]) => void;

export class FakeKernel implements Model {
  readonly sent: Sent[] = [];
  readonly buffers: ArrayBuffer[][] = [];
  readonly listeners = new Map<string, Set<Listener>>();
  readonly saved: [name: string, mime: string, bytes: Uint8Array][] = [];
  image: unknown = undefined;

  readonly traits: Record<string, unknown> = {};

  get(name = "image"): unknown {
    return name === "image" ? this.image : this.traits[name];
  }

  set(name: string, value: unknown): void {
    this.traits[name] = value;
  }

  save_changes(): void {}

  send(content: unknown, _callbacks?: unknown, buffers: ArrayBuffer[] = []): void {
    this.sent.push(content);
    this.buffers.push(buffers);
  }

  on(event: string, callback: (...args: never[]) => void): void {
    this.listeners.set(event, (this.listeners.get(event) ?? new Set()).add(callback as Listener));
  }

  off(event: string, callback: (...args: never[]) => void): void {
    this.listeners.get(event)?.delete(callback as Listener);
  }

  say(content: unknown, arrays: ArrayBufferView[] = []): void {
    for (const listener of this.listeners.get("msg:custom") ?? []) listener(content, arrays);
  }

  /**
   * Sends a state of a 16×16 scene, unless `change` says otherwise; strengths are `strength` everywhere, and were `before`
   * in the unedited picture.
   */
  state(change: Partial<StateMessage> = {}, strength = 0.25, before = strength): void {
    const names = change.names ?? ["sky", "tree"];
    const message = {
      type: "state",
      why: "scene",
      client: "",
      revision: 1,
      prompt: "a tree",
      style: "",
      seed: "3",
      n_steps: 1,
      n_factors: 2,
      n_found: 2,
      most_steps: 4,
      rows: 16,
      cols: 16,
      run: "a tree, seed 3",
      ids: names.map((_, factor) => factor),
      names,
      colors: names.map(() => "#56b4e9"),
      gains: names.map(() => 1),
      seen: names.map(() => 1),
      analysed: names.map(() => true),
      icons: [],
      features: names.map(() => []),
      first_thing: 0,
      sites: [],
      site_names: [],
      factor_steps: [],
      can_undo: false,
      can_redo: false,
      edited: false,
      replaced: false,
      steps: [],
      step: 0,
      film_from: [],
      seeds: [],
      capabilities: ["styles", "labels", "draw_icons", "refit", "reseed", "sweep", "robustness"],
      ...change,
    };
    const layers = emptyLayers({ rows: message.rows, cols: message.cols }, names.length);
    const unedited = new Float32Array(patchesOf(layers.grid) * (names.length + 1)).fill(before);
    this.say(message, [layers.strengths.fill(strength), layers.remainder, unedited]);
  }

  frame(seq: number, client = "me", byte = seq, kind = "preview"): void {
    this.say({ type: "frame", client, seq, kind, ms: 12, waited_ms: 0, width: 1, height: 1 }, [new Uint8Array([byte])]);
  }

  of(type: string): Sent[] {
    return this.sent.filter((message) => message.type === type);
  }
}

/** A picture that says which byte it was decoded from, and whether it was closed. */
export class FakeBitmap {
  closed = false;

  constructor(readonly byte: number) {}

  close(): void {
    this.closed = true;
  }
}

export function openStore(
  decode?: (bytes: Uint8Array) => Promise<FakeBitmap>,
  kernel = new FakeKernel(),
  setTimeout: (callback: () => void) => unknown = () => 0,
): { kernel: FakeKernel; store: Store } {
  const make = decode ?? (async (bytes: Uint8Array) => new FakeBitmap(bytes[0] ?? -1));
  const store = new Store(kernel, {
    client: "me",
    clock: { now: () => 0, setTimeout, clearTimeout: () => {} },
    decode: make as unknown as (bytes: Uint8Array) => Promise<ImageBitmap>,
    loadPanels: async (source) => ({ source }),
    save: (name, mime, bytes) => kernel.saved.push([name, mime, bytes]),
  });
  store.open();
  return { kernel, store };
}
