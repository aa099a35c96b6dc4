/** Keyboard: tools and history anywhere in the widget, the patch cursor on the grid. */

import { keepKeysFromNotebook } from "../../shared/notebook_keys.ts";
import { clamp } from "../../shared/numbers.ts";
import { put } from "../../shared/signals.ts";
import { MAX_BRUSH } from "../store/settings.ts";
import type { View } from "../store/view.ts";
import { TOOLS, type ToolName } from "../tools/index.ts";
import { AREAS } from "../tools/shapes.ts";
import type { Shape } from "../tools/tool.ts";

const ARROWS: Record<string, readonly [number, number]> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

/** What one press of + makes the factor stronger by; - takes it back. */
const STEP = 1.1;

/** All keys but the tools' own, for the sheet that `?` opens. */
export const KEYS: readonly (readonly [keys: string, what: string])[] = [
  ["[ ]", "Brush size"],
  ["1 … 9", "Pick a factor"],
  ["+ −", "Picked factor stronger, weaker"],
  ["H S K", "Hide, solo, lock it"],
  ["Delete", "Erase the selection"],
  ["Esc", "Take the stroke back, then the selection"],
  ["Ctrl Z", "Undo; with Shift redo"],
  ["C held", "The unedited picture"],
  ["Shift drag", "Straight line; with Alt a box"],
  ["Alt click", "Eyedropper"],
  ["Arrows", "Move the cursor on the grid"],
  ["Space", "Dab, or pick up and set down"],
  ["Enter", "Put the tool down, lift it again"],
];

interface Held {
  readonly shift: boolean;
  readonly alt: boolean;
}

export const shapeOf = ({ shift, alt }: Held): Shape => (shift ? (alt ? "box" : "line") : "free");

/** What a key does, or null if it is not ours. */
export function actionOf(
  key: string,
  held: Held & { readonly command: boolean },
  where: { readonly onGrid: boolean; readonly inText: boolean },
  view: View,
): (() => void) | null {
  const { store } = view;
  const { program, sheet } = store.files;
  if (key === "Escape" && (sheet.val || program.val !== null))
    return () => {
      program.val = sheet.val = null;
    };
  if (where.inText) return null;
  const letter = key.toLowerCase();
  if (held.command) {
    if (letter === "z") return () => (held.shift ? store.redo() : store.undo());
    return letter === "y" ? () => store.redo() : null;
  }
  if (where.onGrid) {
    const arrow = ARROWS[key];
    if (arrow) return () => view.moveCursor(arrow[0], arrow[1]);
    if (isPress(key)) return () => view.press(shapeOf(held), key === "Enter");
  }
  if (held.alt) return null;
  const { size, selection, soloed } = store;
  const factor = store.factor.val;
  const everywhere = selection.val ?? AREAS.everything;
  const scale = (gain: number) => () => everywhere && store.useOn(everywhere, "gain", { gain });
  const resize = (by: number) => put(size, clamp(size.val + by, 1, MAX_BRUSH));
  if (key === "Escape") {
    if (store.isStroking) return () => store.cancelStroke();
    if (view.help.val) return put(view.help, false);
    return selection.val && put(selection, null);
  }
  const selected = selection.val;
  if (key === "Delete" || key === "Backspace") return selected && (() => store.useOn(selected, "erase"));
  if (letter === "c") return put(view.holding, true);
  if (key === "?") return put(view.help, !view.help.val);
  if (key === "+" || key === "=") return scale(STEP);
  if (key === "-") return scale(1 / STEP);
  if (key === "[") return resize(-1);
  if (key === "]") return resize(1);
  const nFactors = store.info.val?.names.length ?? 0;
  if (factor < nFactors) {
    if (letter === "h") return () => store.toggle("hidden", factor);
    if (letter === "k") return () => store.toggle("locked", factor);
    if (letter === "s") return put(soloed, soloed.val === factor ? null : factor);
  }
  for (const [name, tool] of Object.entries(TOOLS))
    if (tool.key.toLowerCase() === letter) return put(store.tool, name as ToolName);
  const picked = /^[1-9]$/.test(key) ? Number(key) - 1 : -1;
  return picked >= 0 && picked < nFactors ? put(store.factor, picked) : null;
}

/** Whether a key presses what has the focus. */
export const isPress = (key: string) => key === " " || key === "Enter";

/** Handles keys of one view until the signal aborts; keys that are not ours go on, but not to the notebook. */
export function listenToKeys(root: HTMLElement, grid: HTMLElement | undefined, view: View, signal: AbortSignal): void {
  keepKeysFromNotebook((path) => path.includes(root), signal);
  window.addEventListener(
    "keydown",
    (event) => {
      const path = event.composedPath();
      if (!path.includes(root)) return;
      const target = path[0];
      const inText =
        target instanceof HTMLTextAreaElement ||
        (target instanceof HTMLInputElement && target.type !== "range" && target.type !== "checkbox");
      const command = event.ctrlKey || event.metaKey;
      const held = { command, shift: event.shiftKey, alt: event.altKey };
      const action = actionOf(event.key, held, { onGrid: target === grid, inText }, view);
      if (!action) return;
      // A held Space must not pick up and set down in turn.
      if (!(event.repeat && isPress(event.key))) action();
      event.preventDefault();
      event.stopImmediatePropagation();
    },
    { capture: true, signal },
  );
}

/** Lets go of what is only there while its key is held; the key may come up anywhere. */
export function listenToReleases(view: View, signal: AbortSignal): void {
  for (const kind of ["keyup", "blur"])
    window.addEventListener(
      kind,
      // Elements lose the focus too, for instance to the button that is held.
      ({ type, target }) => {
        if (type === "keyup" || target === window) view.holding.val = false;
      },
      { capture: true, signal },
    );
}
