/** The panel beside the map: search, filters, details of one feature, and the features that were found or selected. */
import { render as mount } from "preact";
import { useEffect, useReducer, useRef, useState } from "preact/hooks";
import { groundOf } from "./color.ts";
import { type Ask, type Details, KEYS, type Legend, type Model, type State } from "./traits.ts";

const SEARCH_AFTER_MS = 120;

function Panel({ model, el }: { model: Model; el: HTMLElement }) {
  const [, changed] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    for (const key of KEYS) model.on(`change:${key}`, changed as () => void);
    (changed as () => void)(); // for changes between the first drawing and now
    return () => {
      for (const key of KEYS) model.off(`change:${key}`, changed as () => void);
    };
  }, [model]);
  useEffect(() => {
    const tell = () => {
      model.set("ground", groundOf(el));
      model.save_changes();
    };
    tell();
    // Front ends change their theme by attributes of the body or the root element.
    // The style sheet changes later, without an event.
    const observer = new MutationObserver(() => {
      for (const ms of [50, 400, 2000]) setTimeout(tell, ms);
    });
    for (const target of [document.body, document.documentElement]) {
      observer.observe(target, { attributes: true, attributeFilter: ["class", "style", "data-jp-theme-name"] });
    }
    return () => observer.disconnect();
  }, [model, el]);
  const get = <K extends keyof State>(key: K) => model.get(key);
  const ask = (content: Ask) => model.send(content);
  const set = (key: "color_by" | "filters", value: unknown) => {
    model.set(key, value);
    model.save_changes();
  };
  const filters = get("filters");
  const details = get("details");
  const icons = get("icons");
  return (
    <section
      class="ember-paint ember-atlas"
      data-testid="ember-atlas"
      aria-label="Features"
      style={{ height: `${get("height")}px` }}
    >
      <Search model={model} />
      <div class="a-row">
        {get("filter_choices").map((choice) => (
          <button
            type="button"
            key={choice.key}
            class="a-chip"
            data-testid={`filter-${choice.key}`}
            aria-pressed={filters.includes(choice.key)}
            disabled={choice.advice !== ""}
            title={choice.advice}
            onClick={() => set("filters", toggled(filters, choice.key))}
          >
            {choice.title} {choice.advice === "" && <small>{choice.count.toLocaleString("en")}</small>}
          </button>
        ))}
      </div>
      <div class="a-colors">
        <label>
          <span>Colour</span>
          <select
            data-testid="color-by"
            value={get("color_by")}
            onChange={(event) => set("color_by", event.currentTarget.value)}
          >
            {get("color_modes").map(([key, title]) => (
              <option key={key} value={key}>
                {title}
              </option>
            ))}
          </select>
        </label>
        <Key legend={get("legend")} />
      </div>
      {get("notice") && (
        <p class="a-notice" role="status" data-testid="notice">
          {get("notice")}
        </p>
      )}
      {details && (
        <Card
          key={details.feature}
          details={details}
          icon={icons[details.feature] ?? ""}
          hasPaint={get("has_paint")}
          ask={ask}
        />
      )}
      <div class="a-title">
        <strong data-testid="title">{get("title")}</strong>
        {get("query") === "" && get("more") >= 0 && get("title").includes("selected") && (
          <button type="button" class="a-link" data-testid="clear" onClick={() => ask({ do: "clear" })}>
            Clear
          </button>
        )}
      </div>
      <ul class="a-sheet" data-testid="sheet">
        {get("tiles").map((tile) => (
          <li key={tile.feature}>
            <button
              type="button"
              class={tile.dead ? "a-tile a-dead" : "a-tile"}
              data-testid={`tile-${tile.feature}`}
              aria-pressed={details?.feature === tile.feature}
              title={tile.label ? `${tile.label} · #${tile.feature}` : `#${tile.feature}`}
              onClick={() => ask({ do: "look", feature: tile.feature })}
            >
              <Icon address={icons[tile.feature] ?? ""} feature={tile.feature} />
              <span class="a-name">{tile.label || <i>no label</i>}</span>
              <small>{tile.note || `#${tile.feature}`}</small>
            </button>
          </li>
        ))}
        {get("more") > 0 && <li class="a-more">and {get("more").toLocaleString("en")} more</li>}
      </ul>
      <footer class="a-status" data-testid="status">
        {get("status")}
      </footer>
    </section>
  );
}

