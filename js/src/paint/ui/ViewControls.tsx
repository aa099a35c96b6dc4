/** How the picture is shown: the overlay, grid lines, the grid beside it, its size; and the list of keys. */

import { round } from "../../shared/numbers.ts";
import { into, toggle } from "../../shared/signals.ts";
import { OPACITY, type View } from "../store/view.ts";
import { IconButton, Slider } from "./controls.tsx";

export function ViewControls({ view }: { view: View }) {
  return (
    <div class="e-view">
      <span class="e-gap" />
      <IconButton
        icon="layers"
        label="Show the factors over the picture"
        testid="overlay-toggle"
        isOn={view.overlay.value || view.sideBySide.value}
        disabled={view.sideBySide.value}
        onClick={toggle(view.overlay)}
      >
        Overlay
      </IconButton>
      <Slider
        label="Opacity of the overlay"
        testid="overlay-opacity"
        value={view.opacity.value}
        min={0.1}
        max={1}
        step={0.05}
        resetTo={OPACITY}
        text={`${round(100 * view.opacity.value)} %`}
        disabled={view.sideBySide.value}
        onInput={into(view.opacity)}
      />
      <IconButton label="Grid lines" testid="lines" isOn={view.lines.value} onClick={toggle(view.lines)} />
      <IconButton
        icon="beside"
        label="Show the grid beside the picture"
        testid="side-by-side"
        isOn={view.sideBySide.value}
        onClick={toggle(view.sideBySide)}
      >
        Side by side
      </IconButton>
      <Slider
        label="Largest width of the picture in pixels"
        testid="zoom"
        value={view.zoom.value ?? 512}
        min={256}
        max={1024}
        step={16}
        resetTo={512}
        text={`≤ ${view.zoom.value ?? 512}`}
        disabled={view.sideBySide.value}
        onInput={(value) => {
          view.zoom.value = value === 512 ? null : value;
        }}
      />
      <IconButton label="Keys (?)" testid="help" isOn={view.help.value} onClick={toggle(view.help)} />
    </div>
  );
}
