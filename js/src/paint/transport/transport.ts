/**
 * Sends edits so that the kernel is always busy and never behind: at most WINDOW edits are under way, one being drawn
 * and one that comes just in time to be the next. The newest one waits here, where the hand still changes it; older ones
 * that wait are dropped. A committed edit (the end of a stroke) is a step of the history and is never dropped. If
 * nothing is heard although something is awaited, it asks, and then says that the kernel is gone.
 */
import { clamp } from "../../shared/numbers.ts";
import { type Edit, editBuffers, type FrameMessage, isAside, type Model, type Request } from "./messages.ts";

/** Two keep the kernel's worker fed while an answer travels; more would only add latency. */
export const WINDOW = 2;
/** How long before the kernel's worker is free an edit shall be there, in ms: what waits there longer grows old. */
export const EARLY_MS = 6;
const QUIET_MS = 5000;
const ANSWER_MS = 4000;

export interface Clock {
  now(): number;
  setTimeout(callback: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

export class Transport {
  /** The last sequence number given out. */
  seq = 0;
  private readonly flying = new Set<number>();
  private waiting: (() => Edit) | null = null;
  private timer: unknown = null;
  private pace: unknown = null;
  /** When the next edit has to leave. */
  private due = 0;
  /** What the last picture took, and how long before its end the next edit has to leave. */
  private drawMs = 0;
  private leadMs = 15;

  constructor(
    private readonly model: Pick<Model, "send">,
    readonly client: string,
    private readonly onLost: (lost: boolean) => void,
    private readonly clock: Clock,
  ) {}

  /** Sends a streaming edit now or as soon as there is room; `snapshot` is then asked for the newest state. */
  stream(snapshot: () => Edit): void {
    this.waiting = snapshot;
    this.next();
  }

  /** Sends an edit that ends a stroke, at once. */
  commit(edit: Edit): void {
    this.waiting = null;
    this.sendEdit(edit);
  }

  /** Asks for something; the answer will have the sequence number returned. */
  request(request: Request, buffers: ArrayBuffer[] = []): number {
    if (!isAside(request)) this.waiting = null;
    const seq = ++this.seq;
    this.post({ ...request, client: this.client, seq }, buffers);
    this.listen();
    return seq;
  }

  /** The kernel has dealt with everything up to `seq`; if with a picture, that says when the next one will be there. */
  answered(seq: number, frame?: Pick<FrameMessage, "ms" | "early">): void {
    for (const s of this.flying) if (s <= seq) this.flying.delete(s);
    if (frame) {
      this.drawMs = frame.ms;
      // The first edit of a stroke finds the worker idle however early it leaves.
      if (this.flying.size) this.learn(frame.early);
    }
    this.due = this.clock.now() + this.drawMs - this.leadMs;
    this.next();
    if (!this.flying.size) this.quiet();
  }

  /** Any message from the kernel: it lives. */
  heard(): void {
    this.onLost(false);
    this.quiet();
    if (this.flying.size) this.listen();
  }

  /** Asks for a sign of life, for instance because the connection says that it changed. */
  ping(): void {
    this.quiet();
    this.post({ type: "ping", client: this.client }, []);
    this.timer = this.clock.setTimeout(() => this.lose(), ANSWER_MS);
  }

  /** Stops all timers. */
  close(): void {
    this.quiet();
    this.waiting = null;
    this.next();
  }

  /** Edits that come too early or too late move the time at which the next ones leave. */
  private learn(early: number): void {
    this.leadMs = clamp(this.leadMs + clamp(0.3 * (EARLY_MS - early), -20, 20), 0, 200);
  }

  /** Sends what waits, if it is time to. */
  private next(): void {
    const { clock, flying, waiting } = this;
    if (this.pace !== null) clock.clearTimeout(this.pace);
    this.pace = null;
    if (!waiting || flying.size >= WINDOW) return;
    const early = flying.size ? this.due - clock.now() : 0;
    if (early > 0) {
      this.pace = clock.setTimeout(() => this.next(), early);
      return;
    }
    this.waiting = null;
    this.sendEdit(waiting());
  }

  private sendEdit(edit: Edit): void {
    const seq = ++this.seq;
    if (!this.flying.size) this.due = this.clock.now() + this.drawMs - this.leadMs;
    this.flying.add(seq);
    const { gains, commit, revision } = edit;
    const deed = edit.deed && { ...edit.deed, shares: Array.from(edit.deed.shares) };
    const content = { type: "edit", client: this.client, seq, gains, commit, revision, ...(deed && { deed }) };
    this.post(content, editBuffers(edit));
    this.listen();
  }

  private post(content: object, buffers: ArrayBuffer[]): void {
    try {
      this.model.send(content, undefined, buffers);
    } catch {
      // A closed comm throws in some front ends and swallows in others; both end the same way.
      this.lose();
    }
  }

  private listen(): void {
    if (this.timer === null) this.timer = this.clock.setTimeout(() => this.ping(), QUIET_MS);
  }

  private quiet(): void {
    if (this.timer !== null) this.clock.clearTimeout(this.timer);
    this.timer = null;
  }

  private lose(): void {
    this.quiet();
    this.flying.clear();
    this.waiting = null;
    this.next();
    this.onLost(true);
  }
}
