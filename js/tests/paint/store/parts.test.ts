/** Each part of the store, tested alone. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Draft } from "../../../src/paint/store/draft.ts";
import { Factors } from "../../../src/paint/store/factors.ts";
import { FeatureSearch } from "../../../src/paint/store/feature_search.ts";
import { Files, saidOf } from "../../../src/paint/store/files.ts";
import { emptyLayers } from "../../../src/paint/store/grid.ts";
import { History } from "../../../src/paint/store/history.ts";
import { Painting } from "../../../src/paint/store/painting.ts";
import { Robustness, type Trial } from "../../../src/paint/store/robustness.ts";
import { Settings } from "../../../src/paint/store/settings.ts";
import { Stroke } from "../../../src/paint/store/stroke.ts";
import { Thumbnails } from "../../../src/paint/store/thumbnails.ts";
import { Variations } from "../../../src/paint/store/variations.ts";
import type { Edit, Request, RobustnessMessage, SceneInfo } from "../../../src/paint/transport/messages.ts";

function recorder() {
  const requests: Request[] = [];
  return { requests, ask: (request: Request) => requests.push(request) };
}

const INFO = {
  revision: 3,
  prompt: "a tree",
  style: "",
  seed: "7",
  n_steps: 1,
  n_factors: 2,
  factor_steps: [],
} as unknown as SceneInfo;

test("settings become a brush of one factor", () => {
  const settings = new Settings();
  settings.size.value = 5;
  const { factor, size, mode } = settings.brush(2);
  assert.deepEqual([factor, size, mode], [2, 5, "over"]);
});

test("a draft follows what is new in a scene and keeps what was typed", () => {
  const draft = new Draft();
  draft.follow(null, INFO);
  assert.equal(draft.differsFrom(INFO), false);
  draft.set({ prompt: "a lion" });
  assert.equal(draft.differsFrom(INFO), true);
  draft.follow(INFO, { ...INFO, style: "sepia" });
  assert.deepEqual([draft.fields.value.prompt, draft.fields.value.style], ["a lion", "sepia"]);
});

test("Draw only restyles if nothing but the style is new, also if leaving its field has restyled the painting", () => {
  const draft = new Draft();
  draft.follow(null, INFO);
  assert.equal(draft.onlyRestyles(INFO), false);
  draft.set({ style: "sepia" });
  assert.equal(draft.onlyRestyles(INFO), true);
  // The field is left by the press on Draw, and the kernel answers before the button is released.
  draft.press(INFO);
  const restyled = { ...INFO, style: "sepia" };
  draft.follow(INFO, restyled);
  assert.deepEqual([draft.onlyRestyles(restyled), draft.onlyRestyles(restyled)], [true, false]);
  draft.set({ style: "pixel art", prompt: "a lion" });
  draft.press(restyled);
  assert.equal(draft.onlyRestyles(restyled), false);
  draft.set({ prompt: INFO.prompt });
  draft.press(restyled);
  draft.set({ style: "sepia" });
  draft.press(restyled);
  assert.equal(draft.onlyRestyles(restyled), false);
});

test("after the largest seed comes 0", () => {
  const draft = new Draft();
  draft.set({ seed: String(2n ** 63n - 1n) });
  draft.nextSeed();
  assert.equal(draft.fields.value.seed, "0");
});

test("undo first cancels a stroke, and then takes back what has not been sent", () => {
  const { requests, ask } = recorder();
  let isStroking = true;
  let nWaiting = 1;
  const history = new History(
    ask,
    () => isStroking,
    () => nWaiting-- > 0,
  );
  history.take({ can_undo: true, can_redo: false, edited: true, replaced: false, steps: [], step: 4, film_from: [] });
  history.undo();
  assert.deepEqual(requests, []);
  isStroking = false;
  history.undo();
  assert.deepEqual(requests, []);
  history.undo();
  history.go(4);
  history.go(2);
  history.keep("best");
  assert.deepEqual(requests, [{ type: "undo" }, { type: "go", step: 2 }, { type: "keep", step: 4, name: "best" }]);
});

test("a film leads from the steps that the kernel names, which are of the same picture", () => {
  const history = new History(
    recorder().ask,
    () => false,
    () => false,
  );
  const state = { can_undo: true, can_redo: false, edited: true, replaced: false, step: 3 };
  const steps = [
    [0, "step 0", "first"],
    [1, "step 1", "of another picture"],
    [3, "step 3", "now"],
  ] as const;
  history.take({ ...state, steps, film_from: [0] });
  assert.deepEqual(history.filmFrom.value, [steps[0]]);
  history.take({ ...state, steps, film_from: [] });
  assert.deepEqual(history.filmFrom.value, []);
});

test("a film says which of its pictures is being drawn", () => {
  const files = new Files(
    () => 1,
    () => {},
    () => 1,
    () => false,
  );
  const said = () => files.film.value && saidOf(files.film.value);
  files.wantFilm(0);
  assert.equal(said(), "Drawing the film");
  files.receiveFilm({ type: "film", client: "", seq: 1, n_drawn: 2, n: 13 });
  assert.equal(said(), "Drawing picture 3 of 13");
  files.receiveFilm({ type: "film", client: "", seq: 1, n_drawn: 13, n: 13 });
  assert.equal(said(), "Making the film");
});

test("films and steps are in the forms that the kernel writes", () => {
  const asked: Request[] = [];
  let isApng = false;
  const files = new Files(
    (request) => asked.push(request),
    () => {},
    () => 1,
    () => isApng,
  );
  files.wantFilm(0);
  files.want(files.stepsForm);
  isApng = true;
  files.film.value = null;
  files.wantFilm(1);
  files.want(files.stepsForm);
  assert.deepEqual(
    asked.map((request) => "form" in request && request.form),
    ["webp", "gif", "apng", "apng"],
  );
  assert.ok(files.film.value);
});

test("edits are stopped before a variation is requested", () => {
  const order: string[] = [];
  const variations = new Variations(
    ({ type }) => order.push(type),
    () => order.push("start"),
  );
  variations.reseed("8");
  variations.refit(3);
  assert.deepEqual(order, ["start", "vary", "start", "vary"]);
});

test("an edit on other seeds: its pictures come one by one, and a change of the scene makes them outdated", () => {
  const asked: object[] = [];
  const taken: string[] = [];
  const robustness = new Robustness(
    (request) => asked.push(request),
    (seed) => taken.push(seed),
  );
  const shown = (): Trial | null => robustness.trial.value;
  const say = (change: Partial<RobustnessMessage>, seq = 1) =>
    robustness.receive({
      ...{ type: "robustness", client: "me", seq, n: 2, pair: null, map: "", text: "", outdated: false },
      ...change,
    });
  say({ text: "nobody asked" });
  assert.equal(shown(), null);
  robustness.start();
  assert.ok(robustness.isRunning);
  say({ pair: ["4", "a", "b"], map: "m" });
  say({ pair: ["9", "x", "y"] }, 7);
  say({ pair: ["5", "c", "d"] });
  assert.deepEqual(shown()?.pairs, [
    ["4", "a", "b"],
    ["5", "c", "d"],
  ]);
  assert.equal(shown()?.map, "m");
  say({ text: "done" });
  assert.ok(!robustness.isRunning);
  robustness.take("5");
  robustness.outdate(); // by the seed that was taken
  assert.equal(shown()?.outdated, false);
  robustness.outdate(); // by a stroke
  assert.equal(shown()?.outdated, true);
  assert.equal(shown()?.text, "done");
  robustness.close();
  assert.equal(shown(), null);
  robustness.start();
  robustness.close();
  say({ pair: ["4", "a", "b"] }, 2);
  assert.equal(shown(), null);
  assert.deepEqual(taken, ["5"]);
  const [on, off] = [true, false].map((on) => ({ type: "robustness", on }));
  assert.deepEqual(asked, [on, on, off]);
});

test("a stroke needs a painting, settings and factors, and no store", () => {
  const edits: Edit[] = [];
  const painting = new Painting(
    { stream: (snapshot) => edits.push(snapshot()), commit: (edit) => edits.push(edit) },
    { now: () => 0, setTimeout: () => 0, clearTimeout: () => {} },
  );
  const [settings, factors] = [new Settings(), new Factors()];
  let isEditable = false;
  const stroke = new Stroke(
    painting,
    settings,
    factors,
    () => isEditable,
    () => {},
  );
  const layers = emptyLayers({ rows: 3, cols: 5 }, 1);
  painting.take(INFO, [1], layers, new Float32Array(30));
  factors.follow({ ids: [0], run: "a run", features: [[]], first_thing: 0 });
  assert.equal(stroke.begin({ row: 1.5, col: 4.5 }), false);
  isEditable = true;
  settings.size.value = 1;
  assert.ok(stroke.begin({ row: 1.5, col: 4.5 }));
  assert.equal(painting.layers.value.strengths[9], 1);
  assert.ok(stroke.cancel());
  assert.equal(stroke.cancel(), false);
  assert.equal(painting.layers.value, layers);
  assert.deepEqual(
    edits.map(({ commit, revision, call }) => [commit, revision, call]),
    [
      [false, 3, undefined],
      [true, 3, undefined],
    ],
  );
});

test("a search ignores answers to earlier texts", () => {
  let seq = 0;
  const search = new FeatureSearch(() => ++seq);
  search.search("a");
  search.search("b");
  const answer = (seq: number, feature: number) =>
    search.receive({ type: "found", client: "me", seq, concepts: [], features: [{ feature, label: "" }] });
  answer(1, 5);
  assert.deepEqual([search.isDone, search.found.value], [false, []]);
  answer(2, 6);
  assert.deepEqual([search.isDone, search.found.value.length], [true, 1]);
});

test("a thumbnail is requested once", () => {
  const { requests, ask } = recorder();
  const thumbnails = new Thumbnails(ask);
  thumbnails.request(["a", "", "a"]);
  thumbnails.request(["a"]);
  thumbnails.receive({ type: "icon", key: "a", url: "data:," });
  assert.equal(thumbnails.urls.value.a, "data:,");
  assert.deepEqual(requests, [{ type: "icons", keys: ["a"] }]);
});
