import assert from "node:assert/strict";
import { test } from "node:test";
import { type Kernel, type KernelOptions, kernel } from "../../../src/page/kernel/kernel.ts";
import { resized } from "../../../src/page/kernel/pictures.ts";
import { pause } from "../../../src/page/kernel/tasks.ts";
import type { Bytes } from "../../../src/page/scene/bytes.ts";
import { fromBytes } from "../../../src/page/scene/file.ts";
import type { KernelMessage, StateMessage } from "../../../src/paint/transport/messages.ts";
import { FakePainter, projected } from "./fake_painter.ts";

type Heard = readonly [message: KernelMessage, buffers: readonly Bytes[]];
type Kind = KernelMessage["type"];

/** A kernel, its painter, and what it says. */
class Bench {
  readonly heard: Heard[] = [];
  readonly kernel: Kernel;
  private seq = 0;

  constructor(
    readonly painter = new FakePainter(),
    options: Partial<KernelOptions> = {},
  ) {
    const send = (message: KernelMessage, buffers: readonly Bytes[] = []) => void this.heard.push([message, buffers]);
    const wanted = { prompt: "a lion", seed: 3, n_factors: 3 };
    this.kernel = kernel(painter, {
      panels: "the panels",
      transform: projected,
      wanted,
      settleMs: 5,
      send,
      ...options,
    });
  }

  /** One that has opened. */
  static async open(painter = new FakePainter(), options: Partial<KernelOptions> = {}): Promise<Bench> {
    const bench = new Bench(painter, options);
    bench.say("hello");
    await bench.quiet();
    return bench;
  }

  say(type: string, fields: object = {}, buffers: ArrayBuffer[] = []): number {
    this.kernel.receive({ type, client: "me", seq: ++this.seq, ...fields }, buffers);
    return this.seq;
  }

  /** Paints everything with one strength. */
  paint(strength: number, commit = false, gains = this.state.names.map(() => 1)): number {
    const { revision, names } = this.state;
    const maps = [new Float32Array(42 * names.length).fill(strength), new Float32Array(42).fill(1)];
    return this.say(
      "edit",
      { revision, gains, commit },
      maps.map(({ buffer }) => buffer as ArrayBuffer),
    );
  }

  palette(verb: string, args: object, commit = true): number {
    return this.say("palette", { revision: this.state.revision, verb, arguments: args, commit });
  }

  /** Waits for a message. */
  async answer(kind: Kind): Promise<void> {
    while (!this.of(kind).length) await new Promise((resolve) => setTimeout(resolve, 2));
    await this.quiet();
  }

