/**
 * The page: loads the model in a worker, and then shows the paint widget, whose kernel is in that worker. The widget is
 * the one of notebooks, file by file: paint.js, panels.js and paint.css.
 */
import type { Model } from "../paint/transport/messages.ts";
import { forgetScene, keepScene, keepTools, keptScene, keptTools } from "./kept_scene.ts";
import type { Engine, FromWorker, ToWorker } from "./protocol.ts";
import { startService } from "./service.ts";

type Listener = (content: unknown, buffers: readonly DataView[]) => void;

/**
 * The widget's model, as a notebook would give it: messages go to the worker and come from there. Traits that the widget
 * saves, which say how the tools were left, go to `save`.
 */
class PageModel implements Model {
  private readonly listeners = new Set<Listener>();

  constructor(
    private readonly worker: Worker,
    private readonly traits: Map<string, unknown>,
    private readonly save: (traits: Readonly<Record<string, unknown>>) => void,
  ) {}

  get(name: string): unknown {
    return this.traits.get(name);
  }

  set(name: string, value: unknown): void {
    this.traits.set(name, value);
  }

  save_changes(): void {
    this.save(Object.fromEntries(this.traits));
  }

  send(content: unknown, _callbacks?: unknown, buffers: ArrayBuffer[] = []): void {
    post(this.worker, { kind: "message", content, buffers }, buffers);
  }

  on(event: string, callback: (...args: never[]) => void): void {
    if (event === "msg:custom") this.listeners.add(callback as unknown as Listener);
  }

  off(_event: string, callback: (...args: never[]) => void): void {
    this.listeners.delete(callback as unknown as Listener);
  }

  /** A message from the worker. */
  receive(content: unknown, buffers: readonly Uint8Array<ArrayBuffer>[]): void {
    const views = buffers.map(({ buffer, byteOffset, byteLength }) => new DataView(buffer, byteOffset, byteLength));
    for (const listener of this.listeners) listener(content, views);
  }
}

const post = (worker: Worker, message: ToWorker, transfer: Transferable[] = []): void =>
  worker.postMessage(message, transfer);

/** Where this script came from. It is no module, because a page that was opened as a file could not load one. */
const HERE = new URL((document.currentScript as HTMLScriptElement).src);

const element = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;

/** Says why the page cannot paint, in place of the progress bar. The picture stays. */
function fail(message: string): void {
  const start = element("start");
  start.dataset.failed = "true";
  start.hidden = false;
  element("doing").textContent = message;
  element("doing").setAttribute("role", "alert");
}

const inWords = ({ kind, threads }: Engine): string =>
  kind === "webgpu" ? "It uses WebGPU." : `It uses WebAssembly, ${threads === 1 ? "1 thread" : `${threads} threads`}.`;

/** Throws if the page was opened as a file. */
function checkServed(): void {
  if (location.protocol === "file:")
    throw new Error(
      "This page has to come from a web server, because browsers run no worker from a file. " +
        "On this computer:  python -m http.server  in the page's folder, then open http://localhost:8000",
    );
}

async function text(url: string): Promise<string> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} could not be loaded: the server says ${response.status}`);
  return response.text();
}

async function bytes(url: string): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} could not be loaded: the server says ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

async function open(): Promise<void> {
  checkServed();
  const version = HERE.searchParams.get("v") ?? "";
  const base = new URL(".", HERE).href;
  const at = (name: string) => `${base}${name}?v=${version}`;
  const key = `${base}@${version}`;
  if (!(await startService(new URL(at("service_worker.js"))))) return;
  const worker = new Worker(at("worker.js"), { type: "module" });
  let model: PageModel | null = null;

  worker.onerror = (event) => fail(`The model stopped: ${event.message || "its worker could not be started"}`);
  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    if (data.kind === "progress") element<HTMLProgressElement>("bar").value = data.loaded / data.total;
    else if (data.kind === "drawing") element("doing").textContent = "Drawing the first picture";
    else if (data.kind === "message") model?.receive(data.content, data.buffers);
    else if (data.kind === "scene") void keepScene(key, data.kept).then(() => showAgain(key));
    else if (data.kind === "failed") fail(data.message);
    else void show(data.engine);
  };

  const [kept, tools] = await Promise.all([keptScene(key), keptTools(key)]);
  const [scene, panels] = await Promise.all([kept ?? bytes(at("scene.png")), text(at("panels.js"))]);
  if (kept) showAgain(key);
  const cpu = new URLSearchParams(location.search).has("cpu");
  post(worker, { kind: "start", base, panels, scene, cpu });

  const show = async (engine: Engine): Promise<void> => {
    const { default: make } = await import(at("paint.js"));
    const traits = new Map(Object.entries({ ...tools, _panel: "all" }));
    model = new PageModel(worker, traits, (changed) => void keepTools(key, changed));
    const widget = make();
    await widget.initialize({ model });
    element("start").hidden = true;
    element("widget").hidden = false;
    widget.render({ model, el: element("widget") });
    element("engine").textContent = inWords(engine);
    document.documentElement.dataset.engine = engine.kind;
  };
}

/** Offers to forget what was painted. */
function showAgain(key: string): void {
  const button = element<HTMLButtonElement>("again");
  button.hidden = false;
  button.onclick = async () => {
    if (!confirm("Forget what you painted on this page, and begin with its first picture?")) return;
    await forgetScene(key);
    location.reload();
  };
}

open().catch((error: unknown) => fail(error instanceof Error ? error.message : String(error)));
