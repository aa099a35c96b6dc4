/** Beside the picture: the tools and the palette. */

import type { View } from "../store/view.ts";
import { Palette } from "./Palette.tsx";
import { Brush, Tools } from "./Tools.tsx";

export function Side({ view }: { view: View }) {
  return (
    <>
      {view.store.panel === "all" && (
        <div class="e-controls">
          <Tools view={view} />
          <Brush store={view.store} />
        </div>
      )}
      <Palette view={view} />
    </>
  );
}
