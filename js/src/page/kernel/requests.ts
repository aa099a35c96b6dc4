/**
 * The requests of the front end, in one table; as ember_widgets/widgets/paint/messages.py. A request's fields are each read
 * by a check, and `handle` says what the session does. Nothing that arrives is trusted: it is one of these, or an error that
 * says what is wrong with it.
 */

import type { EditRequest, PingRequest, Request as Sent } from "../../paint/transport/messages.ts";
import { type Bytes, bytesOf } from "../scene/bytes.ts";
import { factorIndex, text } from "../scene/checks.ts";
import { fromBytes } from "../scene/file.ts";
import { plural, shown } from "../scene/python.ts";
import type { Scene } from "../scene/scene.ts";
import { opened } from "../scene/to_python.ts";
import { checkScene, NewScene, Variation } from "./new_scenes.ts";
import { PaletteEdit } from "./palette_edits.ts";
import { type Form, MIME } from "./queries.ts";
import { NO_SENDER, type Sender } from "./replies.ts";
import type { Session } from "./session.ts";

type Type = (Sent | EditRequest | PingRequest)["type"];
/** Bytes that came beside a message. */
export type Buffers = readonly (ArrayBuffer | ArrayBufferView)[];
type Check<T> = (name: string, value: unknown) => T;
type Checks = Readonly<Record<string, Check<unknown>>>;
type Fields<C extends Checks> = { readonly [Name in keyof C]: ReturnType<C[Name]> };
type Handle<F> = (session: Session, fields: F, sender: Sender, buffers: Buffers) => void | Promise<void>;
type Request = (session: Session, content: Content, sender: Sender, buffers: Buffers) => void | Promise<void>;
type Content = Readonly<Record<string, unknown>>;

/** A request whose errors of reading name its type. */
const request =
  <C extends Checks>(checks: C, handle: Handle<Fields<C>>): Request =>
  (session, content, sender, buffers) => {
    const fields = named(String(content.type), () =>
      Object.fromEntries(Object.entries(checks).map(([name, check]) => [name, check(name, content[name] ?? null)])),
    );
    return handle(session, fields as Fields<C>, sender, buffers);
  };

function named<T>(kind: string, check: () => T): T {
  try {
    return check();
  } catch (fault) {
    throw new Error(`${kind}: ${fault instanceof Error ? fault.message : fault}`);
  }
}

// How a field is checked

const MAX_SEQ = 2 ** 53;
const [MAX_TEXT, MAX_CLIENT] = [200, 64];

function count(name: string, value: unknown): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > MAX_SEQ)
    throw new Error(`${name}=${shown(value)} is not a whole number 0..2**53`);
  return value;
}

const countOrNull = (name: string, value: unknown): number | null => (value === null ? null : count(name, value));

function flag(name: string, value: unknown): boolean {
  if (typeof value !== "boolean") throw new Error(`${name}=${shown(value)} is neither true nor false`);
  return value;
}

function shortText(name: string, value: unknown): string {
  if (typeof value !== "string" || value.length > MAX_TEXT)
    throw new Error(`${name}=${shown(value)} is not a text of up to ${MAX_TEXT} characters`);
  return text(name, value);
}

const listOf =
  <T>(check: Check<T>, what: string) =>
  (name: string, value: unknown): T[] => {
    if (!Array.isArray(value)) throw new Error(`${name}=${shown(value)} is not a list of ${what}`);
    return value.map((item) => check(name, item));
  };

const texts = listOf(text, "texts");
const numbers = listOf(count, "whole numbers");

/** Sliders, 1 = as painted. */
const sliders = listOf((name, gain) => {
  if (typeof gain !== "number" || !Number.isFinite(gain) || Math.abs(gain) > 1e6)
    throw new Error(`${name} holds ${shown(gain)}; give finite numbers, 1 = as painted`);
  return gain;
}, "numbers");

function given(name: string, value: unknown): unknown {
  if (value === null) throw new Error(`${name} is missing`);
  return value;
}

const anything = (_: string, value: unknown): unknown => value;

const orEmpty =
  <T>(check: Check<T>) =>
  (name: string, value: unknown): T =>
    check(name, value ?? "");

/** The forms of a film: only this one is written without Python. */
function movingForm(name: string, value: unknown): "apng" {
  if (value !== "apng")
    throw new Error(`${name}=${shown(value)} is not what this page writes; choose apng, or make the film in Python`);
  return value;
}

