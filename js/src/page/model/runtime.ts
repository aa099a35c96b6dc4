/** ONNX Runtime in this browser: on its GPU by WebGPU, or else on its processor by WebAssembly. */

import type * as Ort from "onnxruntime-web";
import { Download, fetchJson, type OnProgress } from "./files.ts";
import type { ModelFile } from "./manifest.ts";

export type Backend = "webgpu" | "wasm";

/** What js/page_runtime.mjs writes as runtime.json: for each build its script and its WebAssembly. */
export type RuntimeFiles = Readonly<Record<Backend, { readonly script: string; readonly binary: ModelFile }>>;

export interface Runtime {
  readonly ort: typeof Ort;
  /** What sessions try to use. */
  readonly backend: Backend;
  readonly threads: number;
}

const MOST_THREADS = 4;

/** A module that is valid only where WebAssembly has SIMD: it makes a vector of 16 bytes. */
const SIMD = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0],
  ...[10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11],
);

/** Throws an Error with a sentence for people if this browser cannot run the model at all. */
export function checkSimd(validate: (code: Uint8Array<ArrayBuffer>) => boolean = WebAssembly.validate): void {
  if (!validate(SIMD))
    throw new Error(
      "This page computes with WebAssembly SIMD, which this browser does not have; " +
        "open it in a current version of Chrome, Edge, Firefox or Safari",
    );
}

/**
 * Loads ONNX Runtime.
 *
 * `folder`: where runtime.json and the files that it names are. `wanted`: null = what is fastest here.
 */
export async function loadRuntime(
  folder: URL,
  onProgress?: OnProgress,
  wanted: Backend | null = null,
): Promise<Runtime> {
  checkSimd();
  const backend = wanted ?? ((await hasWebGpu()) ? "webgpu" : "wasm");
  const files = (await fetchJson<RuntimeFiles>(new URL("runtime.json", folder)))[backend];
  const binary = new Download(folder, [files.binary], onProgress).fetch(files.binary);
  const ort = await (backend === "webgpu" ? import("onnxruntime-web/jspi") : import("onnxruntime-web/wasm"));
  const threads = globalThis.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
  const { wasm } = ort.env;
  wasm.numThreads = threads;
  wasm.wasmPaths = { mjs: new URL(files.script, folder).href };
  wasm.wasmBinary = await binary;
  ort.env.logLevel = "error";
  return { ort, backend, threads };
}

/** What is asked of `navigator.gpu`. */
export interface Gpu {
  requestAdapter(): Promise<{ readonly info?: { readonly isFallbackAdapter?: boolean } } | null>;
}

/**
 * Whether there is a GPU, and what the build for it needs: WebAssembly that can wait for a promise. A GPU that software
 * imitates is far slower than WebAssembly.
 */
export async function hasWebGpu(
  gpu = (navigator as { gpu?: Gpu }).gpu,
  canWait = "Suspending" in WebAssembly,
): Promise<boolean> {
  const adapter = canWait && gpu ? await gpu.requestAdapter().catch(() => null) : null;
  return adapter !== null && !adapter.info?.isFallbackAdapter;
}
