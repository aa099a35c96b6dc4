import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyMask, emptyLayers as emptyOn } from "../../../src/paint/store/grid.ts";
import { View } from "../../../src/paint/store/view.ts";
import { TOOLS } from "../../../src/paint/tools/index.ts";
import { actionOf } from "../../../src/paint/ui/keys.ts";
import { pressureOf, samplesOf } from "../../../src/paint/ui/pointer.ts";
import { openStore } from "../fake_kernel.ts";

const GRID = { rows: 16, cols: 16 };
const emptyLayers = (nFactors: number) => emptyOn(GRID, nFactors);

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

test("letters pick the tool, brackets the size, and digits the factor", () => {
  const { store, press } = setUp();
  press("e");
  assert.equal(store.settings.tool.value, "erase");
  press("M");
  assert.equal(store.settings.tool.value, "move");
  press("b");
  assert.equal(store.settings.tool.value, "paint");
  store.settings.size.value = 2;
  press("]");
  assert.equal(store.settings.size.value, 3);
  for (let i = 0; i < 20; i++) press("[");
  assert.equal(store.settings.size.value, 1);
  press("2");
  assert.equal(store.factors.picked.value, 1);
  for (const [name, { key }] of Object.entries(TOOLS)) {
    press(key.toLowerCase());
    assert.equal(store.settings.tool.value, name);
  }
  assert.equal(press("3"), false);
});

test("keys in a text field only type text", () => {
  const { press } = setUp();
  for (const key of ["b", "1", "[", " ", "Escape"])
    assert.equal(press(key, {}, { onGrid: false, inText: true }), false);
  assert.equal(press("z", { command: true }, { onGrid: false, inText: true }), false);
});

test("Ctrl+Z undoes, Shift+Ctrl+Z and Ctrl+Y redo, other combinations are left to the notebook", () => {
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
  store.settings.size.value = 1;
  for (let i = 0; i < 20; i++) press("ArrowUp");
  for (let i = 0; i < 20; i++) press("ArrowLeft");
  assert.equal(view.cursor.value, 0);
  press(" ");
  assert.equal(store.painting.layers.value.strengths[0], 1);
  assert.equal(kernel.of("edit").at(-1)?.commit, true);
  assert.equal(store.stroke.isActive, false);
});

test("a screen reader is told where the arrows lead, and what is there; nothing else changes that", () => {
  const { kernel, store, view, press } = setUp();
  kernel.state({ gains: [1, 2], revision: 2 });
  store.settings.size.value = 1;
  store.painting.layers.value.strengths.set([0.3, -0.5], 2 * 17);
  view.cursor.value = 1;
  press("ArrowDown");
  assert.equal(view.spoken.value, "Row 1, column 1, tree -1.00");
  press(" ");
  assert.equal(view.spoken.value, "Row 1, column 1, tree -1.00");
  store.painting.layers.value.strengths.fill(0, 0, 2);
  press("ArrowUp");
  press("ArrowLeft");
  assert.equal(view.spoken.value, "Row 0, column 0, no factor");
  view.leaveKeys();
  assert.equal(view.spoken.value, "");
  const early = new View(openStore().store);
  early.moveCursor(0, 1);
  assert.equal(early.spoken.value, "", "there is no scene yet");
});

test("with the move tool Space starts, arrows move, Space ends", () => {
  const { kernel, store, view, press } = setUp();
  kernel.state({ revision: 2 }, 0);
  store.painting.layers.value = emptyLayers(2);
  store.painting.layers.value.strengths[2 * (4 * 16 + 4)] = 1;
  store.settings.tool.value = "move";
  view.cursor.value = 4 * 16 + 4;
  press(" ");
  press("ArrowRight");
  press("ArrowRight");
  press(" ");
  assert.equal(store.painting.layers.value.strengths[2 * (4 * 16 + 6)], 1);
  assert.equal(store.painting.layers.value.strengths[2 * (4 * 16 + 4)], 0);
  assert.equal(kernel.of("edit").at(-1)?.commit, true);
});

test("Escape cancels a stroke; otherwise the notebook gets the key", () => {
  const { store, press } = setUp();
  assert.equal(press("Escape"), false);
  store.stroke.begin({ row: 0.5, col: 0.5 });
  assert.equal(press("Escape"), true);
  assert.equal(store.painting.layers.value.strengths[0], 0.25);
});

test("Escape closes the edit on other seeds, after all else", () => {
  const { kernel, store, press } = setUp();
  store.robustness.start();
  store.settings.selection.value = emptyMask(GRID);
  press("Escape");
  assert.ok(store.robustness.isRunning);
  press("Escape");
  assert.equal(store.robustness.trial.value, null);
  assert.deepEqual(
    kernel.of("robustness").map(({ on }) => on),
    [true, false],
  );
});

