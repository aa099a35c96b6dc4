/** Keyboard: tools and history anywhere in the widget, the patch cursor on the grid. */
import type { Signal } from "@preact/signals";
import type { Tool } from "./stroke.ts";
import type { View } from "./view.ts";

const ARROWS: Record<string, readonly [number, number]> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

const TOOLS: Record<string, Tool> = { b: "paint", e: "erase", m: "move" };

export const MAX_BRUSH = 8;

/** What a key does, or null if it is not ours. */
export function actionOf(
  key: string,
  held: { readonly command: boolean; readonly shift: boolean; readonly alt: boolean },
  where: { readonly onGrid: boolean; readonly inText: boolean },
  view: View,
): (() => void) | null {
  const { store } = view;
  if (where.inText || held.alt) return null;
  const letter = key.toLowerCase();
  if (held.command) {
    if (letter === "z") return () => (held.shift ? store.redo() : store.undo());
    return letter === "y" ? () => store.redo() : null;
  }
  const resize = (by: number) => () => set(store.size, Math.min(MAX_BRUSH, Math.max(1, store.size.value + by)));
  const arrow = where.onGrid ? ARROWS[key] : undefined;
  if (arrow) return () => view.moveCursor(arrow[0], arrow[1]);
  if (where.onGrid && key === " ") return () => view.press();
  if (key === "Escape") return store.isStroking ? () => store.cancelStroke() : null;
  const tool = TOOLS[letter];
  if (tool) return () => set(store.tool, tool);
  if (key === "[") return resize(-1);
  if (key === "]") return resize(1);
  const factor = /^[1-9]$/.test(key) ? Number(key) - 1 : -1;
  const nFactors = store.info.value?.names.length ?? 0;
  return factor >= 0 && factor < nFactors ? () => set(store.factor, factor) : null;
}

/**
 * Handles keys of one view until the signal aborts. Notebooks listen on the document while the event still goes down and
 * would add a cell on "b"; so this listens on the window, before them, and only to what happens inside the root.
 */
export function listenToKeys(root: HTMLElement, grid: HTMLElement, view: View, signal: AbortSignal): void {
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
      // Lumino looks for this attribute; combinations such as Ctrl+S stay the notebook's.
      root.toggleAttribute("data-lm-suppress-shortcuts", !command);
      const held = { command, shift: event.shiftKey, alt: event.altKey };
      const action = actionOf(event.key, held, { onGrid: target === grid, inText }, view);
      if (!action) return;
      // A held Space must not pick up and set down in turn.
      if (!(event.repeat && event.key === " ")) action();
      event.preventDefault();
      event.stopImmediatePropagation();
    },
    { capture: true, signal },
  );
}

function set<T>(signal: Signal<T>, value: T): void {
  signal.value = value;
}
