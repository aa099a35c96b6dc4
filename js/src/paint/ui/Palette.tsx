/** The palette: a row per factor, and a way to more of them. */

import { max } from "../../shared/numbers.ts";
import { put } from "../../shared/signals.ts";
import type { Store } from "../store/store.ts";
import type { View } from "../store/view.ts";
import { siteOf } from "../transport/messages.ts";
import { Button, IconButton, pickFile, Slider, Swatch } from "./controls.tsx";
import { Drawer } from "./Drawer.tsx";
import { Icon } from "./icons.tsx";
import { Search } from "./Search.tsx";

export function Palette({ view }: { view: View }) {
  const { store } = view;
  const info = store.info.val;
  if (!info) return <div class="e-palette" />;
  return (
    <div class="e-factors">
      {!info.names.length && (
        <p class="e-empty">Nothing to paint with yet. Draw a scene, or add a feature by its label or number.</p>
      )}
      <ul class="e-palette" aria-label="Factors">
        {info.names.map((name, factor) => (
          <Row key={factor} view={view} name={name} factor={factor} />
        ))}
      </ul>
      <Search
        view={view}
        where="palette"
        label="Add a feature, or fetch concepts of a prompt"
        hint="Add: a feature, or a prompt’s concepts"
        onFetch={(prompt) => store.palette.lend(prompt)}
        onPick={({ feature, label }) =>
          store.palette.change("add_factor", { features: { [feature]: 1 }, name: label || null })
        }
      />
      <Lender store={store} />
    </div>
  );
}

/** Factors of another picture, to be borrowed by a click. */
function Lender({ store: { palette } }: { store: Store }) {
  const loan = palette.loan.val;
  const fetching = palette.fetching.val;
  return (
    <section class="e-lender" aria-label="Concepts to borrow">
      <div class="e-line">
        <span class="e-name e-label" role="status" data-testid="lender">
          {fetching ? `Looking at “${fetching}”…` : loan ? `From ${loan.name}` : "From another scene"}
        </span>
        <span class="e-gap" />
        <IconButton
          icon="open"
          label="Open a scene to borrow its factors"
          testid="borrow-open"
          onClick={() => pickFile(async (file) => palette.lend("", file.name, [await file.arrayBuffer()]))}
        />
        {loan && <IconButton icon="close" label="Close" testid="lender-close" onClick={() => palette.lend("")} />}
      </div>
      {loan && (
        <ul>
          {loan.factors.map(({ name, color, icon, label }) => (
            <li key={name} style={{ "--color": color }}>
              <Button
                class="e-factor"
                title={label ? `Borrow ${name}: ${label}` : `Borrow ${name}`}
                testid={`borrow-${name}`}
                onClick={() => palette.change("borrow", { factor: name })}
              >
                <Swatch address={palette.icons.val[icon]} />
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
  const info = store.info.val;
  const picked = store.factor.val === factor;
  const site = info && siteOf(info, factor);
  const hidden = store.hidden.val.has(factor);
  const open = view.drawer.val === factor;
  const gain = store.gains.val[factor] ?? 1;
  const icon = store.palette.icons.val[info?.icons[factor] ?? ""];
  const seen = max(1, info?.seen[factor] ?? 1);
  const most = store.peaks.val[factor] ?? 0;
  const solo = (on: boolean) => put(view.solo, on ? factor : null);
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
        onClick={put(store.factor, factor)}
      >
        <Swatch address={icon} testid={`icon-${factor}`} />
        <span class="e-label">
          {name}
          {site && <small class="e-site">{site}</small>}
        </span>
        {store.locked.val.has(factor) && <Icon name="lock" />}
      </Button>
      <Slider
        label={`Strength of ${name}`}
        testid={`strength-${factor}`}
        value={gain}
        min={0}
        max={2}
        step={0.01}
        rest={1}
        text={gain.toFixed(2)}
        mark={seen / most}
        disabled={store.film.val.frozen}
        // A little room: painting at 1.0 and rounding are no reason for a warning.
        warn={gain * most > 1.05 * seen && "Stronger than the model made it itself: expect surprises"}
        onInput={(value) => store.setGain(factor, value, false)}
        onCommit={(value) => store.setGain(factor, value, true)}
      />
      <IconButton
        icon={hidden ? "eyeOff" : "eye"}
        class="e-button e-square e-eye"
        title={hidden ? "Show on the grid (H)" : "Hide on the grid (H)"}
        label={`Show ${name} on the grid`}
        isOn={!hidden}
        testid={`eye-${factor}`}
        onClick={() => store.toggle("hidden", factor)}
      />
      <IconButton
        icon="more"
        class="e-button e-more"
        title="Name, colour, features"
        label={`More about ${name}`}
        aria-expanded={open}
        testid={`more-${factor}`}
        onClick={() => {
          store.compareTop(null);
          view.drawer.val = open ? null : factor;
        }}
      />
      {open && info && <Drawer view={view} factor={factor} info={info} />}
    </li>
  );
}
