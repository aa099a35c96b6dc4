/** The time of the last picture, the factor under the pointer, and errors. */

import { round } from "../../shared/numbers.ts";
import { put, toggle } from "../../shared/signals.ts";
import { colOf, rowOf } from "../store/grid.ts";
import type { Store } from "../store/store.ts";
import type { View } from "../store/view.ts";
import { patchAt } from "../tools/brush.ts";
import { Button } from "./button.tsx";
import { reveal } from "./focus.ts";
import { Late } from "./Late.tsx";

export function Footer({ view }: { view: View }) {
  return (
    <footer class="e-footer">
      <Status view={view} />
      <Under view={view} />
      <Late part="ViewControls" view={view} quiet />
    </footer>
  );
}

// A component of its own, so that the footer is not redrawn with every picture and every move of the pointer.
function Status({ view }: { view: View }) {
  const { task, lost, error, reconnecting } = view.store.status;
  const away = reconnecting.value ? "away" : "";
  const state = lost.value ? "lost" : away || (error.value ? "error" : task.value ? "busy" : "idle");
  return (
    <span class="e-status" data-testid="status" data-state={state} role="status">
      <i class="e-dot" />
      {statusText(view, state)}
    </span>
  );
}

const Under = ({ view }: { view: View }) => <span class="e-under">{underPointer(view)}</span>;

function statusText(view: View, state: "lost" | "away" | "error" | "busy" | "idle"): string {
  const { store } = view;
  const frame = store.pictures.picture.value?.frame;
  if (store.status.frozen.value) return "Saved page";
  if (state === "lost") return store.status.gone.value ? "No kernel" : "Waiting for the kernel";
  if (state === "away") return "Reconnecting";
  if (state === "error") return "Not done";
  if (store.status.task.value === "draw")
    return store.painting.info.value ? "Drawing a new scene" : "Opening the model";
  const steps = store.painting.info.value?.n_steps ?? 1;
  if (frame) return `${round(frame.ms)} ms · ${steps > 1 ? `${steps} steps · ` : ""}${frame.kind}`;
  if (state === "busy") return "Rendering";
  return store.painting.info.value ? "Ready" : "Connecting";
}

function underPointer(view: View): string {
  const { target } = view;
  const { grid } = view.store.painting;
  const patch = target && patchAt(grid, target);
  return patch === null ? "" : `${rowOf(grid, patch)}, ${colOf(grid, patch)}  ${view.factorAt(patch)}`;
}

export function Notice({ view }: { view: View }) {
  const { store } = view;
  const open = view.details.value;
  if (store.status.lost.value) {
    const n = store.nUnsaved;
    return (
      <div class="e-notice" role="alert" data-testid="lost">
        <p>
          {store.status.gone.value
            ? "The kernel is gone. Save"
            : "The kernel is busy with another cell, or gone. The widget goes on by itself when it is free. If no cell is running: save"}{" "}
          the painting, re-run the cell, and open the file there.
          {n > 0 && ` The last ${n > 1 ? `${n} strokes are` : "stroke is"} not in it.`}
        </p>
        {store.pictures.file.value && (
          <div class="e-actions">
            <Button testid="lost-save" onClick={() => store.savePainting()}>
              Save
            </Button>
          </div>
        )}
      </div>
    );
  }
  const error = store.status.error.value;
  const { notice, link } = store.clipboard;
  if (!error && store.status.reconnecting.value)
    return (
      <div class="e-notice e-said" role="status" data-testid="reconnecting">
        <p>Reconnecting to the server. Paint on: nothing is lost, and the picture follows when it is back.</p>
      </div>
    );
  if (!error)
    return notice.value ? (
      <div class="e-notice e-said" role="status" data-testid="notice">
        <p>{notice.value}</p>
        <div class="e-actions">
          {link.value && (
            <a href={link.value} target="_blank" rel="noopener noreferrer" data-testid="notice-link">
              Open the gallery
            </a>
          )}
          <Button testid="notice-close" onClick={put(notice, "")}>
            Close
          </Button>
        </div>
      </div>
    ) : null;
  return (
    <div class="e-notice e-bad" role="alert" data-testid="error">
      <p>{error.message}</p>
      <div class="e-actions">
        {error.traceback && (
          <Button testid="error-details" aria-expanded={open} onClick={toggle(view.details)}>
            {open ? "Hide details" : "Details"}
          </Button>
        )}
        {error.retry ? (
          <Button testid="retry" onClick={() => store.retry()}>
            Retry
          </Button>
        ) : (
          <Button testid="error-close" onClick={put(store.status.error, null)}>
            Close
          </Button>
        )}
      </div>
      {open && <pre ref={reveal}>{error.traceback}</pre>}
    </div>
  );
}

/** Offers to undo what has just replaced the painting. */
export function Replaced({ store: { history, status } }: { store: Store }) {
  if (!history.hasReplaced.value || status.frozen.value) return null;
  return (
    <div class="e-notice" role="alert" data-testid="replaced" ref={reveal}>
      <p>Another picture has replaced your painting.</p>
      <div class="e-actions">
        <Button testid="replaced-undo" onClick={() => history.undo()}>
          Undo
        </Button>
      </div>
    </div>
  );
}
