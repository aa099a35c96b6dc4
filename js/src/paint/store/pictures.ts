/** Pictures as they arrive: the newest is shown, whatever order they are decoded in, and old ones are let go. */
import { max } from "../../shared/numbers.ts";
import { batch, type Signal, signal } from "../../shared/signals.ts";
import type { FrameMessage, PixelChange } from "../transport/messages.ts";

export interface Picture {
  readonly bitmap: ImageBitmap;
  readonly frame: FrameMessage | null;
}

/** Copied: the view may lie in a websocket message that is gone when it is read. */
export const copied = (bytes: ArrayBufferView): Uint8Array =>
  new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength).slice();

export class Pictures {
  readonly picture = signal<Picture | null>(null);
  /** The picture that nobody edited, once someone wanted to see it. */
  readonly original = signal<ImageBitmap | null>(null);
  /** How far the picture is from the unedited one. */
  readonly change = signal<PixelChange>(null);
  /** The sequence number of the last own edit that the picture shows. */
  readonly shownSeq = signal(0);
  private arrived = 0;
  private shown = 0;
  private originals = 0;

  constructor(
    private readonly client: string,
    private readonly decode: (bytes: Uint8Array) => Promise<ImageBitmap>,
    private readonly fault: Signal<{ message: string; traceback: string } | null>,
  ) {}

  async show(bytes: ArrayBufferView, frame: FrameMessage | null): Promise<void> {
    const turn = ++this.arrived;
    const bitmap = await this.decoded(bytes);
    if (!bitmap) return;
    if (turn < this.shown) {
      bitmap.close();
      return;
    }
    this.shown = turn;
    const old = this.picture.val;
    batch(() => {
      this.picture.val = { bitmap, frame };
      this.change.val = frame?.change ?? null;
      if (frame?.client === this.client) this.shownSeq.val = max(this.shownSeq.val, frame.seq);
    });
    old?.bitmap.close();
  }

  async showOriginal(bytes: ArrayBufferView, change: PixelChange = null): Promise<void> {
    const turn = this.originals;
    this.change.val = change;
    const bitmap = await this.decoded(bytes);
    if (turn === this.originals) this.original.val = bitmap;
    else bitmap?.close();
  }

  /** Another scene: what nobody edited is another picture. */
  forgetOriginal(): void {
    this.originals++;
    this.original.val?.close();
    this.original.val = null;
  }

  close(): void {
    this.picture.val?.bitmap.close();
    this.picture.val = null;
    this.forgetOriginal();
  }

  async decoded(bytes: ArrayBufferView): Promise<ImageBitmap | null> {
    try {
      return await this.decode(copied(bytes));
    } catch {
      this.fault.val = { message: "The picture that arrived cannot be read.", traceback: "" };
      return null;
    }
  }
}
