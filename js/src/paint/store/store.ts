/** What all views of one widget share. The kernel owns the scene; the hand may be ahead of it by a stroke. */

import { clamp } from "../../shared/numbers.ts";
import { batch, effect, signal } from "../../shared/signals.ts";
import {
  type DrawRequest,
  type ErrorMessage,
  type FrameMessage,
  type KernelMessage,
  type Model,
  type Request,
  readLayers,
  type StateMessage,
} from "../transport/messages.ts";
import { type Clock, Transport } from "../transport/transport.ts";
import { Files } from "../ui/files.ts";
import { Easel } from "./easel.ts";
import { peaksOf } from "./grid.ts";
import { Palette } from "./palette.ts";
import { Pictures } from "./pictures.ts";

export interface StoreOptions {
  readonly client: string;
  readonly clock: Clock;
  readonly decode: (bytes: Uint8Array) => Promise<ImageBitmap>;
  /** Hands a file to whoever sits before the screen. */
  readonly save: (name: string, mime: string, bytes: Uint8Array) => void;
}

export class Store extends Easel {
  readonly draft = signal<DrawRequest>({ prompt: "", style: "", seed: "0", n_steps: 1, n_factors: 5 });
  /** All of the widget, or a part of it. */
  readonly panel: "all" | "factors" | "picture";

  readonly pictures: Pictures;
  readonly files: Files;
  readonly palette = new Palette(
    (request, buffers) => this.ask(request, buffers),
    () => this.info.val?.revision ?? -1,
  );
  /** A comparison that is shown instead of the picture: it with only the strongest feature of one factor. */
  readonly trial = signal<{ factor: number; seq: number; bitmap: ImageBitmap | null } | null>(null);
  protected readonly line: Transport;
  private originalAsked = false;
  private readonly stops: (() => void)[] = [];

  constructor(
    private readonly model: Model,
    private readonly options: StoreOptions,
  ) {
    super();
    const onLost = (lost: boolean) => {
      this.lost.val = lost;
      if (!lost) return;
      this.task.val = "";
      this.palette.forget();
      this.originalAsked = false;
    };
    this.panel = (model.get("_panel") as Store["panel"]) || "all";
    this.files = new Files((request) => this.ask(request), options.save);
    this.pictures = new Pictures(options.client, options.decode, this.error);
    this.line = new Transport(model, options.client, onLost, options.clock);
  }

  /** Starts listening, and asks the kernel for the scene. */
  open(): void {
    this.model.on("msg:custom", this.onMessage);
    // Said by the widget manager when a kernel restarts; the ping finds out whether this widget is still there.
    this.model.on("comm_live_update", this.onConnection);
    const image = this.model.get("image");
    if (ArrayBuffer.isView(image) && image.byteLength) void this.pictures.show(image, null);
    this.model.on("change:selected_factor", this.onSelected);
    this.ask({ type: "hello" });
    this.stops.push(
      effect(() => this.tellSelected()),
      effect(() => this.wantIcons()),
      effect(() => {
        const peaks = peaksOf(this.layers.val);
        if (`${peaks}` !== `${this.peaks.val}`) this.peaks.val = peaks;
      }),
    );
  }

  close(): void {
    this.model.off("msg:custom", this.onMessage);
    this.model.off("comm_live_update", this.onConnection);
    this.model.off("change:selected_factor", this.onSelected);
    for (const stop of this.stops) stop();
    this.line.close();
    this.pictures.close();
    this.compareTop(null);
  }

  private readonly onSelected = (): void => {
    const last = (this.info.val?.names.length ?? 1) - 1;
    this.factor.val = clamp(Number(this.model.get("selected_factor")), 0, last);
  };

  /** The picked factor is a trait, so that Python and other widgets know it. */
  private tellSelected(): void {
    const factor = this.factor.val;
    if (!this.info.val || this.model.get("selected_factor") === factor) return;
    this.model.set("selected_factor", factor);
    this.model.save_changes();
  }

  private wantIcons(): void {
    const info = this.info.val;
    if (!info) return;
    const { steps, seeds } = this.film.val;
    const rows = [...steps, ...(this.seedsOpen.val ? seeds : [])];
    const lent = this.palette.loan.val?.factors ?? [];
    this.palette.want([...info.icons, ...lent.map(({ icon }) => icon), ...rows.map(([, key]) => key)]);
  }

  /** Asks for a new scene from what the form says. */
  draw(): void {
    this.gesture = null;
    this.task.val = "draw";
    this.ask({ type: "analyze", ...this.draft.val });
  }

  undo(): void {
    if (this.gesture) this.cancelStroke();
    else if (this.canUndo.val) this.ask({ type: "undo" });
  }

  redo(): void {
    if (this.canRedo.val) this.ask({ type: "redo" });
  }

