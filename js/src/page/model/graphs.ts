/** The model's parts as sessions of ONNX Runtime; ember_widgets/page/export.py writes their graphs. */

import type { InferenceSession, Tensor } from "onnxruntime-web";
import type { Bytes } from "./files.ts";
import type { Backend, Runtime } from "./runtime.ts";

export type Part = "text" | "prefix" | "embedding" | "suffix" | "decoder";

/** Tensors by their names in the graphs. */
export type Tensors = Readonly<Record<string, Tensor>>;

export class Graphs {
  private readonly sessions = new Map<Part, Promise<InferenceSession>>();
  /** Ends when the last run does: there is one at a time. */
  private last: Promise<unknown> = Promise.resolve();
  private used: Backend;

  /** `graphs`: the files, which may be on their way. Sessions are made when `prepare` or `run` first needs them. */
  constructor(
    private readonly runtime: Runtime,
    private readonly graphs: Map<Part, Promise<Bytes>>,
  ) {
    this.used = runtime.backend;
  }

  /** What the sessions so far compute with. */
  get backend(): Backend {
    return this.used;
  }

  /** Makes the sessions of some parts. */
  async prepare(...parts: readonly Part[]): Promise<void> {
    for (const part of parts) await this.session(part);
  }

  floats(values: Float32Array, shape: readonly number[]): Tensor {
    return new this.runtime.ort.Tensor("float32", values, shape);
  }

  integers(values: readonly number[], shape: readonly number[]): Tensor {
    return new this.runtime.ort.Tensor("int64", BigInt64Array.from(values, BigInt), shape);
  }

  /** Runs a part. Of `given`, it gets what it takes. */
  async run(part: Part, given: Tensors): Promise<Tensors> {
    const session = await this.session(part);
    // An input that changes nothing, such as the state that gives the embedding its type, may be missing in the graph.
    const feeds = Object.fromEntries(
      session.inputNames.map((name) => {
        const tensor = given[name];
        if (!tensor) throw new Error(`the graph of ${part} takes ${name}, which is not given: files do not fit`);
        return [name, tensor];
      }),
    );
    return this.inTurn(() => session.run(feeds));
  }

  private inTurn<T>(call: () => Promise<T>): Promise<T> {
    const done = this.last.then(call, call);
    this.last = done.catch(() => {});
    return done;
  }

  private session(part: Part): Promise<InferenceSession> {
    const known = this.sessions.get(part);
    if (known) return known;
    const session = this.begun(part);
    this.sessions.set(part, session);
    return session;
  }

  private async begun(part: Part): Promise<InferenceSession> {
    const graph = await this.graphs.get(part);
    this.graphs.delete(part);
    if (!graph) throw new Error(`the page has no graph of ${part}: its files are incomplete`);
    return this.inTurn(() => this.made(part, graph));
  }

  private async made(part: Part, graph: Bytes): Promise<InferenceSession> {
    const { ort } = this.runtime;
    try {
      return await ort.InferenceSession.create(graph, { executionProviders: [this.used] });
    } catch (fault) {
      if (this.used === "wasm") throw fault;
      // A GPU may be there and yet lack what the model needs.
      console.warn(`${part} does not run by WebGPU:`, fault);
      this.used = "wasm";
      return this.made(part, graph);
    }
  }
}
