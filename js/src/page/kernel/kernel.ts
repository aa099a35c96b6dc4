/**
 * The kernel of the page that paints without Python. It answers the messages of js/src/paint as the widget's kernel in
 * Python does, with a painter that runs here. It knows neither the DOM nor workers: messages come by `receive` and go by
 * `send`.
 */

import { Cancelled, type Painter } from "../model/painter.ts";
import type { Bytes } from "../scene/bytes.ts";
import type { Scene } from "../scene/scene.ts";
import { NewScene, type Wanted } from "./new_scenes.ts";
import { rendered } from "./queries.ts";
import type { Transform } from "./refit.ts";
import { NO_SENDER, type Send, sentenceOf } from "./replies.ts";
import { type Buffers, readScene, receive, senderOf } from "./requests.ts";
import { Session } from "./session.ts";

export interface KernelOptions {
  /** The text of panels.js. */
  readonly panels: string;
  /** Takes what the kernel says. */
  readonly send: Send;
  /** How strong factors are in a picture; see js/src/page/model/factors.ts. */
  readonly transform: Transform;
  /** A file with the scene that is shown first; without one, a new scene is made. */
  readonly scene?: Bytes;
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
  /** The scene as it is drawn, its sliders multiplied in; null as long as there is none. */
  scene(): Scene | null;
}

/** Starts a kernel. It draws its first scene at once, and answers until there is one that it does. */
export function kernel(model: Painter, options: KernelOptions): Kernel {
  const painter = oneAtATime(model);
  const { send, panels, scene: file, wanted = {} } = options;
  const hellos = new Map<string, unknown>();
  let session: Session | null = null;
  let fault: unknown = null;

  async function open(): Promise<void> {
    fault = null;
    try {
      const request = file ? null : NewScene.checked(wanted, painter);
      const scene = request ? await request.madeBy(painter) : await readScene(file as Bytes, painter);
      const opened = new Session(
        { ...options, painter },
        scene,
        await rendered(painter, scene),
        request?.nFactors ?? null,
      );
      session = opened;
      for (const hello of hellos.values()) void receive(opened, hello, []);
    } catch (why) {
      fault = why ?? new Error("the page could not be opened");
      sendStatus();
    }
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
    scene: () => session?.drawn ?? null,
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
