/** The picture and the grid to paint on, over it or beside it. */

import { effect } from "@preact/signals-core";
import { round } from "../../shared/numbers.ts";
import { changeOf } from "../store/grid.ts";
import type { View } from "../store/view.ts";
import { TOOLS } from "../tools/index.ts";
import { Overlay } from "./overlay.ts";

/** The shape of the stage before a scene arrives. */
const SQUARE = { rows: 1, cols: 1 };

export function Stage({ view }: { view: View }) {
  const { store } = view;
  const drawing = store.status.task.value === "draw";
  const tag = tagOf(view);
  const { making, stepsForm } = store.files;
  const recording = making.value === stepsForm && "Recording…";
  const said = tag ? "" : store.status.said.value || recording || "";
  const tip = tag || said ? "" : tipOf(view);
  const { rows, cols } = store.painting.info.value ?? SQUARE;
  return (
    <div
      class={view.sideBySide.value ? "e-stage e-beside" : "e-stage"}
      data-drawing={drawing}
      style={{ "--shape": `${cols} / ${rows}` }}
    >
      <div class="e-picture">
        <canvas data-testid="picture" role="img" aria-label="The picture" width={1} height={1} />
        {!store.pictures.picture.value && <span class="e-waiting">Waiting for the picture…</span>}
      </div>
      {/* biome-ignore lint/a11y/noInteractiveElementToNoninteractiveRole: it handles keys and the pointer itself, and no HTML element has such a role */}
      <canvas
        class="e-grid"
        data-testid="grid"
        data-tool={store.settings.tool.value}
        data-locked={store.factors.locked.value.has(store.factors.picked.value)}
        tabIndex={0}
        role="application"
        aria-label={`Painting grid, ${rows} by ${cols} patches. Arrow keys move, Space paints, question mark lists the keys.`}
        aria-description={tip}
        onBlur={() => view.leaveKeys()}
      />
      {tip && (
        <span class="e-tag e-tip" data-testid="tip" aria-hidden="true">
          {tip}
          <i> · arrow keys, Space</i>
        </span>
      )}
      {/* Always there, so that a screen reader says what comes into it. */}
      <span class="e-tag e-tip e-words" data-testid="said" role="status">
        {said}
      </span>
      <Spoken view={view} />
      {view.compare.value === "split" && (
        <input
          type="range"
          class="e-split"
          aria-label="Right edge of the unedited picture"
          data-testid="split"
          min={0}
          max={1}
          step={0.01}
          value={view.split.value}
          onInput={(event) => {
            view.split.value = event.currentTarget.valueAsNumber;
          }}
        />
      )}
      {tag && (
        <span class="e-tag e-label" data-testid="tag">
          {tag}
        </span>
      )}
    </div>
  );
}

// A component of its own, so that the stage is not redrawn with every move of the cursor.
const Spoken = ({ view }: { view: View }) => (
  <span class="e-spoken" aria-live="polite" data-testid="spoken">
    {view.spoken.value}
  </span>
);

/** Until the first stroke: what to do with the current tool. */
function tipOf({ store }: View): string {
  const { painting, factors, settings, isEditable } = store;
  const name = painting.info.value?.names[factors.picked.value];
  if (!name || painting.touched.value || !isEditable) return "";
  const tool = settings.tool.value;
  return tool === "paint" ? `Click or drag to paint ${name}` : TOOLS[tool].hint.replace(/\.$/, "");
}

/** Says what is shown instead of the picture. */
function tagOf({ store, holding, compare }: View): string {
  const comparison = store.pictures.comparison.value;
  const change = compare.value === "difference" && store.pictures.change.value;
  const info = store.painting.info.value;
  if (holding.value) return store.pictures.unedited.value ? "Unedited" : "Waiting for the unedited picture…";
  if (comparison) {
    const top = info?.features[comparison.factor]?.[0];
    const name = `${info?.names[comparison.factor]}: only ${top?.label || "feature"} #${top?.feature}`;
    return comparison.bitmap ? name : "Drawing the comparison…";
  }
  if (change) {
    const [inside, beyond] = change;
    return `Change of 255: ${inside.toFixed(1)} in the edit, ${beyond.toFixed(2)} beyond; locality ${(beyond / inside).toFixed(3)}`;
  }
  return store.pictures.picture.value?.frame?.reduced && !store.status.said.value ? "Preview" : "";
}

export function keepPicture(canvas: HTMLCanvasElement, view: View, signal: AbortSignal): void {
  const stop = effect(() => {
    const { store } = view;
    const bitmap = store.pictures.comparison.value?.bitmap ?? store.pictures.picture.value?.bitmap;
    const [holding, compare] = [view.holding.value, view.compare.value];
    const unedited = store.pictures.unedited.value;
    if (holding || compare !== "now") store.pictures.wantUnedited();
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
    if (!unedited) return;
    if (holding) context.drawImage(unedited, 0, 0);
    else if (compare === "split") {
      const at = round(view.split.value * width);
      context.drawImage(unedited, 0, 0, at, height, 0, 0, at, height);
      context.fillStyle = "#fff";
      context.fillRect(at - 1, 0, 2, height);
    } else if (compare === "difference") {
      context.globalCompositeOperation = "difference";
      context.drawImage(unedited, 0, 0);
      // Four times as bright, so that small changes show.
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
  // The tint shows the change of strengths where the picture shows the change of pixels.
  const painted = () => {
    const [layers, gains] = [store.painting.layers.value, store.painting.gains.value];
    if (view.compare.value !== "difference") return { layers, gains };
    return { layers: changeOf(layers, gains, store.painting.unedited.value), gains: [] };
  };
  const state = () => ({
    ...painted(),
    colors: store.painting.info.value?.colors ?? [],
    hidden: store.factors.hidden.value,
    picked: store.factors.picked.value,
    solo: view.soloIndex.value,
    target: view.target,
    brushSize: TOOLS[store.settings.tool.value].uses.includes("size") ? store.settings.size.value : 1,
    selection: store.settings.selection.value,
    outlines: store.stroke.outlines.value,
    opacity: view.opacity.value * (view.compare.value === "difference" ? 2 : 1),
    lines: view.lines.value,
    beside: view.sideBySide.value,
    tinted: view.overlay.value || view.sideBySide.value,
  });
  const stop = effect(() => {
    state();
    if (!frame) frame = requestAnimationFrame(draw);
  });
  const sizes = new ResizeObserver(() => {
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((side) => round(side * devicePixelRatio));
    if (!width || !height || (canvas.width === width && canvas.height === height)) return;
    canvas.width = width;
    canvas.height = height;
    draw();
  });
  sizes.observe(canvas);
  signal.addEventListener("abort", () => {
    stop();
    sizes.disconnect();
    cancelAnimationFrame(frame);
  });
}
