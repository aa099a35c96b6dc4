/** What lies over the widget for a while: the program, a sheet of pictures. */
import type { Files } from "../files.ts";
import { IconButton } from "./controls.tsx";

export function Program({ files }: { files: Files }) {
  const program = files.program.val;
  if (program === null) return null;
  return (
    <section class="e-keys e-program" aria-label="What was done, as Python">
      <IconButton
        icon="close"
        label="Close"
        testid="program-close"
        onClick={() => {
          files.program.val = null;
        }}
      />
      <textarea readOnly spellcheck={false} aria-label="Python" data-testid="program" value={program} />
      <button
        type="button"
        class="e-primary"
        data-testid="copy"
        onClick={(event) => {
          // Without the clipboard's permission the selection is there to be copied by hand.
          event.currentTarget.parentElement?.querySelector("textarea")?.select();
          void navigator.clipboard?.writeText(program).catch(() => {});
        }}
      >
        Copy
      </button>
    </section>
  );
}

export function Sheet({ files }: { files: Files }) {
  const sheet = files.sheet.val;
  if (!sheet) return null;
  return (
    <section class="e-keys e-program" aria-label="Strengths and seeds">
      <IconButton icon="close" label="Close" testid="sheet-close" onClick={() => files.closeSheet()} />
      <img class="e-sheet" src={sheet.address} alt={sheet.name} data-testid="sheet" />
      <button type="button" class="e-primary" data-testid="sheet-save" onClick={sheet.keep}>
        Save
      </button>
    </section>
  );
}
