import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyLayers, emptyMask, GRID } from "../src/paint/store/grid.ts";
import { View } from "../src/paint/store/view.ts";
import { TOOLS } from "../src/paint/tools/index.ts";
import { pressureOf, samplesOf } from "../src/paint/tools/pointer.ts";
import { actionOf } from "../src/paint/ui/keys.ts";
import { type OverlayState, outline, rgb, tint } from "../src/paint/ui/overlay.ts";
import { openStore } from "./fake_kernel.ts";

const NONE = { command: false, shift: false, alt: false };
const GRID_FOCUS = { onGrid: true, inText: false };

function setUp() {
  const { kernel, store } = openStore();
  kernel.state();
  const view = new View(store);
  const press = (key: string, held: Partial<typeof NONE> = {}, where = GRID_FOCUS) => {
    const action = actionOf(key, { ...NONE, ...held }, where, view);
    action?.();
    return action !== null;
  };
  return { kernel, store, view, press };
}

test("letters pick tools, brackets the size, digits the factor", () => {
  const { store, press } = setUp();
  press("e");
  assert.equal(store.tool.val, "erase");
  press("M");
  assert.equal(store.tool.val, "move");
  press("b");
  assert.equal(store.tool.val, "paint");
  press("]");
  assert.equal(store.size.val, 3);
  for (let i = 0; i < 20; i++) press("[");
  assert.equal(store.size.val, 1);
  press("2");
  assert.equal(store.factor.val, 1);
  for (const [name, { key }] of Object.entries(TOOLS)) {
    press(key.toLowerCase());
    assert.equal(store.tool.val, name);
  }
  assert.equal(press("3"), false);
});

test("keys in a text field are text", () => {
  const { press } = setUp();
  for (const key of ["b", "1", "[", " ", "Escape"])
    assert.equal(press(key, {}, { onGrid: false, inText: true }), false);
  assert.equal(press("z", { command: true }, { onGrid: false, inText: true }), false);
});

test("Ctrl+Z undoes, Shift+Ctrl+Z and Ctrl+Y redo, other combinations are the notebook's", () => {
  const { kernel, press } = setUp();
  kernel.state({ can_undo: true, can_redo: true });
  press("z", { command: true });
  press("Z", { command: true, shift: true });
  press("y", { command: true });
  assert.deepEqual([kernel.of("undo").length, kernel.of("redo").length], [1, 2]);
  assert.equal(press("s", { command: true }), false);
  assert.equal(press("b", { command: true }), false);
});

test("arrows move the cursor within the grid, Space paints one dab there", () => {
  const { kernel, store, view, press } = setUp();
  store.size.val = 1;
  for (let i = 0; i < 20; i++) press("ArrowUp");
  for (let i = 0; i < 20; i++) press("ArrowLeft");
  assert.equal(view.cursor.val, 0);
  press(" ");
  assert.equal(store.layers.val.strengths[0], 1);
  assert.equal(kernel.of("edit").at(-1)?.commit, true);
  assert.equal(store.isStroking, false);
});

test("with the move tool Space picks up, arrows carry, Space sets down", () => {
  const { kernel, store, view, press } = setUp();
  kernel.state({ revision: 2 }, 0);
  store.layers.val = emptyLayers(2);
  store.layers.val.strengths[2 * (4 * GRID + 4)] = 1;
  store.tool.val = "move";
  view.cursor.val = 4 * GRID + 4;
  press(" ");
  press("ArrowRight");
  press("ArrowRight");
  press(" ");
  assert.equal(store.layers.val.strengths[2 * (4 * GRID + 6)], 1);
  assert.equal(store.layers.val.strengths[2 * (4 * GRID + 4)], 0);
  assert.equal(kernel.of("edit").at(-1)?.commit, true);
});

test("Escape takes a stroke back, and is the notebook's otherwise", () => {
  const { store, press } = setUp();
  assert.equal(press("Escape"), false);
  store.beginStroke({ row: 0.5, col: 0.5 });
  assert.equal(press("Escape"), true);
  assert.equal(store.layers.val.strengths[0], 0.25);
});

test("Enter puts a tool down, arrows drag it, Enter lifts it; with Shift the line is straight", () => {
  const { kernel, store, view, press } = setUp();
  store.size.val = 1;
  view.cursor.val = 0;
  press("Enter", { shift: true });
  assert.ok(store.isStroking);
  press("ArrowDown");
  press("ArrowRight");
  press("Enter");
  assert.deepEqual(
    [0, 1, GRID, GRID + 1].map((p) => store.layers.val.strengths[2 * p]),
    [1, 0.25, 0.25, 1],
  );
  assert.deepEqual(kernel.of("edit").at(-1)?.deed.verb, "paint");
});

