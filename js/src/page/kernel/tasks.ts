/** Tasks that are done one after the other while messages keep arriving. */

/** How long nothing new must come before a row of jobs is over, in ms. */
const SETTLE_MS = 150;

/**
 * Lets messages that have arrived be handled first. A promise alone does not: its callbacks run before any message.
 */
export const pause = (): Promise<void> =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });

export interface LatestWinsOptions<Job> {
  /** Does a job. */
  readonly work: (job: Job) => Promise<void>;
  /** Called once after the last job in a row. */
  readonly settle: () => Promise<void>;
  /** Called with each job that a newer one replaced. */
  readonly onDrop: (job: Job) => void;
  readonly onError: (fault: unknown) => void;
  readonly settleMs?: number;
}

/**
 * Always takes the newest job and drops older ones. A stroke makes jobs faster than a picture can be drawn. When nothing
 * new has come for a moment, it settles: then there is time for what only the last picture needs.
 */
export class LatestWins<Job> {
  private slot: Job | null = null;
  private isRunning = false;
  private wake: (() => void) | null = null;
  private whenFree: (() => void)[] = [];

  constructor(private readonly options: LatestWinsOptions<Job>) {}

  /** Whether a job waits, runs, or has yet to settle. */
  get busy(): boolean {
    return this.isRunning;
  }

  /** Whether a newer job is there; a long job may look at this. */
  get waiting(): boolean {
    return this.slot !== null;
  }

  /** Takes a job and returns at once; one that waits is dropped. */
  submit(job: Job): void {
    const dropped = this.slot;
    this.slot = job;
    if (dropped !== null) this.options.onDrop(dropped);
    this.wake?.();
    if (!this.isRunning) void this.run();
  }

  /** Resolves when everything submitted so far is done and settled. */
  free(): Promise<void> {
    return this.isRunning ? new Promise((resolve) => this.whenFree.push(resolve)) : Promise.resolve();
  }

  private async run(): Promise<void> {
    this.isRunning = true;
    do {
      for (let job = this.slot; job !== null; job = this.slot) {
        this.slot = null;
        await this.attempt(() => this.options.work(job as Job));
        await pause();
      }
      await this.rest(this.options.settleMs ?? SETTLE_MS);
      if (this.slot === null) await this.attempt(this.options.settle);
    } while (this.slot !== null);
    this.isRunning = false;
    const resolves = this.whenFree;
    this.whenFree = [];
    for (const resolve of resolves) resolve();
  }

  /** Waits, but not longer than until there is a job. */
  private rest(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.wake?.(), ms);
      this.wake = () => {
        clearTimeout(timer);
        this.wake = null;
        resolve();
      };
    });
  }

  private async attempt(task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (fault) {
      this.options.onError(fault);
    }
  }
}

type Task = () => Promise<void>;

/** Does tasks one after the other whenever `ready` resolves. One that waits under a key is replaced by a newer one. */
export class IdleTasks {
  private readonly tasks = new Map<string, { readonly task: Task; readonly first: boolean }>();
  private isRunning = false;

  constructor(
    private readonly ready: () => Promise<void>,
    private readonly onError: (fault: unknown) => void,
  ) {}

  get busy(): boolean {
    return this.isRunning;
  }

  /** `first`: before all tasks that wait and were not put first themselves. */
  put(key: string, task: Task, first = false): void {
    this.tasks.set(key, { task, first });
    if (!this.isRunning) void this.run();
  }

  private async run(): Promise<void> {
    this.isRunning = true;
    while (this.tasks.size) {
      await pause();
      await this.ready();
      const entries = [...this.tasks];
      const [key, { task }] = (entries.find(([, { first }]) => first) ?? entries[0]) as (typeof entries)[0];
      this.tasks.delete(key);
      try {
        await task();
      } catch (fault) {
        this.onError(fault);
      }
    }
    this.isRunning = false;
  }
}
