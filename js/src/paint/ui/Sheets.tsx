/** Sheets over the widget: the program, a sheet of pictures. */

import { put } from "../../shared/signals.ts";
import type { View } from "../store/view.ts";
import { Button, Over } from "./controls.tsx";

export function Program({ view }: { view: View }) {
  const { files } = view.store;
  const program = files.program.value;
  if (program === null) return null;
  return (
    <Over label="The edits as Python" testid="program" class="e-program" onClose={put(files.program, null)}>
      <textarea readOnly spellcheck={false} aria-label="Python" data-testid="program" value={program} />
      <Button
        class="e-primary"
        testid="copy"
        onClick={(event) => {
          // Without permission for the clipboard, the user can still copy the selected text.
          event.currentTarget.parentElement?.querySelector("textarea")?.select();
          void navigator.clipboard?.writeText(program).catch(() => {});
        }}
      >
        Copy
      </Button>
    </Over>
  );
}

export function Sheet({ view }: { view: View }) {
  const { files } = view.store;
  const sheet = files.sheet.value;
  if (!sheet) return null;
  return (
    <Over label="Strengths and seeds" testid="sheet" class="e-program" onClose={put(files.sheet, null)}>
      <img class="e-sheet" src={sheet.url} alt={sheet.name} data-testid="sheet" />
      <Button class="e-primary" testid="sheet-save" onClick={sheet.keep}>
        Save
      </Button>
    </Over>
  );
}
