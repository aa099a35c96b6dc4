/** Pointer to stroke: mouse, pen and touch alike. */

import type { View } from "../store/view.ts";
import { shapeOf } from "../ui/keys.ts";
import { type Point, patchAt, toPoint } from "./brush.ts";

/** All samples since the last event, not only the newest: a fast stroke keeps its shape. */
export function samplesOf(event: PointerEvent): readonly PointerEvent[] {
  const coalesced = event.getCoalescedEvents?.() ?? [];
  return coalesced.length ? coalesced : [event];
}

/** How hard a pen presses; a mouse and most fingers cannot tell. */
export const pressureOf = ({ pointerType, pressure }: PointerEvent): number =>
  pointerType === "pen" && pressure > 0 ? pressure : 1;

/** Lets a canvas be painted on until the signal aborts. */
export function listenToPointer(canvas: HTMLCanvasElement, view: View, signal: AbortSignal): void {
  const { store } = view;
  let painting: number | null = null;
  let queue: Point[] = [];
  let frame = 0;

  const pointOf = (event: PointerEvent): Point => ({
    ...toPoint(event.clientX, event.clientY, canvas.getBoundingClientRect()),
    pressure: pressureOf(event),
  });

  const flush = () => {
    cancelAnimationFrame(frame);
    frame = 0;
    if (queue.length) store.continueStroke(queue);
    queue = [];
  };

  const finish = (event: PointerEvent) => {
    if (event.pointerId !== painting) return;
    flush();
    painting = null;
    store.endStroke();
    if (event.pointerType !== "mouse") view.hover.val = null;
  };

  canvas.addEventListener(
    "pointerdown",
    (event) => {
      if (event.button !== 0 || painting !== null) return;
      canvas.focus({ preventScroll: true });
      view.cursor.val = null;
      const point = pointOf(event);
      view.hover.val = point;
      const held = { shift: event.shiftKey, alt: event.altKey };
      const tool = held.alt && !held.shift ? "pick" : store.tool.val;
      if (!store.beginStroke(point, shapeOf(held), tool)) return;
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
        view.hover.val = painting === null && patchAt(point) === null ? null : point;
      if (event.pointerId !== painting) return;
      // A released button outside the window, or a stroke that Escape or the kernel ended.
      if (!event.buttons) finish(event);
      if (!event.buttons || !store.isStroking) return;
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
      if (painting === null) view.hover.val = null;
    },
    { signal },
  );
  signal.addEventListener("abort", () => cancelAnimationFrame(frame));
}
