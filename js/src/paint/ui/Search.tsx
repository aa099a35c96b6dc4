/** Finds features by label or number. */
import type { View } from "../store/view.ts";
import type { FeatureInfo } from "../transport/messages.ts";
import { Button, Swatch, submitOnEnter, TextField } from "./controls.tsx";

export function Search(props: {
  view: View;
  where: string;
  /** The only site whose features will do. */
  site?: string;
  label: string;
  hint?: string;
  onPick: (feature: FeatureInfo) => void;
  onFetch?: (prompt: string) => void;
}) {
  const { view, where, site = "", label, hint = "Add a feature: label or number", onPick, onFetch } = props;
  const { palette } = view.store;
  const query = view.query.val;
  const text = query.where === where ? query.text : "";
  const search = (text: string) => {
    view.query.val = { where, text };
    palette.search(text, site);
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
        palette.pickFirst(pick);
      }}
    >
      <TextField
        type="search"
        aria-label={label}
        placeholder={hint}
        testid={`search-${where}`}
        value={text}
        onText={search}
      />
      {text && (
        <ul aria-label="Features found" data-testid="found">
          {palette.found.val.map((feature) => (
            <li key={feature.feature}>
              <Button testid={`found-${feature.feature}`} onClick={() => pick(feature)}>
                <Swatch address={palette.icons.val[feature.icon ?? ""]} />
                {feature.label} <small>#{feature.feature}</small>
                {feature.site && <small class="e-site">{feature.site}</small>}
              </Button>
            </li>
          ))}
          {palette.isFound && !palette.found.val.length && <li class="e-name">Nothing found</li>}
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
