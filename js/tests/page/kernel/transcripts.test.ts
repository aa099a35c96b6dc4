import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { inflateSync } from "node:zlib";
import transcripts from "../../../../tests/unit/widgets/paint/page_transcripts.json" with { type: "json" };
import { kernel } from "../../../src/page/kernel/kernel.ts";
import { pause } from "../../../src/page/kernel/tasks.ts";
import type { Analysis, Run } from "../../../src/page/model/painter.ts";
import type { KernelMessage } from "../../../src/paint/transport/messages.ts";
import { FakePainter, projected } from "./fake_painter.ts";

interface Transcript {
  readonly wanted: Readonly<Record<string, unknown>>;
  readonly analyses: Readonly<Record<string, { strengths: string; basis: string; names: string[] }>>;
  readonly codes: Readonly<Record<string, string>>;
  readonly talk: readonly Turn[];
}

interface Turn {
  readonly content: Readonly<Record<string, unknown>>;
  readonly buffers?: readonly string[];
  readonly answers: readonly Readonly<Record<string, unknown>>[];
}

// The file is too long for the type that TypeScript would infer.
const { facts, labels, ...more } = transcripts as unknown as {
  readonly facts: { unit: string; model: Record<string, string>; known: string[] };
  readonly labels: [number, string][];
  readonly transcripts: readonly Transcript[];
};

const bytes = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(Buffer.from(text, "base64"));
const floats = (text: string): Float32Array<ArrayBuffer> => new Float32Array(bytes(text).buffer);
const digest = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex").slice(0, 12);

function digestOf(buffer: Uint8Array): string {
  const array = new Float32Array(buffer.slice().buffer);
  return digest(new Uint8Array(array.map((number) => number + 0).buffer));
}

/** Gives what Python's painter gave. */
class Recorded extends FakePainter {
  constructor(private readonly from: Transcript) {
    super();
    this.unit = floats(facts.unit);
    this.facts = facts.model;
    this.labels = new Map(labels);
    this.known_words = facts.known;
  }

  override async analyze({ prompt, seed, n_steps }: Run, n: number): Promise<Analysis> {
    const key = `[${JSON.stringify(prompt)}, "${seed}", ${n_steps}, ${n}]`;
    const made = this.from.analyses[key] ?? assert.fail(`Python did not analyse ${key}`);
    return { ...made, strengths: floats(made.strengths), basis: floats(made.basis) };
  }

  override async codes({ prompt, seed, n_steps }: Run): Promise<Float32Array> {
    const key = `[${JSON.stringify(prompt)}, "${seed}", ${n_steps}]`;
    return floats(this.from.codes[key] ?? assert.fail(`Python had no codes of ${key}`));
  }
}

const COMPARED = ["state", "error", "found", "notice", "borrow_source", "notes", "file", "ack", "frame"];
const LEFT_OUT = ["run", "icons", "capabilities", "traceback", "ms", "waited_ms"];

/** A program whose packed arrays and scenes are unpacked: other packers write other bytes. */
function unpacked(program: string): string {
  const text = program.replace(/\b(array|opened)\('([^']*)'/g, (_, kind: string, packed: string) => {
    const data = new Uint8Array(inflateSync(Buffer.from(packed, "base64")));
    if (kind === "array") return `array('${digest(data)}'`;
    const arrays = new TextDecoder().decode(data).replace(/"zlib64": "([^"]*)"/g, (_, one: string) => {
      return `"zlib64": "${digestOf(new Uint8Array(inflateSync(Buffer.from(one, "base64"))))}"`;
    });
    return `opened('${JSON.stringify(JSON.parse(arrays.replace(/"seed": (\d+)/, '"seed": "$1"')))}'`;
  });
  return text;
}

function kept(message: KernelMessage, buffers: readonly Uint8Array[]): Record<string, unknown> {
  const content: Record<string, unknown> = Object.fromEntries(
    Object.entries(message).filter(([name]) => !LEFT_OUT.includes(name)),
  );
  if (message.type === "state") content.buffers = buffers.map(digestOf);
  if (message.type === "file") content.text = new TextDecoder().decode(buffers[0]);
  return comparable(content);
}

/** What Python says otherwise: its clipboard reaches other widgets. Icons of other kinds have other keys. */
function comparable(content: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const found = JSON.parse(JSON.stringify(content)) as Record<string, unknown>;
  if (found.type === "notice") found.text = String(found.text).replace(", here or in another widget", "");
  if (found.type === "file") found.text = unpacked(String(found.text));
  if (found.type === "borrow_source" && found.source)
    for (const factor of (found.source as { factors: { icon?: string }[] }).factors) delete factor.icon;
  for (const parts of (found.features as { share: number }[][] | undefined) ?? [])
    if (Array.isArray(parts)) for (const part of parts) part.share = Math.round(1e6 * part.share);
  return found;
}

/** Has a conversation with the kernel, and compares each answer with Python's. */
async function converse(transcript: Transcript): Promise<void> {
  const heard: Record<string, unknown>[] = [];
  let isBusy = false;
  const { receive, opened } = kernel(new Recorded(transcript), {
    panels: "",
    transform: projected,
    wanted: transcript.wanted,
    settleMs: 0,
    send: (message, buffers = []) => {
      if (message.type === "status") isBusy = message.busy;
      if (COMPARED.includes(message.type)) heard.push(kept(message, buffers));
    },
  });
  // Pictures are packed by other threads, which a busy computer lets wait: calm alone does not mean that all is said.
  const quiet = async (least: number) => {
    const ends = performance.now() + 20_000;
    while (heard.length < least && performance.now() < ends) await new Promise((resolve) => setTimeout(resolve, 1));
    for (let calm = 0; calm < 8; calm = isBusy ? 0 : calm + 1) {
      await pause();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  await opened;
  for (const [k, { content, buffers = [], answers }] of transcript.talk.entries()) {
    heard.length = 0;
    receive({ ...content, client: "page", seq: k + 1 }, buffers.map(bytes));
    // The page also sends its picture to a page that has just opened.
    const isHello = content.type === "hello";
    await quiet(answers.length + (isHello ? 1 : 0));
    const said = isHello ? heard.filter(({ type }) => type !== "frame") : heard;
    assert.deepEqual(said, answers.map(comparable), `after ${k}: ${JSON.stringify(content).slice(0, 300)}`);
  }
}

for (const [i, transcript] of more.transcripts.entries())
  test(`conversation ${i} with the kernel goes as with Python's`, () => converse(transcript));

test("a conversation goes the same where packing a picture takes long", async (t) => {
  const { write } = WritableStreamDefaultWriter.prototype;
  t.mock.method(
    WritableStreamDefaultWriter.prototype,
    "write",
    async function (this: WritableStreamDefaultWriter, data?: unknown) {
      await new Promise((resolve) => setTimeout(resolve, 6));
      return write.call(this, data);
    },
  );
  // It says hello often.
  await converse(more.transcripts[5] ?? assert.fail());
});
