/**
 * Keys typed in a widget do not act on the notebook.
 *
 * In JupyterLab (from 4.1) and Notebook 7, "d d" on a focused button would delete the widget's cell. Lumino, which handles
 * their shortcuts, looks for a match from the focused element upwards, and stops at an element with the attribute below.
 * The first match is often the focused element, so this element needs the attribute; on the widget's root it would come
 * too late.
 */

const SUPPRESS = "data-lm-suppress-shortcuts";

/**
 * The key that is pressed. On keyboards of another script (Cyrillic, Greek, Hebrew…) a letter is the Latin one of the same
 * key, as in the notebook's own shortcuts; but not with Alt, which types other letters on Latin keyboards.
 */
export const keyOf = ({ key, code, altKey }: Pick<KeyboardEvent, "key" | "code" | "altKey">): string =>
  /^[^ -~]$/.test(key) && code.startsWith("Key") && !altKey ? code.slice(3).toLowerCase() : key;

/** Whether a key is left to the browser and the notebook: keys that run the cell, and others with Ctrl, Cmd or Alt. */
export function isForNotebook(
  event: Pick<KeyboardEvent, "key" | "code" | "ctrlKey" | "metaKey" | "altKey" | "shiftKey">,
): boolean {
  const { ctrlKey, metaKey, altKey, shiftKey } = event;
  const key = keyOf(event);
  if (key === "Enter") return ctrlKey || metaKey || altKey || shiftKey;
  // Undo, redo, copy and paste belong to what has the focus: the picture, or a text field.
  if (ctrlKey || metaKey) return !["z", "y", "c", "v"].includes(key.toLowerCase());
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
    // On the window and in the capture phase, so that this runs before any listener of the notebook.
    { capture: true, signal },
  );
}
