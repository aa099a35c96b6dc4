/**
 * Keeps the focus in the widget when the control that has it goes away, so that the widget's keys still work, and gives it
 * to the notebook when the user clicks there.
 */

/** A ref: brings what a control of the widget has opened into view. */
export function reveal(element: Element | null): void {
  if (element?.closest(".ember-paint:focus-within")) element.scrollIntoView({ block: "nearest" });
}

const CONTROLS = "button, input:enabled, textarea, canvas[tabindex]";

/** Hands the focus of a removed control to the nearest one that is left, until the signal aborts. */
export function keepFocus(root: HTMLElement, signal: AbortSignal): void {
  /** The control that has the focus, and the elements around it, up to the root. */
  let path: Element[] = [];
  /** All controls when it got the focus, in their order. */
  let controls: Element[] = [];
  for (const kind of ["focusin", "pointerdown"])
    window.addEventListener(
      kind,
      (event) => {
        const inside = event.composedPath();
        const depth = inside.indexOf(root);
        if (depth < 0) {
          path = [];
          const cell = root.parentElement?.closest<HTMLElement>("[tabindex]");
          // JupyterLab leaves the focus where it is if it is anywhere in the cell, and its keys would not work.
          if (cell && kind === "pointerdown" && inside.includes(cell))
            setTimeout(() => root.matches(":focus-within") && cell.focus({ preventScroll: true }));
        }
        if (depth >= 0 && kind === "focusin") {
          path = inside.slice(0, depth + 1) as Element[];
          controls = [...root.querySelectorAll(CONTROLS)];
        }
      },
      { capture: true, signal },
    );
  const observer = new MutationObserver((records) => {
    const [last] = path;
    const active = (root.getRootNode() as Document).activeElement;
    if (!last || (active && active !== document.body)) return;
    const isMoved = (node: Node) => node.contains(last);
    const at = controls.indexOf(last);
    const nearest = [...controls.slice(at + 1), ...controls.slice(0, at).reverse()];
    const find = (around: Element) =>
      around.isConnected &&
      (nearest.find((control) => control.isConnected && around.contains(control)) ?? around.querySelector(CONTROLS));
    // An element that is moved within the page loses the focus too.
    const next = !last.isConnected
      ? path.map(find).find(Boolean)
      : records.some(({ addedNodes }) => [...addedNodes].some(isMoved)) && last;
    if (next) (next as HTMLElement).focus({ preventScroll: true });
  });
  observer.observe(root, { childList: true, subtree: true });
  signal.addEventListener("abort", () => observer.disconnect());
}
