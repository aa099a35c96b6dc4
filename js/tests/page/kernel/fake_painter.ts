/** A painter at the edge of the kernel: it gives what it was made of, and notes what it is asked. */

import type { Codes } from "../../../src/page/kernel/refit.ts";
import type { Analysis, Drawing, Painter, Pixels, Run } from "../../../src/page/model/painter.ts";
import { Cancelled } from "../../../src/page/model/painter.ts";

export class FakePainter implements Painter {
  readonly grid = { rows: 6, cols: 7 };
  readonly n_features = 12;
  unit = new Float32Array(12).fill(1);
  readonly lengths = new Float32Array(12).fill(1);
  facts: Readonly<Record<string, string>> = { id: "fake", sae: "0123", site: "down_blocks.2.attentions.1", key: "k" };
  labels: ReadonlyMap<number, string> = new Map([[3, "lion"]]);
  readonly side = 14;
  readonly most_steps = 4;
  known_words: readonly string[] = ["a", "lion"];
  /** What was drawn, and the pictures that are being drawn: a test that holds them lets them go one by one. */
  readonly drawn: Drawing[] = [];
  readonly held: (() => void)[] = [];
  isHeld = false;
  fault: Error | null = null;
  nRunning = 0;

  async analyze(run: Run, n: number): Promise<Analysis> {
    if (this.fault) throw this.fault;
    const [strengths, basis] = [new Float32Array(42 * n), new Float32Array(n * 12)];
    for (let at = 0; at < strengths.length; at++) strengths[at] = ((at * 7 + Number(run.seed)) % 5) / 4;
    for (let i = 0; i < 12; i++) basis[(i % n) * 12 + i] = 1 + i / 4;
    return { strengths, basis, names: [...Array(n).keys()].map((k) => `factor ${k + 1}`) };
  }

  async codes(run: Run): Promise<Float32Array> {
    return new Float32Array(42 * 12).fill(Number(run.seed % 3n) / 4);
  }

  async render(drawing: Drawing, cancelled?: () => boolean): Promise<Pixels> {
    this.nRunning++;
    try {
      this.drawn.push(drawing);
      if (this.isHeld) await new Promise<void>((resolve) => this.held.push(resolve));
      if (cancelled?.()) throw new Cancelled("cancelled");
      if (this.fault) throw this.fault;
      const mean = (drawing.at(0)?.strengths ?? new Float32Array(0)).reduce((a, b) => a + b, 0);
      const rgba = new Uint8ClampedArray(4 * 14 * 12).fill(255);
      for (let i = 0; i < rgba.length; i += 4) rgba[i] = (mean * 10 + i) % 256;
      return { width: 14, height: 12, rgba };
    } finally {
      this.nRunning--;
    }
  }

  icon(feature: number): Uint8Array<ArrayBuffer> | null {
    return feature === 3 ? new Uint8Array([0x89, 0x50, 0x4e, 0x47]) : null;
  }

  notes(prompt: string, style: string): { prompt: string; style: string } {
    const note = (text: string) => {
      const unknown = (text.match(/\w+/g) ?? []).filter((word) => !this.known_words.includes(word));
      return unknown.length ? `not known here: ${[...new Set(unknown)].join(", ")}` : "";
    };
    return { prompt: note(prompt), style: note(style) };
  }
}

/** Non-negative least squares where factors have no feature in common: sum by sum, as in make_page_transcripts.py. */
export function projected({ values, n_patches, n_features }: Codes, basis: Float32Array): Float32Array {
  const n = basis.length / n_features;
  const found = new Float32Array(n_patches * n);
  for (let p = 0; p < n_patches; p++)
    for (let k = 0; k < n; k++) {
      let [dot, size] = [0, 0];
      for (let i = 0; i < n_features; i++) {
        const weight = basis[k * n_features + i] ?? 0;
        dot += (values[p * n_features + i] ?? 0) * weight;
        size += weight * weight;
      }
      found[p * n + k] = Math.max(dot / size, 0);
    }
  return found;
}
