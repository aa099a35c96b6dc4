/** The tools, and the settings of the current tool. */

import type { Signal } from "@preact/signals-core";
import { into, put } from "../../shared/signals.ts";
import { MAX_BRUSH } from "../store/settings.ts";
import type { Store } from "../store/store.ts";
import type { View } from "../store/view.ts";
import { areasOf } from "../tools/areas.ts";
import { TOOLS, type ToolName } from "../tools/index.ts";
import { Button, Check, Choice, IconButton, Slider, TextButton } from "./controls.tsx";

export function Tools({ view }: { view: View }) {
  const { store } = view;
  const picked = store.settings.tool.value;
  return (
    <div class="e-tools" role="toolbar" aria-label="Tools">
      {Object.entries(TOOLS).map(([name, { label, key }]) => (
        <IconButton
          key={name}
          icon={name as ToolName}
          label={`${label} (${key})`}
          testid={`tool-${name}`}
          isOn={picked === name}
          onClick={put(store.settings.tool, name as ToolName)}
        />
      ))}
    </div>
  );
}

const MODES = [
  ["over", "Cover", "Paint replaces what was there"],
  ["add", "Add", "Paint is added to what was there"],
] as const;
const SCOPES = [
  ["all", "All", "Erase all factors"],
  ["one", "This factor", "Erase only the picked factor"],
] as const;

export function Brush({ store }: { store: Store }) {
  const { label, hint, keys, uses, act } = TOOLS[store.settings.tool.value];
  const used = (setting: (typeof uses)[number]) => uses.includes(setting);
  const slider = (
    name: string,
    title: string,
    testid: string,
    value: Signal<number>,
    [min, max, step, resetTo]: readonly [number, number, number, number],
  ) => [
    <span class="e-name">{name}</span>,
    <Slider
      label={title}
      testid={testid}
      value={value.value}
      min={min}
      max={max}
      step={step}
      resetTo={resetTo}
      text={step === 1 ? `${value.value}` : value.value.toFixed(2)}
      onInput={into(value)}
    />,
  ];
  return (
    <div class="e-brush" data-tool={store.settings.tool.value}>
      <p class="e-hint">
        <b>{label}</b> {hint} {keys && <span class="e-for-keys">{keys}</span>}
      </p>
      {used("size") &&
        slider("Size", "Brush size in patches ([ and ])", "brush-size", store.settings.size, [1, MAX_BRUSH, 1, 2])}
      {used("strength") &&
        slider(
          "Strength",
          "Strength of the paint; 1 is as strong as the model itself makes the factor",
          "brush-strength",
          store.settings.strength,
          [0, 2, 0.05, 1],
        )}
      {used("opacity") &&
        slider(
          "Opacity",
          "How much of what was there a stroke replaces",
          "brush-opacity",
          store.settings.opacity,
          [0.05, 1, 0.05, 1],
        )}
      {used("gain") &&
        slider(
          "Gain",
          "A stroke multiplies the factor by this number",
          "brush-gain",
          store.settings.gain,
          [0, 2, 0.05, 1.25],
        )}
      <div class="e-options">
        {used("mode") && (
          <Choice
            label="How paint is combined with what was there"
            testid="mode"
            value={store.settings.mode.value}
            options={MODES}
            onChoose={into(store.settings.mode)}
          />
        )}
        {used("scope") && (
          <Choice
            label="What the eraser erases"
            testid="erase-scope"
            value={store.settings.eraseOnlyFactor.value ? "one" : "all"}
            options={SCOPES}
            onChoose={(scope) => {
              store.settings.eraseOnlyFactor.value = scope === "one";
            }}
          />
        )}
        {used("soft") && (
          <Check label="Soft edge" testid="soft" title="Strokes fade out at their edge" value={store.settings.soft} />
        )}
        {used("heal") && (
          <Check
            label="Fill in"
            testid="heal"
            title="Fill the gap with the background at that height"
            value={store.settings.heal}
          />
        )}
        <fieldset class="e-areas" aria-label={act ? `${label} an area` : "Select an area"}>
          {Object.entries(areasOf(store.painting.grid)).map(([name, mask]) => (
            <Button
              key={name}
              class={`e-area e-area-${name}`}
              title={`${act ? label : "Select"}: ${name}`}
              aria-label={name}
              testid={`area-${name}`}
              onClick={() => store.stroke.useOn(mask)}
            />
          ))}
        </fieldset>
        {(store.settings.selection.value || TOOLS[store.settings.tool.value].drags) && (
          <div class="e-clipboard">
            <TextButton
              title={`Copy ${store.settings.selection.value ? "the selection" : "all edits"} (Ctrl C)`}
              testid="copy-patches"
              onClick={() => store.clipboard.copy()}
            >
              Copy
            </TextButton>
            <TextButton
              title="Paste what was copied (Ctrl V)"
              testid="paste-patches"
              disabled={!store.isEditable}
              onClick={() => store.clipboard.paste()}
            >
              Paste
            </TextButton>
            {store.settings.selection.value && (
              <TextButton
                title="Remove the selection (Esc)"
                testid="deselect"
                onClick={put(store.settings.selection, null)}
              >
                Deselect
              </TextButton>
            )}
          </div>
        )}
      </div>
    </div>
  );
}
