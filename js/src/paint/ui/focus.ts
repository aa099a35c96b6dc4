/**
 * Keeps the focus in the widget when the control that has it goes away, so that the widget's keys still work, and gives it
 * to the notebook when the user clicks there.
 */

/** A ref: brings what a control of the widget has opened into view. */
export function reveal(element: Element | null): void {
  if (element?.closest(".ember-paint:focus-within")) element.scrollIntoView({ block: "nearest" });
}

const CONTROLS = "button, input, select, textarea, canvas[tabindex]";
/** Controls that may be given the focus: in a text field, the widget's keys would only type. */
const HEIRS = "button, input[type=range]:enabled, canvas[tabindex]";

/** Hands the focus of a removed control to the nearest one that is left, until the signal aborts. */
export function keepFocus(root: HTMLElement, signal: AbortSignal): void {
  /** The control that has the focus, and the elements around it, up to the root. */
  let path: HTMLElement[] = [];
  /** All controls when it got the focus, in their order. */
  let controls: HTMLElement[] = [];
  const listen = (kind: string, onEvent: (path: EventTarget[], depth: number) => void) =>
    window.addEventListener(
      kind,
      (event) => {
        const inside = event.composedPath();
        const depth = inside.indexOf(root);
        if (depth < 0) path = [];
        onEvent(inside, depth);
      },
      { capture: true, signal },
    );
  listen("focusin", (inside, depth) => {
    if (depth < 0) return;
    path = inside.slice(0, depth + 1) as HTMLElement[];
    controls = [...root.querySelectorAll<HTMLElement>(CONTROLS)];
  });
  listen("pointerdown", (inside, depth) => {
    const cell = root.parentElement?.closest<HTMLElement>("[tabindex]");
    if (depth >= 0 || !cell || !inside.includes(cell)) return;
    // JupyterLab leaves the focus where it is if it is anywhere in the cell; then the notebook's keys would not work.
    setTimeout(() => root.matches(":focus-within") && cell.focus({ preventScroll: true }));
  });
  const observer = new MutationObserver((records) => {
    const [last] = path;
    const active = (root.getRootNode() as Document).activeElement;
    if (!last || (active && active !== document.body)) return;
    const at = controls.indexOf(last);
    const nearest = [...controls.slice(at + 1), ...controls.slice(0, at).reverse()].filter(
      (control) => control.isConnected && control.matches(HEIRS),
    );
    const heirIn = (around: HTMLElement) =>
      around.isConnected &&
      (nearest.find((control) => around.contains(control)) ?? around.querySelector<HTMLElement>(HEIRS));
    // A panel that is closed gives the focus back to the button that opens it, which its attribute names.
    const { opener } = path.find((around) => !around.isConnected && around.dataset.opener)?.dataset ?? {};
    const button = opener && root.querySelector<HTMLElement>(`[data-testid=${opener}]`);
    // An element that is moved within the page loses the focus too.
    const isMoved = () => records.some(({ addedNodes }) => [...addedNodes].some((node) => node.contains(last)));
    const next = last.isConnected ? isMoved() && last : button || path.map(heirIn).find(Boolean);
    if (next) next.focus({ preventScroll: true });
  });
  observer.observe(root, { childList: true, subtree: true });
  signal.addEventListener("abort", () => observer.disconnect());
}