  /** Waits until nothing more is said. Pictures are packed by other threads, which a busy computer lets wait. */
  async quiet(): Promise<void> {
    for (let [calm, n] = [0, -1]; calm < 20; [calm, n] = [this.heard.length === n ? calm + 1 : 0, this.heard.length]) {
      await pause();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  of<K extends Kind>(kind: K): Extract<KernelMessage, { type: K }>[] {
    return this.heard.flatMap(([message]) => (message.type === kind ? [message] : [])) as never;
  }

  last<K extends Kind>(kind: K): Extract<KernelMessage, { type: K }> {
    return this.of(kind).at(-1) ?? assert.fail(`no ${kind} came`);
  }

  bytes(kind: Kind): Bytes {
    const [, [first] = []] =
      this.heard.findLast(([message]) => message.type === kind) ?? assert.fail(`no ${kind} came`);
    return first ?? assert.fail(`${kind} came without bytes`);
  }

  get state(): StateMessage {
    return this.last("state");
  }
}

test("a page that asks before there is a scene gets it, with its picture, once there is", async () => {
  const bench = new Bench();
  bench.say("hello");
  bench.say("panels");
  assert.deepEqual(bench.last("status"), { type: "status", busy: true, task: "draw" });
  assert.equal(bench.last("panels").source, "the panels");
  await bench.quiet();
  assert.equal(bench.state.prompt, "a lion");
  assert.equal(bench.state.seed, "3");
  assert.deepEqual(bench.state.names, ["factor 1", "factor 2", "factor 3"]);
  assert.equal(bench.last("frame").kind, "final");
  const scene = await fromBytes(bench.bytes("frame"));
  assert.equal(scene.prompt, "a lion");
  assert.deepEqual(bench.of("error"), []);
});

test("what fails at the start is said, and can be tried again", async () => {
  const painter = new FakePainter();
  painter.fault = new Error("the model could not be fetched");
  const bench = new Bench(painter);
  bench.say("hello");
  await bench.quiet();
  assert.equal(bench.last("error").message, "The model could not be fetched");
  assert.ok(bench.last("error").retry);
  painter.fault = null;
  bench.say("retry");
  await bench.quiet();
  assert.equal(bench.state.prompt, "a lion");
});

test("of the edits of a stroke the newest is drawn, and those that it replaces are acknowledged", async () => {
  const bench = await Bench.open();
  bench.painter.isHeld = true;
  bench.painter.drawn.length = 0;
  const [first, second, third] = [bench.paint(0.1), bench.paint(0.2), bench.paint(0.3)];
  await bench.quiet();
  assert.deepEqual(
    bench.of("ack").map(({ seq }) => seq),
    [second],
  );
  bench.painter.isHeld = false;
  bench.painter.held.shift()?.();
  await bench.quiet();
  const shown = bench.painter.drawn.map((drawing) => drawing.at(0)?.strengths[0]);
  assert.deepEqual(shown, [0.1, 0.3].map(Math.fround));
  const frames = bench.of("frame").slice(-3);
  assert.deepEqual(
    frames.map(({ seq, kind }) => [seq, kind]),
    [
      [first, "preview"],
      [third, "preview"],
      [0, "final"],
    ],
  );
  assert.equal(bench.state.steps.length, 1, "no edit was committed");
});

test("an edit that ends a stroke is a step of the history, whatever is drawn", async () => {
  const bench = await Bench.open();
  bench.painter.isHeld = true;
  for (const strength of [0.1, 0.2, 0.3]) bench.paint(strength, true);
  bench.paint(0.4);
  assert.equal(bench.state.steps.length, 4);
  bench.painter.isHeld = false;
  bench.painter.held.shift()?.();
  await bench.quiet();
  assert.equal(bench.painter.drawn.at(-1)?.at(0)?.strengths[0], Math.fround(0.4));
});

test("the model draws one picture at a time", async () => {
  const bench = await Bench.open();
  bench.painter.isHeld = true;
  bench.say("icons", { keys: bench.state.icons });
  bench.say("original");
  for (let i = 0; i < 8; i++) {
    bench.paint(i / 10);
    await bench.quiet();
    assert.ok(bench.painter.nRunning <= 1);
    bench.painter.held.shift()?.();
  }
  bench.painter.isHeld = false;
  bench.painter.held.shift()?.();
  await bench.quiet();
  assert.equal(bench.of("original").length, 1);
});

test("an outdated edit is refused with the scene to go on from", async () => {
  for (const change of ["duplicate", "reorder", "undo", "future"]) {
    const bench = await Bench.open();
    bench.paint(0.5, true);
    let { revision } = bench.state;
    if (change === "duplicate") bench.palette("duplicate", { factor: 0 });
    else if (change === "reorder") bench.palette("reorder", { order: [1, 0, 2] });
    else if (change === "undo") bench.say("undo");
    else revision++;
    bench.heard.length = 0;
    const seq = bench.say("edit", { revision, gains: [1, 1, 1], commit: true }, []);
    assert.deepEqual(
      bench.heard.map(([{ type }]) => type),
      ["state", "ack"],
    );
    assert.equal(bench.state.why, "refused", change);
    assert.equal(bench.last("ack").seq, seq);
  }
});

test("a stroke that was sent before the answer to a rename is painted, and so are changes of the palette", async () => {
  const bench = await Bench.open();
  const { revision } = bench.state;
  bench.palette("rename", { factor: 0, name: "sky" });
  bench.say("palette", { revision, verb: "recolor", arguments: { factor: 1, color: "#112233" }, commit: true });
  bench.palette("set_weight", { factor: 0, feature: 2, weight: 2 });
  const maps = [new Float32Array(42 * 3).fill(0.25), new Float32Array(42).fill(1)].map(({ buffer }) => buffer);
  bench.say("edit", { revision, gains: [1, 1, 1], commit: true }, maps);
  await bench.quiet();
  assert.ok(bench.of("state").every(({ why }) => why !== "refused"));
  assert.deepEqual([bench.state.names[0], bench.state.colors[1], bench.state.steps.length], ["sky", "#112233", 5]);
  assert.ok(bench.kernel.kept()?.painted.strengths.every((strength) => strength === 0.25));
});

test("edits during an analysis are acknowledged at once, and the new scene replaces them", async () => {
  const bench = await Bench.open();
  bench.say("analyze", { prompt: "a tree", style: "", seed: "9", n_steps: 2, n_factors: 2 });
  const seq = bench.paint(0.5, true);
  assert.equal(bench.last("ack").seq, seq);
  await bench.quiet();
  assert.equal(bench.state.prompt, "a tree");
  assert.ok(bench.state.replaced);
  bench.say("undo");
  await bench.quiet();
  assert.equal(bench.state.prompt, "a lion");
});

test("changes of the palette and pastes during an analysis are applied, and the new scene comes all the same", async () => {
  const bench = await Bench.open();
  bench.say("copy", { patches: [3] });
  bench.painter.isHeld = true;
  bench.paint(0.5, true); // is being drawn while the new scene is asked for
  const analysis = bench.say("analyze", { prompt: "a tree", style: "", seed: "9", n_steps: 1, n_factors: 2 });
  const rename = bench.palette("rename", { factor: 0, name: "sky" });
  assert.equal(bench.last("ack").seq, rename);
  bench.say("paste", { revision: bench.state.revision });
  assert.equal(bench.state.steps.length, 4);
  bench.painter.isHeld = false;
  bench.painter.held.shift()?.();
  await bench.quiet();
  assert.equal(bench.state.prompt, "a tree");
  assert.ok(bench.of("frame").some(({ seq }) => seq === analysis));
  bench.say("undo");
  bench.say("undo");
  await bench.quiet();
  assert.deepEqual([bench.state.prompt, bench.state.names[0]], ["a lion", "sky"]);
});

test("of two new scenes that are asked for, the newer one comes", async () => {
  const bench = await Bench.open();
  const { analyze } = bench.painter;
  let go = () => {};
  bench.painter.analyze = async (...given) => {
    bench.painter.analyze = analyze;
    await new Promise<void>((resolve) => (go = resolve));
    return analyze.apply(bench.painter, given);
  };
  const asked = { style: "", seed: "9", n_steps: 1, n_factors: 2 };
  bench.say("analyze", { prompt: "a tree", ...asked });
  await new Promise((resolve) => setTimeout(resolve)); // the first one is being made
  bench.say("analyze", { prompt: "a boat", ...asked });
  go();
  await bench.quiet();
  assert.equal(bench.state.prompt, "a boat");
  bench.say("undo");
  await bench.quiet();
  assert.equal(bench.state.prompt, "a lion", "the first one was never taken");
});

test("a variation is made of what was changed while it was awaited", async () => {
  const bench = await Bench.open();
  bench.painter.isHeld = true;
  bench.paint(0.5, true);
  bench.say("vary", { verb: "reseed", value: "8" });
  bench.palette("rename", { factor: 0, name: "sky" });
  bench.painter.isHeld = false;
  bench.painter.held.shift()?.();
  await bench.quiet();
  assert.deepEqual([bench.state.seed, bench.state.names[0]], ["8", "sky"]);
});

test("an analysis that fails leaves the picture of what was painted meanwhile, and can be tried again", async () => {
  const bench = await Bench.open();
  const { analyze } = bench.painter;
  bench.painter.analyze = async () => {
    throw new Error("out of memory");
  };
  bench.say("analyze", { prompt: "a tree", style: "", seed: "9", n_steps: 1, n_factors: 2 });
  bench.paint(0.25, true, [1, 0, 1]);
  await bench.quiet();
  const drawn = bench.painter.drawn.at(-1)?.at(0)?.strengths;
  assert.deepEqual(drawn?.slice(0, 3), Float32Array.of(0.25, 0, 0.25));
  assert.equal(bench.last("frame").kind, "final");
  const said = bench.heard.flatMap(([{ type }]) => (["frame", "error"].includes(type) ? [type] : []));
  assert.equal(said.at(-1), "error", "a picture takes an error away");
  assert.deepEqual([bench.last("error").message, bench.last("error").retry], ["out of memory", true]);
  bench.painter.analyze = analyze;
  bench.say("retry");
  await bench.quiet();
  assert.equal(bench.state.prompt, "a tree");
});

test("after going to a kept step, undo leads back to where one was", async () => {
  const bench = await Bench.open();
  bench.paint(0.1, true);
  bench.say("keep", { step: 1, name: "x" });
  bench.say("undo");
  for (const strength of [0.2, 0.3]) bench.paint(strength, true);
  bench.say("undo");
  assert.equal(bench.state.step, 2);
  bench.say("go", { step: 1 });
  assert.deepEqual([bench.state.step, bench.state.can_redo], [1, false]);
  assert.deepEqual(
    bench.state.steps.map(([step]) => step),
    [0, 1, 2],
    "what was undone is forgotten",
  );
  bench.say("undo");
  assert.equal(bench.state.step, 2);
  bench.say("redo");
  assert.equal(bench.state.step, 1);
  await bench.quiet();
});

test("a picture that fails is an error with a way back, and the painting is not lost", async () => {
  const bench = await Bench.open();
  bench.painter.fault = new TypeError("x is undefined");
  const seq = bench.paint(0.5, true);
  await bench.quiet();
  const error = bench.last("error");
  assert.deepEqual([error.message, error.retry, error.seq], ["TypeError: x is undefined", true, seq]);
  assert.match(error.traceback, /fake_painter|kernel\.test/);
  bench.say("export", { form: "png", factor: 0 });
  await bench.quiet();
  assert.match(bench.last("error").message, /^There is no picture to export \(TypeError: x is undefined\); export/);
  bench.painter.fault = null;
  bench.say("retry");
  await bench.quiet();
  assert.equal(bench.last("frame").kind, "final");
  assert.equal((await fromBytes(bench.bytes("frame"))).strengths[0], 0.5);
  bench.say("hello");
  await bench.quiet();
  assert.equal(bench.of("error").length, 2, "the error is over");
});

const REFUSED: [type: string, fields: object, message: RegExp][] = [
  ["paint", {}, /^message type 'paint' is unknown; send one of hello, ping, /],
  ["go", { step: -1 }, /^go: step=-1 is not a whole number 0\.\.2\*\*53$/],
  ["edit", { revision: 0, gains: "x", commit: true }, /^edit: gains='x' is not a list of numbers$/],
  ["edit", { revision: 0, gains: [1], commit: true }, /^edit: gains has 1 numbers, but the scene has 3 factors$/],
  ["edit", { revision: 0, gains: [1, 1, 1], commit: true }, /^edit: no buffers came, but 2 are needed/],
  [
    "export",
    { form: "gif", factor: 0 },
    /^export: form='gif' is not what this page writes; choose one of png, json, py, apng$/,
  ],
  [
    "film",
    { step: 0, form: "mp4" },
    /^film: form='mp4' is not what this page writes; choose apng, or make the film in Python$/,
  ],
  ["film", { step: 7, form: "apng" }, /^step 7 is not in the history any more; choose one that is$/],
  [
    "robustness",
    { on: true },
    /^This page cannot try an edit on other seeds; painter\.robustness\(scene\) in Python can$/,
  ],
  [
    "vary",
    { verb: "reseed", value: "-1" },
    /^vary: seed='-1' is not a whole number; give an int 0\.\.9223372036854775807$/,
  ],
  ["vary", { verb: "refit", value: 43 }, /^vary: n_factors=43, but an image has 42 patches; choose 1\.\.42/],
  [
    "palette",
    { revision: 0, commit: true, verb: "add_concept", arguments: { concept: "x" } },
    /^This page has no concepts;/,
  ],
  [
    "palette",
    { revision: 0, commit: true, verb: "rename", arguments: {} },
    /^palette: rename: arguments=\{\} do not fit; give factor, name$/,
  ],
  ["copy", { patches: [42] }, /^patch 42 is outside the grid; patches go 0\.\.41$/],
  ["open", {}, /^open: no buffers came, but 1 is needed: the file$/],
];

for (const [type, fields, message] of REFUSED)
  test(`refused and answered: ${type} ${JSON.stringify(fields)}`, async () => {
    const bench = await Bench.open();
    const { revision } = bench.state;
    bench.heard.length = 0;
    const seq = bench.say(type, fields);
    await bench.quiet();
    assert.match(bench.last("error").message, message);
    assert.equal(bench.last("ack").seq, seq);
    assert.equal(bench.last("error").seq, seq);
    bench.say("hello");
    assert.equal(bench.state.revision, revision);
    assert.equal(bench.state.steps.length, 1);
  });

test("a message that is none is an error that nobody is asked about", async () => {
  const bench = await Bench.open();
  for (const content of [null, 3, [], { type: "undo" }, { type: "undo", client: "me", seq: 0.5 }])
    bench.kernel.receive(content);
  await bench.quiet();
  const [first, , third, fourth, fifth] = bench.of("error").map(({ message }) => message);
  assert.equal(first, "message None is not an object; send {type: ...}");
  assert.equal(third, "message [] is not an object; send {type: ...}");
  assert.equal(fourth, "undo: client=None is not a text of 1 to 64 characters");
  assert.equal(fifth, "undo: seq=0.5 is not a whole number 0..2**53");
  assert.deepEqual(bench.of("ack"), []);
});

test("a scene that the page has saved can be opened again; a foreign one is refused by name", async () => {
  const bench = await Bench.open();
  bench.palette("rename", { factor: 0, name: "Löwe" });
  bench.paint(0.25, true);
  await bench.quiet();
  bench.say("export", { form: "png", factor: 0 });
  await bench.quiet();
  const [saved, file] = [bench.last("file"), bench.bytes("file")];
  assert.deepEqual([saved.name, saved.mime], ["a-lion-3.png", "image/png"]);
  const other = await Bench.open(new FakePainter(), { scene: file });
  assert.equal(other.state.names[0], "Löwe");
  other.say("undo");
  other.say("analyze", { prompt: "", style: "", seed: "1", n_steps: 1, n_factors: 4 });
  await other.quiet();
  other.say("open", {}, [file.buffer]);
  await other.quiet();
  assert.equal(other.state.names[0], "Löwe");
  assert.equal(other.state.n_factors, 4, "as many as were asked for");
  const painter = new FakePainter();
  painter.facts = { ...painter.facts, sae: "4567" };
  const foreign = await Bench.open(painter);
  foreign.say("open", {}, [file.buffer]);
  await foreign.quiet();
  assert.equal(
    foreign.last("error").message,
    "This file cannot be opened: this scene was made with SAE '0123', but this page has '4567'; " +
      "open it in Python with the painter it was made with",
  );
  assert.equal(foreign.state.revision, 0);
  foreign.say("open", {}, [new ArrayBuffer(7)]);
  await foreign.quiet();
  assert.match(foreign.last("error").message, /^This file cannot be opened: it is not JSON, or cut off;/);
});

test("a painting that is kept for a reload has its sliders as they were set, and strengths of their own", async () => {
  const bench = await Bench.open();
  assert.equal(new Bench().kernel.kept(), null, "there is no scene yet");
  bench.palette("add_factor", { features: { 3: 1 }, name: "lion" });
  bench.paint(0.5, true, [1, 0, 2, 1]);
  await bench.quiet();
  const [drawn, kept] = [bench.painter.drawn.at(-1)?.at(0)?.strengths, structuredClone(bench.kernel.kept())];
  assert.ok(kept);
  const reloaded = await Bench.open(new FakePainter(), { scene: kept });
  assert.deepEqual([reloaded.state.names.at(-1), reloaded.state.gains], ["lion", [1, 0, 2, 1]]);
  assert.deepEqual(reloaded.painter.drawn.at(-1)?.at(0)?.strengths, drawn);
  assert.ok(reloaded.kernel.kept()?.painted.strengths.every((strength) => strength === 0.5));
  const [strengths] = reloaded.heard.find(([{ type }]) => type === "state")?.[1] ?? [];
  assert.deepEqual(new Float32Array(strengths?.slice().buffer ?? new ArrayBuffer(0)), kept.painted.strengths);
  const painter = new FakePainter();
  painter.facts = { ...painter.facts, sae: "4567" };
  const foreign = new Bench(painter, { scene: kept });
  await foreign.quiet();
  assert.match(foreign.last("error").message, /^This scene was made with SAE '0123', but this page has '4567'/);
});

test("thumbnails: features from the page, factors alone, steps, and other seeds", async () => {
  const bench = await Bench.open();
  bench.paint(0.5, true);
  await bench.quiet();
  const { icons, steps, seeds } = bench.state;
  const keys = [
    "feature 3",
    "feature 5",
    "feature 99",
    icons[0] ?? "",
    ...steps.map(([, key]) => key),
    seeds[0]?.[1] ?? "",
    "?",
  ];
  bench.painter.drawn.length = 0;
  bench.say("icons", { keys });
  await bench.quiet();
  const urls = new Map(bench.of("icon").map(({ key, url }) => [key, url]));
  assert.deepEqual(new Set(urls.keys()), new Set(keys.filter((key) => key !== "?" && key !== "feature 99")));
  assert.equal(urls.get("feature 3"), "data:image/png;base64,iVBORw==");
  for (const [key, url] of urls) assert.match(url, /^data:image\/png;base64,iVBORw/, key);
  // Of the feature without an icon, the factor, the first step and the seed; the picture of the last step was there.
  assert.equal(bench.painter.drawn.length, 4);
  const [feature, factor] = bench.painter.drawn.map((drawing) => drawing.at(0));
  assert.equal(feature?.basis.length, 4 * 12);
  assert.deepEqual([Math.max(...(factor?.remainder ?? [1])), Math.max(...(factor?.strengths ?? []))], [0, 1]);
  bench.heard.length = 0;
  bench.say("icons", { keys: [icons[0]] });
  await bench.quiet();
  assert.equal(bench.painter.drawn.length, 4, "it is kept");
  assert.equal(bench.of("icon").length, 1);
});

test("a thumbnail gives way to a stroke and is drawn after it", async () => {
  const bench = await Bench.open();
  bench.painter.isHeld = true;
  bench.say("icons", { keys: [bench.state.icons[0]] });
  await bench.quiet();
  bench.paint(0.5);
  bench.painter.held.shift()?.();
  await bench.quiet();
  assert.deepEqual(bench.of("icon"), []);
  bench.painter.isHeld = false;
  bench.painter.held.shift()?.();
  await bench.quiet();
  assert.equal(bench.of("icon").length, 1);
});

test("the unedited picture comes with how far the picture is from it", async () => {
  const bench = await Bench.open();
  const { revision, gains } = bench.state;
  const [strengths, remainder] = bench.heard.find(([{ type }]) => type === "state")?.[1] ?? [];
  const painted = new Float32Array(strengths?.slice().buffer ?? new ArrayBuffer(0));
  painted[0] = 2;
  const buffers = [painted.buffer, remainder?.slice().buffer ?? new ArrayBuffer(0)];
  bench.say("edit", { revision, gains, commit: true }, buffers);
  const seq = bench.say("original");
  await bench.quiet();
  const original = bench.last("original");
  assert.equal(original.seq, seq);
  assert.ok(original.change && original.change[0] > 0 && original.change[1] > 0);
  assert.deepEqual(bench.last("frame").change ?? original.change, original.change);
  bench.say("top", { factor: 0, revision: bench.state.revision });
  await bench.quiet();
  assert.equal(bench.bytes("top")[1], 0x50);
});

test("a comparison is that of the factor that was asked for, wherever it is by then", async () => {
  const bench = await Bench.open();
  const { revision } = bench.state;
  bench.painter.isHeld = true;
  bench.paint(0.5, true);
  await bench.quiet();
  const seq = bench.say("top", { factor: 0, revision });
  bench.palette("reorder", { order: [1, 2, 0] });
  bench.painter.isHeld = false;
  bench.painter.held.shift()?.();
  await bench.quiet();
  assert.equal(bench.last("top").seq, seq);
  const rows = bench.painter.drawn.at(-1)?.at(0)?.basis ?? assert.fail("nothing was drawn");
  const counts = [0, 1, 2].map((f) => rows.slice(f * 12, f * 12 + 12).filter(Boolean).length);
  assert.deepEqual(counts, [4, 4, 1]);
});

const GONE: Record<string, (bench: Bench) => void> = {
  "was removed": (bench) => bench.palette("remove", { factor: 0 }),
  "is of another picture": (bench) =>
    bench.say("analyze", { prompt: "a boat", style: "", seed: 1, n_steps: 1, n_factors: 2 }),
};

for (const [what, go] of Object.entries(GONE))
  test(`no other factor is compared in the place of one that ${what} meanwhile`, async () => {
    const bench = await Bench.open();
    bench.painter.isHeld = true;
    bench.paint(0.5, true);
    await bench.quiet();
    const seq = bench.say("top", { factor: 0, revision: bench.state.revision });
    go(bench);
    bench.painter.isHeld = false;
    bench.painter.held.shift()?.();
    await bench.quiet();
    assert.deepEqual(bench.of("top"), []);
    const { text, ...notice } = bench.last("notice");
    assert.deepEqual(notice, { type: "notice", client: "me", seq, patches: null, link: "" });
    assert.equal(text, "'factor 1' is not in the picture any more.");
  });

test("a comparison of a scene that was replaced is answered with the scene that there is", async () => {
  const bench = await Bench.open();
  const { revision } = bench.state;
  bench.palette("remove", { factor: 0 });
  await bench.quiet();
  bench.heard.length = 0;
  const seq = bench.say("top", { factor: 0, revision });
  await bench.quiet();
  assert.equal(bench.state.why, "refused");
  assert.equal(bench.last("ack").seq, seq);
  assert.deepEqual(bench.of("top"), []);
});

test("a film leads from a kept step to the current one, picture by picture, as an animated PNG", async () => {
  const bench = await Bench.open();
  bench.say("keep", { step: 0, name: "start" });
  bench.palette("set_weight", { factor: 0, feature: 2, weight: 2 });
  await bench.quiet();
  assert.deepEqual(bench.state.film_from, [0]);
  const seq = bench.say("film", { step: 0, form: "apng" });
  await bench.answer("file");
  const counts = bench.of("film").map(({ n_drawn, n }) => `${n_drawn}/${n}`);
  assert.deepEqual([counts[0], counts.at(-1), counts.length], ["1/25", "25/25", 26]);
  const file = bench.last("file");
  assert.deepEqual([file.seq, file.name, file.mime], [seq, "a-lion-3-film.png", "image/png"]);
  const kinds = chunksOf(bench.bytes("file"));
  assert.deepEqual(kinds.slice(0, 4), ["IHDR", "acTL", "fcTL", "IDAT"]);
  assert.equal(kinds.filter((kind) => kind === "fdAT").length, 24);
  bench.heard.length = 0;
  bench.say("film", { step: 0, form: "apng" });
  bench.say("stop_film");
  await bench.quiet();
  assert.deepEqual(bench.of("file"), []);
});

function chunksOf(file: Bytes): string[] {
  const found: string[] = [];
  const view = new DataView(file.buffer);
  for (let at = 8; at < file.length; at += 12 + view.getUint32(at))
    found.push(String.fromCharCode(...file.subarray(at + 4, at + 8)));
  return found;
}

test("variations: another number of factors, another seed, and the edit alone on another seed", async () => {
  const bench = await Bench.open();
  bench.paint(0.5, true);
  await bench.quiet();
  bench.say("vary", { verb: "refit", value: 4 });
  await bench.quiet();
  assert.deepEqual([bench.state.names.length, bench.state.n_factors, bench.state.seed], [4, 4, "3"]);
  bench.say("vary", { verb: "reseed", value: "9223372036854775807" });
  await bench.quiet();
  assert.equal(bench.state.seed, "9223372036854775807");
  assert.deepEqual(bench.state.seeds, [], "there is no next seed");
  bench.say("vary", { verb: "reseed_edit", value: "8" });
  await bench.quiet();
  assert.equal(bench.state.seed, "8");
  bench.say("export", { form: "py", factor: 0 });
  await bench.quiet();
  const program = new TextDecoder().decode(bench.bytes("file"));
  for (const line of ["refit(scene, n_factors=4)", "reseed(scene, seed=8, edit_only=True)"])
    assert.ok(program.includes(`scene = painter.${line}\n`), line);
});

test("a scene is shared in no gallery, and saved as JSON and as its steps", async () => {
  const bench = await Bench.open();
  bench.say("share", { title: "" });
  assert.match(bench.last("notice").text, /^Not shared: this page has no gallery;/);
  bench.say("export", { form: "json", factor: 0 });
  await bench.quiet();
  assert.equal((await fromBytes(bench.bytes("file"))).prompt, "a lion");
  bench.paint(0.5, true);
  bench.say("export", { form: "apng", factor: 0 });
  await bench.quiet();
  assert.equal(bench.last("file").name, "a-lion-3-steps.png");
  assert.equal(chunksOf(bench.bytes("file")).filter((kind) => kind === "fcTL").length, 2);
});

test("another scene's factors are borrowed from a file or a prompt", async () => {
  const bench = await Bench.open();
  bench.say("export", { form: "json", factor: 0 });
  await bench.quiet();
  const file = bench.bytes("file").buffer;
  bench.say("borrow_source", { prompt: "", file: "lion.json" }, [file]);
  await bench.quiet();
  assert.equal(bench.last("borrow_source").source?.name, "lion.json");
  bench.palette("borrow", { factor: 1 });
  assert.deepEqual(bench.state.names.at(-1), "factor 2 2");
  bench.say("borrow_source", { prompt: "a tree", file: "" });
  await bench.quiet();
  const source = bench.last("borrow_source").source;
  assert.deepEqual([source?.name, source?.factors.length], ["a tree", 3]);
  bench.heard.length = 0;
  bench.say("icons", { keys: [source?.factors[0]?.icon] });
  await bench.quiet();
  assert.equal(bench.of("icon").length, 1);
});

test("a smaller picture has the mean of what it covers", () => {
  const rgba = Uint8ClampedArray.from({ length: 4 * 16 }, (_, i) => (i % 4 === 3 ? 255 : Math.floor(i / 4) * 10));
  const small = resized({ width: 4, height: 4, rgba }, 2);
  assert.deepEqual(
    [0, 4, 8, 12].map((at) => small.rgba[at]),
    [25, 45, 105, 125],
  );
});

test("a thousand strokes leave no more behind than the history holds", async () => {
  const bench = await Bench.open();
  for (let i = 0; i < 1000; i++) {
    bench.paint(i / 1000, true);
    if (i % 100 === 0) await bench.quiet();
    bench.heard.splice(0, bench.heard.length - 5);
  }
  await bench.quiet();
  assert.equal(bench.state.steps.length, 101);
  bench.say("export", { form: "py", factor: 0 });
  while (!bench.of("file").length) await bench.quiet();
  const program = new TextDecoder().decode(bench.bytes("file"));
  assert.ok(program.includes("# Earlier edits are not listed any more"));
  assert.ok(program.split("\n").length < 1100);
});
