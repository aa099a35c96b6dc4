/** Finds features by label or number, and concepts by name. */
import { isComposing } from "../../shared/composing.ts";
import { clamp, max, min } from "../../shared/numbers.ts";
import type { Found } from "../store/feature_search.ts";
import type { View } from "../store/view.ts";
import type { ConceptInfo, FeatureInfo } from "../transport/messages.ts";
import { Field, Swatch, submitOnEnter } from "./controls.tsx";
import { reveal } from "./focus.ts";

export function Search(props: {
  view: View;
  where: string;
  /** Only features of this site are searched. */
  site?: string;
  label: string;
  hint?: string;
  onPick: (feature: FeatureInfo) => void;
  /** Without it, concepts are not searched. */
  onConcept?: (concept: ConceptInfo) => void;
  onFetch?: (prompt: string) => void;
}) {
  const { view, where, site = "", label, hint, onPick, onConcept, onFetch } = props;
  const { search: features, thumbnails } = view.store;
  const urls = thumbnails.urls.value;
  const query = view.query.value;
  const text = query.where === where ? query.text : "";
  const found = features.found.value;
  const search = (text: string) => {
    view.query.value = { where, text, at: 0 };
    features.search(text, site, !!onConcept);
  };
  const take = (one?: Found) => {
    if (one && "concept" in one) onConcept?.(one);
    else if (one) onPick(one);
    else if (onFetch) onFetch(text);
    else return;
    search("");
  };
  const lines = onFetch ? [...found, undefined] : found;
  // While the answer is on its way, the first line may still change.
  const at = features.isDone || query.at ? min(query.at, lines.length - 1) : -1;
  const list = `${view.id}-${where}`;
  return (
    <form
      class="e-search"
      onKeyDown={(event) => {
        if (isComposing(event)) return;
        if (text && event.key === "Escape") search("");
        const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
        if (!by) return submitOnEnter(event);
        event.preventDefault();
        view.query.value = { where, text, at: clamp(query.at + by, 0, max(0, lines.length - 1)) };
      }}
      onSubmit={(event) => {
        event.preventDefault();
        if (!text.trim()) return;
        if (query.at) take(lines[at]);
        else features.pickFirst(take);
      }}
    >
      <Field
        role="combobox"
        type="search"
        most={200}
        aria-label={label}
        aria-autocomplete="list"
        aria-expanded={!!text}
        aria-controls={list}
        aria-activedescendant={text && at >= 0 ? `${list}-${at}` : undefined}
        placeholder={
          hint ?? (view.store.offers("labels", true) ? "Add a feature: label or number" : "Add a feature: number")
        }
        testid={`search-${where}`}
        value={text}
        onText={search}
      />
      {text && (
        <div class="e-found" data-testid="found">
          {features.isDone && !found.length && (
            <p class="e-name" role="status">
              No feature found
            </p>
          )}
          <div role="listbox" id={list} aria-label="Found" tabIndex={-1}>
            {lines.map((one, i) => (
              <button
                type="button"
                key={one && ("concept" in one ? one.concept : one.feature)}
                role="option"
                id={`${list}-${i}`}
                tabIndex={-1}
                aria-selected={i === at}
                ref={i === at ? reveal : null}
                title={(one && "about" in one && one.about) || undefined}
                data-testid={
                  one ? ("concept" in one ? `found-concept-${one.concept}` : `found-${one.feature}`) : "fetch"
                }
                // The focus stays in the field.
                onMouseDown={(event) => event.preventDefault()}
                onClick={() => take(one)}
              >
                {one ? (
                  <Line one={one} url={one.icon && urls[one.icon]} />
                ) : (
                  <span>Borrow from a picture of “{text}”</span>
                )}
              </button>
            ))}
          </div>
        </div>
      )}
    </form>
  );
}

function Line({ one, url }: { one: Found; url: string | undefined }) {
  const isConcept = "concept" in one;
  const note = isConcept ? one.label : one.mark;
  return (
    <>
      {one.icon && <Swatch url={url} />}
      <span>
        {isConcept ? one.concept : one.label} {!isConcept && <small>#{one.feature}</small>}
        {note && <small class="e-mark">{note}</small>}
      </span>
      {isConcept && <small class="e-site">concept</small>}
      {one.similar && <small class="e-site">similar</small>}
      {!isConcept && one.site && <small class="e-site">{one.site}</small>}
    </>
  );
}
