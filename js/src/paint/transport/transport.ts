/**
 * Sends edits so that the kernel is always busy and never behind. At most WINDOW edits are on their way: one is drawn,
 * and one arrives just in time to be the next. The newest edit waits here, where it still changes; older edits that wait
 * are dropped. A committed edit (the end of a stroke) is a step of the history and is never dropped. If an answer takes
 * too long, the transport pings, and without an answer it reports that the kernel is lost.
 */
import { clamp } from "../../shared/numbers.ts";
import { editBuffers } from "./buffers.ts";
import type { Edit, FrameMessage, Model, Request } from "./messages.ts";

/** Two keep the kernel's worker busy while an answer travels; more would only add latency. */
export const WINDOW = 2;
/** How long an edit should wait for the kernel's worker, in ms. If none waits, the worker idles; if it waits long, it is old. */
export const WAIT_MS = 6;
const SILENCE_MS = 5000;
const ANSWER_MS = 4000;

/** Requests that do not change the scene: an edit that waits to be sent is still the newest after them. */
const KEEPS_EDIT: readonly Request["type"][] = [
  "search",
  "icons",
  "original",
  "top",
  "export",
  "borrow_source",
  "keep",
  "notes",
  "copy",
  "share",
  "views",
  "panels",
];

export interface Clock {
  now(): number;
  setTimeout(callback: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

export class Transport {
  /** The last sequence number given out. */
  seq = 0;
  private readonly pending = new Set<number>();
  private waiting: (() => Edit) | null = null;
  private timer: unknown = null;
  private pace: unknown = null;
  /** When to send the next edit. */
  private due = 0;
  /** How long the last picture took; and how long before the next picture is finished the next edit is sent. */
  private drawMs = 0;
  private leadMs = 15;

  constructor(
    private readonly model: Pick<Model, "send">,
    readonly client: string,
    /** `isGone`: it will not come back. */
    private readonly onLost: (isLost: boolean, isGone?: boolean) => void,
    private readonly clock: Clock,
  ) {}

  /** Sends an edit now or as soon as the window has room; `snapshot` then returns the newest state. */
  stream(snapshot: () => Edit): void {
    this.waiting = snapshot;
    this.next();
  }

  /** Sends an edit that ends a stroke, at once; returns its sequence number. */
  commit(edit: Edit): number {
    this.waiting = null;
    return this.sendEdit(edit);
  }

  /** Sends a request; its answer has the sequence number that is returned. */
  request(request: Request, buffers: ArrayBuffer[] = []): number {
    if (!KEEPS_EDIT.includes(request.type)) this.waiting = null;
    const seq = ++this.seq;
    this.send({ ...request, client: this.client, seq }, buffers);
    this.startTimer();
    return seq;
  }

  /** The kernel has answered everything up to `seq`. The times of a picture say when to send the next edit. */
  answered(seq: number, frame?: Pick<FrameMessage, "ms" | "waited_ms">): void {
    for (const s of this.pending) if (s <= seq) this.pending.delete(s);
    if (frame) {
      this.drawMs = frame.ms;
      // The first edit of a stroke finds an idle worker whenever it is sent.
      if (this.pending.size) this.adjust(frame.waited_ms);
    }
    this.due = this.clock.now() + this.drawMs - this.leadMs;
    this.next();
    if (!this.pending.size) this.stopTimer();
  }

  /** Any message from the kernel shows that it is there. */
  received(): void {
    this.onLost(false);
    this.stopTimer();
    if (this.pending.size) this.startTimer();
  }

  /** Asks whether the kernel is there, for example after a change of the connection. */
  ping(): void {
    this.stopTimer();
    this.send({ type: "ping", client: this.client }, []);
    this.timer = this.clock.setTimeout(() => this.declareLost(), ANSWER_MS);
  }

  /** Stops all timers. */
  close(): void {
    this.stopTimer();
    this.waiting = null;
    this.next();
  }

  /** If edits arrive too early, the next ones are sent later; if too late, earlier. */
  private adjust(waitedMs: number): void {
    this.leadMs = clamp(this.leadMs + clamp(0.3 * (WAIT_MS - waitedMs), -20, 20), 0, 200);
  }

  /** Sends the edit that waits, if it is time. */
  private next(): void {
    const { clock, pending, waiting } = this;
    if (this.pace !== null) clock.clearTimeout(this.pace);
    this.pace = null;
    if (!waiting || pending.size >= WINDOW) return;
    const ahead = pending.size ? this.due - clock.now() : 0;
    if (ahead > 0) {
      this.pace = clock.setTimeout(() => this.next(), ahead);
      return;
    }
    this.waiting = null;
    this.sendEdit(waiting());
  }

  private sendEdit(edit: Edit): number {
    const seq = ++this.seq;
    if (!this.pending.size) this.due = this.clock.now() + this.drawMs - this.leadMs;
    this.pending.add(seq);
    const { gains, commit, revision } = edit;
    const call = edit.call && { ...edit.call, shares: Array.from(edit.call.shares) };
    const content = { type: "edit", client: this.client, seq, gains, commit, revision, ...(call && { call }) };
    this.send(content, editBuffers(edit));
    this.startTimer();
    return seq;
  }

  private send(content: object, buffers: ArrayBuffer[]): void {
    try {
      this.model.send(content, undefined, buffers);
    } catch {
      // A closed comm throws only in some front ends. In the others, the missing answer shows that it is closed.
      this.declareLost(true);
    }
  }

  private startTimer(): void {
    if (this.timer === null) this.timer = this.clock.setTimeout(() => this.ping(), SILENCE_MS);
  }

  private stopTimer(): void {
    if (this.timer !== null) this.clock.clearTimeout(this.timer);
    this.timer = null;
  }

  private declareLost(isGone = false): void {
    this.stopTimer();
    this.pending.clear();
    this.waiting = null;
    this.next();
    this.onLost(true, isGone);
  }
}
