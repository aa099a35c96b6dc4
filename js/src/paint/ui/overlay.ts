/** Draws the strengths on the grid: a tint per patch, the picked factor's outline, and the brush. */

import { abs, max, min, round } from "../../shared/numbers.ts";
import { type Grid, type Layers, type Mask, patchesOf, patchOf, region } from "../store/grid.ts";
import { footprint, type Point } from "../tools/brush.ts";

export interface OverlayState {
  readonly layers: Layers;
  readonly gains: readonly number[];
  readonly colors: readonly string[];
  readonly hidden: ReadonlySet<number>;
  readonly picked: number;
  readonly solo: number | null;
  readonly target: Point | null;
  readonly brushSize: number;
  readonly selection: Mask | null;
  /** Outlines of what is moved: where it was and where it is now. */
  readonly outlines: readonly [Mask, Mask] | null | undefined;
  /** How much of the tint shows, 0..1. */
  readonly opacity: number;
  readonly lines: boolean;
  /** Beside the picture, the tint is opaque. */
  readonly beside: boolean;
  /** False hides the tint but keeps the brush. */
  readonly tinted: boolean;
}

type Rgb = readonly [number, number, number];

export function rgb(color: string): Rgb {
  const n = Number.parseInt(color.slice(1), 16);
  return [(n >> 16) & 255, (n >> 8) & 255, n & 255];
}

/** Halfway to white, so that a line is visible on the tint. */
const lighter = (color: string): string => `rgb(${rgb(color).map((v) => (v + 255) / 2)})`;

/** One RGBA value per patch: the factors' colours weighted by strength; the stronger, the more opaque. */
export function tint(state: OverlayState): Uint8ClampedArray<ArrayBuffer> {
  const { layers, gains, colors, hidden, picked, solo, beside, opacity } = state;
  const { strengths, nFactors } = layers;
  const palette = colors.map(rgb);
  const pixels = new Uint8ClampedArray(4 * patchesOf(layers.grid));
  for (let p = 0; p < patchesOf(layers.grid); p++) {
    let [r, g, b, total, alpha] = [0, 0, 0, 0, 0];
    for (let f = 0; f < nFactors; f++) {
      const visible = solo === null ? !hidden.has(f) : f === solo;
      const color = palette[f];
      if (!visible || !color) continue;
      const strength = min(1.2, abs((strengths[p * nFactors + f] ?? 0) * (gains[f] ?? 1)));
      // Squared, so that a patch gets the colour of its strongest factor and not a grey mean.
      const weight = strength * strength;
      r += weight * color[0];
      g += weight * color[1];
      b += weight * color[2];
      total += weight;
      const most = beside ? 0.95 : opacity * (f === picked || solo !== null ? 0.76 : 0.3);
      alpha = max(alpha, min(1, strength) * most);
    }
    if (total > 0) pixels.set([r / total, g / total, b / total, 255 * alpha], 4 * p);
  }
  return pixels;
}

/** The edges between a mask and its outside, as [row, col, row, col] lines on the patch corners. */
export function outline(grid: Grid, mask: Mask): number[][] {
  const inside = (row: number, col: number) => (mask[patchOf(grid, row, col)] ? 1 : 0);
  const lines: number[][] = [];
  for (let row = 0; row <= grid.rows; row++) {
    for (let col = 0; col <= grid.cols; col++) {
      if (inside(row, col) !== inside(row - 1, col)) lines.push([row, col, row, col + 1]);
      if (inside(row, col) !== inside(row, col - 1)) lines.push([row, col, row + 1, col]);
    }
  }
  return lines;
}

export class Overlay {
  /** One pixel per patch. */
  private readonly small = new OffscreenCanvas(1, 1);

  constructor(private readonly canvas: HTMLCanvasElement) {}

  draw(state: OverlayState): void {
    const { canvas } = this;
    const context = canvas.getContext("2d");
    const small = this.small.getContext("2d");
    const { grid } = state.layers;
    const { rows, cols } = grid;
    if (!context || !small || !canvas.width) return;
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!rows || !cols) return;
    if (state.tinted || state.solo !== null) {
      if (this.small.width !== cols) this.small.width = cols;
      if (this.small.height !== rows) this.small.height = rows;
      small.putImageData(new ImageData(tint(state), cols, rows), 0, 0);
      context.imageSmoothingEnabled = false;
      context.drawImage(this.small, 0, 0, canvas.width, canvas.height);
      const outlined = state.solo ?? state.picked;
      if (outlined < state.layers.nFactors && !(state.solo === null && state.hidden.has(outlined)))
        this.trace(context, grid, region(state.layers, outlined), 1.5, lighter(state.colors[outlined] ?? "#ffffff"));
    }
    if (state.beside || state.lines) this.rule(context, grid);
    for (const mask of state.outlines ?? [state.selection])
      if (mask) this.trace(context, grid, mask, 1.5, "#fff", [4, 4]);
    if (state.target) this.trace(context, grid, footprint(grid, state.target, state.brushSize), 1.5, "#fff");
  }

  /** A hairline grid. */
  private rule(context: CanvasRenderingContext2D, { rows, cols }: Grid): void {
    const { width, height } = this.canvas;
    context.beginPath();
    for (let col = 1; col < cols; col++) {
      const x = round((col * width) / cols) + 0.5;
      context.moveTo(x, 0);
      context.lineTo(x, height);
    }
    for (let row = 1; row < rows; row++) {
      const y = round((row * height) / rows) + 0.5;
      context.moveTo(0, y);
      context.lineTo(width, y);
    }
    context.strokeStyle = "rgba(128, 128, 128, 0.22)";
    context.lineWidth = 1;
    context.stroke();
  }

  /** A line with a dark border, which is visible on any picture. */
  private trace(
    context: CanvasRenderingContext2D,
    grid: Grid,
    mask: Mask,
    cssWidth: number,
    color: string,
    dashes: number[] = [],
  ): void {
    const { width, height } = this.canvas;
    const pixel = width / (this.canvas.clientWidth || width);
    context.beginPath();
    for (const [r0 = 0, c0 = 0, r1 = 0, c1 = 0] of outline(grid, mask)) {
      context.moveTo((c0 * width) / grid.cols, (r0 * height) / grid.rows);
      context.lineTo((c1 * width) / grid.cols, (r1 * height) / grid.rows);
    }
    context.lineCap = "round";
    context.strokeStyle = "rgba(0, 0, 0, 0.5)";
    context.lineWidth = (cssWidth + 2) * pixel;
    context.stroke();
    context.strokeStyle = color;
    context.lineWidth = cssWidth * pixel;
    context.setLineDash(dashes.map((dash) => dash * pixel));
    context.stroke();
    context.setLineDash([]);
  }
}
