/** What all views of one widget share: an object for each part, and the messages that change them. */

import { batch, effect, signal, untracked } from "@preact/signals-core";
import { readLayers } from "../transport/buffers.ts";
import type {
  ConnectionMessage,
  ErrorMessage,
  FrameMessage,
  KernelMessage,
  Left,
  Model,
  Request,
  StateMessage,
} from "../transport/messages.ts";
import { type Clock, Transport } from "../transport/transport.ts";
import { Clipboard } from "./clipboard.ts";
import { Draft } from "./draft.ts";
import { Factors } from "./factors.ts";
import { FeatureSearch } from "./feature_search.ts";
import { Files } from "./files.ts";
import { region } from "./grid.ts";
import { History } from "./history.ts";
import { leftIn, takeLeft } from "./left.ts";
import { Painting } from "./painting.ts";
import { Palette } from "./palette.ts";
import { type Components, Panels } from "./panels.ts";
import { Pictures } from "./pictures.ts";
import { PromptNotes } from "./prompt_notes.ts";
import { Robustness } from "./robustness.ts";
import { Settings } from "./settings.ts";
import { Status } from "./status.ts";
import { Stroke } from "./stroke.ts";
import { Thumbnails } from "./thumbnails.ts";
import { Variations } from "./variations.ts";

/** How many of the features found are visible without scrolling. */
const N_VISIBLE = 6;

export interface StoreOptions {
  readonly client: string;
  readonly clock: Clock;
  readonly decode: (bytes: Uint8Array) => Promise<ImageBitmap>;
  /** Saves a file on the user's machine. */
  readonly save: (name: string, mime: string, bytes: Uint8Array) => void;
  /** Makes components of the text of panels.js. */
  readonly loadPanels: (source: string) => Promise<Components>;
}

export class Store {
  /** The whole widget, or a part of it. */
  readonly panel: "all" | "factors" | "picture";
  readonly settings = new Settings();
  readonly factors = new Factors();
  readonly draft = new Draft();
  readonly status: Status;
  readonly painting: Painting;
  readonly stroke: Stroke;
  readonly history: History;
  readonly variations: Variations;
  readonly robustness: Robustness;
  readonly palette: Palette;
  readonly search: FeatureSearch;
  readonly notes: PromptNotes;
  readonly thumbnails: Thumbnails;
  readonly pictures: Pictures;
  readonly files: Files;
  readonly panels: Panels;
  readonly clipboard: Clipboard;
  private readonly capabilities = signal<readonly string[] | null>(null);
  private readonly transport: Transport;
  private readonly stops: (() => void)[] = [];
  private nViews = 0;
  /** The sequence number of the last request for a new scene. */
  private drawSeq = 0;

  constructor(
    private readonly model: Model,
    private readonly options: StoreOptions,
  ) {
    const { client, clock, decode, save, loadPanels } = options;
    const { settings, factors } = this;
    const status = new Status(clock);
    const say = (text: string) => status.say(text);
    this.status = status;
    const ask = (request: Request, buffers?: ArrayBuffer[]) => this.ask(request, buffers);
    this.panel = (model.get("_panel") as Store["panel"]) || "all";
    this.transport = new Transport(model, client, (...how) => this.onLost(...how), clock);
    this.painting = new Painting(this.transport, clock);
    this.stroke = new Stroke(this.painting, settings, factors, () => this.isEditable, say);
    this.history = new History(
      ask,
      () => this.stroke.cancel(),
      () => this.palette.takeBack(),
    );
    this.variations = new Variations(ask, () => {
      this.stroke.cancel();
      status.task.value = "draw";
    });
    this.robustness = new Robustness(ask, (seed) => this.variations.reseedEdit(seed));
    const revision = () => this.painting.revision;
    this.palette = new Palette(ask, settings, () => this.painting.info.value);
    this.search = new FeatureSearch(ask);
    this.notes = new PromptNotes(ask);
    this.thumbnails = new Thumbnails(ask);
    this.pictures = new Pictures({ client, decode, ask, revision, onError: (message) => status.fail(message) });
    this.files = new Files(ask, save, revision, () => this.offers("apng"));
    this.panels = new Panels(ask, loadPanels);
    this.clipboard = new Clipboard(ask, this.painting, settings, () => this.stroke.cancel(), say);
  }

