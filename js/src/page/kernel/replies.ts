/** What the kernel sends to the front end; the types are those of js/src/paint/transport/messages.ts. */

import type { KernelMessage, StateMessage } from "../../paint/transport/messages.ts";
import type { Painter } from "../model/painter.ts";
import { value } from "../scene/arrays.ts";
import { type Bytes, bytesOf } from "../scene/bytes.ts";
import { unedited } from "../scene/difference.ts";
import { firstThing } from "../scene/first_thing.ts";
import type { Scene } from "../scene/scene.ts";
import { labelled } from "./features.ts";
import type { History, State } from "./history.ts";
import { keysOfFactors, keysOfSeeds, runKey } from "./thumbnails.ts";

/** Takes a message and the bytes that travel beside it. */
export type Send = (message: KernelMessage, buffers?: readonly Bytes[]) => void;

/** The page that sent a request, and the number of the request; the reply repeats both. */
export interface Sender {
  readonly client: string;
  readonly seq: number;
}

/** The sender of what no page asked for. */
export const NO_SENDER: Sender = { client: "", seq: 0 };

/**
 * What the page offers besides analysing and rendering: names of CAPABILITIES in ember_widgets/painter/protocol.py; and
 * "apng", because moving pictures are animated PNG files here.
 */
export const CAPABILITIES = ["styles", "refit", "reseed", "labels", "icons", "icon", "prompt_notes", "apng"];

export const DEFAULT_N_FACTORS = 5;

/** How many factors a scene was taken apart into; a blank canvas and concepts count as the default. */
export const nFound = (scene: Scene): number => (scene.model.concepts ? 0 : scene.nBase) || DEFAULT_N_FACTORS;

/** The scene, its sliders and its history, with its strengths, its remainder and the unedited strengths. */
export function stateReply(
  why: StateMessage["why"],
  { client }: Sender,
  revision: number,
  state: State,
  history: History,
  painter: Painter,
): [StateMessage, Bytes[]] {
  const { painted } = state;
  const { rows, cols, prompt, style, n_steps, names, colors, origins } = painted;
  const largest = (origin: number) => {
    let most = 0;
    for (let at = origin; at < painted.base_strengths.length; at += painted.nBase)
      most = Math.max(most, Math.abs(value(painted.base_strengths, at)));
    return most;
  };
  const message: StateMessage = {
    type: "state",
    why,
    client,
    revision,
    run: runKey(painted),
    rows,
    cols,
    prompt,
    style,
    seed: String(painted.seed),
    n_steps,
    n_factors: state.asked ?? nFound(painted),
    n_found: nFound(painted),
    most_steps: painter.most_steps,
    ids: painted.factor_ids,
    names,
    colors,
    gains: [...state.gains],
    // An added factor is not in the analysed picture; its typical strength is used instead.
    seen: origins.map((origin) => (origin < 0 ? 1 : largest(origin))),
    analysed: origins.map((origin) => origin >= 0),
    icons: keysOfFactors(painted),
    features: names.map((_, f) => labelled(painted, f, painter.labels)),
    // Only a new scene needs it.
    first_thing: why === "edit" ? 0 : firstThing(painted),
    sites: [],
    site_names: [],
    factor_steps: painted.factor_steps ?? [],
    can_undo: history.beside(-1) !== null,
    can_redo: history.beside(1) !== null,
    edited: state.isEdited,
    replaced: history.hasReplacedPainting,
    steps: history.steps.map((step) => [step, history.keyOf(step), history.names.get(step) ?? ""]),
    step: history.step,
    film_from: history.filmFrom,
    seeds: keysOfSeeds(history).map(([seed, key]) => [String(seed), key]),
    capabilities: CAPABILITIES,
  };
  return [message, [painted.strengths, painted.remainder, unedited(painted)].map(bytesOf)];
}

/** The first words of sentences that may begin with a capital; other first words may be names in Python. */
const PLAIN = /^(?:an?|no|nothing|the|there|these|this) /;

/** An error in one line, to be shown. */
export function sentenceOf(fault: unknown): string {
  const line = lastLine(fault);
  return PLAIN.test(line) ? line.charAt(0).toUpperCase() + line.slice(1) : line;
}

/** An error in one line. A library's message may be long; its last line says what happened. */
export function lastLine(fault: unknown): string {
  const { name, message } = fault instanceof Error ? fault : { name: "Error", message: String(fault) };
  const text = message
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean)
    .at(-1);
  // Our own errors are sentences; those of the language need their name.
  return text && (name === "Error" || name === "RangeError") ? text : text ? `${name}: ${text}` : name;
}
