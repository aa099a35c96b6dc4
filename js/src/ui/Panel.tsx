/** Beside the picture: tools, brush and palette. */

import { PATCHES } from "../grid.ts";
import { MAX_BRUSH } from "../keys.ts";
import type { Store } from "../store.ts";
import type { View } from "../view.ts";
import { Choice, IconButton, Slider } from "./controls.tsx";
import { Icon } from "./icons.tsx";

export function Tools({ store }: { store: Store }) {
  const tool = store.tool.value;
  const pick = (name: typeof tool) => () => {
    store.tool.value = name;
  };
  return (
    <div class="e-tools" role="toolbar" aria-label="Tools">
      <IconButton icon="paint" label="Paint (B)" testid="tool-paint" pressed={tool === "paint"} onClick={pick("paint")}>
        Paint
      </IconButton>
      <IconButton icon="erase" label="Erase (E)" testid="tool-erase" pressed={tool === "erase"} onClick={pick("erase")}>
        Erase
      </IconButton>
      <IconButton icon="move" label="Move (M)" testid="tool-move" pressed={tool === "move"} onClick={pick("move")}>
        Move
      </IconButton>
      <span class="e-gap" />
      <IconButton
        icon="undo"
        label="Undo (Ctrl+Z)"
        testid="undo"
        disabled={!store.canUndo.value}
        onClick={() => store.undo()}
      />
      <IconButton
        icon="redo"
        label="Redo (Shift+Ctrl+Z)"
        testid="redo"
        disabled={!store.canRedo.value}
        onClick={() => store.redo()}
      />
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
  const tool = store.tool.value;
  const size = store.size.value;
  const strength = store.strength.value;
  return (
    <div class="e-brush" data-tool={tool}>
      <span class="e-name">Size</span>
      <Slider
        label="Brush size in patches ([ and ])"
        testid="brush-size"
        value={size}
        min={1}
        max={MAX_BRUSH}
        step={1}
        rest={2}
        text={`${size}`}
        disabled={tool === "move"}
        onInput={(value) => {
          store.size.value = value;
        }}
      />
      <span class="e-name">Strength</span>
      <Slider
        label="Brush strength; 1 is as strong as the model itself makes it"
        testid="brush-strength"
        value={strength}
        min={0}
        max={2}
        step={0.05}
        rest={1}
        text={strength.toFixed(2)}
        disabled={tool !== "paint"}
        onInput={(value) => {
          store.strength.value = value;
        }}
      />
      <span class="e-name">{tool === "paint" ? "Paint" : tool === "erase" ? "Erase" : "Gap"}</span>
      <div class="e-options">
        {tool === "paint" && (
          <Choice
            label="How paint meets what is there"
            testid="mode"
            value={store.mode.value}
            options={MODES}
            onChoose={(mode) => {
              store.mode.value = mode;
            }}
          />
        )}
        {tool === "erase" && (
          <Choice
            label="What the eraser takes"
            testid="erase-scope"
            value={store.eraseOnlyFactor.value ? "one" : "all"}
            options={SCOPES}
            onChoose={(scope) => {
              store.eraseOnlyFactor.value = scope === "one";
            }}
          />
        )}
        {tool !== "paint" && (
          <label class="e-check" title="Fill what is uncovered from around it">
            <input
              type="checkbox"
              data-testid="heal"
              checked={store.heal.value}
              onChange={(event) => {
                store.heal.value = event.currentTarget.checked;
              }}
            />
            Fill in
          </label>
        )}
      </div>
    </div>
  );
}

export function Palette({ store, view }: { store: Store; view: View }) {
  const info = store.info.value;
  if (!info) return <div class="e-palette" />;
  if (!info.names.length)
    return (
      <p class="e-empty">Nothing to paint with yet. Draw a scene, or add a factor in Python with scene.add_factor.</p>
    );
  return (
    <ul class="e-palette" aria-label="Factors">
      {info.names.map((name, factor) => (
        <Row key={factor} store={store} view={view} name={name} factor={factor} />
      ))}
    </ul>
  );
}

function Row({ store, view, name, factor }: { store: Store; view: View; name: string; factor: number }) {
  const info = store.info.value;
  const picked = store.factor.value === factor;
  const hidden = store.hidden.value.has(factor);
  const gain = store.gains.value[factor] ?? 1;
  const { strengths, nFactors } = store.layers.value;
  let most = 0;
  for (let p = 0; p < PATCHES; p++) most = Math.max(most, Math.abs(gain * (strengths[p * nFactors + factor] ?? 0)));
  // A little room: painting at 1.0 and rounding are no reason for a warning.
  const beyond = most > 1.05 * Math.max(1, info?.seen[factor] ?? 1);
  const solo = (on: boolean) => () => {
    view.solo.value = on ? factor : null;
  };
  return (
    <li
      class={picked ? "e-row e-picked" : "e-row"}
      style={{ "--color": info?.colors[factor] ?? "#888" }}
      onPointerEnter={(event) => event.pointerType === "mouse" && solo(true)()}
      onPointerLeave={solo(false)}
    >
      <button
        type="button"
        class="e-factor"
        aria-pressed={picked}
        title={factor < 9 ? `${name} (${factor + 1})` : name}
        data-testid={`factor-${factor}`}
        onClick={() => {
          store.factor.value = factor;
        }}
      >
        <span class="e-swatch" />
        <span class="e-label">{name}</span>
      </button>
      <Slider
        label={`Strength of ${name}`}
        testid={`strength-${factor}`}
        value={gain}
        min={0}
        max={2}
        step={0.01}
        rest={1}
        text={gain.toFixed(2)}
        warn={beyond && "Stronger than the model made it itself: expect surprises"}
        onInput={(value) => store.setGain(factor, value, false)}
        onCommit={(value) => store.setGain(factor, value, true)}
      />
      <button
        type="button"
        class="e-button e-square e-eye"
        title={hidden ? "Show on the grid" : "Hide on the grid"}
        aria-label={`Show ${name} on the grid`}
        aria-pressed={!hidden}
        data-testid={`eye-${factor}`}
        onClick={() => store.toggleHidden(factor)}
      >
        <Icon name={hidden ? "eyeOff" : "eye"} />
      </button>
    </li>
  );
}