  /** Goes to a step of the history. */
  go(step: number): void {
    if (this.gesture) this.cancelStroke();
    if (step !== this.film.val.step) this.ask({ type: "go", step });
  }

  /** Gives the step that is shown a name, so that it is not forgotten; "" takes it back. */
  keep(name: string): void {
    this.ask({ type: "keep", step: this.film.val.step, name });
  }

  /** Goes on from the picture taken apart into so many factors, or from the same painting on another seed's noise. */
  vary(verb: "refit" | "reseed", value: number | string): void {
    if (this.gesture) this.cancelStroke();
    this.task.val = "draw";
    this.ask({ type: "vary", verb, value });
  }

  /** Goes on from the scene in a file. */
  openFile(bytes: ArrayBuffer): void {
    this.ask({ type: "open" }, [bytes]);
  }

  /** Has the picture that nobody edited sent, unless it is there or on its way. */
  wantOriginal(): void {
    if (this.originalAsked || !this.info.val) return;
    this.originalAsked = true;
    this.ask({ type: "original" });
  }

  retry(): void {
    this.error.val = null;
    this.ask({ type: "retry" });
  }

  /** Asks for the picture with only the strongest feature of a factor in it; null goes back to the picture itself. */
  override compareTop(factor: number | null): void {
    this.trial.val?.bitmap?.close();
    this.trial.val = factor === null ? null : { factor, seq: this.ask({ type: "top", factor }), bitmap: null };
  }

  private async onTop(seq: number, bytes: ArrayBufferView): Promise<void> {
    const bitmap = await this.pictures.decoded(bytes);
    const trial = this.trial.val;
    if (trial?.seq === seq) this.trial.val = { ...trial, bitmap };
    else bitmap?.close();
  }

  private ask(request: Request, buffers?: ArrayBuffer[]): number {
    return this.line.request(request, buffers);
  }

  private readonly onConnection = (): void => this.line.ping();

  private readonly onMessage = (message: KernelMessage, buffers: readonly ArrayBufferView[]): void => {
    this.line.heard();
    const mine = "client" in message && message.client === this.options.client;
    if (message.type === "state") this.onState(message, buffers, mine);
    else if (message.type === "frame") this.onFrame(message, buffers);
    else if (message.type === "error") this.onError(message);
    else if (message.type === "found" && mine) this.palette.foundFor(message);
    else if (message.type === "original" && mine && buffers[0])
      void this.pictures.showOriginal(buffers[0], message.change);
    else if (message.type === "top" && mine && buffers[0]) void this.onTop(message.seq, buffers[0]);
    else if (message.type === "file" && mine) this.files.received(message, buffers[0]);
    else if (message.type === "loan" && mine) this.palette.lent(message.loan);
    else if (message.type === "icon") this.palette.received(message);
    else if (message.type === "status") this.task.val = message.busy ? message.task || "render" : "";
    // Room in the window is given back last, so that the next edit carries what this message brought.
    if (!mine || !("seq" in message)) return;
    this.line.answered(message.seq, message.type === "frame" ? message : undefined);
    this.palette.answered(message.seq);
  };

  private onState(message: StateMessage, buffers: readonly ArrayBufferView[], mine: boolean): void {
    const answer = message.why === "hello" || message.why === "refused";
    if (answer && !mine) return;
    batch(() => {
      this.canUndo.val = message.can_undo;
      this.canRedo.val = message.can_redo;
      this.film.val = message;
      // After one's own edit the hand may be further on already.
      if (message.why === "kept" || (message.why === "edit" && mine)) return;
      const read = readLayers(buffers, message);
      if (!read) return;
      this.compareTop(null);
      const known = this.info.val;
      const draft: Record<string, unknown> = { ...this.draft.val };
      let another = false;
      for (const key of ["prompt", "style", "seed", "n_steps", "n_factors"] as const) {
        if (known?.[key] === message[key]) continue;
        // What else was typed and not yet drawn stays.
        draft[key] = message[key];
        another ||= key !== "n_factors";
      }
      this.draft.val = draft as unknown as DrawRequest;
      if (another) {
        this.pictures.forgetOriginal();
        this.originalAsked = false;
      }
      if (known?.revision !== message.revision) this.gesture = this.ghost.val = null;
      this.info.val = message;
      this.gains.val = message.gains;
      [this.layers.val, this.unedited.val] = read;
      if (known) this.follow(known.names, message.names);
    });
  }

  private onFrame(frame: FrameMessage, buffers: readonly ArrayBufferView[]): void {
    this.error.val = null;
    const bytes = buffers[0];
    if (bytes) void this.pictures.show(bytes, frame);
  }

  private onError({ message, traceback }: ErrorMessage): void {
    batch(() => {
      this.error.val = { message, traceback };
      this.task.val = this.palette.fetching.val = "";
      this.compareTop(null);
      this.files.making.val = null;
    });
  }
}
