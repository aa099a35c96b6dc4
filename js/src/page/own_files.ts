/**
 * Which requests the page's service worker answers: those for the page and for its own files. Its folder may be the root
 * of a site, so that pages of other projects lie below it; those are left to the browser.
 */

const SCRIPTS = ["page", "worker", "paint", "panels", "wasm", "webgpu"].map((name) => `${name}.js`);
const STYLES = ["page.css", "paint.css"];
const RUNTIMES = ["wasm.wasm.gz", "webgpu.wasm.gz", "runtime.json"];
const GRAPHS = ["text", "prefix", "suffix", "decoder", "embedding"].map((name) => `${name}.onnx.gz`);
/** The second tokenizer has a file of its own only where it differs from the first. */
const TOKENIZERS = ["tokenizer.json.gz", "tokenizer1.json.gz"];
const MODEL = ["manifest.json", "sae.safetensors.gz", "icons.safetensors.gz", ...GRAPHS, ...TOKENIZERS];

/** The names of all files of the page but index.html and the service worker, which the browser fetches by itself. */
export const OWN_FILES: ReadonlySet<string> = new Set([...SCRIPTS, ...STYLES, "scene.png", ...RUNTIMES, ...MODEL]);

/** The page, one of its files, or (null) something else. `base` is the page's folder and ends in a slash. */
export function askedFor(
  { method, mode, url }: Pick<Request, "method" | "mode" | "url">,
  base: string,
): "page" | "file" | null {
  const address = new URL(url);
  const place = address.origin + address.pathname;
  if (method !== "GET" || !place.startsWith(base)) return null;
  const name = place.slice(base.length);
  if (mode === "navigate") return name === "" || name === "index.html" ? "page" : null;
  return OWN_FILES.has(name) ? "file" : null;
}
