/** Turns events of mouse, pen and touch into strokes. */

import type { View } from "../store/view.ts";
import { type Point, patchAt, toPoint } from "../tools/brush.ts";
import { shapeOf } from "../tools/tool.ts";
import { isText } from "./keys.ts";

/** All samples since the last event, so that a fast stroke keeps its shape. */
export function samplesOf(event: PointerEvent): readonly PointerEvent[] {
  const coalesced = event.getCoalescedEvents?.() ?? [];
  return coalesced.length ? coalesced : [event];
}

/** How hard a pen presses; a mouse and most touch screens do not report it. */
export const pressureOf = ({ pointerType, pressure }: PointerEvent): number =>
  pointerType === "pen" && pressure > 0 ? pressure : 1;

/**
 * Nothing but text in a field is dragged away, until the signal aborts. On a selected part, even one whose selection is not
 * seen, the browser would take each drag for that, and cancel the pointer's events.
 */
export function preventDrags(root: HTMLElement, signal: AbortSignal): void {
  root.addEventListener("dragstart", (event) => isText(event.composedPath()[0]) || event.preventDefault(), { signal });
}

/** Paints on a canvas until the signal aborts. */
export function listenToPointer(canvas: HTMLCanvasElement, view: View, signal: AbortSignal): void {
  const { store } = view;
  let painting: number | null = null;
  let queue: Point[] = [];
  let frame = 0;

  const pointOf = (event: PointerEvent): Point => ({
    ...toPoint(store.painting.grid, event.clientX, event.clientY, canvas.getBoundingClientRect()),
    pressure: pressureOf(event),
  });

  const flush = () => {
    cancelAnimationFrame(frame);
    frame = 0;
    if (queue.length) store.stroke.advance(queue);
    queue = [];
  };

  const finish = (event: PointerEvent) => {
    if (event.pointerId !== painting) return;
    flush();
    painting = null;
    // The system took the pointer for a gesture of its own, or saw that it was the palm: nobody meant to paint.
    if (event.type === "pointercancel") store.stroke.cancel();
    else store.stroke.end();
    if (event.pointerType !== "mouse") view.hover.value = null;
  };

  canvas.addEventListener(
    "pointerdown",
    (event) => {
      if (event.button !== 0 || painting !== null) return;
      canvas.focus({ preventScroll: true });
      view.leaveKeys();
      const point = pointOf(event);
      view.hover.value = point;
      const held = { shift: event.shiftKey, alt: event.altKey };
      const tool = held.alt && !held.shift ? "pick" : store.settings.tool.value;
      if (!store.stroke.begin(point, shapeOf(held), tool)) return;
      painting = event.pointerId;
      canvas.setPointerCapture(event.pointerId);
    },
    { signal },
  );
  canvas.addEventListener(
    "pointermove",
    (event) => {
      const point = pointOf(event);
      if (painting === null || event.pointerId === painting)
        view.hover.value = painting === null && patchAt(store.painting.grid, point) === null ? null : point;
      if (event.pointerId !== painting) return;
      // The button was released outside the window, or Escape or the kernel has ended the stroke.
      if (!event.buttons) finish(event);
      if (!event.buttons || !store.stroke.isActive) return;
      queue.push(...samplesOf(event).map(pointOf));
      if (!frame) frame = requestAnimationFrame(flush);
    },
    { signal },
  );
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"] as const)
    canvas.addEventListener(end, finish, { signal });
  canvas.addEventListener(
    "pointerleave",
    () => {
      if (painting === null) view.hover.value = null;
    },
    { signal },
  );
  signal.addEventListener("abort", () => {
    flush();
    if (painting !== null) store.stroke.end();
  });
}
