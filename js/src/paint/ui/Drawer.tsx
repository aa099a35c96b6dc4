/** One factor: its name, colour, features, and place in the palette. */

import { floor, max, min, round } from "../../shared/numbers.ts";
import { siteOf } from "../store/factors.ts";
import type { View } from "../store/view.ts";
import type { PartInfo, SceneInfo } from "../transport/messages.ts";
import { Field, IconButton, Slider, Swatch, submitOnEnter, TextButton, textOf } from "./controls.tsx";
import { reveal } from "./focus.ts";
import { Search } from "./Search.tsx";

export function Drawer({ view, factor, info }: { view: View; factor: number; info: SceneInfo }) {
  const { store } = view;
  const { palette, factors, pictures, thumbnails } = store;
  const nFactors = info.names.length;
  const change = (verb: string, args: object = {}, commit = true) => palette.change(verb, { factor, ...args }, commit);
  const shift = (by: number) => {
    const order = info.names.map((_, f) => f);
    order.splice(factor + by, 0, ...order.splice(factor, 1));
    palette.change("reorder", { order });
  };
  const weigh = (feature: number, weight: number, commit = true) => change("set_weight", { feature, weight }, commit);
  const name = info.names[factor];
  const solo = factors.soloIndex.value === factor;
  const only = pictures.comparison.value?.factor === factor;
  const features = info.features[factor];
  const locked = factors.locked.value.has(factor);
  const urls = thumbnails.urls.value;
  thumbnails.request(features?.map(({ icon = "" }) => icon) ?? []);
  return (
    <div class="e-drawer" data-testid="drawer" ref={reveal}>
      <form
        class="e-line"
        onKeyDown={submitOnEnter}
        onSubmit={(event) => {
          event.preventDefault();
        }}
      >
        <Field
          aria-label="Name"
          testid="name"
          data-live
          value={name ?? null}
          check={(text) =>
            text.trim()
              ? text !== name && info.names.includes(text)
                ? "Another factor has this name"
                : ""
              : "Give it a name"
          }
          onEnter={(text) => text !== name && change("rename", { name: text })}
        />
        <input
          type="color"
          aria-label="Colour"
          data-testid="color"
          value={info.colors[factor] ?? ""}
          onChange={(event) => change("recolor", { color: textOf(event) })}
        />
      </form>
      <div class="e-line">
        <IconButton
          label="Show only this factor on the grid (S)"
          testid="solo"
          isOn={solo}
          onClick={() => factors.toggleSolo(factor)}
        />
        <IconButton
          label="Lock: no tool changes this factor (K)"
          testid="lock"
          isOn={locked}
          onClick={() => factors.toggle("locked", factor)}
        />
        <IconButton label="Move up" testid="up" disabled={!factor} onClick={() => shift(-1)} />
        <IconButton label="Move down" testid="down" disabled={factor === nFactors - 1} onClick={() => shift(1)} />
        <IconButton icon="copy" label="Duplicate" testid="duplicate" onClick={() => change("duplicate")} />
        <IconButton label="Delete; undo restores it" testid="remove" onClick={() => change("remove")} />
        {store.offers("sweep") && (
          <IconButton
            icon="lines"
            label="Draw a sheet of strengths and seeds"
            testid="sweep"
            disabled={store.files.making.value !== null}
            onClick={() => store.files.want("sweep", factor)}
          />
        )}
      </div>
      <ul aria-label="Features">
        {features?.map((part) => (
          <Part key={part.feature} part={part} url={urls[part.icon ?? ""]} weigh={weigh} />
        ))}
      </ul>
      <div class="e-line">
        {store.panel === "all" && (
          <TextButton
            title="Show the picture with only the strongest feature of this factor"
            testid="top-only"
            isOn={only}
            disabled={(features?.length ?? 0) < 2}
            onClick={() => pictures.compare(only ? null : factor)}
          >
            Only the top feature
          </TextButton>
        )}
        <span class="e-gap" />
        <TextButton
          title="Restore the features and weights of the analysis"
          testid="reset"
          disabled={!info.analysed[factor]}
          onClick={() => change("reset_weights")}
        >
          Reset
        </TextButton>
      </div>
      <Search
        view={view}
        where="drawer"
        site={siteOf(info, factor)}
        label="Add a feature to this factor"
        onPick={({ feature }) => weigh(feature, 1)}
      />
    </div>
  );
}

function Part({
  part: { feature, label, weight, share, icon, mark, about },
  url,
  weigh,
}: {
  part: PartInfo;
  url: string | undefined;
  weigh: (feature: number, weight: number, commit?: boolean) => void;
}) {
  const name = label || `feature ${feature}`;
  return (
    <li class="e-part">
      {icon && <Swatch url={url} testid={`part-${feature}`} />}
      <span
        class="e-label"
        title={[`${name}, feature ${feature}, ${(100 * share).toFixed(1)} % of the factor`, about]
          .filter(Boolean)
          .join("\n")}
      >
        {label} <small>#{feature}</small>
      </span>
      <small>{round(100 * share)} %</small>
      <Slider
        label={`Weight of ${name}; 1 is its typical activation`}
        testid={`weight-${feature}`}
        value={weight}
        min={min(0, floor(weight))}
        max={max(2, Math.ceil(weight))}
        step={0.01}
        resetTo={1}
        text={weight.toFixed(2)}
        onInput={(value) => weigh(feature, value, false)}
        onCommit={(value) => weigh(feature, value)}
      />
      <IconButton
        icon="close"
        label={`Remove ${name}`}
        testid={`remove-${feature}`}
        onClick={() => weigh(feature, 0)}
      />
      {mark && <small class="e-mark">{mark}</small>}
    </li>
  );
}
