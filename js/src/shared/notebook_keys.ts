/**
 * Keys typed in a widget do not act on the notebook.
 *
 * JupyterLab (from 4.1) and Notebook 7 match their shortcuts from the focused element upwards, and their selectors end in
 * `:focus`: "d d" on a focused button would delete the widget's cell. Lumino leaves an element alone that bears the
 * attribute below, if it meets it before a match; so the focused element itself must bear it, not the widget's root.
 */

const SUPPRESS = "data-lm-suppress-shortcuts";

/** Whether a key is left to the browser and the notebook: run the cell, save, and all else with Ctrl, Cmd or Alt. */
export function isForNotebook(
  event: Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey" | "shiftKey">,
): boolean {
  const { key, ctrlKey, metaKey, altKey, shiftKey } = event;
  if (key === "Enter") return ctrlKey || metaKey || altKey || shiftKey;
  // Undo and redo belong to what has the focus: the picture, or a text field.
  if (ctrlKey || metaKey) return !"zy".includes(key.toLowerCase());
  return altKey;
}

/** Keeps the keys typed inside a widget from the notebook until the signal aborts. */
export function keepKeysFromNotebook(isInside: (path: EventTarget[]) => boolean, signal: AbortSignal): void {
  window.addEventListener(
    "keydown",
    (event) => {
      const path = event.composedPath();
      const focused = path[0];
      if (focused instanceof Element && isInside(path)) focused.toggleAttribute(SUPPRESS, !isForNotebook(event));
    },
    // On the window, on the way down: before any listener of the notebook.
    { capture: true, signal },
  );
}
