/** Beside the picture: the tools, and how the one in hand is set. */

import { into, put, type Signal } from "../../shared/signals.ts";
import { MAX_BRUSH } from "../store/settings.ts";
import type { Store } from "../store/store.ts";
import type { View } from "../store/view.ts";
import { TOOLS, type ToolName } from "../tools/index.ts";
import { AREAS } from "../tools/shapes.ts";
import { Button, Check, Choice, IconButton, Slider, TextButton } from "./controls.tsx";

export function Tools({ view }: { view: View }) {
  const { store } = view;
  const picked = store.tool.val;
  return (
    <div class="e-tools" role="toolbar" aria-label="Tools">
      {Object.entries(TOOLS).map(([name, { label, key }]) => (
        <IconButton
          key={name}
          icon={name as ToolName}
          label={`${label} (${key})`}
          testid={`tool-${name}`}
          isOn={picked === name}
          onClick={put(store.tool, name as ToolName)}
        />
      ))}
    </div>
  );
}

const MODES = [
  ["over", "Cover", "Paint covers what was there"],
  ["add", "Add", "Paint joins what was there"],
] as const;
const SCOPES = [
  ["all", "All", "Erase all factors"],
  ["one", "This factor", "Erase only the picked factor"],
] as const;

export function Brush({ store }: { store: Store }) {
  const { label, hint, uses, act } = TOOLS[store.tool.val];
  const used = (setting: (typeof uses)[number]) => uses.includes(setting);
  const slider = (
    name: string,
    title: string,
    testid: string,
    value: Signal<number>,
    [min, max, step, rest]: readonly [number, number, number, number],
  ) => [
    <span class="e-name">{name}</span>,
    <Slider
      label={title}
      testid={testid}
      value={value.val}
      min={min}
      max={max}
      step={step}
      rest={rest}
      text={step === 1 ? `${value.val}` : value.val.toFixed(2)}
      onInput={into(value)}
    />,
  ];
  return (
    <div class="e-brush" data-tool={store.tool.val}>
      <p class="e-hint">
        <b>{label}</b> {hint}
      </p>
      {used("size") &&
        slider("Size", "Brush size in patches ([ and ])", "brush-size", store.size, [1, MAX_BRUSH, 1, 2])}
      {used("strength") &&
        slider(
          "Strength",
          "Brush strength; 1 is as strong as the model itself makes it",
          "brush-strength",
          store.strength,
          [0, 2, 0.05, 1],
        )}
      {used("opacity") &&
        slider("Opacity", "How much of a stroke counts", "brush-opacity", store.opacity, [0.05, 1, 0.05, 1])}
      {used("gain") &&
        slider("Times", "What a stroke multiplies the factor by", "brush-gain", store.gain, [0, 2, 0.05, 1.25])}
      <div class="e-options">
        {used("mode") && (
          <Choice
            label="How paint meets what is there"
            testid="mode"
            value={store.mode.val}
            options={MODES}
            onChoose={into(store.mode)}
          />
        )}
        {used("scope") && (
          <Choice
            label="What the eraser takes"
            testid="erase-scope"
            value={store.eraseOnlyFactor.val ? "one" : "all"}
            options={SCOPES}
            onChoose={(scope) => {
              store.eraseOnlyFactor.val = scope === "one";
            }}
          />
        )}
        {used("soft") && (
          <Check label="Soft edge" testid="soft" title="Strokes fade out at their edge" value={store.soft} />
        )}
        {used("heal") && (
          <Check label="Fill in" testid="heal" title="Fill what is uncovered from around it" value={store.heal} />
        )}
        <fieldset class="e-areas" aria-label={act ? `${label} an area` : "Select an area"}>
          {Object.entries(AREAS).map(([name, mask]) => (
            <Button
              key={name}
              class={`e-area e-area-${name}`}
              title={`${act ? label : "Select"}: ${name}`}
              aria-label={name}
              testid={`area-${name}`}
              onClick={() => store.useOn(mask)}
            />
          ))}
        </fieldset>
        {store.selection.val && (
          <TextButton title="Let go of the selection (Esc)" testid="deselect" onClick={put(store.selection, null)}>
            Deselect
          </TextButton>
        )}
      </div>
    </div>
  );
}
