/** Opens scenes and pictures from files. */

import type { Store } from "../store/store.ts";

export async function open(store: Store, file: File | undefined): Promise<void> {
  if (file) store.openFile(await file.arrayBuffer());
}

/** Files may be dropped anywhere on the widget. */
export function listenToFiles(root: HTMLElement, store: Store, signal: AbortSignal): void {
  for (const kind of ["dragover", "drop"] as const)
    root.addEventListener(
      kind,
      (event) => {
        if (!event.dataTransfer?.types.includes("Files")) return;
        event.preventDefault();
        event.stopPropagation();
        if (kind === "drop") void open(store, event.dataTransfer.files[0]);
      },
      { signal },
    );
}