  /** Starts to listen, and requests the scene from the kernel. */
  open(): void {
    const { model, painting, pictures, factors, settings, status, stroke } = this;
    model.on("msg:custom", this.onMessage);
    // The widget manager sends this when a kernel restarts; the ping finds out whether this widget still exists there.
    model.on("comm_live_update", this.onConnection);
    model.on("change:selected_factor", this.onSelected);
    const image = model.get("image");
    if (ArrayBuffer.isView(image) && image.byteLength) void pictures.show(image, null);
    this.ask({ type: "hello" });
    takeLeft(settings, this.left);
    this.stops.push(
      effect(() => this.sendSelected()),
      effect(() => this.sendLeft()),
      effect(() => this.wantThumbnails()),
      effect(() => this.wantNotes()),
      effect(() => {
        // Why a stroke did nothing may be so no longer.
        const { locked, hidden } = factors;
        void [locked.value, hidden.value, settings.selection.value, painting.gains.value, painting.info.value?.run];
        untracked(() => status.said.value === stroke.said && status.say(""));
      }),
      effect(() => {
        // An edit ends a comparison, which was made with what was there before.
        void [painting.layers.value, painting.gains.value];
        untracked(() => pictures.compare(null));
        untracked(() => this.robustness.outdate());
      }),
    );
  }

  close(): void {
    this.painting.commitSlid();
    this.model.off("msg:custom", this.onMessage);
    this.model.off("comm_live_update", this.onConnection);
    this.model.off("change:selected_factor", this.onSelected);
    for (const stop of this.stops) stop();
    this.transport.close();
    this.pictures.close();
  }

  /** A view opens; returns what to call when it closes. The kernel releases what nobody sees. */
  addView(): () => void {
    this.sendViews(1);
    return () => this.sendViews(-1);
  }

  /** False before there is a scene, while a new one is drawn, and when the kernel is gone. */
  get isEditable(): boolean {
    const { task, frozen, gone } = this.status;
    return this.painting.info.value !== null && task.value !== "draw" && !frozen.value && !gone.value;
  }

  /** How many of the last strokes are not in the file that `savePainting` saves. */
  get nUnsaved(): number {
    return this.painting.steps.value.filter((seq) => seq > this.pictures.fileSeq.value).length;
  }

  /** Whether the painter has this capability; `unknown` is the answer before the first state arrives. */
  offers(capability: string, unknown = false): boolean {
    return this.capabilities.value?.includes(capability) ?? unknown;
  }

  /** Requests a new scene. */
  draw(): void {
    this.stroke.end();
    this.status.task.value = "draw";
    this.ask({ type: "analyze", ...this.draft.fields.value });
  }

  /** Opens the scene in a file. */
  openFile(bytes: ArrayBuffer): void {
    this.ask({ type: "open" }, [bytes]);
  }

  /** Saves the last final picture, with the scene in it, without the kernel. */
  savePainting(): void {
    const bytes = this.pictures.file.value;
    if (bytes) this.options.save("painting.png", "image/png", bytes);
  }

  retry(): void {
    this.status.error.value = null;
    this.ask({ type: "retry" });
  }

  private ask(request: Request, buffers?: ArrayBuffer[]): number {
    this.painting.commitSlid();
    const seq = this.transport.request(request, buffers);
    if (request.type === "analyze" || request.type === "vary") this.drawSeq = seq;
    return seq;
  }

  private sendViews(change = 0): void {
    this.nViews += change;
    if (change || this.nViews) this.ask({ type: "views", n: this.nViews });
  }