function Search({ model }: { model: Model }) {
  const said = model.get("query");
  const [text, setText] = useState(said);
  const timer = useRef<number>(0);
  // Show what the kernel sets, but do not replace what the user is typing.
  useEffect(() => {
    if (!timer.current) setText(said);
  }, [said]);
  const tell = (text: string) => {
    timer.current = 0;
    model.set("query", text);
    model.save_changes();
  };
  const type = (text: string) => {
    setText(text);
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => tell(text), SEARCH_AFTER_MS);
  };
  return (
    <input
      type="search"
      class="a-search"
      data-testid="search"
      aria-label="Search features"
      placeholder="Search: a label, a number, like 12"
      autocomplete="off"
      value={text}
      onInput={(event) => type(event.currentTarget.value)}
      onKeyDown={(event) => {
        // JupyterLab uses these keys too.
        event.stopPropagation();
        if (event.key === "Enter") {
          clearTimeout(timer.current);
          tell(event.currentTarget.value);
        }
      }}
    />
  );
}

function Key({ legend }: { legend: Legend }) {
  if (legend.ramp.length) {
    return (
      <div class="a-ramp" data-testid="legend">
        <span>{legend.low}</span>
        <i style={{ background: `linear-gradient(to right, ${legend.ramp.join(", ")})` }} />
        <span>{legend.high}</span>
      </div>
    );
  }
  return (
    <ul class="a-kinds" data-testid="legend">
      {legend.kinds.map((kind) => (
        <li key={kind.name}>
          <i style={{ background: kind.color }} />
          <span title={kind.name}>{kind.name}</span> <small>{kind.count.toLocaleString("en")}</small>
        </li>
      ))}
    </ul>
  );
}

function Card(props: { details: Details; icon: string; hasPaint: boolean; ask: (content: Ask) => void }) {
  const { details, icon, hasPaint, ask } = props;
  const { feature } = details;
  const [text, setText] = useState<string | null>(null);
  const rename = (event: Event) => {
    event.preventDefault();
    if (text !== null) ask({ do: "label", feature, text });
    setText(null);
  };
  return (
    <article class="a-card" data-testid="card" aria-label={`Feature ${feature}`}>
      <Icon address={icon} feature={feature} />
      <div class="a-about">
        <form onSubmit={rename}>
          <input
            data-testid="label"
            aria-label={`Label of feature ${feature}`}
            placeholder="give it a label"
            maxLength={200}
            value={text ?? details.label}
            onInput={(event) => setText(event.currentTarget.value)}
            onBlur={rename}
            onKeyDown={(event) => {
              event.stopPropagation();
              if (event.key === "Escape") setText(null);
              if (event.key === "Enter") rename(event);
            }}
          />
        </form>
        <p>
          #{feature} · {details.source}
        </p>
        <dl>
          {details.facts.map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      </div>
      <div class="a-row a-actions">
        <button
          type="button"
          class="a-main"
          data-testid="brush"
          disabled={!hasPaint}
          title={
            hasPaint
              ? "Add it to the palette of the paint widget"
              : "No paint widget: FeatureAtlas(painter, brush=widget)"
          }
          onClick={() => ask({ do: "brush", feature })}
        >
          → brush
        </button>
        <button type="button" data-testid="like" onClick={() => ask({ do: "like", feature })}>
          Like this
        </button>
        <button type="button" data-testid="show" onClick={() => ask({ do: "show", feature })}>
          Show on map
        </button>
      </div>
      {details.pictures.length > 0 && (
        <div class="a-pictures" data-testid="pictures">
          {details.pictures.map((address, place) => (
            <img
              key={address.slice(-40)}
              src={address}
              alt={`Number ${place + 1} of those where the feature is strongest`}
            />
          ))}
        </div>
      )}
      {details.advice && <p class="a-advice">{details.advice}</p>}
    </article>
  );
}

function Icon({ address, feature }: { address: string; feature: number }) {
  if (address.startsWith("data:")) {
    return <img class="a-icon" src={address} alt="" data-testid={`icon-${feature}`} />;
  }
  const blank = address === "blank";
  return (
    <span class="a-icon" title={blank ? "Draws nothing on its own: it changes what is there" : "Not drawn yet"}>
      {blank ? "∅" : "…"}
    </span>
  );
}

function toggled(list: string[], key: string): string[] {
  return list.includes(key) ? list.filter((other) => other !== key) : [...list, key];
}

export default {
  render({ model, el }: { model: Model; el: HTMLElement }) {
    mount(<Panel model={model} el={el} />, el);
    return () => mount(null, el);
  },
};
