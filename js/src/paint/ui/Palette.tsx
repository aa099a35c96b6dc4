/** The palette: a row per factor, and ways to add factors. */

import { max } from "../../shared/numbers.ts";
import { put } from "../../shared/signals.ts";
import { siteOf } from "../store/factors.ts";
import { MAX_GAIN } from "../store/settings.ts";
import type { Store } from "../store/store.ts";
import type { View } from "../store/view.ts";
import { Button, IconButton, pickFile, Slider, Swatch } from "./controls.tsx";
import { Drawer } from "./Drawer.tsx";
import { reveal } from "./focus.ts";
import { Icon } from "./icons.tsx";
import { Search } from "./Search.tsx";
import { StepBar } from "./StepBar.tsx";

export function Palette({ view }: { view: View }) {
  const { store } = view;
  const info = store.painting.info.value;
  if (!info) return <div class="e-palette" />;
  return (
    <div class="e-factors">
      {!info.names.length && (
        <p class="e-empty">The palette is empty. Draw a scene, or add a feature by its label or number.</p>
      )}
      <ul class="e-palette" aria-label="Factors">
        {info.names.map((name, factor) => (
          <Row key={store.factors.keys.value[factor]} view={view} name={name} factor={factor} />
        ))}
      </ul>
      <Search
        view={view}
        where="palette"
        label="Add a feature or a concept, or borrow the factors of a prompt"
        hint="Add a feature, or a prompt’s factors"
        onFetch={(prompt) => store.palette.borrowFrom(prompt)}
        onConcept={({ concept }) => store.palette.add("add_concept", { concept })}
        onPick={({ feature, label }) =>
          store.palette.add("add_factor", { features: { [feature]: 1 }, name: label || null })
        }
      />
      <Source store={store} />
    </div>
  );
}

/** Factors of another scene; a click borrows one. */
function Source({ store: { palette, thumbnails } }: { store: Store }) {
  const source = palette.source.value;
  const fetching = palette.fetching.value;
  return (
    <section class="e-source" aria-label="Factors to borrow">
      <div class="e-line">
        <span class="e-name e-label" role="status" data-testid="source">
          {fetching ? `Looking at “${fetching}”…` : source ? `From ${source.name}` : "From another scene"}
        </span>
        <span class="e-gap" />
        <IconButton
          icon="open"
          label="Open a scene and borrow its factors"
          testid="borrow-open"
          onClick={() => pickFile(async (file) => palette.borrowFrom("", file.name, [await file.arrayBuffer()]))}
        />
        {source && (
          <IconButton icon="close" label="Close" testid="source-close" onClick={() => palette.borrowFrom("")} />
        )}
      </div>
      {source && (
        <ul ref={reveal}>
          {source.factors.map(({ name, color, icon, label }) => (
            <li key={name} style={{ "--color": color }}>
              <Button
                class="e-factor"
                title={label ? `Borrow ${name}: ${label}` : `Borrow ${name}`}
                testid={`borrow-${name}`}
                onClick={() => palette.add("borrow", { factor: name })}
              >
                <Swatch url={thumbnails.urls.value[icon]} />
                <span class="e-label">{name}</span>
              </Button>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function Row({ view, name, factor }: { view: View; name: string; factor: number }) {
  const { store } = view;
  const info = store.painting.info.value;
  const picked = store.factors.picked.value === factor;
  const site = info && siteOf(info, factor);
  const hidden = store.factors.hidden.value.has(factor);
  const key = store.factors.keys.value[factor] ?? null;
  const open = key !== null && view.drawer.value === key;
  const gain = store.painting.gains.value[factor] ?? 1;
  const icon = store.thumbnails.urls.value[info?.icons[factor] ?? ""];
  const seen = max(1, info?.seen[factor] ?? 1);
  const most = store.painting.peaks.value[factor] ?? 0;
  const solo = (on: boolean) => put(view.solo, on ? key : null);
  return (
    <li
      class={picked ? "e-row e-picked" : "e-row"}
      style={{ "--color": info?.colors[factor] ?? "#888" }}
      onPointerEnter={(event) => event.pointerType === "mouse" && solo(true)()}
      onPointerLeave={solo(false)}
    >
      <Button
        class="e-factor"
        isOn={picked}
        title={factor < 9 ? `${name} (${factor + 1})` : name}
        testid={`factor-${factor}`}
        onClick={() => store.factors.pick(factor)}
      >
        <Swatch url={icon} testid={`icon-${factor}`} />
        <span class="e-label">
          {name}
          {site && <small class="e-site">{site}</small>}
        </span>
        {store.factors.locked.value.has(factor) && <Icon name="lock" />}
      </Button>
      <Slider
        label={`Strength of ${name}`}
        testid={`strength-${factor}`}
        value={gain}
        min={0}
        max={MAX_GAIN}
        step={0.01}
        resetTo={1}
        text={gain.toFixed(2)}
        mark={seen / most}
        disabled={store.status.frozen.value || store.status.gone.value}
        // The margin avoids a warning for a stroke at 1.0 and for rounding.
        warn={gain * most > 1.05 * seen && "Stronger than the model itself made it: the picture may break"}
        onInput={(value) => store.painting.setGain(factor, value, false)}
        onCommit={(value) => store.painting.setGain(factor, value, true)}
      />
      {info && info.n_steps > 1 && <StepBar view={view} factor={factor} info={info} />}
      <IconButton
        icon={hidden ? "eyeOff" : "eye"}
        class="e-button e-square e-eye"
        title={hidden ? "Show on the grid (H)" : "Hide on the grid (H)"}
        label={`Show ${name} on the grid`}
        isOn={!hidden}
        testid={`eye-${factor}`}
        onClick={() => store.factors.toggle("hidden", factor)}
      />
      <IconButton
        icon="more"
        class="e-button e-more"
        title="Name, colour, features"
        label={`More about ${name}`}
        aria-expanded={open}
        testid={`more-${factor}`}
        onClick={() => {
          store.pictures.compare(null);
          view.drawer.value = open ? null : key;
        }}
      />
      {open && info && <Drawer view={view} factor={factor} info={info} />}
    </li>
  );
}
