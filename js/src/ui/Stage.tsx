/** The picture and the grid to paint on, over it or beside it. */
import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Overlay } from "../overlay.ts";
import { listenToPointer } from "../pointer.ts";
import type { View } from "../view.ts";

export function Stage({ view }: { view: View }) {
  const { store } = view;
  const picture = useRef<HTMLCanvasElement>(null);
  const grid = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const stop = new AbortController();
    if (picture.current) keepPicture(picture.current, view, stop.signal);
    if (grid.current) {
      keepOverlay(grid.current, view, stop.signal);
      listenToPointer(grid.current, view, stop.signal);
    }
    return () => stop.abort();
  }, [view]);
  const drawing = store.task.value === "draw";
  return (
    <div class={view.sideBySide.value ? "e-stage e-beside" : "e-stage"} data-drawing={drawing}>
      <div class="e-picture">
        <canvas ref={picture} data-testid="picture" role="img" aria-label="The picture" width={1} height={1} />
        {!store.picture.value && <span class="e-waiting">Waiting for the picture…</span>}
      </div>
      {/* biome-ignore lint/a11y/noInteractiveElementToNoninteractiveRole: it takes keys and pointer by itself, and no element of HTML says that */}
      <canvas
        ref={grid}
        class="e-grid"
        data-testid="grid"
        data-tool={store.tool.value}
        tabIndex={0}
        role="application"
        aria-label="Painting grid, 16 by 16 patches. Arrow keys move, Space paints, B, E and M change the tool."
        onBlur={() => {
          view.cursor.value = null;
        }}
      />
    </div>
  );
}

function keepPicture(canvas: HTMLCanvasElement, view: View, signal: AbortSignal): void {
  const stop = effect(() => {
    const bitmap = view.store.picture.value?.bitmap;
    if (!bitmap) return;
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
    }
    canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
  });
  signal.addEventListener("abort", stop);
}

function keepOverlay(canvas: HTMLCanvasElement, view: View, signal: AbortSignal): void {
  const { store } = view;
  const overlay = new Overlay(canvas);
  let frame = 0;
  const draw = () => {
    frame = 0;
    overlay.draw(state());
  };
  const state = () => ({
    layers: store.layers.value,
    gains: store.gains.value,
    colors: store.info.value?.colors ?? [],
    hidden: store.hidden.value,
    picked: store.factor.value,
    solo: view.solo.value,
    aim: view.aim,
    brushSize: store.tool.value === "move" ? 1 : store.size.value,
    beside: view.sideBySide.value,
    tinted: view.overlay.value || view.sideBySide.value,
  });
  const stop = effect(() => {
    state();
    if (!frame) frame = requestAnimationFrame(draw);
  });
  const sizes = new ResizeObserver(() => {
    const side = Math.round(canvas.clientWidth * devicePixelRatio);
    if (!side || canvas.width === side) return;
    canvas.width = side;
    canvas.height = side;
    draw();
  });
  sizes.observe(canvas);
  signal.addEventListener("abort", () => {
    stop();
    sizes.disconnect();
    cancelAnimationFrame(frame);
  });
}