test("with a selection tool Space marks one corner and the other", () => {
  const { store, view, press } = setUp();
  store.tool.val = "rect";
  view.cursor.val = 0;
  press(" ");
  press("ArrowRight");
  press(" ");
  assert.deepEqual([...(store.selection.val ?? [])].slice(0, 3), [1, 1, 0]);
});

test("plus and minus scale the picked factor in the selection, Delete erases all of it, Escape lets go of it", () => {
  const { store, press } = setUp();
  store.heal.val = false;
  assert.equal(press("Delete"), false);
  store.selection.val = emptyMask().fill(1, 0, 1);
  press("+");
  const strengths = () => [...store.layers.val.strengths.slice(0, 4)].map((s) => Number(s.toFixed(3)));
  assert.deepEqual(strengths(), [0.275, 0.25, 0.25, 0.25]);
  press("-");
  assert.deepEqual(strengths(), [0.25, 0.25, 0.25, 0.25]);
  press("Delete");
  assert.deepEqual(strengths(), [0, 0, 0.25, 0.25]);
  press("Escape");
  assert.equal(store.selection.val, null);
  press("+");
  assert.deepEqual(strengths(), [0, 0, 0.275, 0.25]);
});

test("H, S and K hide, solo and lock the picked factor, and again take it back", () => {
  const { store, press } = setUp();
  for (const on of [true, false]) {
    for (const key of "hsk") press(key);
    assert.deepEqual([store.hidden.val.has(0), store.soloed.val === 0, store.locked.val.has(0)], [on, on, on]);
  }
});

test("a question mark opens the sheet of keys, Escape closes it", () => {
  const { view, press } = setUp();
  press("?");
  assert.ok(view.help.val);
  press("Escape");
  assert.equal(view.help.val, false);
});

test("a pen's pressure counts, a mouse's does not", () => {
  const press = (pointerType: string, pressure: number) => pressureOf({ pointerType, pressure } as PointerEvent);
  assert.deepEqual([press("pen", 0.3), press("mouse", 0.5), press("touch", 0.2), press("pen", 0)], [0.3, 1, 1, 1]);
});

test("arrows belong to a slider while it has the focus", () => {
  const { press } = setUp();
  assert.equal(press("ArrowLeft", {}, { onGrid: false, inText: false }), false);
});

test("a fast pointer's coalesced samples are all used", () => {
  const samples = [1, 2, 3].map((x) => ({ clientX: x }) as PointerEvent);
  const event = { clientX: 3, getCoalescedEvents: () => samples } as unknown as PointerEvent;
  assert.deepEqual(samplesOf(event), samples);
});

test("without coalesced samples the event itself counts", () => {
  const empty = { clientX: 3, getCoalescedEvents: () => [] } as unknown as PointerEvent;
  assert.deepEqual(samplesOf(empty), [empty]);
  const old = { clientX: 3 } as unknown as PointerEvent;
  assert.deepEqual(samplesOf(old), [old]);
});

function overlay(change: Partial<OverlayState>): OverlayState {
  const layers = emptyLayers(2);
  layers.strengths.set([1, 0.5], 0);
  return {
    layers,
    gains: [1, 1],
    colors: ["#ff0000", "#0000ff"],
    hidden: new Set(),
    picked: 0,
    solo: null,
    aim: null,
    brushSize: 1,
    selection: null,
    ghost: null,
    opacity: 0.5,
    lines: false,
    beside: false,
    tinted: true,
    ...change,
  };
}

const pixel = (state: OverlayState) => [...tint(state).slice(0, 4)];

test("a patch takes the colour of what rules it, and nothing where nothing is", () => {
  const [red = 0, , blue = 0, alpha = 0] = pixel(overlay({}));
  assert.ok(red > 3 * blue);
  assert.ok(alpha > 60);
  assert.deepEqual([...tint(overlay({})).slice(4, 8)], [0, 0, 0, 0]);
});

test("hidden factors give no tint, and one looked at alone gives all of it", () => {
  assert.deepEqual(pixel(overlay({ hidden: new Set([0]) })).slice(0, 3), [0, 0, 255]);
  assert.deepEqual(pixel(overlay({ hidden: new Set([1]), solo: 1 })).slice(0, 3), [0, 0, 255]);
});

test("sliders count in the tint", () => {
  assert.deepEqual(pixel(overlay({ gains: [0, 1] })).slice(0, 3), [0, 0, 255]);
});

test("colours are read from hex", () => {
  assert.deepEqual(rgb("#56b4e9"), [86, 180, 233]);
});

test("an outline goes around a region, the border of the grid included", () => {
  const mask = emptyMask();
  mask[0] = 1;
  mask[1] = 1;
  assert.equal(outline(mask).length, 6);
});