  private readonly onSelected = (): void => this.factors.pick(Number(this.model.get("selected_factor")));

  /** The picked factor is a trait, so that Python and other widgets know it. */
  private sendSelected(): void {
    const factor = this.factors.picked.value;
    if (!this.painting.info.value || this.model.get("selected_factor") === factor) return;
    this.model.set("selected_factor", factor);
    this.model.save_changes();
  }

  private get left(): Left {
    return (this.model.get("_left") as Left | undefined) ?? {};
  }

  private sendLeft(): void {
    const { factors, settings, painting } = this;
    const names = painting.info.value?.names;
    if (!names) return;
    const drawer = names[factors.indexOf(factors.drawer.value) ?? -1];
    const left = { ...leftIn(settings), factor: names[factors.picked.value], drawer };
    if (JSON.stringify(left) === JSON.stringify(this.left)) return;
    this.model.set("_left", left);
    this.model.save_changes();
  }

  /** Picks the factor that was picked, here or in Python, and opens the drawer that was open, before this page was loaded. */
  private takeLeftFactors(names: readonly string[]): void {
    const { factors, left } = this;
    const again = left.again ? names.indexOf(left.factor ?? "") : -1;
    const picked = again < 0 ? (this.model.get("selected_factor") as number | undefined) : again;
    if (picked !== undefined) factors.pick(picked);
    factors.drawer.value = factors.keys.value[names.indexOf(left.drawer ?? "")] ?? null;
  }

  private wantThumbnails(): void {
    const info = this.painting.info.value;
    if (!info) return;
    const { seeds, isOpen } = this.variations;
    const rows = [...this.history.steps.value, ...(isOpen.value ? seeds.value : [])];
    const borrowed = this.palette.source.value?.factors ?? [];
    const keys = [...info.icons, ...borrowed.map(({ icon }) => icon), ...rows.map(([, key]) => key)];
    untracked(() => this.thumbnails.want(keys));
  }

  private wantNotes(): void {
    const { prompt, style } = this.draft.fields.value;
    const isShown = this.panel === "all" && this.painting.info.value && !this.status.frozen.value;
    if (isShown && this.offers("prompt_notes")) untracked(() => this.notes.want(prompt, style));
  }

  private onLost(isLost: boolean, isGone = false): void {
    const { lost, gone } = this.status;
    lost.value = isLost;
    gone.value = isLost && (isGone || gone.value);
    if (!isLost) return;
    this.status.task.value = "";
    this.palette.forget();
    this.thumbnails.forget();
    this.pictures.forget();
    this.panels.forget();
  }

  private readonly onConnection = (): void => this.transport.ping();

  private readonly onMessage = (message: KernelMessage, buffers: readonly ArrayBufferView[]): void => {
    this.transport.received();
    const isMine = "client" in message && message.client === this.options.client;
    if (message.type === "state") this.onState(message, buffers, isMine);
    else if (message.type === "frame") this.onFrame(message, buffers);
    else if (message.type === "error") this.onError(message, isMine);
    else if (message.type === "icon") this.thumbnails.receive(message);
    else if (message.type === "status") this.status.task.value = message.busy ? message.task || "render" : "";
    else if (message.type === "connection") this.onServer(message.state);
    else if (message.type === "views") this.sendViews();
    else if (isMine) this.onAnswer(message, buffers);
    // A request for a file has another answer, unless its factor is not there any more.
    if (isMine && (message.type === "ack" || message.type === "notice")) this.files.fail((seq) => seq === message.seq);
    // The transport comes last, so that the next edit contains what this message changed.
    if (!isMine || !("seq" in message)) return;
    if (!this.painting.answered(message.seq)) this.onTooLate();
    this.transport.answered(message.seq, message.type === "frame" ? message : undefined);
    this.palette.answered(message.seq);
  };

