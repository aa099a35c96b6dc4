/**
 * Values that know who read them: an effect runs again when one of them changes. The same three functions as in
 * @preact/signals-core, without what a widget of this size does not need; every widget sends and saves its bundle again.
 * (And `val`, which is no name of the DOM's, so that the build may shorten it.)
 */

interface Run {
  readonly read: Set<Signal<unknown>>;
  again(): void;
}

let running: Run | null = null;
let depth = 0;
const due = new Set<Run>();

export class Signal<T> {
  private readonly readers = new Set<Run>();

  constructor(private now: T) {}

  get val(): T {
    if (running) {
      this.readers.add(running);
      running.read.add(this as Signal<unknown>);
    }
    return this.now;
  }

  set val(next: T) {
    if (Object.is(next, this.now)) return;
    this.now = next;
    for (const reader of this.readers) due.add(reader);
    flush();
  }

  forget(reader: Run): void {
    this.readers.delete(reader);
  }
}

export const signal = <T>(value: T): Signal<T> => new Signal(value);

/** A handler that takes a value over. */
export const into =
  <T>(signal: Signal<T>) =>
  (value: T): void => {
    signal.val = value;
  };

/** A handler that puts this value there. */
export const put =
  <T>(signal: Signal<T>, value: T) =>
  (): void => {
    signal.val = value;
  };

/** A handler that turns a switch over. */
export const toggle = (signal: Signal<boolean>) => () => {
  signal.val = !signal.val;
};

/** Makes several changes one: effects run when the outermost batch is over. */
export function batch(change: () => void): void {
  depth++;
  try {
    change();
  } finally {
    depth--;
    flush();
  }
}

/** Runs `act` now, and again after each change of a signal that it read the last time. Returns how to stop it. */
export function effect(act: () => void): () => void {
  const stop = () => {
    due.delete(run);
    for (const signal of run.read) signal.forget(run);
    run.read.clear();
  };
  const run: Run = {
    read: new Set(),
    again() {
      stop();
      const outer = running;
      running = run;
      try {
        act();
      } finally {
        running = outer;
      }
    },
  };
  run.again();
  return stop;
}

function flush(): void {
  if (depth) return;
  for (const run of due) run.again();
}
