/**
 * The kernel of the page that paints without Python. It answers the messages of js/src/paint as the widget's kernel in
 * Python does, with a painter that runs here. It knows neither the DOM nor workers: messages come by `receive` and go by
 * `send`.
 */

import { Cancelled, type Painter } from "../model/painter.ts";
import type { Bytes } from "../scene/bytes.ts";
import { Scene, type SceneFields } from "../scene/scene.ts";
import type { State } from "./history.ts";
import { checkScene, NewScene, type Wanted } from "./new_scenes.ts";
import { rendered } from "./queries.ts";
import type { Transform } from "./refit.ts";
import { NO_SENDER, type Send, sentenceOf } from "./replies.ts";
import { type Buffers, readScene, receive, senderOf } from "./requests.ts";
import { newState, Session } from "./session.ts";

/** A painting as plain values, which a browser can keep: sliders are not multiplied in, so that they can be set back. */
export interface Kept {
  readonly painted: SceneFields;
  readonly gains: Float32Array;
}

export interface KernelOptions {
  /** The text of panels.js. */
  readonly panels: string;
  /** Takes what the kernel says. */
  readonly send: Send;
  /** How strong factors are in a picture; see js/src/page/model/factors.ts. */
  readonly transform: Transform;
  /** The scene that is shown first, as a file or as it was kept; without one, a new scene is made. */
  readonly scene?: Bytes | Kept;
  /** What that new scene is of. */
  readonly wanted?: Wanted;
  /** How long nothing new must come before a stroke is over. */
  readonly settleMs?: number;
}

export interface Kernel {
  /** Handles a message of the front end; returns at once. */
  receive(content: unknown, buffers?: Buffers): void;
  /** Resolves when the first picture is drawn, or could not be; the front end then says why. */
  readonly opened: Promise<void>;
  /** The painting, to go on from later; null as long as there is none. */
  kept(): Kept | null;
}

/** Starts a kernel. It draws its first scene at once, and answers until there is one that it does. */
export function kernel(model: Painter, options: KernelOptions): Kernel {
  const painter = oneAtATime(model);
  const { send, panels, scene: given, wanted = {} } = options;
  const hellos = new Map<string, unknown>();
  let session: Session | null = null;
  let fault: unknown = null;

  async function open(): Promise<void> {
    fault = null;
    try {
      const state = await firstState();
      const opened = new Session({ ...options, painter }, state, await rendered(painter, state.scene));
      session = opened;
      for (const hello of hellos.values()) void receive(opened, hello, []);
    } catch (why) {
      fault = why ?? new Error("the page could not be opened");
      sendStatus();
    }
  }

  async function firstState(): Promise<State> {
    if (given instanceof Uint8Array) return newState(await readScene(given, painter), null);
    if (given) {
      const painted = new Scene(given.painted);
      checkScene(painted, painter);
      return newState(painted, null).with(painted, given.gains);
    }
    const request = NewScene.checked(wanted, painter);
    return newState(await request.madeBy(painter), request.nFactors);
  }

  function sendStatus(): void {
    send({ type: "status", busy: fault === null, task: fault === null ? "draw" : "" });
    if (fault === null) return;
    const traceback = (fault instanceof Error && fault.stack) || String(fault);
    send({ type: "error", ...NO_SENDER, message: sentenceOf(fault), traceback, retry: true });
  }

  /** Answers while there is no session. */
  function answer(content: unknown): void {
    const kind = (content as { readonly type?: unknown } | null)?.type;
    const sender = senderOf(content);
    if (kind === "hello" && sender.client) hellos.set(sender.client, content);
    if (kind === "panels") send({ type: "panels", ...sender, source: panels });
    if (kind === "retry" && fault !== null) void open();
    sendStatus();
  }

  return {
    opened: open(),
    receive(content, buffers = []) {
      if (session) void receive(session, content, buffers);
      else answer(content);
    },
    kept: () => session?.kept ?? null,
  };
}

/** The painter, whose model does one thing at a time. */
function oneAtATime(painter: Painter): Painter {
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(task: () => Promise<T>): Promise<T> => {
    const turn = last.then(task);
    last = turn.catch(() => {});
    return turn;
  };
  const { grid, n_features, unit, lengths, facts, labels, side, most_steps, known_words } = painter;
  return {
    ...{ grid, n_features, unit, lengths, facts, labels, side, most_steps, known_words },
    analyze: (run, n_factors) => inTurn(() => painter.analyze(run, n_factors)),
    codes: (run) => inTurn(() => painter.codes(run)),
    render: (drawing, cancelled) =>
      inTurn(async () => {
        // It may have waited for its turn until nobody wanted it any more.
        if (cancelled?.()) throw new Cancelled("nobody wants the picture any more");
        return painter.render(drawing, cancelled);
      }),
    icon: (feature) => painter.icon(feature),
    notes: (prompt, style) => painter.notes(prompt, style),
  };
}
