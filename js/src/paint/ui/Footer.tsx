/** What is going on: time of the last picture, what lies under the pointer, faults and how to go on. */

import { abs, round } from "../../shared/numbers.ts";
import { into, toggle } from "../../shared/signals.ts";
import { colOf, rowOf } from "../store/grid.ts";
import { OPACITY, type View } from "../store/view.ts";
import { patchAt } from "../tools/brush.ts";
import { Button, IconButton, Slider } from "./controls.tsx";

export function Footer({ view }: { view: View }) {
  return (
    <footer class="e-footer">
      <Status view={view} />
      <Under view={view} />
      <span class="e-gap" />
      <IconButton
        icon="layers"
        label="Show the factors over the picture"
        testid="overlay-toggle"
        isOn={view.overlay.val || view.sideBySide.val}
        disabled={view.sideBySide.val}
        onClick={toggle(view.overlay)}
      >
        Overlay
      </IconButton>
      <Slider
        label="Opacity of the overlay"
        testid="overlay-opacity"
        value={view.opacity.val}
        min={0.1}
        max={1}
        step={0.05}
        rest={OPACITY}
        text={`${round(100 * view.opacity.val)} %`}
        disabled={view.sideBySide.val}
        onInput={into(view.opacity)}
      />
      <IconButton label="Grid lines" testid="lines" isOn={view.lines.val} onClick={toggle(view.lines)} />
      <IconButton
        icon="beside"
        label="Show the grid beside the picture"
        testid="side-by-side"
        isOn={view.sideBySide.val}
        onClick={toggle(view.sideBySide)}
      >
        Side by side
      </IconButton>
      <Slider
        label="Size of the picture in pixels of the screen"
        testid="zoom"
        value={view.zoom.val ?? 512}
        min={256}
        max={1024}
        step={16}
        rest={512}
        text={`${view.zoom.val ?? 512} px`}
        disabled={view.sideBySide.val}
        onInput={(value) => {
          view.zoom.val = value === 512 ? null : value;
        }}
      />
      <IconButton label="Keys (?)" testid="help" isOn={view.help.val} onClick={toggle(view.help)} />
    </footer>
  );
}

// Apart from the rest, which need not be drawn again with every picture and every move of the pointer.
function Status({ view }: { view: View }) {
  const { task, lost, error } = view.store;
  const mood = lost.val ? "lost" : error.val ? "fault" : task.val ? "busy" : "idle";
  return (
    <span class="e-status" data-testid="status" data-mood={mood} role="status">
      <i class="e-dot" />
      {statusText(view, mood)}
    </span>
  );
}

const Under = ({ view }: { view: View }) => <span class="e-under">{underPointer(view)}</span>;

function statusText(view: View, mood: "lost" | "fault" | "busy" | "idle"): string {
  const { store } = view;
  const frame = store.pictures.picture.val?.frame;
  if (store.film.val.frozen) return "Saved page";
  if (mood === "lost") return "No kernel";
  if (mood === "fault") return "Not drawn";
  if (store.task.val === "draw") return store.info.val ? "Drawing a new scene" : "Opening the model";
  const steps = store.info.val?.n_steps ?? 1;
  if (frame) return `${round(frame.ms)} ms · ${steps > 1 ? `${steps} steps · ` : ""}${frame.kind}`;
  if (mood === "busy") return "Rendering";
  return store.info.val ? "Ready" : "Connecting";
}

function underPointer(view: View): string {
  const { store } = view;
  const aim = view.aim;
  const patch = aim && patchAt(aim);
  const info = store.info.val;
  if (patch === null || !info) return "";
  const { strengths, nFactors } = store.layers.val;
  let [best, most] = [-1, 0.05];
  for (let f = 0; f < nFactors; f++) {
    const strength = (strengths[patch * nFactors + f] ?? 0) * (store.gains.val[f] ?? 1);
    if (abs(strength) > abs(most)) [best, most] = [f, strength];
  }
  const place = `${rowOf(patch)}, ${colOf(patch)}`;
  return best < 0 ? place : `${place}  ${info.names[best]} ${most.toFixed(2)}`;
}

export function Notice({ view }: { view: View }) {
  const { store } = view;
  const open = view.details.val;
  if (store.lost.val)
    return (
      <div class="e-notice" role="alert" data-testid="lost">
        <p>Kernel gone, or too busy to answer. Re-run the cell; if another one runs, wait for it first.</p>
      </div>
    );
  const error = store.error.val;
  if (!error) return null;
  return (
    <div class="e-notice e-bad" role="alert" data-testid="error">
      <p>{error.message}</p>
      <div class="e-actions">
        {error.traceback && (
          <Button testid="error-details" aria-expanded={open} onClick={toggle(view.details)}>
            {open ? "Hide details" : "Details"}
          </Button>
        )}
        <Button testid="retry" onClick={() => store.retry()}>
          Retry
        </Button>
      </div>
      {open && <pre>{error.traceback}</pre>}
    </div>
  );
}
