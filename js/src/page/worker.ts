/** The page's worker: the model, and the kernel that answers the widget. */
import { kernel } from "./kernel/kernel.ts";
import { openPainter } from "./model/open.ts";
import type { FromWorker, ToWorker } from "./protocol.ts";

const say = (message: FromWorker, transfer: Transferable[] = []): void =>
  (self as unknown as Worker).postMessage(message, transfer);

let running: ReturnType<typeof kernel> | null = null;

self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  if (data.kind === "message") running?.receive(data.content, data.buffers);
  else
    start(data).catch((error: unknown) =>
      say({ kind: "failed", message: error instanceof Error ? error.message : String(error) }),
    );
};

async function start({ base, panels, scene, cpu }: ToWorker & { kind: "start" }): Promise<void> {
  const folder = new URL(base);
  const progress = (loaded: number, total: number) => say({ kind: "progress", loaded, total });
  const { painter, runtime } = await openPainter({ model: folder, runtime: folder }, progress, cpu ? "wasm" : null);
  running = await kernel(painter, {
    panels,
    scene,
    send: (content, buffers) => say({ kind: "message", content, buffers }, [...buffers]),
    onScene: (file) => say({ kind: "scene", file }),
  });
  say({ kind: "ready", engine: { kind: painter.graphs.backend, threads: runtime.threads } });
}
