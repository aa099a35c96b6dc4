/** What lies over the widget for a while: the program, a sheet of pictures. */

import { put } from "../../shared/signals.ts";
import { Button, Over } from "./controls.tsx";
import type { Files } from "./files.ts";

export function Program({ files }: { files: Files }) {
  const program = files.program.val;
  if (program === null) return null;
  return (
    <Over label="What was done, as Python" testid="program" class="e-program" onClose={put(files.program, null)}>
      <textarea readOnly spellcheck={false} aria-label="Python" data-testid="program" value={program} />
      <Button
        class="e-primary"
        testid="copy"
        onClick={(event) => {
          // Without the clipboard's permission the selection is there to be copied by hand.
          event.currentTarget.parentElement?.querySelector("textarea")?.select();
          void navigator.clipboard?.writeText(program).catch(() => {});
        }}
      >
        Copy
      </Button>
    </Over>
  );
}

export function Sheet({ files }: { files: Files }) {
  const sheet = files.sheet.val;
  if (!sheet) return null;
  return (
    <Over label="Strengths and seeds" testid="sheet" class="e-program" onClose={put(files.sheet, null)}>
      <img class="e-sheet" src={sheet.address} alt={sheet.name} data-testid="sheet" />
      <Button class="e-primary" testid="sheet-save" onClick={sheet.keep}>
        Save
      </Button>
    </Over>
  );
}