function fileForm(name: string, value: unknown): Form {
  if (typeof value !== "string" || !Object.hasOwn(MIME, value))
    throw new Error(
      `${name}=${shown(value)} is not what this page writes; choose one of ${Object.keys(MIME).join(", ")}`,
    );
  return value as Form;
}

// The requests

const REQUESTS: Readonly<Record<Type, Request>> = {
  hello: request({}, (session, _, sender) => session.greet(sender)),
  ping: request({}, (session) => session.sendStatus()),
  // A page has one session, which does not rest.
  views: request({ n: count }, () => {}),
  panels: request({}, (session, _, sender) => session.sendPanels(sender)),
  edit: request(
    { revision: count, gains: sliders, commit: flag, call: anything },
    (session, { revision, gains, commit, call }, sender, buffers) => {
      const scene = session.paintedAt(revision, sender);
      if (!scene) return;
      if (gains.length !== scene.nFactors)
        throw new Error(
          `edit: gains has ${gains.length} numbers, but the scene has ${plural(scene.nFactors, "factor")}`,
        );
      const [strengths, remainder] = mapsIn(buffers, scene);
      session.edit([strengths, remainder, Float32Array.from(gains)], commit, call, sender);
    },
  ),
  analyze: request(
    { prompt: given, style: orEmpty(given), seed: given, n_steps: given, n_factors: given },
    (session, wanted, sender) => {
      const scene = named("analyze", () => NewScene.checked(wanted, session.painter));
      session.make(scene, sender);
    },
  ),
  undo: request({}, (session, _, sender) => session.step(-1, sender)),
  redo: request({}, (session, _, sender) => session.step(1, sender)),
  go: request({ step: count }, (session, { step }, sender) => session.go(step, sender)),
  retry: request({}, (session, _, sender) => session.retry(sender)),
  palette: request(
    { revision: count, commit: flag, verb: anything, arguments: anything },
    (session, { revision, commit, verb, arguments: args }, sender) => {
      const edit = named("palette", () => PaletteEdit.checked(verb, args));
      session.changePalette(edit, commit, revision, sender);
    },
  ),
  search: request({ text: shortText, site: orEmpty(shortText) }, (session, fields, sender) =>
    session.queries.search(fields.text, sender),
  ),
  icons: request({ keys: texts }, (session, { keys }, sender) => {
    session.queries.icons(keys);
    session.acknowledge(sender);
  }),
  original: request({}, (session, _, sender) => session.queries.original(sender)),
  top: request({ factor: count, revision: count }, (session, { factor, revision }, sender) => {
    const scene = session.paintedAt(revision, sender);
    if (scene)
      session.queries.top({ painted: scene, factor: named("top", () => factorIndex(factor, scene.names)) }, sender);
  }),
  export: request({ form: fileForm }, (session, { form }, sender) => session.queries.export(form, sender)),
  film: request({ step: count, form: movingForm }, (session, { step }, sender) => session.queries.film(step, sender)),
  stop_film: request({}, (session, _, sender) => {
    session.queries.stopFilm(sender);
    session.acknowledge(sender);
  }),
  open: request({}, async (session, _, sender, buffers) =>
    session.assign(await sceneIn("open", buffers, session), sender),
  ),
  vary: request({ verb: anything, value: anything }, (session, { verb, value }, sender) => {
    const variation = named("vary", () => Variation.checked(verb, value, session.scene.nPatches));
    session.make(variation, sender);
  }),
  robustness: request({ on: flag }, () => {
    throw new Error("this page cannot try an edit on other seeds; painter.robustness(scene) in Python can");
  }),
  borrow_source: request({ prompt: shortText, file: shortText }, async (session, { prompt, file }, sender, buffers) => {
    if (file) {
      const scene = await sceneIn("borrow_source", buffers, session);
      session.queries.setSource({ scene, name: file, code: opened(scene) }, sender);
    } else if (prompt) session.queries.findSource(prompt, sender);
    else session.queries.setSource(null, sender);
  }),
  keep: request({ step: count, name: shortText }, (session, { step, name }, sender) => {
    session.keep(name, step);
    session.acknowledge(sender);
  }),
  notes: request({ prompt: text, style: text }, (session, { prompt, style }, sender) =>
    session.queries.notes(prompt, style, sender),
  ),
  copy: request({ patches: numbers }, (session, { patches }, sender) => session.copy(patches, sender)),
  paste: request({ revision: count }, (session, { revision }, sender) => session.paste(revision, sender)),
  share: request({ title: shortText }, (session, _, sender) =>
    session.notice(sender, "Not shared: this page has no gallery; servers have one that run with --gallery."),
  ),
  forget: request({ step: countOrNull }, (session, { step }, sender) => session.forget(step, sender)),
};

