/** The painter of the page: the model in this process, by ONNX Runtime. */

import type { Tensor } from "onnxruntime-web";
import type { Grid } from "../../paint/store/grid.ts";
import { analysis } from "./analysis.ts";
import type { Codes } from "./factors.ts";
import type { Bytes } from "./files.ts";
import type { Graphs, Tensors } from "./graphs.ts";
import type { Manifest } from "./manifest.ts";
import { Generator } from "./noise.ts";
import { type Analysis, Cancelled, type Drawing, type Painter, type Pixels, type Run } from "./painter.ts";
import { promptNotes } from "./prompt_notes.ts";
import { Recent } from "./recent.ts";
import { encode, type SAE, targetOf } from "./sae.ts";
import { initialLatents, nextLatents, type Schedule, scaledInput } from "./scheduler.ts";
import { steered } from "./steering.ts";
import type { Cut, Tokenizer } from "./tokenizer.ts";

/** So many runs, and so many texts, are kept. */
const KEPT_RUNS = 8;
const KEPT_TEXTS = 16;

/** What the model is made of, apart from its graphs. */
export interface Parts {
  readonly manifest: Manifest;
  readonly sae: SAE;
  readonly unit: Float32Array;
  readonly lengths: Float32Array;
  /** One for each of the two text encoders. */
  readonly tokenizers: readonly Tokenizer[];
  readonly icons: ReadonlyMap<number, Bytes>;
}

/** All of a run before its first edit. */
interface Start {
  readonly schedule: Schedule;
  readonly text: Tensors;
  readonly latents: Float32Array;
  /** What leaves the prefix at the first step. */
  readonly state: Tensors;
  /** The noise of each step but the last one. */
  readonly noises: readonly Float32Array[];
  codes: Codes | null;
}

export class OnnxPainter implements Painter {
  readonly grid: Grid;
  readonly n_features: number;
  readonly unit: Float32Array;
  readonly lengths: Float32Array;
  readonly facts: Readonly<Record<string, string>>;
  readonly labels: ReadonlyMap<number, string>;
  readonly side: number;
  readonly most_steps: number;
  readonly known_words: readonly string[];
  private readonly manifest: Manifest;
  private readonly sae: SAE;
  private readonly known: ReadonlySet<string>;
  private readonly starts = new Recent<Promise<Start>>(KEPT_RUNS);
  private readonly texts = new Recent<Promise<Tensors>>(KEPT_TEXTS);

  constructor(
    readonly graphs: Graphs,
    private readonly parts: Parts,
  ) {
    const { manifest, sae, unit, lengths } = parts;
    [this.manifest, this.sae, this.unit, this.lengths] = [manifest, sae, unit, lengths];
    const [rows, cols] = manifest.grid;
    this.grid = { rows, cols };
    this.n_features = sae.n_features;
    this.facts = manifest.facts;
    this.labels = new Map(Object.entries(manifest.labels).map(([feature, text]) => [Number(feature), text]));
    this.side = manifest.side;
    this.most_steps = manifest.schedules.length;
    this.known_words = manifest.known_words;
    this.known = new Set(manifest.known_words);
  }

  async analyze(run: Run, n_factors: number): Promise<Analysis> {
    const codes = await this.codesOf(run);
    return analysis(codes, n_factors, new Set(this.manifest.sae.positional), this.lengths, this.labels);
  }

  async codes(run: Run): Promise<Float32Array> {
    return (await this.codesOf(run)).values;
  }

  async render(drawing: Drawing, cancelled: () => boolean = () => false): Promise<Pixels> {
    const { run, style } = drawing;
    const start = await this.start(run);
    const { schedule } = start;
    const styled = style ? await this.text(run.prompt ? `${run.prompt}, ${style}` : style) : null;
    let latents = start.latents;
    for (let step = 0; step < run.n_steps; step++) {
      await nextTask();
      if (cancelled()) throw new Cancelled();
      const state = step ? await this.prefix(schedule, step, latents, start.text) : start.state;
      const drawn = drawing.at(step);
      const [hiddenIn, hiddenOut] = [state.hidden_in, state.hidden_out].map(floatsOf);
      const out = drawn && hiddenIn && hiddenOut ? steered(this.sae, drawing, drawn, hiddenIn, hiddenOut) : null;
      const given = {
        ...state,
        ...start.text,
        ...(out && { hidden_out: this.graphs.floats(out, state.hidden_out?.dims ?? []) }),
        ...(styled && { ...styled, emb: await this.embedding(schedule, step, state, styled) }),
      };
      const { prediction } = await this.graphs.run("suffix", given);
      latents = nextLatents(schedule, step, latents, floatsOf(prediction), start.noises[step] ?? null);
    }
    await nextTask();
    if (cancelled()) throw new Cancelled();
    const { pixels } = await this.graphs.run("decoder", {
      latents: this.graphs.floats(latents, this.manifest.latents),
    });
    return this.picture(latents, floatsOf(pixels));
  }

