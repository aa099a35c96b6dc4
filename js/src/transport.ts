/**
 * Sends edits so that the kernel is always busy and never behind: at most WINDOW edits are under way, the newest one
 * waits, older ones that wait are dropped. A committed edit (the end of a stroke) is a step of the history and is
 * never dropped. If nothing is heard although something is awaited, it asks, and then says that the kernel is gone.
 */
import { type Edit, editBuffers, isAside, type Model, type Request } from "./wire.ts";

/** Two keep the kernel's worker fed while an answer travels; more would only add latency. */
export const WINDOW = 2;
const QUIET_MS = 5000;
const ANSWER_MS = 4000;

export interface Clock {
  setTimeout(callback: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

export class Transport {
  /** The last sequence number given out. */
  seq = 0;
  private readonly flying = new Set<number>();
  private waiting: (() => Edit) | null = null;
  private timer: unknown = null;

  constructor(
    private readonly model: Pick<Model, "send">,
    readonly client: string,
    private readonly onLost: (lost: boolean) => void,
    private readonly clock: Clock,
  ) {}

  /** Sends a streaming edit now or as soon as there is room; `snapshot` is then asked for the newest state. */
  stream(snapshot: () => Edit): void {
    if (this.flying.size < WINDOW) this.sendEdit(snapshot());
    else this.waiting = snapshot;
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

  /** The kernel has dealt with everything up to `seq`. */
  answered(seq: number): void {
    for (const s of this.flying) if (s <= seq) this.flying.delete(s);
    if (this.waiting && this.flying.size < WINDOW) {
      const snapshot = this.waiting;
      this.waiting = null;
      this.sendEdit(snapshot());
    }
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
  }

  private sendEdit(edit: Edit): void {
    const seq = ++this.seq;
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
    this.onLost(true);
  }
}