/** Handles a message; a wrong one changes nothing, and the page receives the error. */
export async function receive(session: Session, content: unknown, buffers: Buffers): Promise<void> {
  const sender = senderOf(content);
  try {
    const { handle, message } = parsed(content);
    // What is read at once is handled at once, in the order of the messages.
    await handle(session, message, sender, buffers);
  } catch (fault) {
    session.report(fault, sender);
    session.acknowledge(sender);
  }
}

function parsed(content: unknown): { handle: Request; message: Content } {
  if (!isContent(content)) throw new Error(`message ${shown(content)} is not an object; send {type: ...}`);
  const { type, client } = content;
  if (typeof type !== "string" || !Object.hasOwn(REQUESTS, type))
    throw new Error(`message type ${shown(type)} is unknown; send one of ${Object.keys(REQUESTS).join(", ")}`);
  named(type, () => {
    clientName(client);
    if (type !== "ping") count("seq", content.seq ?? null);
  });
  return { handle: REQUESTS[type as Type], message: content };
}

const isContent = (content: unknown): content is Content =>
  typeof content === "object" && content !== null && !Array.isArray(content);

function clientName(value: unknown): string {
  if (typeof value !== "string" || !value || value.length > MAX_CLIENT)
    throw new Error(`client=${shown(value ?? null)} is not a text of 1 to ${MAX_CLIENT} characters`);
  return value;
}

/** The sender of a message that may be wrong otherwise. */
export function senderOf(content: unknown): Sender {
  try {
    if (isContent(content)) return { client: clientName(content.client), seq: count("seq", content.seq) };
  } catch {
    // Nobody that can be answered.
  }
  return NO_SENDER;
}

/** The strengths and the remainder of an edit, copied. */
function mapsIn(buffers: Buffers, scene: Scene): [Float32Array, Float32Array] {
  if (buffers.length !== 2)
    throw new Error(`edit: ${plural(buffers.length, "buffer")} came, but 2 are needed: strengths and remainder`);
  const { rows, cols, nFactors } = scene;
  const strengths = floats("strengths", buffers[0], [rows, cols, nFactors]);
  const remainder = floats("remainder", buffers[1], [rows, cols]);
  if (remainder.some((left) => left < 0 || left > 1)) throw new Error("edit: remainder has values outside 0..1");
  return [strengths, remainder];
}

function floats(name: string, buffer: Buffers[number] | undefined, shape: readonly number[]): Float32Array {
  const data = copied(buffer);
  const needed = 4 * shape.reduce((a, b) => a * b, 1);
  if (data.length !== needed)
    throw new Error(`edit: ${name} buffer has ${data.length} bytes, but ${shape.join("×")} float32 need ${needed}`);
  const array = new Float32Array(data.buffer);
  const wrong = array.findIndex((number) => !Number.isFinite(number));
  if (wrong >= 0) throw new Error(`edit: ${name} holds ${shown(array[wrong])}; only finite numbers can be painted`);
  return array;
}

function copied(buffer: Buffers[number] | undefined): Bytes {
  if (!buffer) return new Uint8Array(0);
  return ArrayBuffer.isView(buffer) ? bytesOf(buffer) : new Uint8Array(buffer.slice(0));
}

async function sceneIn(kind: string, buffers: Buffers, session: Session): Promise<Scene> {
  if (buffers.length !== 1)
    throw new Error(`${kind}: ${plural(buffers.length, "buffer")} came, but 1 is needed: the file`);
  return readScene(copied(buffers[0]), session.painter);
}

/** The scene in a file, if this page can draw it. */
export async function readScene(file: Bytes, painter: Session["painter"]): Promise<Scene> {
  try {
    const scene = await fromBytes(file);
    checkScene(scene, painter);
    return scene;
  } catch (fault) {
    throw new Error(`this file cannot be opened: ${fault instanceof Error ? fault.message : fault}`);
  }
}
