/** Opens the page's painter from the files that ember_widgets/page/export.py wrote. */

import { type Bytes, Download, fetchJson, type OnProgress, readSafetensors } from "./files.ts";
import { Graphs, type Part } from "./graphs.ts";
import { FORMAT, type Manifest } from "./manifest.ts";
import { OnnxPainter, type Parts } from "./onnx_painter.ts";
import { type Backend, loadRuntime, type Runtime } from "./runtime.ts";
import type { SAE } from "./sae.ts";
import { Tokenizer } from "./tokenizer.ts";

export interface Places {
  /** The folder with manifest.json; its address ends in a slash. */
  readonly model: URL;
  /** The folder with runtime.json. */
  readonly runtime: URL;
}

export interface Opened {
  readonly painter: OnnxPainter;
  readonly runtime: Runtime;
}

/** What the first picture needs. The embedding is needed for styles only. */
const FIRST: readonly Part[] = ["text", "prefix", "suffix", "decoder"];
const GRAPHS: readonly Part[] = [...FIRST, "embedding"];

/**
 * Fetches the model and the runtime, and makes sessions.
 *
 * `onProgress`: called while files arrive. `backend`: null = what is fastest here.
 *
 * Throws an Error with a sentence for people: this browser cannot run the model, or a file cannot be fetched.
 */
export async function openPainter(
  { model, runtime }: Places,
  onProgress: OnProgress = () => {},
  backend: Backend | null = null,
): Promise<Opened> {
  const here = { runtime: [0, 0], model: [0, 0] };
  const report = (what: keyof typeof here) => (part: number, all: number) => {
    here[what] = [part, all];
    const [parts, alls] = [0, 1].map((i) => (here.runtime[i] ?? 0) + (here.model[i] ?? 0));
    onProgress(parts ?? 0, alls ?? 0);
  };
  const [loaded, { graphs, ...parts }] = await Promise.all([
    loadRuntime(runtime, report("runtime"), backend),
    loadModel(model, report("model")),
  ]);
  const painter = new OnnxPainter(new Graphs(loaded, graphs), parts);
  await painter.graphs.prepare(...FIRST);
  return { painter, runtime: loaded };
}

/** All of the model but its sessions. */
export async function loadModel(
  folder: URL,
  onProgress?: OnProgress,
): Promise<Parts & { readonly graphs: Map<Part, Bytes> }> {
  const manifest = await fetchJson<Manifest>(new URL("manifest.json", folder));
  if (manifest.format !== FORMAT)
    throw new Error(`the page's model has format ${manifest.format}, but this page reads ${FORMAT}; reload the page`);
  const download = new Download(folder, onProgress);
  const files = Object.entries(manifest.files);
  const found = new Map(
    await Promise.all(files.map(async ([name, file]) => [name, await download.fetch(file)] as const)),
  );
  const file = (name: string): Bytes => {
    const bytes = found.get(name);
    if (!bytes) throw new Error(`the page's model has no ${name}: its files are incomplete`);
    return bytes;
  };
  const { sae, ...arrays } = dictionary(manifest, readSafetensors(file("sae.safetensors")));
  const tokenizers = manifest.tokenizers.map(
    (config) => new Tokenizer(JSON.parse(new TextDecoder().decode(file(config.file))), config),
  );
  const [first, second] = tokenizers;
  if (!first || !second) throw new Error("the page's model has fewer than two tokenizers: its files are incomplete");
  const icons = [...readSafetensors(file("icons.safetensors"))].map(([name, data]) => [Number(name), data] as const);
  return {
    manifest,
    sae,
    ...arrays,
    tokenizers: [first, second],
    icons: new Map(icons) as Map<number, Bytes>,
    graphs: new Map(GRAPHS.map((part) => [part, file(`${part}.onnx`)])),
  };
}

function dictionary(
  { sae }: Manifest,
  arrays: ReadonlyMap<string, ArrayBufferView>,
): { sae: SAE } & Pick<Parts, "unit" | "lengths"> {
  const array = (name: string): Float32Array => {
    const found = arrays.get(name);
    if (!(found instanceof Float32Array)) throw new Error(`the page's SAE has no ${name}: its file is incomplete`);
    return found;
  };
  const { d_model, n_features, activation, target, k } = sae;
  const weights = { W_enc: array("W_enc"), b_enc: array("b_enc"), W_dec: array("W_dec"), b_dec: array("b_dec") };
  const threshold = arrays.has("threshold") ? array("threshold") : null;
  return {
    sae: { d_model, n_features, activation, target, k: k ?? 0, threshold, ...weights },
    unit: array("unit"),
    lengths: array("lengths"),
  };
}
