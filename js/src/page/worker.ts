/** The page's worker: the model, and the kernel that answers the widget. */
import { type Kernel, kernel } from "./kernel/kernel.ts";
import type { Send } from "./kernel/replies.ts";
import { transform } from "./model/factors.ts";
import { openPainter } from "./model/open.ts";
import type { FromWorker, ToWorker } from "./protocol.ts";

const say = (message: FromWorker, transfer: Transferable[] = []): void =>
  (self as unknown as Worker).postMessage(message, transfer);

let running: Kernel | null = null;

self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  if (data.kind === "message") {
    const buffers = data.buffers.map((buffer) => new DataView(buffer));
    running?.receive(data.content, buffers);
  } else {
    start(data).catch((error: unknown) =>
      say({ kind: "failed", message: error instanceof Error ? error.message : String(error) }),
    );
  }
};

async function start({ base, panels, scene, cpu }: ToWorker & { kind: "start" }): Promise<void> {
  const folder = new URL(base);
  const progress = (loaded: number, total: number) => say({ kind: "progress", loaded, total });
  const { painter, runtime } = await openPainter({ model: folder, runtime: folder }, progress, cpu ? "wasm" : null);
  const send: Send = (content, buffers = []) => {
    say({ kind: "message", content, buffers });
    // A state that answers no greeting says that the scene has changed. It is kept at once, as it is: a page that is being
    // reloaded waits for nothing.
    if (content.type === "state" && (content.why === "edit" || content.why === "scene")) {
      const kept = running?.kept();
      if (kept) say({ kind: "scene", kept });
    }
  };
  say({ kind: "drawing" });
  running = kernel(painter, { panels, scene, transform, send });
  await running.opened;
  say({ kind: "ready", engine: { kind: painter.graphs.backend, threads: runtime.threads } });
}
