/** What all views of one widget share. The kernel owns the scene; the hand may be ahead of it by a stroke. */

import type { Point } from "./brush.ts";
import { emptyLayers, type Layers, type Mask, withFactorsOf } from "./grid.ts";
import { Palette } from "./palette.ts";
import { Settings } from "./settings.ts";
import { batch, signal } from "./signals.ts";
import { TOOLS } from "./tools/index.ts";
import type { BrushSettings, Change, Deed, Hand, Shape, Tool } from "./tools/tool.ts";
import { type Clock, Transport } from "./transport.ts";
import {
  type DrawRequest,
  type Edit,
  type ErrorMessage,
  type FrameMessage,
  type KernelMessage,
  type Model,
  readLayers,
  type SceneInfo,
  type StateMessage,
} from "./wire.ts";

export interface Picture {
  readonly bitmap: ImageBitmap;
  readonly frame: FrameMessage | null;
}

export interface StoreOptions {
  readonly client: string;
  readonly clock: Clock;
  readonly decode: (bytes: Uint8Array) => Promise<ImageBitmap>;
}

export class Store extends Settings {
  readonly info = signal<SceneInfo | null>(null);
  readonly gains = signal<readonly number[]>([]);
  /** Replaced as a whole by every edit. */
  readonly layers = signal<Layers>(emptyLayers(0));
  readonly canUndo = signal(false);
  readonly canRedo = signal(false);
  readonly picture = signal<Picture | null>(null);
  /** The sequence number of the last own edit that the picture shows. */
  readonly shownSeq = signal(0);
  readonly task = signal<"" | "draw" | "render">("");
  readonly lost = signal(false);
  readonly error = signal<{ message: string; traceback: string } | null>(null);

  /** Outlines of what is being carried. */
  readonly ghost = signal<Change["ghost"] | null>(null);
  readonly draft = signal<DrawRequest>({ prompt: "", seed: "0", n_steps: 1, n_factors: 5 });

  readonly palette = new Palette(
    (request) => this.transport.request(request),
    () => this.info.value?.revision ?? -1,
  );
  private readonly transport: Transport;
  private gesture: { tool: Tool; hand: Hand; deed: Deed | null } | null = null;
  private arrived = 0;
  private shown = 0;

  constructor(
    private readonly model: Model,
    private readonly options: StoreOptions,
  ) {
    super();
    const onLost = (lost: boolean) => {
      this.lost.value = lost;
      if (!lost) return;
      this.task.value = "";
      this.palette.forget();
    };
    this.transport = new Transport(model, options.client, onLost, options.clock);
  }

  /** Starts listening, and asks the kernel for the scene. */
  open(): void {
    this.model.on("msg:custom", this.onMessage);
    // Said by the widget manager when a kernel restarts; the ping finds out whether this widget is still there.
    this.model.on("comm_live_update", this.onConnection);
    const image = this.model.get("image");
    if (ArrayBuffer.isView(image) && image.byteLength) void this.show(image, null);
    this.transport.request({ type: "hello" });
  }

  close(): void {
    this.model.off("msg:custom", this.onMessage);
    this.model.off("comm_live_update", this.onConnection);
    this.transport.close();
    this.picture.value?.bitmap.close();
    this.picture.value = null;
  }

  /** False while there is nothing to paint on, or a new scene is on its way. */
  get editable(): boolean {
    return this.info.value !== null && this.task.value !== "draw";
  }

  get isStroking(): boolean {
    return this.gesture !== null;
  }

  /** Puts the hand down. False where the tool has nothing to do. */
  beginStroke(start: Point, shape: Shape = "free", tool = this.tool.value): boolean {
    if (!this.editable || this.gesture) return false;
    const gesture = { tool: TOOLS[tool].start(), hand: this.hand(shape), deed: null };
    const change = gesture.tool.down(gesture.hand, start);
    if (!change) return false;
    this.gesture = gesture;
    this.apply(change);
    return true;
  }

  continueStroke(points: readonly Point[]): void {
    if (this.gesture) this.apply(this.gesture.tool.move(this.gesture.hand, points));
  }

  endStroke(): void {
    if (!this.gesture) return;
    this.apply(this.gesture.tool.up(this.gesture.hand));
    this.letGo();
  }

  cancelStroke(): void {
    if (!this.gesture) return;
    const { before, selection } = this.gesture.hand;
    this.layers.value = before;
    this.selection.value = selection;
    this.letGo(true);
  }

  /** Does with an area what the tool would do there; tools that do not paint select it. */
  useOn(patches: Mask, tool = this.tool.value, settings: Partial<BrushSettings> = {}): void {
    if (!this.editable || this.gesture) return;
    const { act } = TOOLS[tool];
    const { selection } = this;
    if (!act) {
      selection.value = patches;
      return;
    }
    const free = this.hand("free");
    const hand = { ...free, brush: { ...free.brush, ...settings } };
    const within = selection.value;
    const change = act(hand, within ? patches.map((p, i) => p && (within[i] ?? 0)) : patches, null);
    if (!change) return;
    this.gesture = { tool: TOOLS[tool].start(), hand, deed: null };
    this.apply(change);
    this.letGo();
  }

