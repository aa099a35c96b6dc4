/**
 * The canvases of PatchInspector. They are ipycanvas's, which keeps all keys and touches for itself, and gives no names.
 */

type Inside = (path: EventTarget[]) => boolean;
type Press = Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey">;

const PICTURE = "canvas.ember-canvas";
const ROWS = "canvas.ember-clickable";
const NAMES = {
  [PICTURE]: "Picture: arrow keys go from patch to patch, Enter pins one, Escape unpins it",
  [ROWS]: "Features of the patch, the strongest first: the keys 1 to 9 and 0 choose one",
};
/** What is chosen, in words. */
const CHOSEN = ".ember-chosen .widget-html";

/** Whether a key is left to the browser: Tab, and all with Ctrl, Cmd or Alt. Shift alone says that a click compares. */
export const isForBrowser = ({ key, ctrlKey, metaKey, altKey }: Press): boolean =>
  key === "Tab" || ctrlKey || metaKey || altKey;

/** Leaves keys to the browser, and touches on the list, which scroll the page; a tap is a click all the same. */
export function leaveCanvasesToPage(isInside: Inside, signal: AbortSignal): void {
  const canvasOf = (event: Event, selector: string): Element | null => {
    const path = event.composedPath();
    const [target] = path;
    return target instanceof Element && target.matches(selector) && isInside(path) ? target : null;
  };
  const options = { capture: true, passive: true, signal };
  window.addEventListener(
    "keydown",
    (event) => {
      if (!isForBrowser(event)) return;
      // It is stopped at the canvas, because the notebook listens further out, and may also stop it there.
      const stop = (heard: Event) => heard === event && heard.stopImmediatePropagation();
      canvasOf(event, `${PICTURE}, ${ROWS}`)?.addEventListener("keydown", stop, { capture: true, once: true });
    },
    options,
  );
  for (const kind of ["touchstart", "touchmove", "touchend", "touchcancel"])
    window.addEventListener(kind, (event) => canvasOf(event, ROWS) && event.stopImmediatePropagation(), options);
}

/** Names the canvases of a widget as soon as they are there, and has what is chosen read out. */
export function nameCanvases(rootOf: () => Element | null, signal: AbortSignal): void {
  const name = () => {
    const root = rootOf();
    const found = Object.entries(NAMES).map(([selector, text]) => {
      const canvas = root?.querySelector(selector);
      canvas?.setAttribute("role", "application");
      canvas?.setAttribute("aria-label", text);
      return canvas;
    });
    const chosen = root?.querySelector(CHOSEN);
    chosen?.setAttribute("role", "status");
    if (chosen && found.every(Boolean)) observer.disconnect();
  };
  const observer = new MutationObserver(name);
  observer.observe(document.body, { childList: true, subtree: true });
  signal.addEventListener("abort", () => observer.disconnect());
  name();
}
