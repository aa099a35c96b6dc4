/** A kernel in the page, for looking at the widget without one: it answers the messages and draws a toy landscape. */
import type { FactorSteps, Grid } from "../src/paint/store/grid.ts";
import type { Model } from "../src/paint/transport/messages.ts";

const SIDE = 256;
const NAMES = ["dusk sky", "meadow", "pine tree", "sun", "a lake with a long name"];
const COLORS = ["#56b4e9", "#009e73", "#5b2be0", "#e69f00", "#cc79a7"];

type Listener = (content: unknown, buffers: ArrayBufferView[]) => void;
// biome-ignore lint/suspicious/noExplicitAny: whatever the widget sends
type Content = any;

export interface MockOptions {
  readonly names?: readonly string[];
  readonly fault?: boolean;
  readonly silent?: boolean;
  readonly renderMs?: number;
  readonly grid?: Grid;
  readonly steps?: readonly FactorSteps[];
  readonly capabilities?: readonly string[];
}

export class MockModel implements Model {
  private readonly grid: Grid;
  strengths: Float32Array<ArrayBuffer>;
  remainder: Float32Array<ArrayBuffer>;
  gains = NAMES.map(() => 1);
  private revision = 1;
  private past: { strengths: Float32Array<ArrayBuffer>; gains: number[] }[] = [];
  private readonly listeners = new Set<Listener>();

  constructor(private readonly options: MockOptions = {}) {
    this.grid = options.grid ?? { rows: 16, cols: 16 };
    this.strengths = landscape(this.grid);
    this.remainder = new Float32Array(this.grid.rows * this.grid.cols).fill(0);
  }

  get(): unknown {
    return undefined;
  }

  set(): void {}

  save_changes(): void {}

  on(event: string, callback: (...args: never[]) => void): void {
    if (event === "msg:custom") this.listeners.add(callback as Listener);
  }

  off(_event: string, callback: (...args: never[]) => void): void {
    this.listeners.delete(callback as Listener);
  }

  send(content: Content, _callbacks?: unknown, buffers: ArrayBuffer[] = []): void {
    if (this.options.silent && content.type !== "hello" && content.type !== "panels") return;
    setTimeout(() => void this.handle(content, buffers), this.options.renderMs ?? 30);
  }

  private async handle(content: Content, buffers: ArrayBuffer[]): Promise<void> {
    const { client, seq } = content;
    if (content.type === "hello") {
      this.state("hello", client);
      await this.frame("", 0, "final");
    } else if (content.type === "edit") {
      if (content.commit) this.past.push({ strengths: this.strengths, gains: this.gains });
      this.strengths = new Float32Array(buffers[0] as ArrayBuffer);
      this.remainder = new Float32Array(buffers[1] as ArrayBuffer);
      this.gains = content.gains;
      if (content.commit) this.state("edit", client);
      if (this.options.fault) this.fail(client, seq);
      else await this.frame(client, seq, content.commit ? "final" : "preview");
    } else if (content.type === "undo") {
      const before = this.past.pop();
      if (before) Object.assign(this, before);
      this.revision++;
      this.state("scene", "");
      await this.frame(client, seq, "final");
    } else if (content.type === "panels") {
      this.say({ type: "panels", client, seq, source: "" });
    } else if (content.type === "analyze") {
      this.say({ type: "status", busy: true, task: "draw" });
    }
  }

  private fail(client: string, seq: number): void {
    const traceback =
      'Traceback (most recent call last):\n  File "painter.py", line 210, in render\n    x = self.unet(x)\n' +
      "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB\n";
    const message = "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB";
    this.say({ type: "error", client, seq, message, traceback });
  }

  private state(why: string, client: string): void {
    const names = this.options.names ?? NAMES;
    const icon = (f: number) => (this.options.capabilities ? {} : { icon: `feature ${f}` });
    this.say(
      {
        type: "state",
        why,
        client,
        revision: this.revision,
        prompt: "a pine by the lake at dusk",
        seed: "3",
        style: "",
        n_steps: this.options.steps ? 4 : 1,
        n_factors: 5,
        n_found: 5,
        most_steps: 4,
        sites: [],
        site_names: [],
        film_from: [],
        factor_steps: this.options.steps ?? [],
        seeds: [],
        capabilities: this.options.capabilities ?? ["styles", "refit", "reseed", "sweep", "labels", "draw_icons"],
        ...this.grid,
        run: "a pine by the lake at dusk, seed 3",
        ids: names.map((_, factor) => factor),
        names,
        colors: COLORS.slice(0, names.length),
        gains: this.gains,
        seen: names.map(() => 1.3),
        analysed: names.map(() => true),
        icons: names.map((name) => name),
        first_thing: 0,
        features: names.map((name, f) => [
          { feature: 10 + f, label: name, weight: 1, share: 0.8, ...icon(f) },
          { feature: 40 + f, label: "", weight: 0.4, share: 0.2, ...icon(f) },
        ]),
        steps: [...this.past, null].map((_, step) => [step, `step ${step}`, ""]),
        step: this.past.length,
        can_undo: this.past.length > 0,
        can_redo: false,
        edited: this.past.length > 0,
        replaced: false,
      },
      [
        names.length ? this.strengths : new Float32Array(0),
        this.remainder,
        new Float32Array(this.grid.rows * this.grid.cols * (names.length + 1)),
      ],
    );
  }

