/**
 * The wheel scrolls the page over the canvases of a widget, which would keep it for themselves.
 *
 * A part that zooms by the wheel gets it while Ctrl or Cmd is held, and from a click in it until the pointer leaves it. So a
 * person who scrolls past is not caught. If the wheel turns over it otherwise, it has the attribute data-hint for a moment.
 */

const HINT_MS = 1500;

type Held = Pick<WheelEvent, "ctrlKey" | "metaKey">;

/** Whether a part that zooms gets the wheel. */
export function isZoom({ ctrlKey, metaKey }: Held, isInUse: boolean): boolean {
  return ctrlKey || metaKey || isInUse;
}

/** Leaves the wheel to the page until the signal aborts; `zooms` is the selector of a part that zooms, or empty. */
export function leaveWheelToPage(isInside: (path: EventTarget[]) => boolean, zooms: string, signal: AbortSignal): void {
  let inUse: Element | null = null;
  let timer = 0;
  const partUnder = (event: Event) => {
    const path = event.composedPath();
    const [target] = path;
    return target instanceof Element && isInside(path) ? target.closest(zooms || "canvas") : null;
  };
  // On the window and in the capture phase, so that these run before any listener of the canvas.
  const options = { capture: true, passive: true, signal };
  window.addEventListener("pointerdown", (event) => (inUse = partUnder(event)), options);
  window.addEventListener(
    "pointermove",
    (event) => {
      // While a button is held the pointer may be outside: it draws a lasso or moves the map.
      if (inUse && !event.buttons && partUnder(event) !== inUse) inUse = null;
    },
    options,
  );
  window.addEventListener(
    "wheel",
    (event) => {
      const part = partUnder(event);
      if (!part || (zooms && isZoom(event, part === inUse))) return;
      event.stopImmediatePropagation();
      if (!zooms) return;
      part.setAttribute("data-hint", "");
      clearTimeout(timer);
      timer = window.setTimeout(() => part.removeAttribute("data-hint"), HINT_MS);
    },
    options,
  );
}
