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

/** In the order in which a picture needs them. */
const GRAPHS: readonly Part[] = ["text", "prefix", "suffix", "decoder", "embedding"];
/** These are fetched first, so that their sessions are made while others arrive. */
const FIRST: readonly Part[] = ["text", "prefix"];
/** Only styles need it, so its session is made then. */
const LAST: Part = "embedding";

/**
 * Fetches the model and the runtime, and makes a painter.
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
  await Promise.all([graphs.get(LAST), painter.graphs.prepare(...GRAPHS.filter((part) => part !== LAST))]);
  return { painter, runtime: loaded };
}

/** All of the model but its sessions. The last graphs are still on their way. */
export async function loadModel(
  folder: URL,
  onProgress?: OnProgress,
): Promise<Parts & { readonly graphs: Map<Part, Promise<Bytes>> }> {
  const manifest = await fetchJson<Manifest>(new URL("manifest.json", folder));
  if (manifest.format !== FORMAT)
    throw new Error(`the page's model has format ${manifest.format}, but this page reads ${FORMAT}; reload the page`);
  const download = new Download(folder, Object.values(manifest.files), onProgress);
  // Both tokenizers may have the same file.
  const files = new Map<string, Promise<Bytes>>();
  const file = (name: string): Promise<Bytes> => {
    const entry = manifest.files[name];
    if (!entry) throw new Error(`the page's model has no ${name}: its files are incomplete`);
    const found = files.get(name) ?? download.fetch(entry);
    files.set(name, found);
    return found;
  };
  const tokenizerOf = async (config: Manifest["tokenizers"][number]) =>
    new Tokenizer(JSON.parse(new TextDecoder().decode(await file(config.file))), config);
  const small = Promise.all([
    file("sae.safetensors"),
    file("icons.safetensors"),
    Promise.all(manifest.tokenizers.map(tokenizerOf)),
  ]);
  const graphs = new Map<Part, Promise<Bytes>>();
  let before: Promise<unknown> = small;
  for (const part of GRAPHS) {
    const graph = FIRST.includes(part) ? file(`${part}.onnx`) : before.then(() => file(`${part}.onnx`));
    graph.catch(() => {}); // whoever needs the graph hears of it
    before = Promise.all([before, graph]);
    before.catch(() => {});
    graphs.set(part, graph);
  }
  const [weights, pictures, tokenizers] = await small;
  const { sae, ...arrays } = dictionary(manifest, readSafetensors(weights));
  const icons = [...readSafetensors(pictures)].map(([name, data]) => [Number(name), data as Bytes] as const);
  return { manifest, sae, ...arrays, tokenizers, icons: new Map(icons), graphs };
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
