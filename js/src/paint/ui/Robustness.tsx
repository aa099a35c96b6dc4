/** The edit on other seeds: how many pictures change, where, and the pictures. */

import type { Store } from "../store/store.ts";
import { Button, TextButton } from "./controls.tsx";

const show = (panel: HTMLElement | null) => panel?.scrollIntoView({ block: "nearest" });

export function Robustness({ store }: { store: Store }) {
  const { robustness } = store;
  const trial = robustness.trial.value;
  if (!trial) return null;
  const { pairs, n, map, text, outdated } = trial;
  const [said, meaning] = text.split("\n");
  // There was nothing to draw, and the text says why.
  const isEmpty = text && !pairs.length;
  const state = robustness.isRunning ? "running" : outdated ? "outdated" : "done";
  return (
    <section class="e-trial" aria-label="The edit on other seeds" data-testid="trial" data-state={state} ref={show}>
      {isEmpty || (
        <span class="e-map">
          {map && <img src={map} alt="Map of the patches: the stronger the colour, the more seeds changed" />}
        </span>
      )}
      <div class="e-found-out">
        <p role="status" data-testid="trial-text">
          {outdated && "The painting has changed since. "}
          {said || (outdated ? "" : `Drawing the edit on other seeds: ${pairs.length} of ${n}…`)}
        </p>
        <p class="e-name">{meaning}</p>
        <div class="e-line">
          {outdated && (
            <TextButton testid="trial-again" onClick={() => robustness.start()}>
              Try again
            </TextButton>
          )}
          <TextButton testid="trial-close" title="Esc" onClick={() => robustness.close()}>
            {state === "running" ? "Stop" : "Close"}
          </TextButton>
        </div>
      </div>
      {isEmpty || (
        <ol class="e-pairs" aria-label="Without and with the edit">
          {pairs.map(([seed, before, after]) => (
            <li key={seed}>
              <Button
                testid={`trial-${seed}`}
                title={`Continue with seed ${seed} and the edit`}
                aria-label={`Continue with seed ${seed} and the edit`}
                onClick={() => robustness.take(seed)}
              >
                <img src={before} alt="" />
                <img src={after} alt="" />
                <small>{seed}</small>
              </Button>
            </li>
          ))}
          {Array.from({ length: n - pairs.length }, (_, i) => (
            <li key={i} class="e-coming" aria-hidden="true" />
          ))}
        </ol>
      )}
    </section>
  );
}
