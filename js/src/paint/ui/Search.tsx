/** Finds features by label or number. */
import type { View } from "../store/view.ts";
import type { FeatureInfo } from "../transport/messages.ts";
import { Button, Field, Swatch, submitOnEnter } from "./controls.tsx";

export function Search(props: {
  view: View;
  where: string;
  /** Only features of this site are searched. */
  site?: string;
  label: string;
  hint?: string;
  onPick: (feature: FeatureInfo) => void;
  onFetch?: (prompt: string) => void;
}) {
  const { view, where, site = "", label, hint, onPick, onFetch } = props;
  const { search: features, thumbnails } = view.store;
  const urls = thumbnails.urls.value;
  const query = view.query.value;
  const text = query.where === where ? query.text : "";
  const search = (text: string) => {
    view.query.value = { where, text };
    features.search(text, site);
  };
  const pick = (feature: FeatureInfo) => {
    onPick(feature);
    search("");
  };
  return (
    <form
      class="e-search"
      onKeyDown={submitOnEnter}
      onSubmit={(event) => {
        event.preventDefault();
        features.pickFirst(pick);
      }}
    >
      <Field
        type="search"
        most={200}
        aria-label={label}
        placeholder={
          hint ?? (view.store.offers("labels", true) ? "Add a feature: label or number" : "Add a feature: number")
        }
        testid={`search-${where}`}
        value={text}
        onText={search}
      />
      {text && (
        <ul aria-label="Features found" data-testid="found">
          {features.found.value.map((feature) => (
            <li key={feature.feature}>
              <Button testid={`found-${feature.feature}`} onClick={() => pick(feature)}>
                {feature.icon && <Swatch url={urls[feature.icon]} />}
                {feature.label} <small>#{feature.feature}</small>
                {feature.site && <small class="e-site">{feature.site}</small>}
              </Button>
            </li>
          ))}
          {features.isDone && !features.found.value.length && <li class="e-name">Nothing found</li>}
          {onFetch && (
            <li>
              <Button
                testid="fetch"
                onClick={() => {
                  onFetch(text);
                  search("");
                }}
              >
                Concepts of a picture of “{text}”…
              </Button>
            </li>
          )}
        </ul>
      )}
    </form>
  );
}