  private hand(shape: Shape): Hand {
    const { layers, gains, selection, locked } = this;
    return {
      before: layers.value,
      gains: gains.value,
      brush: this.brush,
      shape,
      selection: selection.value,
      locked: locked.value,
    };
  }

  private apply(change: Change): void {
    const { gesture } = this;
    if (!gesture) return;
    batch(() => {
      if (change.factor !== undefined) this.factor.value = change.factor;
      if (change.selection !== undefined) this.selection.value = change.selection;
      if (change.ghost) this.ghost.value = change.ghost;
      if (!change.layers) return;
      const { before, locked } = gesture.hand;
      this.layers.value = locked.size ? withFactorsOf(change.layers, before, locked) : change.layers;
      gesture.deed = change.deed ?? null;
      this.transport.stream(() => this.edit(false));
    });
  }

  private letGo(cancelled = false): void {
    const deed = this.gesture?.deed;
    this.gesture = null;
    this.ghost.value = null;
    if (deed) this.transport.commit(cancelled ? this.edit(true) : { ...this.edit(true), deed });
  }

  setGain(factor: number, gain: number, commit: boolean): void {
    this.gains.value = this.gains.value.map((g, f) => (f === factor ? gain : g));
    if (commit) this.transport.commit(this.edit(true));
    else this.transport.stream(() => this.edit(false));
  }

  /** Asks for a new scene from what the form says. */
  draw(): void {
    this.gesture = null;
    this.task.value = "draw";
    this.transport.request({ type: "analyze", ...this.draft.value });
  }

  undo(): void {
    if (this.gesture) this.cancelStroke();
    else if (this.canUndo.value) this.transport.request({ type: "undo" });
  }

  redo(): void {
    if (this.canRedo.value) this.transport.request({ type: "redo" });
  }

  retry(): void {
    this.error.value = null;
    this.transport.request({ type: "retry" });
  }

  private edit(commit: boolean): Edit {
    return {
      gains: this.gains.value,
      revision: this.info.value?.revision ?? -1,
      commit,
      layers: this.layers.value,
    };
  }

  private readonly onConnection = (): void => this.transport.ping();

  private readonly onMessage = (message: KernelMessage, buffers: readonly ArrayBufferView[]): void => {
    this.transport.heard();
    const mine = "client" in message && message.client === this.options.client;
    if (message.type === "state") this.onState(message, buffers, mine);
    else if (message.type === "frame") this.onFrame(message, buffers);
    else if (message.type === "error") this.onError(message);
    else if (message.type === "found" && mine) this.palette.found.value = message.features;
    else if (message.type === "icon") this.palette.received(message);
    else if (message.type === "status") this.task.value = message.busy ? message.task || "render" : "";
    // Room in the window is given back last, so that the next edit carries what this message brought.
    if (!mine || !("seq" in message)) return;
    this.transport.answered(message.seq);
    this.palette.answered(message.seq);
  };

  private onState(message: StateMessage, buffers: readonly ArrayBufferView[], mine: boolean): void {
    const answer = message.why === "hello" || message.why === "refused";
    if (answer && !mine) return;
    batch(() => {
      this.canUndo.value = message.can_undo;
      this.canRedo.value = message.can_redo;
      // After one's own edit the hand may be further on already.
      if (message.why === "edit" && mine) return;
      const layers = readLayers(buffers, message.names.length);
      if (!layers) return;
      const known = this.info.value;
      const { prompt, seed, n_steps, n_factors } = message;
      if (
        !known ||
        known.prompt !== prompt ||
        known.seed !== seed ||
        known.n_steps !== n_steps ||
        known.n_factors !== n_factors
      )
        this.draft.value = { prompt, seed, n_steps, n_factors };
      if (known?.revision !== message.revision) this.gesture = this.ghost.value = null;
      this.info.value = message;
      this.gains.value = message.gains;
      this.layers.value = layers;
      if (known) this.follow(known.names, message.names);
      this.palette.want(message.icons);
    });
  }

  private onFrame(frame: FrameMessage, buffers: readonly ArrayBufferView[]): void {
    this.error.value = null;
    const bytes = buffers[0];
    if (bytes) void this.show(bytes, frame);
  }

  private onError({ message, traceback }: ErrorMessage): void {
    batch(() => {
      this.error.value = { message, traceback };
      this.task.value = "";
    });
  }

  private async show(bytes: ArrayBufferView, frame: FrameMessage | null): Promise<void> {
    const turn = ++this.arrived;
    // Copied: the view may lie in a websocket message that is gone when decoding is done.
    const copy = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength).slice();
    let bitmap: ImageBitmap;
    try {
      bitmap = await this.options.decode(copy);
    } catch {
      this.error.value = { message: "The picture that arrived cannot be read.", traceback: "" };
      return;
    }
    if (turn < this.shown) {
      bitmap.close();
      return;
    }
    this.shown = turn;
    const old = this.picture.value;
    batch(() => {
      this.picture.value = { bitmap, frame };
      if (frame?.client === this.options.client) this.shownSeq.value = Math.max(this.shownSeq.value, frame.seq);
    });
    old?.bitmap.close();
  }
}
