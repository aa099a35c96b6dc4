/** Strokes of pointers and keys on a canvas that is an EventTarget. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { View } from "../../../src/paint/store/view.ts";
import { listenToPointer } from "../../../src/paint/ui/pointer.ts";
import { openStore } from "../fake_kernel.ts";

// Node has none; moves are used when the stroke ends at the latest.
Object.assign(globalThis, { requestAnimationFrame: () => 1, cancelAnimationFrame: () => {} });

function setUp() {
  const { kernel, store } = openStore();
  kernel.state();
  store.settings.size.value = 1;
  const view = new View(store);
  const listening = new AbortController();
  const canvas = Object.assign(new EventTarget(), {
    focus: () => {},
    setPointerCapture: () => {},
    getBoundingClientRect: () => ({ left: 0, top: 0, width: 16, height: 16 }),
  });
  listenToPointer(canvas as unknown as HTMLCanvasElement, view, listening.signal);
  const point = (type: string, clientX: number) => {
    const held = { button: 0, buttons: 1, pointerId: 5, pointerType: "touch", shiftKey: false, altKey: false };
    canvas.dispatchEvent(Object.assign(new Event(type), { ...held, clientX, clientY: 0.5 }));
  };
  const painted = () => [0, 1, 2, 3].filter((p) => store.painting.layers.value.strengths[2 * p] === 1);
  const commits = () => kernel.of("edit").filter(({ commit }) => commit);
  return { store, view, listening, point, painted, commits };
}

test("a pointer paints from where it goes down to where it goes up", () => {
  const { point, painted, commits } = setUp();
  point("pointerdown", 0.5);
  point("pointermove", 2.5);
  point("pointerup", 2.5);
  point("lostpointercapture", 2.5);
  assert.deepEqual([painted(), commits().length, commits()[0].call.verb], [[0, 1, 2], 1, "paint"]);
});

test("a gesture of the system takes the stroke back that it began with", () => {
  const { store, point, painted, commits } = setUp();
  point("pointerdown", 0.5);
  assert.deepEqual(painted(), [0]);
  point("pointercancel", 0);
  point("lostpointercapture", 0);
  assert.deepEqual([painted(), store.stroke.isActive], [[], false]);
  assert.deepEqual(
    commits().map(({ call }) => call),
    [undefined],
    "what was streamed is undone in the kernel",
  );
});

test("a pointer that is lost otherwise ends its stroke", () => {
  const { point, painted, commits } = setUp();
  point("pointerdown", 0.5);
  point("lostpointercapture", 0.5);
  assert.deepEqual([painted(), commits()[0].call.verb], [[0], "paint"]);
});

test("a stroke of the keyboard ends where the pointer begins another one", () => {
  const { store, view, point, painted, commits } = setUp();
  view.cursor.value = 0;
  view.press("free", true);
  view.moveCursor(0, 1);
  point("pointerdown", 3.5);
  point("pointerup", 3.5);
  assert.deepEqual([painted(), commits().length, store.stroke.isActive], [[0, 1, 3], 2, false]);
});

test("a stroke of the keyboard ends when the grid is left, but not one of the pointer or of another view", () => {
  const { store, view, point, painted, commits } = setUp();
  view.cursor.value = 0;
  view.press("free", true);
  new View(store).leaveKeys();
  assert.ok(store.stroke.isActive);
  view.leaveKeys();
  assert.deepEqual([store.stroke.isActive, view.cursor.value, painted(), commits().length], [false, null, [0], 1]);
  view.press("free", true);
  store.stroke.cancel();
  point("pointerdown", 2.5);
  view.leaveKeys();
  assert.ok(store.stroke.isActive);
});

test("a view that is closed ends its stroke", () => {
  const { store, listening, point, painted, commits } = setUp();
  point("pointerdown", 0.5);
  point("pointermove", 1.5);
  listening.abort();
  assert.deepEqual([store.stroke.isActive, painted(), commits().length], [false, [0, 1], 1]);
});
