import assert from "node:assert/strict";
import { test } from "node:test";
import { View } from "../../../src/paint/store/view.ts";
import { actionOf } from "../../../src/paint/ui/keys.ts";
import { openStore } from "../fake_kernel.ts";

const middle = (row: number, col: number) => ({ row: row + 0.5, col: col + 0.5 });

function setUp() {
  const { kernel, store } = openStore();
  kernel.state();
  const view = new View(store);
  const press = (key: string, inText = false) =>
    actionOf(key, { command: true, shift: false, alt: false }, { onGrid: !inText, inText }, view);
  /** The kernel pastes patch 0, and adds a factor that is there alone. */
  const paste = () => {
    press("v")?.();
    kernel.state({ revision: 2, names: ["sky", "tree", "castle"] }, 0.5);
    kernel.say({ type: "notice", client: "me", seq: kernel.of("paste").at(-1).seq, text: "Pasted.", patches: [0] });
  };
  return { kernel, store, press, paste };
}

test("Ctrl+C asks to copy the selected patches; without a selection none, which means all edits", () => {
  const { kernel, store, press } = setUp();
  press("c")?.();
  store.settings.selection.value = Uint8Array.from({ length: 256 }, (_, p) => Number(p === 3 || p === 7));
  press("C")?.();
  assert.deepEqual(
    kernel.of("copy").map(({ patches }) => patches),
    [[], [3, 7]],
  );
});

test("keys in a text field copy and paste its text", () => {
  const { press } = setUp();
  assert.equal(press("c", true), null);
  assert.equal(press("v", true), null);
});

test("selected text is copied by the browser", () => {
  const { press } = setUp();
  const page = globalThis as { getSelection?: unknown };
  page.getSelection = () => ({ isCollapsed: false });
  try {
    assert.equal(press("c"), null);
  } finally {
    delete page.getSelection;
  }
  assert.notEqual(press("c"), null);
});

test("a paste cancels the stroke in progress, repeats the revision, and selects what it put there, to move it", () => {
  const { kernel, store, paste } = setUp();
  store.stroke.begin(middle(5, 5));
  paste();
  assert.equal(store.stroke.isActive, false);
  assert.equal(kernel.of("paste")[0].revision, 1);
  assert.equal(store.clipboard.notice.value, "Pasted.");
  assert.equal(store.status.said.value, "Pasted. Drag it.");
  assert.equal(store.settings.tool.value, "move");
  assert.deepEqual(
    [...(store.settings.selection.value ?? [])].flatMap((on, p) => (on ? p : [])),
    [0],
  );
});

test("moved away, what was pasted uncovers what was there, as often as it is moved", () => {
  const { store, paste } = setUp();
  paste();
  const at = (patch: number) => [...store.painting.layers.value.strengths.slice(3 * patch, 3 * patch + 3)];
  store.painting.layers.value.strengths.fill(0.75, 0, 3);
  for (const [from, to] of [
    [0, 2],
    [2, 4],
  ] as const) {
    store.stroke.begin(middle(0, from));
    store.stroke.advance([middle(0, to)]);
    store.stroke.end();
    assert.deepEqual(at(to), [0.75, 0.75, 0.75]);
    // What was under the pasted patch is from before; the others are as they are now.
    assert.deepEqual(at(from), from ? [0.5, 0.5, 0.5] : [0.25, 0.25, 0]);
  }
});

test("a selection that was not pasted is moved as before", () => {
  const { store, paste } = setUp();
  paste();
  store.settings.selection.value = Uint8Array.from({ length: 256 }, (_, p) => Number(p === 0));
  store.stroke.begin(middle(0, 0));
  store.stroke.advance([middle(0, 2)]);
  store.stroke.end();
  assert.deepEqual([...store.painting.layers.value.strengths.slice(0, 3)], [0.5, 0.5, 0.5]);
});

test("a notice goes with the next state of the scene, and one without patches leaves the selection", () => {
  const { kernel, store } = setUp();
  kernel.say({ type: "notice", client: "me", seq: 9, text: "Copied.", patches: null });
  assert.equal(store.clipboard.notice.value, "Copied.");
  assert.equal(store.settings.selection.value, null);
  kernel.state();
  assert.equal(store.clipboard.notice.value, "");
  // On the picture it stays for some seconds, or until the next stroke.
  assert.equal(store.status.said.value, "Copied.");
  store.stroke.begin(middle(5, 5));
  assert.equal(store.status.said.value, "");
});

test("a picture is shared with a title, and the answer says where to look", () => {
  const { kernel, store } = setUp();
  store.clipboard.isSharing.value = true;
  store.clipboard.share("a lion");
  assert.equal(store.clipboard.isSharing.value, true);
  const { title, seq } = kernel.of("share").at(-1);
  assert.equal(title, "a lion");
  const notice = { type: "notice", client: "me", seq, text: "Shared.", patches: null };
  kernel.say({ ...notice, link: "https://host/gallery" });
  assert.equal(store.clipboard.isSharing.value, false);
  assert.equal(store.clipboard.link.value, "https://host/gallery");
  kernel.say({ ...notice, link: "javascript:alert(1)" });
  assert.equal(store.clipboard.link.value, "");
});
