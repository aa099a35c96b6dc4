/** Keys: tools and history work anywhere in the widget, the cursor only on the grid. */

import { keepKeysFromNotebook, keyOf } from "../../shared/notebook_keys.ts";
import { clamp } from "../../shared/numbers.ts";
import { put } from "../../shared/signals.ts";
import { MAX_BRUSH, MAX_GAIN } from "../store/settings.ts";
import type { View } from "../store/view.ts";
import { TOOLS, type ToolName } from "../tools/index.ts";
import { shapeOf } from "../tools/tool.ts";

const ARROWS: Record<string, readonly [number, number]> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

/** One press of + multiplies the factor by this; - divides. */
const STEP = 1.1;

interface Held {
  readonly shift: boolean;
  readonly alt: boolean;
}

/** What a key does; null if the widget does not use it. */
export function actionOf(
  key: string,
  held: Held & { readonly command: boolean },
  where: { readonly onGrid: boolean; readonly inText: boolean },
  view: View,
): (() => void) | null {
  const { store } = view;
  const { program, sheet, film } = store.files;
  if (key === "Escape" && (sheet.value || film.value || program.value !== null))
    return () => {
      program.value = sheet.value = null;
      if (film.value) store.files.stopFilm();
    };
  if (where.inText) return null;
  const letter = key.toLowerCase();
  if (held.command && letter === "c") {
    // Text that is selected is copied by the browser.
    return globalThis.getSelection?.()?.isCollapsed === false ? null : () => store.clipboard.copy();
  }
  if (held.command && letter === "v") return () => store.isEditable && store.clipboard.paste();
  if (held.command) {
    if (letter === "z") return () => (held.shift ? store.history.redo() : store.history.undo());
    return letter === "y" ? () => store.history.redo() : null;
  }
  if (where.onGrid) {
    const arrow = ARROWS[key];
    if (arrow) return () => view.moveCursor(arrow[0], arrow[1]);
    if (isPress(key)) return () => view.press(shapeOf(held), key === "Enter");
  }
  if (held.alt) return null;
  const { size, selection, tool: currentTool } = store.settings;
  const { factors } = store;
  const factor = factors.picked.value;
  const scale = (by: number) => () => {
    const { painting, stroke } = store;
    const gain = painting.gains.value[factor];
    if (selection.value) stroke.useOn(selection.value, "gain", { gain: by });
    else if (gain !== undefined && store.isEditable && !stroke.isActive)
      painting.setGain(factor, clamp(gain * by, 0, MAX_GAIN), true);
  };
  const resize = (by: number) => put(size, clamp(size.value + by, 1, MAX_BRUSH));
  if (key === "Escape") {
    if (store.stroke.isActive) return () => store.stroke.cancel();
    if (view.help.value) return put(view.help, false);
    if (selection.value) return put(selection, null);
    if (store.robustness.trial.value) return () => store.robustness.close();
    const { isOpen } = store.variations;
    return isOpen.value ? put(isOpen, false) : null;
  }
  const selected = selection.value;
  if (key === "Delete" || key === "Backspace") return selected && (() => store.stroke.useOn(selected, "erase"));
  if (letter === "c") return put(view.holding, true);
  if (key === "?") return put(view.help, !view.help.value);
  if (key === "+" || key === "=") return scale(STEP);
  if (key === "-") return scale(1 / STEP);
  if (key === "[") return resize(-1);
  if (key === "]") return resize(1);
  const nFactors = store.painting.info.value?.names.length ?? 0;
  if (factor < nFactors) {
    if (letter === "h") return () => factors.toggle("hidden", factor);
    if (letter === "k") return () => factors.toggle("locked", factor);
    if (letter === "s") return () => factors.toggleSolo(factor);
  }
  for (const [name, tool] of Object.entries(TOOLS))
    if (tool.key.toLowerCase() === letter) return put(currentTool, name as ToolName);
  const picked = /^[1-9]$/.test(key) ? Number(key) - 1 : -1;
  return picked >= 0 && picked < nFactors ? () => factors.pick(picked) : null;
}

/** Whether a key presses the button or grid that has the focus. */
export const isPress = (key: string) => key === " " || key === "Enter";

/** Whether an element has a use of its own for letters: a field for a text, or a list of options. */
export const isText = (target: EventTarget | undefined): boolean =>
  target instanceof HTMLTextAreaElement ||
  target instanceof HTMLSelectElement ||
  (target instanceof HTMLInputElement && !["range", "checkbox", "color"].includes(target.type));

/** Handles the keys of one view until the signal aborts. Keys that it does not use go on to the browser. */
export function listenToKeys(root: HTMLElement, grid: HTMLElement | undefined, view: View, signal: AbortSignal): void {
  keepKeysFromNotebook((path) => path.includes(root), signal);
  window.addEventListener(
    "keydown",
    (event) => {
      const path = event.composedPath();
      if (!path.includes(root)) return;
      const target = path[0];
      const command = event.ctrlKey || event.metaKey;
      const held = { command, shift: event.shiftKey, alt: event.altKey };
      const action = actionOf(keyOf(event), held, { onGrid: target === grid, inText: isText(target) }, view);
      if (!action) return;
      // A held Space must not start and end strokes in turn.
      if (!(event.repeat && isPress(event.key))) action();
      event.preventDefault();
      event.stopImmediatePropagation();
    },
    { capture: true, signal },
  );
}

/** Ends what lasts only while a key is held; the key may be released anywhere on the page. */
export function listenToReleases(view: View, signal: AbortSignal): void {
  for (const kind of ["keyup", "blur"])
    window.addEventListener(
      kind,
      // Only the window's blur counts: elements lose the focus too, for example to the button that is held.
      ({ type, target }) => {
        if (type === "keyup" || target === window) view.holding.value = false;
      },
      { capture: true, signal },
    );
}
