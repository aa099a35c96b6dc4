import { useEffect, useRef } from "preact/hooks";
import { listenToKeys } from "../keys.ts";
import type { View } from "../view.ts";
import { DrawForm } from "./DrawForm.tsx";
import { Footer, Notice } from "./Footer.tsx";
import { Brush, Palette, Tools } from "./Panel.tsx";
import { Stage } from "./Stage.tsx";

export function App({ view }: { view: View }) {
  const { store } = view;
  const root = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const stop = new AbortController();
    const grid = root.current?.querySelector<HTMLElement>(".e-grid");
    if (root.current && grid) listenToKeys(root.current, grid, view, stop.signal);
    return () => stop.abort();
  }, [view]);
  const frame = store.picture.value?.frame;
  return (
    <div
      ref={root}
      class="ember-paint"
      data-testid="ember-paint"
      data-seq={store.shownSeq.value}
      data-kind={frame?.kind ?? "final"}
      data-busy={store.task.value !== ""}
      data-revision={store.info.value?.revision ?? ""}
      data-lm-suppress-shortcuts
    >
      <div class="e-card">
        <DrawForm store={store} />
        <div class={view.sideBySide.value ? "e-body e-body-beside" : "e-body"}>
          <Stage view={view} />
          <div class="e-panel">
            <div class="e-hand">
              <Tools store={store} />
              <Brush store={store} />
            </div>
            <Palette store={store} view={view} />
          </div>
        </div>
        <Notice view={view} />
        <Footer view={view} />
      </div>
    </div>
  );
}
