/** What all views of one widget share. The kernel owns the scene; the hand may be ahead of it by a stroke. */
import { batch, signal } from "@preact/signals";
import type { Point } from "./brush.ts";
import { emptyLayers, type Layers, type PaintMode } from "./grid.ts";
import { type BrushSettings, type Stroke, startStroke, type Tool } from "./stroke.ts";
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

export class Store {
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

  readonly tool = signal<Tool>("paint");
  readonly factor = signal(0);
  readonly size = signal(2);
  readonly strength = signal(1);
  readonly mode = signal<PaintMode>("over");
  readonly eraseOnlyFactor = signal(false);
  readonly heal = signal(true);
  readonly hidden = signal<ReadonlySet<number>>(new Set());
  readonly draft = signal<DrawRequest>({ prompt: "", seed: "0", n_steps: 1, n_factors: 5 });

  private readonly transport: Transport;
  private stroke: { stroke: Stroke; before: Layers } | null = null;
  private arrived = 0;
  private shown = 0;

  constructor(
    private readonly model: Model,
    private readonly options: StoreOptions,
  ) {
    const onLost = (lost: boolean) => {
      this.lost.value = lost;
      if (lost) this.task.value = "";
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

  get brush(): BrushSettings {
    return {
      factor: this.factor.value,
      size: this.size.value,
      strength: this.strength.value,
      mode: this.mode.value,
      eraseOnlyFactor: this.eraseOnlyFactor.value,
      heal: this.heal.value,
    };
  }

  /** False while there is nothing to paint on, or a new scene is on its way. */
  get editable(): boolean {
    return this.info.value !== null && this.task.value !== "draw";
  }

  get isStroking(): boolean {
    return this.stroke !== null;
  }

  beginStroke(start: Point): boolean {
    if (!this.editable || this.stroke) return false;
    const before = this.layers.value;
    const begun = startStroke(before, this.gains.value, this.tool.value, this.brush, start);
    if (!begun) return false;
    this.stroke = { stroke: begun.stroke, before };
    this.factor.value = begun.factor;
    this.continueStroke([]);
    return true;
  }

  continueStroke(points: readonly Point[]): void {
    if (!this.stroke) return;
    this.layers.value = this.stroke.stroke.to(points);
    this.transport.stream(() => this.edit(false));
  }

  endStroke(): void {
    if (!this.stroke) return;
    this.stroke = null;
    this.transport.commit(this.edit(true));
  }

  cancelStroke(): void {
    if (!this.stroke) return;
    this.layers.value = this.stroke.before;
    this.endStroke();
  }

  setGain(factor: number, gain: number, commit: boolean): void {
    this.gains.value = this.gains.value.map((g, f) => (f === factor ? gain : g));
    if (commit) this.transport.commit(this.edit(true));
    else this.transport.stream(() => this.edit(false));
  }

  toggleHidden(factor: number): void {
    const next = new Set(this.hidden.value);
    if (!next.delete(factor)) next.add(factor);
    this.hidden.value = next;
  }

  /** Asks for a new scene from what the form says. */
  draw(): void {
    this.stroke = null;
    this.task.value = "draw";
    this.transport.request({ type: "analyze", ...this.draft.value });
  }

  undo(): void {
    if (this.stroke) this.cancelStroke();
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
    else if (message.type === "status") this.task.value = message.busy ? message.task || "render" : "";
    // Room in the window is given back last, so that the next edit carries what this message brought.
    if (mine && "seq" in message) this.transport.answered(message.seq);
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
      if (known?.revision !== message.revision) this.stroke = null;
      this.info.value = message;
      this.gains.value = message.gains;
      this.layers.value = layers;
      this.factor.value = Math.min(this.factor.value, Math.max(0, layers.nFactors - 1));
      if (known && known.names.join("\n") !== message.names.join("\n")) this.hidden.value = new Set();
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