  icon(feature: number): Uint8Array<ArrayBuffer> | null {
    return this.parts.icons.get(feature) ?? null;
  }

  notes(prompt: string, style: string): { readonly prompt: string; readonly style: string } {
    const before = prompt && style ? `${prompt}, ` : "";
    return {
      prompt: promptNotes(prompt, this.known, prompt ? this.cut(prompt) : null),
      style: promptNotes(style, this.known, style ? this.cut(before + style) : null, before),
    };
  }

  /** Where the first of the text encoders stops reading. */
  private cut(text: string): Cut | null {
    const cuts = this.parts.tokenizers.map((tokenizer) => tokenizer.cut(text)).filter((cut) => cut !== null);
    return cuts.reduce<Cut | null>((first, cut) => (first && first.end <= cut.end ? first : cut), null);
  }

  private async codesOf(run: Run): Promise<Codes> {
    const start = await this.start(run);
    const { hidden_in, hidden_out } = start.state;
    start.codes ??= {
      values: encode(this.sae, targetOf(this.sae, floatsOf(hidden_in), floatsOf(hidden_out))),
      n_patches: this.grid.rows * this.grid.cols,
      n_features: this.n_features,
    };
    return start.codes;
  }

  private start(run: Run): Promise<Start> {
    return kept(this.starts, `${run.n_steps} ${run.seed} ${run.prompt}`, () => this.started(run));
  }

  private async started({ prompt, seed, n_steps }: Run): Promise<Start> {
    const schedule = this.manifest.schedules[n_steps - 1];
    if (!schedule) throw new RangeError(`n_steps=${n_steps} is outside 1..${this.most_steps}`);
    const generator = new Generator(seed);
    const size = this.manifest.latents.reduce((product, n) => product * n, 1);
    const latents = initialLatents(schedule, generator.randn(size));
    const noises = Array.from({ length: schedule.ancestral ? n_steps - 1 : 0 }, () => generator.randn(size));
    const text = await this.text(prompt);
    const state = await this.prefix(schedule, 0, latents, text);
    return { schedule, text, latents, state, noises, codes: null };
  }

  /** Token embeddings and pooled text. */
  private text(text: string): Promise<Tensors> {
    return kept(this.texts, text, async () => {
      const [ids, ids_2] = this.parts.tokenizers.map((tokenizer) => {
        const found = tokenizer.encode(text);
        return this.graphs.integers(found, [1, found.length]);
      });
      return this.graphs.run("text", { ...(ids && { ids }), ...(ids_2 && { ids_2 }) });
    });
  }

  private prefix(schedule: Schedule, step: number, latents: Float32Array, text: Tensors): Promise<Tensors> {
    const sample = this.graphs.floats(scaledInput(schedule, step, latents), this.manifest.latents);
    return this.graphs.run("prefix", { ...this.at(schedule, step), ...text, sample });
  }

  /** The embedding of a text for the layers after the site. */
  private async embedding(schedule: Schedule, step: number, state: Tensors, text: Tensors): Promise<Tensor> {
    const { emb } = await this.graphs.run("embedding", { ...state, ...this.at(schedule, step), ...text });
    return emb as Tensor;
  }

  private at(schedule: Schedule, step: number): Tensors {
    const { time_ids } = this.manifest;
    return {
      t: this.graphs.floats(Float32Array.of(schedule.timesteps[step] ?? 0), []),
      time_ids: this.graphs.floats(Float32Array.from(time_ids), [1, time_ids.length]),
    };
  }

  private picture(latents: Float32Array, pixels: Float32Array): Pixels {
    if (!latents.every(Number.isFinite))
      throw new Error("the UNet returned values that are not finite in float32; weaken the strengths");
    if (!pixels.every(Number.isFinite))
      throw new Error("the VAE returned values that are not finite in float32; weaken the strengths");
    const n = pixels.length / 3;
    const rgba = new Uint8ClampedArray(4 * n).fill(255);
    // The array rounds and clamps.
    for (let channel = 0; channel < 3; channel++)
      for (let i = 0; i < n; i++) rgba[4 * i + channel] = ((pixels[channel * n + i] ?? 0) * 0.5 + 0.5) * 255;
    return { width: this.side, height: this.side, rgba };
  }
}

/** A value that is kept unless making it failed. */
function kept<T>(recent: Recent<Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  return recent.get(key, () => {
    const made = make();
    made.catch(() => recent.delete(key));
    return made;
  });
}

const floatsOf = (tensor: Tensor | undefined): Float32Array => tensor?.data as Float32Array;

/** Lets messages in: what follows runs after those that wait. */
function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
