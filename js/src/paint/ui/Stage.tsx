/** The picture and the grid to paint on, over it or beside it. */

import { round } from "../../shared/numbers.ts";
import { effect, put } from "../../shared/signals.ts";
import { changeOf } from "../store/grid.ts";
import type { View } from "../store/view.ts";
import { TOOLS } from "../tools/index.ts";
import { Overlay } from "./overlay.ts";

export function Stage({ view }: { view: View }) {
  const { store } = view;
  const drawing = store.task.val === "draw";
  const tag = tagOf(view);
  return (
    <div class={view.sideBySide.val ? "e-stage e-beside" : "e-stage"} data-drawing={drawing}>
      <div class="e-picture">
        <canvas data-testid="picture" role="img" aria-label="The picture" width={1} height={1} />
        {!store.pictures.picture.val && <span class="e-waiting">Waiting for the picture…</span>}
      </div>
      {/* biome-ignore lint/a11y/noInteractiveElementToNoninteractiveRole: it takes keys and pointer by itself, and no element of HTML says that */}
      <canvas
        class="e-grid"
        data-testid="grid"
        data-tool={store.tool.val}
        data-locked={store.locked.val.has(store.factor.val)}
        tabIndex={0}
        role="application"
        aria-label="Painting grid, 16 by 16 patches. Arrow keys move, Space paints, question mark lists the keys."
        onBlur={put(view.cursor, null)}
      />
      {tag && (
        <span class="e-tag e-label" data-testid="tag">
          {tag}
        </span>
      )}
    </div>
  );
}

/** What the picture is, where it is not simply the picture. */
function tagOf({ store, holding, compare }: View): string {
  const trial = store.trial.val;
  const change = compare.val === "difference" && store.pictures.change.val;
  const info = store.info.val;
  if (holding.val) return "Unedited";
  if (trial) {
    const top = info?.features[trial.factor]?.[0];
    const name = `${info?.names[trial.factor]}: only ${top?.label || "feature"} #${top?.feature}`;
    return trial.bitmap ? name : "Drawing the comparison…";
  }
  if (change) {
    const [inside, beyond] = change;
    return `Change of 255: ${inside.toFixed(1)} in the edit, ${beyond.toFixed(2)} beyond; locality ${(beyond / inside).toFixed(3)}`;
  }
  return store.pictures.picture.val?.frame?.rough ? "Preview" : "";
}

export function keepPicture(canvas: HTMLCanvasElement, view: View, signal: AbortSignal): void {
  const stop = effect(() => {
    const { store } = view;
    const bitmap = store.trial.val?.bitmap ?? store.pictures.picture.val?.bitmap;
    const [holding, compare] = [view.holding.val, view.compare.val];
    const original = store.pictures.original.val;
    if (holding || compare !== "now") store.wantOriginal();
    if (!bitmap) return;
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
    }
    const context = canvas.getContext("2d");
    if (!context) return;
    const { width, height } = canvas;
    context.globalCompositeOperation = "source-over";
    context.drawImage(bitmap, 0, 0);
    if (!original) return;
    if (holding) context.drawImage(original, 0, 0);
    else if (compare === "split") {
      const at = round(view.split.val * width);
      context.drawImage(original, 0, 0, at, height, 0, 0, at, height);
      context.fillStyle = "#fff";
      context.fillRect(at - 1, 0, 2, height);
    } else if (compare === "difference") {
      context.globalCompositeOperation = "difference";
      context.drawImage(original, 0, 0);
      // Four times as bright: small changes matter here.
      context.globalCompositeOperation = "lighter";
      for (let i = 0; i < 2; i++) context.drawImage(canvas, 0, 0);
    }
  });
  signal.addEventListener("abort", stop);
}

export function keepOverlay(canvas: HTMLCanvasElement, view: View, signal: AbortSignal): void {
  const { store } = view;
  const overlay = new Overlay(canvas);
  let frame = 0;
  const draw = () => {
    frame = 0;
    overlay.draw(state());
  };
  // Where pixels are compared, so are strengths.
  const painted = () => {
    const [layers, gains] = [store.layers.val, store.gains.val];
    if (view.compare.val !== "difference") return { layers, gains };
    return { layers: changeOf(layers, gains, store.unedited.val), gains: [] };
  };
  const state = () => ({
    ...painted(),
    colors: store.info.val?.colors ?? [],
    hidden: store.hidden.val,
    picked: store.factor.val,
    solo: view.solo.val ?? store.soloed.val,
    aim: view.aim,
    brushSize: TOOLS[store.tool.val].uses.includes("size") ? store.size.val : 1,
    selection: store.selection.val,
    ghost: store.ghost.val,
    opacity: view.opacity.val * (view.compare.val === "difference" ? 2 : 1),
    lines: view.lines.val,
    beside: view.sideBySide.val,
    tinted: view.overlay.val || view.sideBySide.val,
  });
  const stop = effect(() => {
    state();
    if (!frame) frame = requestAnimationFrame(draw);
  });
  const sizes = new ResizeObserver(() => {
    const side = round(canvas.clientWidth * devicePixelRatio);
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
