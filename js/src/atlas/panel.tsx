/** The panel beside the map: search, filters, details of one feature, and the features that were found or selected. */
import { render as mount } from "preact";
import { useEffect, useReducer, useRef, useState } from "preact/hooks";
import { isComposing } from "../shared/composing.ts";
import { Batch } from "./batch.tsx";
import { groundOf } from "./color.ts";
import { type Ask, type Details, KEYS, type Legend, type Model, type State } from "./traits.ts";

const SEARCH_AFTER_MS = 120;
const VIEW_AFTER_MS = 120;
const GROUND_AFTER_MS = [0, 50, 400, 2000];
const CATEGORY = "category:";

/** What jupyter-scatter says of each change of a view. */
interface ViewChange {
  event: string;
  news: { uuid: string; xScaleDomain?: number[]; yScaleDomain?: number[] };
}

let offered: boolean | undefined;

/** Whether this browser can draw the map; what is known is kept, since contexts are few. */
function hasWebGL(): boolean {
  if (offered === undefined) {
    const context = document.createElement("canvas").getContext("webgl");
    offered = context !== null;
    context?.getExtension("WEBGL_lose_context")?.loseContext();
  }
  return offered;
}

function Panel({ model, el }: { model: Model; el: HTMLElement }) {
  const [, dispatch] = useReducer((n: number) => n + 1, 0);
  const redraw = dispatch as () => void;
  useEffect(() => {
    for (const key of KEYS) model.on(`change:${key}`, redraw);
    redraw(); // for changes since the panel was first drawn
    return () => {
      for (const key of KEYS) model.off(`change:${key}`, redraw);
    };
  }, [model, redraw]);
  useEffect(() => {
    let timers: number[] = [];
    const stop = () => timers.forEach(clearTimeout);
    const sendGround = () => {
      // Outside of the page nothing has a background; the trait is that of all views.
      if (!el.isConnected) return;
      model.set("ground", groundOf(el));
      model.save_changes();
    };
    const sendSoon = () => {
      stop();
      timers = GROUND_AFTER_MS.map((ms) => window.setTimeout(sendGround, ms));
    };
    sendSoon(); // the element may not be in the page yet
    // A front end changes its theme by attributes of the body or the root element.
    // The style sheet follows later, without an event.
    const observer = new MutationObserver(sendSoon);
    for (const target of [document.body, document.documentElement]) {
      observer.observe(target, { attributes: true, attributeFilter: ["class", "style", "data-jp-theme-name"] });
    }
    return () => {
      stop();
      observer.disconnect();
    };
  }, [model, el]);
  useEffect(() => {
    let timer = 0;
    const channel = new BroadcastChannel("pub-sub-es");
    channel.onmessage = ({ data: { event, news } }: MessageEvent<ViewChange>) => {
      if (event !== "jscatter::view" || news.uuid !== model.get("map_id")) return;
      const { xScaleDomain: x, yScaleDomain: y } = news;
      clearTimeout(timer);
      if (x && y) timer = window.setTimeout(() => model.send({ do: "view", x, y }), VIEW_AFTER_MS);
    };
    return () => {
      clearTimeout(timer);
      channel.close();
    };
  }, [model]);
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
      <Concepts concepts={get("concepts")} query={get("query")} ask={ask} />
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
        {get("categories").length > 0 && (
          <label>
            <span>Labels of</span>
            <select
              data-testid="category"
              value={filters.find((key) => key.startsWith(CATEGORY)) ?? ""}
              onChange={({ currentTarget: { value } }) =>
                set("filters", [...filters.filter((key) => !key.startsWith(CATEGORY)), ...(value ? [value] : [])])
              }
            >
              <option value="">any category</option>
              {get("categories").map(([key, title, count]) => (
                <option key={key} value={key}>
                  {title} ({count.toLocaleString("en")})
                </option>
              ))}
            </select>
          </label>
        )}
      </div>
      {!hasWebGL() && (
        <p class="a-notice" data-testid="no-webgl">
          The map needs WebGL, which this browser does not offer. All else works without it.
        </p>
      )}
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
        <div class="a-row">
          {(get("query") !== "" || get("title").includes("selected")) && (
            <button type="button" class="a-chip" data-testid="clear" onClick={() => ask({ do: "clear" })}>
              {get("query") === "" ? "Clear" : "Clear search"}
            </button>
          )}
          {!get("tiles").length && filters.length > 0 && (
            <button type="button" class="a-chip" data-testid="clear-filters" onClick={() => set("filters", [])}>
              Clear filters
            </button>
          )}
          <button type="button" class="a-chip" data-testid="whole-map" onClick={() => ask({ do: "all" })}>
            Whole map
          </button>
        </div>
      </div>
      <Batch n={get("n_to_label")} now={get("labelling")} ask={ask} />
      <ul class="a-sheet" data-testid="sheet">
        {get("tiles").map((tile) => (
          <li key={tile.feature}>
            <button
              type="button"
              class={tile.dead ? "a-tile a-dead" : "a-tile"}
              data-testid={`tile-${tile.feature}`}
              aria-pressed={details?.feature === tile.feature}
              title={[tile.label ? `${tile.label} · #${tile.feature}` : `#${tile.feature}`, tile.about]
                .filter(Boolean)
                .join("\n")}
              onClick={() => ask({ do: "look", feature: tile.feature })}
            >
              <Icon url={icons[tile.feature] ?? ""} feature={tile.feature} />
              <span class="a-name">{tile.label || <i>no label</i>}</span>
              <small>
                {tile.note || `#${tile.feature}`}
                {tile.trusted && (
                  <span role="img" aria-label="trusted label">
                    {" ✓"}
                  </span>
                )}
              </small>
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
  const query = model.get("query");
  const [text, setText] = useState(query);
  const timer = useRef<number>(0);
  // Show what the kernel sets, but do not replace what the user is typing.
  useEffect(() => {
    if (!timer.current) setText(query);
  }, [query]);
  const send = (text: string) => {
    timer.current = 0;
    model.set("query", text);
    model.save_changes();
  };
  const type = (text: string) => {
    setText(text);
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => send(text), SEARCH_AFTER_MS);
  };
  return (
    <input
      type="search"
      class="a-search"
      data-testid="search"
      aria-label="Search features"
      placeholder="Search: a label, a number, or “like 12”"
      autocomplete="off"
      value={text}
      onInput={(event) => type(event.currentTarget.value)}
      onKeyDown={(event) => {
        // JupyterLab uses these keys too.
        event.stopPropagation();
        if (event.key === "Enter") {
          clearTimeout(timer.current);
          send(event.currentTarget.value);
        }
      }}
    />
  );
}

/** The concepts that a search found; without one, all of them, folded. */
function Concepts(props: { concepts: State["concepts"]; query: string; ask: (content: Ask) => void }) {
  const { concepts, query, ask } = props;
  if (!concepts.length) return null;
  const chips = (
    <div class="a-row a-concepts">
      {concepts.map(([name, hint]) => (
        <button
          type="button"
          key={name}
          class="a-chip"
          data-testid={`concept-${name}`}
          title={`Concept: ${hint}`}
          aria-label={`Concept ${name}`}
          aria-pressed={query === `concept ${name}`}
          onClick={() => ask({ do: "concept", name })}
        >
          <span>{name}</span>
        </button>
      ))}
    </div>
  );
  if (query) {
    return (
      <div class="a-found">
        <small>{concepts.length === 1 ? "Concept" : "Concepts"}</small>
        {chips}
      </div>
    );
  }
  return (
    <details class="a-found" data-testid="concepts">
      <summary>{concepts.length.toLocaleString("en")} concepts</summary>
      {chips}
    </details>
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
      <Icon url={icon} feature={feature} />
      <div class="a-about">
        <form onSubmit={rename}>
          <input
            data-testid="label"
            aria-label={`Label of feature ${feature}`}
            placeholder="Give it a label"
            maxLength={200}
            value={text ?? details.label}
            onInput={(event) => setText(event.currentTarget.value)}
            onBlur={rename}
            onKeyDown={(event) => {
              event.stopPropagation();
              if (isComposing(event)) return;
              if (event.key === "Escape") setText(null);
              if (event.key === "Enter") rename(event);
            }}
          />
        </form>
        <p>
          #{feature} · {details.source}
        </p>
        {details.comment && <p data-testid="comment">{details.comment}</p>}
        <dl title={details.about}>
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
              : "No paint widget is linked; use FeatureAtlas(painter, brush=widget)"
          }
          onClick={() => ask({ do: "brush", feature })}
        >
          Use as brush
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
          {details.pictures.map((url, i) => (
            <img key={url.slice(-40)} src={url} alt={`Example ${i + 1} of the feature at its strongest`} />
          ))}
        </div>
      )}
      {details.advice && <p class="a-advice">{details.advice}</p>}
    </article>
  );
}

function Icon({ url, feature }: { url: string; feature: number }) {
  if (url.startsWith("data:")) {
    return <img class="a-icon" src={url} alt="" data-testid={`icon-${feature}`} />;
  }
  const blank = url === "blank";
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