  private async frame(client: string, seq: number, kind: string): Promise<void> {
    const blob = await draw(this.grid, this.strengths, this.gains).convertToBlob({ type: "image/png" });
    const bytes = new Uint8Array(await blob.arrayBuffer());
    this.say({ type: "frame", client, seq, kind, ms: 41.3, waited_ms: 0, width: SIDE, height: SIDE }, [bytes]);
  }

  private say(content: unknown, arrays: ArrayBufferView[] = []): void {
    const buffers = arrays.map((a) => new DataView(a.buffer.slice(0) as ArrayBuffer));
    for (const listener of this.listeners) listener(content, buffers);
  }
}

/** Five factors on any grid, drawn as on one of 16×16. */
function landscape({ rows, cols }: Grid): Float32Array<ArrayBuffer> {
  const strengths = new Float32Array(rows * cols * NAMES.length);
  for (let p = 0; p < rows * cols; p++) {
    const [row, col] = [(Math.floor(p / cols) * 16) / rows, ((p % cols) * 16) / cols];
    const near = (r: number, c: number, size: number) => Math.max(0, 1.3 - Math.hypot(row - r, col - c) / size);
    const tree = row > 4 && row < 13 ? Math.max(0, 1.2 - Math.abs(col - 4) / (0.35 * (row - 3))) : 0;
    const sun = near(3, 11.5, 1.7);
    const lake = row > 11 && col > 7 ? near(13.5, 11.5, 3.2) : 0;
    const ground = row > 8 ? 1 : row === 8 ? 0.5 : 0;
    strengths.set(
      [Math.max(0, 1 - ground - sun - tree), Math.max(0, ground - lake - 0.9 * tree), tree, sun, lake],
      p * NAMES.length,
    );
  }
  return strengths;
}

/** Each factor is a texture; where it is strong it shows. */
function draw(grid: Grid, strengths: Float32Array, gains: readonly number[]): OffscreenCanvas {
  const canvas = new OffscreenCanvas(SIDE, SIDE);
  const context = canvas.getContext("2d") as OffscreenCanvasRenderingContext2D;
  const textures = [skyAt, meadowAt, treeAt, sunAt, lakeAt];
  const image = context.createImageData(SIDE, SIDE);
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      const [v, u] = [(y / SIDE) * grid.rows - 0.5, (x / SIDE) * grid.cols - 0.5];
      let [r, g, b, total] = [24, 24, 24, 0.12];
      for (const [f, texture] of textures.entries()) {
        const weight = Math.max(0, sample(grid, strengths, f, v, u) * (gains[f] ?? 1)) ** 2.4;
        const color = texture(x / SIDE, y / SIDE);
        [r, g, b] = [r + weight * color[0], g + weight * color[1], b + weight * color[2]];
        total += weight;
      }
      image.data.set([r / total, g / total, b / total, 255], 4 * (y * SIDE + x));
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

type Color = readonly [number, number, number];
const skyAt = (_x: number, y: number): Color => [60 + 330 * y, 82 + 140 * y, 150 - 20 * y];
const meadowAt = (x: number, y: number): Color => [
  52 + 22 * Math.sin(90 * x + 40 * y),
  104 + 16 * Math.sin(55 * y),
  52,
];
const treeAt = (x: number, y: number): Color => [20, 62 + 18 * Math.sin(70 * y + 12 * Math.sin(30 * x)), 48];
const sunAt = (): Color => [255, 226, 150];
const lakeAt = (_x: number, y: number): Color => [96 + 26 * Math.sin(150 * y), 132 + 22 * Math.sin(150 * y), 176];

function sample({ rows, cols }: Grid, strengths: Float32Array, f: number, v: number, u: number): number {
  const clamp = (i: number, n: number) => Math.min(n - 1, Math.max(0, i));
  const at = (r: number, c: number) => strengths[(clamp(r, rows) * cols + clamp(c, cols)) * NAMES.length + f] ?? 0;
  const [r, c] = [Math.floor(v), Math.floor(u)];
  const [dv, du] = [v - r, u - c];
  const mix = (a: number, b: number, t: number) => a + (b - a) * t;
  return mix(mix(at(r, c), at(r, c + 1), du), mix(at(r + 1, c), at(r + 1, c + 1), du), dv);
}
