/** The palette: a row per factor. */
import { PATCHES } from "../grid.ts";
import type { Store } from "../store.ts";
import type { View } from "../view.ts";
import { Slider } from "./controls.tsx";
import { Icon } from "./icons.tsx";

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
        onClick={() => store.toggle("hidden", factor)}
      >
        <Icon name={hidden ? "eyeOff" : "eye"} />
      </button>
    </li>
  );
}
