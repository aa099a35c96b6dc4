import assert from "node:assert/strict";
import { test } from "node:test";
import { kernel } from "../../../src/page/kernel/kernel.ts";
import { pause } from "../../../src/page/kernel/tasks.ts";
import { fromBytes } from "../../../src/page/scene/file.ts";
import { Store } from "../../../src/paint/store/store.ts";
import type { Model } from "../../../src/paint/transport/messages.ts";
import { FakePainter, projected } from "./fake_painter.ts";

type Listener = (content: unknown, buffers: DataView[]) => void;

/** The widget's own store, in front of the page's kernel; messages are cloned as between page and worker. */
class Page {
  readonly painter = new FakePainter();
  readonly saved: [name: string, bytes: Uint8Array][] = [];
  readonly store: Store;
  private said = 0;

  constructor() {
    const listeners = new Set<Listener>();
    const traits = new Map<string, unknown>();
    const { receive } = kernel(this.painter, {
      panels: "the panels",
      transform: projected,
      wanted: { prompt: "a lion", seed: 3, n_factors: 3 },
      settleMs: 5,
      send: (message, buffers = []) => {
        this.said++;
        const [content, bytes] = structuredClone([message, buffers]);
        const views = (bytes as Uint8Array[]).map(({ buffer }) => new DataView(buffer as ArrayBuffer));
        setTimeout(() => {
          for (const listener of listeners) listener(content, views);
        });
      },
    });
    const model: Model = {
      get: (name) => traits.get(name),
      set: (name, value) => void traits.set(name, value),
      save_changes: () => {},
      send: (content, _, buffers = []) => {
        const [message, bytes] = structuredClone([content, buffers]) as [unknown, ArrayBuffer[]];
        setTimeout(() => receive(message, bytes));
      },
      on: (event, callback) => event === "msg:custom" && void listeners.add(callback as unknown as Listener),
      off: () => {},
    };
    this.store = new Store(model, {
      client: "me",
      clock: { now: () => performance.now(), setTimeout, clearTimeout: (timer) => clearTimeout(timer as never) },
      decode: async (bytes) => ({ bytes, close() {} }) as unknown as ImageBitmap,
      loadPanels: async (source) => ({ source }),
      save: (name, _, bytes) => void this.saved.push([name, bytes]),
    });
    this.store.open();
  }

  static async open(): Promise<Page> {
    const page = new Page();
    await page.quiet();
    return page;
  }

  async quiet(): Promise<void> {
    for (let [calm, n] = [0, -1]; calm < 15; [calm, n] = [this.said === n ? calm + 1 : 0, this.said]) {
      await pause();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  close(): void {
    this.store.close();
  }
}

const at = (row: number, col: number) => ({ row: row + 0.5, col: col + 0.5 });

test("a stroke with the brush is painted, drawn, undone and done again", async () => {
  const page = await Page.open();
  const { store } = page;
  const { painting, history, stroke, settings, status } = store;
  assert.equal(painting.info.value?.prompt, "a lion");
  assert.equal(status.task.value, "");
  const before = painting.layers.value.strengths;
  settings.size.value = 1;
  assert.ok(stroke.begin(at(1, 1)));
  stroke.advance([at(1, 2), at(1, 3)]);
  stroke.end();
  const after = painting.layers.value.strengths;
  await page.quiet();
  assert.deepEqual(page.painter.drawn.at(-1)?.at(0)?.strengths, after);
  assert.ok(history.canUndo.value);
  assert.equal(store.pictures.picture.value?.frame?.kind, "final");
  history.undo();
  await page.quiet();
  assert.deepEqual(painting.layers.value.strengths, before);
  history.redo();
  await page.quiet();
  assert.deepEqual(painting.layers.value.strengths, after);
  store.files.want("py");
  await page.quiet();
  assert.match(
    store.files.program.value ?? "",
    /^scene = painter\.analyze\('a lion', seed=3, n_steps=1, n_factors=3\)\nscene = scene\.paint\(factor='factor 1', /m,
  );
  page.close();
});

test("a feature is found by its label and added; its slider and its weights are set", async () => {
  const page = await Page.open();
  const { store } = page;
  store.search.search("Lion");
  await page.quiet();
  assert.deepEqual(
    store.search.found.value.map((found) => "feature" in found && found.feature),
    [3],
  );
  store.palette.add("add_factor", { features: { 3: 1 }, name: "lion" });
  for (let weight = 0; weight <= 10; weight++)
    store.palette.change("set_weight", { factor: 0, feature: 2, weight: weight / 10 }, weight === 10);
  await page.quiet();
  assert.ok(store.palette.isIdle);
  const { info } = store.painting;
  assert.deepEqual(info.value?.names.at(-1), "lion");
  assert.equal(info.value?.features[0]?.find(({ feature }) => feature === 2)?.weight, 1);
  assert.equal(store.history.steps.value.length, 3, "a drag is one step");
  store.painting.setGain(3, 0.5, true);
  store.files.want("png");
  await page.quiet();
  const [[name, file] = ["", new Uint8Array(0)]] = page.saved;
  assert.equal(name, "a-lion-3.png");
  assert.deepEqual((await fromBytes(file as Uint8Array<ArrayBuffer>)).names.at(-1), "lion");
  page.close();
});

test("a selection is copied and pasted beside itself", async () => {
  const page = await Page.open();
  const { store } = page;
  const mask = new Uint8Array(42);
  mask[9] = 1;
  store.settings.selection.value = mask;
  store.clipboard.copy();
  await page.quiet();
  assert.match(store.clipboard.notice.value, /^Copied 1 patch of factor /);
  store.clipboard.paste();
  await page.quiet();
  assert.match(store.clipboard.notice.value, /^Pasted 1 patch of factor /);
  assert.deepEqual(store.settings.selection.value?.indexOf(1), 10);
  page.close();
});

test("a new picture, its thumbnails and the notes on its prompt", async () => {
  const page = await Page.open();
  const { store } = page;
  store.draft.set({ prompt: "a zebra", seed: "9223372036854775807", n_factors: 2 });
  store.draw();
  await page.quiet();
  const { info } = store.painting;
  assert.deepEqual(
    [info.value?.prompt, info.value?.seed, info.value?.names.length],
    ["a zebra", "9223372036854775807", 2],
  );
  for (const icon of info.value?.icons ?? []) assert.match(store.thumbnails.urls.value[icon] ?? "", /^data:image\/png/);
  assert.equal(store.notes.now.value?.prompt, "not known here: zebra");
  assert.deepEqual(store.notes.now.value?.words, ["a", "lion"]);
  assert.deepEqual(store.files.filmForms, ["apng"]);
  assert.equal(store.status.error.value, null);
  page.close();
});
