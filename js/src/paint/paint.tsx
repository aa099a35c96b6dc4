/** The anywidget module of PaintWidget: one store per model, one view per place it is shown. */
import { render as mount } from "preact";
import { Store } from "./store/store.ts";
import { App } from "./ui/App.tsx";
import { loadPanels } from "./ui/load_panels.ts";
import "../shared/live.ts";
import { View } from "./store/view.ts";
import type { Model } from "./transport/messages.ts";

export default () => {
  // The store is kept here and not in the module, because some front ends evaluate the module once for all widgets.
  let store: Store;
  return {
    initialize({ model }: { model: Model }) {
      store = new Store(model, {
        client: crypto.randomUUID?.() ?? String(Math.random()).slice(2),
        clock: {
          now: () => performance.now(),
          setTimeout: (callback, ms) => window.setTimeout(callback, ms),
          clearTimeout: (timer) => window.clearTimeout(timer as number),
        },
        decode: (bytes) => createImageBitmap(new Blob([bytes as BlobPart])),
        loadPanels,
        save: (name, type, bytes) => {
          const link = document.createElement("a");
          link.href = URL.createObjectURL(new Blob([bytes as BlobPart], { type }));
          link.download = name;
          link.click();
          setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
        },
      });
      store.open();
      return () => store.close();
    },
    render({ el }: { el: HTMLElement }) {
      const view = new View(store);
      mount(<App view={view} el={el} />, el);
      const close = store.addView();
      return () => {
        mount(null, el);
        close();
      };
    },
  };
};
