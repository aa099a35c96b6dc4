/** Pictures from the kernel: the current one, the unedited one, and a comparison. */

import { batch, signal } from "@preact/signals-core";
import { max } from "../../shared/numbers.ts";
import { copied } from "../transport/buffers.ts";
import type { FrameMessage, PixelChange, Request } from "../transport/messages.ts";

export interface Picture {
  readonly bitmap: ImageBitmap;
  readonly frame: FrameMessage | null;
}

export interface PicturesOptions {
  readonly client: string;
  readonly decode: (bytes: Uint8Array) => Promise<ImageBitmap>;
  readonly ask: (request: Request) => number;
  readonly revision: () => number;
  readonly onError: (message: string) => void;
}

export class Pictures {
  readonly picture = signal<Picture | null>(null);
  /** The unedited picture, once it was requested and has arrived. */
  readonly unedited = signal<ImageBitmap | null>(null);
  /** The picture with only the strongest feature of one factor, shown instead of the picture. */
  readonly comparison = signal<{ factor: number; seq: number; bitmap: ImageBitmap | null } | null>(null);
  /** How far the picture is from the unedited one. */
  readonly change = signal<PixelChange>(null);
  /** The sequence number of the last own edit that the picture shows. */
  readonly shownSeq = signal(0);
  /** The file of the last final picture. The scene is in it, so that what was painted outlives the kernel. */
  readonly file = signal<Uint8Array | null>(null);
  /** The sequence number of the last own edit in it. */
  readonly fileSeq = signal(0);
  private nArrived = 0;
  private shown = 0;
  /** The run that the unedited picture belongs to. */
  private run: string | null = null;
  /** Whether the unedited picture is on its way or here, and the sequence number of the last request for it. */
  private isRequested = false;
  private requested = -1;
  /** Answers up to this sequence number belong to an earlier run. */
  private outdated = -1;

  constructor(private readonly options: PicturesOptions) {}

  /** Shows a picture, unless a newer one was decoded first. */
  async show(bytes: ArrayBufferView, frame: FrameMessage | null): Promise<void> {
    const turn = ++this.nArrived;
    const bitmap = await this.decode(bytes);
    if (!bitmap) return;
    if (turn < this.shown) {
      bitmap.close();
      return;
    }
    this.shown = turn;
    const old = this.picture.value;
    batch(() => {
      this.picture.value = { bitmap, frame };
      this.change.value = frame?.change ?? null;
      if (frame?.client === this.options.client) this.shownSeq.value = max(this.shownSeq.peek(), frame.seq);
      if (frame?.kind === "preview") return;
      this.file.value = copied(bytes);
      this.fileSeq.value = this.shownSeq.peek();
    });
    old?.bitmap.close();
  }

  /** Requests the unedited picture, once per run. */
  wantUnedited(): void {
    if (this.run === null || this.isRequested) return;
    this.isRequested = true;
    this.requested = this.options.ask({ type: "original" });
  }

  /** Shows the unedited picture. In a saved page it arrives without a request. */
  async receiveUnedited(seq: number, bytes: ArrayBufferView, change: PixelChange = null): Promise<void> {
    if (seq <= this.outdated) return;
    const { run } = this;
    this.change.value = change;
    const bitmap = await this.decode(bytes);
    if (run !== this.run) {
      bitmap?.close();
      return;
    }
    this.unedited.value?.close();
    this.unedited.value = bitmap;
  }

  /** The scene now belongs to this run; the unedited picture of another run is no longer shown. */
  follow(run: string): void {
    if (run === this.run) return;
    this.run = run;
    this.outdated = this.requested;
    this.isRequested = false;
    this.unedited.peek()?.close();
    this.unedited.value = null;
  }

  /** A request failed; `isIt` says of a sequence number whether that may be its own. */
  fail(isIt: (seq: number) => boolean): void {
    if (isIt(this.comparison.peek()?.seq ?? 0)) this.compare(null);
    this.forget();
  }

  /** The kernel is lost, or fails: a request that has not been answered has to be sent again. */
  forget(): void {
    this.isRequested = this.unedited.peek() !== null;
  }

  /** Requests the picture with only the strongest feature of a factor; null ends the comparison. */
  compare(factor: number | null): void {
    this.comparison.peek()?.bitmap?.close();
    const { ask, revision } = this.options;
    const seq = factor === null ? 0 : ask({ type: "top", factor, revision: revision() });
    this.comparison.value = factor === null ? null : { factor, seq, bitmap: null };
  }

  async receiveComparison(seq: number, bytes: ArrayBufferView): Promise<void> {
    const bitmap = await this.decode(bytes);
    const comparison = this.comparison.value;
    if (comparison?.seq === seq) this.comparison.value = { ...comparison, bitmap };
    else bitmap?.close();
  }

  close(): void {
    this.picture.value?.bitmap.close();
    this.picture.value = null;
    this.unedited.value?.close();
    this.unedited.value = null;
    this.compare(null);
  }

  private async decode(bytes: ArrayBufferView): Promise<ImageBitmap | null> {
    try {
      return await this.options.decode(copied(bytes));
    } catch {
      this.options.onError("The picture that arrived cannot be read.");
      return null;
    }
  }
}