test("Escape closes the strip of other seeds", () => {
  const { store, press } = setUp();
  store.variations.isOpen.value = true;
  assert.equal(press("Escape"), true);
  assert.equal(store.variations.isOpen.value, false);
  assert.equal(press("Escape"), false);
});

test("Escape closes the film, also from its list, and ends what is drawn for it", () => {
  const { kernel, store, press } = setUp();
  store.files.wantFilm(0);
  assert.equal(press("Escape", {}, { onGrid: false, inText: true }), true);
  assert.equal(store.files.film.value, null);
  assert.equal(kernel.of("stop_film").length, 1);
  assert.equal(press("Escape"), false);
});

test("Enter starts a stroke, arrows continue it, Enter ends it; with Shift the line is straight", () => {
  const { kernel, store, view, press } = setUp();
  store.settings.size.value = 1;
  view.cursor.value = 0;
  press("Enter", { shift: true });
  assert.ok(store.stroke.isActive);
  press("ArrowDown");
  press("ArrowRight");
  press("Enter");
  assert.deepEqual(
    [0, 1, 16, 17].map((p) => store.painting.layers.value.strengths[2 * p]),
    [1, 0.25, 0.25, 1],
  );
  assert.deepEqual(kernel.of("edit").at(-1)?.call.verb, "paint");
});

test("with a selection tool Space marks one corner and the other", () => {
  const { store, view, press } = setUp();
  store.settings.tool.value = "rect";
  view.cursor.value = 0;
  press(" ");
  press("ArrowRight");
  press(" ");
  assert.deepEqual([...(store.settings.selection.value ?? [])].slice(0, 3), [1, 1, 0]);
});

test("plus and minus scale the picked factor in the selection, Delete erases all of it, Escape removes it", () => {
  const { store, press } = setUp();
  store.settings.heal.value = false;
  assert.equal(press("Delete"), false);
  store.settings.selection.value = emptyMask(GRID).fill(1, 0, 1);
  press("+");
  const strengths = () => [...store.painting.layers.value.strengths.slice(0, 4)].map((s) => Number(s.toFixed(3)));
  assert.deepEqual(strengths(), [0.275, 0.25, 0.25, 0.25]);
  press("-");
  assert.deepEqual(strengths(), [0.25, 0.25, 0.25, 0.25]);
  press("Delete");
  assert.deepEqual(strengths(), [0, 0, 0.25, 0.25]);
  press("Escape");
  assert.equal(store.settings.selection.value, null);
});

test("without a selection plus and minus move the picked factor's slider, up to its ends", () => {
  const { kernel, store, press } = setUp();
  store.factors.pick(1);
  press("+");
  assert.deepEqual(
    store.painting.gains.value.map((gain) => gain.toFixed(2)),
    ["1.00", "1.10"],
  );
  press("-");
  press("-");
  assert.equal(store.painting.gains.value[1]?.toFixed(2), "0.91");
  for (let i = 0; i < 20; i++) press("+");
  assert.equal(store.painting.gains.value[1], 2);
  assert.deepEqual([...store.painting.layers.value.strengths.slice(0, 2)], [0.25, 0.25]);
  kernel.state({ names: [] });
  assert.ok(press("+"));
});

test("H, S and K hide, show alone and lock the picked factor; a second press undoes it", () => {
  const { store, press } = setUp();
  for (const on of [true, false]) {
    for (const key of "hsk") press(key);
    assert.deepEqual(
      [store.factors.hidden.value.has(0), store.factors.soloIndex.value === 0, store.factors.locked.value.has(0)],
      [on, on, on],
    );
  }
});

test("a question mark opens the list of keys, and Escape closes it", () => {
  const { view, press } = setUp();
  press("?");
  assert.ok(view.help.value);
  press("Escape");
  assert.equal(view.help.value, false);
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

for (const { rows, cols } of [
  { rows: 24, cols: 24 },
  { rows: 12, cols: 20 },
])
  test(`the keyboard reaches all patches of a grid of ${rows}×${cols}, and starts in its middle`, () => {
    const { kernel, store, view, press } = setUp();
    kernel.state({ rows, cols, revision: 2 });
    store.settings.size.value = 1;
    press("ArrowRight");
    assert.equal(view.cursor.value, (rows / 2) * cols + cols / 2);
    for (let i = 0; i < rows; i++) press("ArrowDown");
    for (let i = 0; i < cols; i++) press("ArrowRight");
    assert.equal(view.cursor.value, rows * cols - 1);
    press(" ");
    assert.equal(store.painting.layers.value.strengths.at(-2), 1);
  });
