/** The messages between the page and its worker: types only. Messages of the widget travel inside as they are. */

import type { Kept } from "./kernel/kernel.ts";

export type ToWorker =
  | {
      readonly kind: "start";
      /** Where the files are, as a URL that ends in "/". */
      readonly base: string;
      /** The text of panels.js. */
      readonly panels: string;
      /** What to begin with: the file of a scene, or what was painted before a reload. */
      readonly scene: Uint8Array<ArrayBuffer> | Kept;
      /** Do not use WebGPU, even if there is one. */
      readonly cpu: boolean;
    }
  | { readonly kind: "message"; readonly content: unknown; readonly buffers: readonly ArrayBuffer[] };

/** What runs the model. */
export interface Engine {
  readonly kind: "webgpu" | "wasm";
  readonly threads: number;
}

export type FromWorker =
  | { readonly kind: "progress"; readonly loaded: number; readonly total: number }
  /** All files are here and the model is drawing its first picture; then it is ready. */
  | { readonly kind: "drawing" }
  | { readonly kind: "ready"; readonly engine: Engine }
  | { readonly kind: "message"; readonly content: unknown; readonly buffers: readonly Uint8Array<ArrayBuffer>[] }
  /** The painting after an edit, to go on from after a reload. */
  | { readonly kind: "scene"; readonly kept: Kept }
  | { readonly kind: "failed"; readonly message: string };