  private onAnswer(message: KernelMessage, [bytes]: readonly ArrayBufferView[]): void {
    if (message.type === "found") {
      this.search.receive(message);
      const keys = this.search.found.value.slice(0, N_VISIBLE).map(({ icon = "" }) => icon);
      this.thumbnails.request(keys);
    } else if (message.type === "borrow_source") this.palette.receiveSource(message.source);
    else if (message.type === "notes") this.notes.receive(message);
    else if (message.type === "panels") void this.panels.receive(message);
    else if (message.type === "robustness") this.robustness.receive(message);
    else if (message.type === "file") this.files.receive(message, bytes);
    else if (message.type === "film") this.files.receiveFilm(message);
    else if (message.type === "notice") this.clipboard.receive(message);
    else if (!bytes) return;
    else if (message.type === "original") void this.pictures.receiveUnedited(message.seq, bytes, message.change);
    else if (message.type === "top") void this.pictures.receiveComparison(message.seq, bytes);
  }

  private onState(message: StateMessage, buffers: readonly ArrayBufferView[], isMine: boolean): void {
    const isAnswer = message.why === "hello" || message.why === "refused";
    if (isAnswer && !isMine) return;
    batch(() => {
      this.history.take(message);
      this.variations.seeds.value = message.seeds;
      this.capabilities.value = message.capabilities;
      this.status.frozen.value = message.frozen ?? false;
      if (message.why !== "kept") this.clipboard.notice.value = "";
      if (message.why === "kept") return;
      if (message.why === "edit" && isMine) {
        // The browser may already be ahead of this state.
        this.painting.confirm();
        return;
      }
      const read = readLayers(buffers, message);
      if (!read) return;
      const before = this.painting.info.value;
      this.draft.follow(before, message);
      this.pictures.follow(message.run);
      if (before?.run !== message.run) this.settings.floating = null;
      // A tool knows its factor by its place.
      if (`${before?.ids}` !== `${message.ids}`) this.stroke.end();
      const { rows, cols } = this.painting.grid;
      if (rows !== message.rows || cols !== message.cols) {
        this.stroke.drop();
        this.settings.selection.value = null;
      }
      if (this.painting.take(message, message.gains, ...read)) this.stroke.rebase();
      else this.onTooLate();
      this.factors.follow(message);
      if (!before) this.takeLeftFactors(message.names);
      // A reloaded page shows no hint again.
      if (!before && message.steps.length > 1) this.painting.touched.value = true;
      if (!this.painting.touched.value) {
        const thing = region(this.painting.layers.value, this.factors.picked.value);
        this.settings.suggestSize(thing.filter(Boolean).length);
      }
    });
  }

  private onTooLate(): void {
    this.stroke.drop();
    this.status.say("Your last stroke came too late and is not in the picture");
  }

  private onFrame(frame: FrameMessage, [bytes]: readonly ArrayBufferView[]): void {
    this.status.error.value = null;
    if (bytes) void this.pictures.show(bytes, frame);
  }

  private onServer(state: ConnectionMessage["state"]): void {
    const { reconnecting } = this.status;
    const isBack = reconnecting.value && state === "connected";
    reconnecting.value = state === "reconnecting";
    if (!isBack) return;
    // What failed while it was away, the kernel does not say.
    this.onFailed(() => true);
    this.thumbnails.retry();
  }

  private onError({ client, seq, message, traceback, retry }: ErrorMessage, isMine: boolean): void {
    batch(() => {
      this.status.fail(message, traceback, retry);
      if (isMine) {
        this.draft.refuse(this.painting.info.value);
        if (seq === this.drawSeq) this.status.task.value = "";
      }
      // An error in the background does not say what it answers.
      if (isMine || !client) this.onFailed((one) => !client || one === seq);
      this.thumbnails.forget();
    });
  }

  /** A request failed; `isIt` says of a sequence number whether that may be its own. */
  private onFailed(isIt: (seq: number) => boolean): void {
    this.palette.fail(isIt);
    this.files.fail(isIt);
    this.pictures.fail(isIt);
  }
}
