/** Sheets over the widget: the program, a sheet of pictures. */

import { put } from "../../shared/signals.ts";
import { saidOf } from "../store/files.ts";
import type { View } from "../store/view.ts";
import { Button, Over, TextButton } from "./controls.tsx";

export function Program({ view }: { view: View }) {
  const { files } = view.store;
  const program = files.program.value;
  if (program === null) return null;
  return (
    <Over label="The edits as Python" testid="program" class="e-program" isTitled onClose={put(files.program, null)}>
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
    <Over label="Strengths and seeds" testid="sheet" class="e-program" isTitled onClose={put(files.sheet, null)}>
      <img class="e-sheet" src={sheet.url} alt={sheet.name} data-testid="sheet" />
      <Button class="e-primary" testid="sheet-save" onClick={sheet.keep}>
        Save
      </Button>
    </Over>
  );
}

/** The way from a kept step to the one that is shown. */
export function Film({ view }: { view: View }) {
  const { files, history } = view.store;
  const film = files.film.value;
  if (!film) return null;
  return (
    <Over label="Film" testid="film" class="e-program" isTitled onClose={files.stopFilm}>
      <label class="e-line e-forms">
        From
        <select
          data-testid="film-from"
          value={film.step}
          onChange={(event) => files.wantFilm(Number(event.currentTarget.value))}
        >
          {history.filmFrom.value.map(([step, , name]) => (
            <option key={step} value={step}>
              {name}
            </option>
          ))}
        </select>
        to the step shown
      </label>
      {film.url ? (
        <img class="e-sheet e-played" src={film.url} alt="The film" data-testid="film" />
      ) : (
        <label class="e-drawing">
          {saidOf(film)}
          <progress class="e-film" data-testid="film-progress" max={film.n || 1} value={film.nDrawn} />
        </label>
      )}
      <div class="e-line e-forms">
        Save as
        {files.filmForms.map((form, i) => (
          <TextButton
            key={form}
            testid={`film-${form}`}
            disabled={!film.url}
            onClick={() => (i ? files.wantFilm(film.step, form) : film.keep?.())}
          >
            {form === "webp" ? "WebP" : form.toUpperCase().replace("APNG", "PNG")}
          </TextButton>
        ))}
      </div>
    </Over>
  );
}
