/** Prompt, style, seed, steps and number of factors: what a new scene is drawn from. */
import { floor, min } from "../../shared/numbers.ts";
import { toggle } from "../../shared/signals.ts";
import type { View } from "../store/view.ts";
import type { DrawRequest } from "../transport/messages.ts";
import { Field, IconButton, loses, submitOnEnter, wholeUpTo } from "./controls.tsx";

const isSeed = (text: string) => /^\d{1,19}$/.test(text) && BigInt(text) < 2n ** 63n;

/** What the model does not read of a text, and the words that it knows. */
function Note({ text, words }: { text: string; words: readonly string[] }) {
  if (!words.length || !text) return text;
  return (
    <details data-testid="known">
      <summary>{text}</summary>
      <p>Known: {words.join(", ")}</p>
    </details>
  );
}

export function DrawForm({ view: { store } }: { view: View }) {
  const { draft } = store;
  const fields = draft.fields.value;
  const drawing = store.status.task.value === "draw";
  const info = store.painting.info.value;
  const isChanged = draft.differsFrom(info);
  const set = (change: Partial<DrawRequest>) => draft.set(change);
  const held = draft.holdSeed.value;
  const mostSteps = info?.most_steps ?? 4;
  const notes = store.notes.now.value;
  const mostFactors = min(16, (info?.rows ?? 4) * (info?.cols ?? 4));
  const fewer =
    info &&
    info.n_found < info.n_factors &&
    fields.n_factors === info.n_factors &&
    `You asked for ${info.n_factors} factors; this picture has only ${info.n_found}`;
  const restyle = () => {
    const { style } = draft.fields.value;
    if (info && style !== info.style) store.palette.change("restyle", { style });
  };
  return (
    <form
      class="e-form"
      onKeyDown={submitOnEnter}
      onSubmit={(event) => {
        event.preventDefault();
        if (drawing || !info) return;
        if (draft.onlyRestyles(info)) {
          // Some browsers leave the field only now, or not at all.
          if (store.palette.isIdle) restyle();
          return;
        }
        // Enter in a field may just have changed the draft, so it is compared again.
        if (!draft.differsFrom(info) && !held) draft.nextSeed();
        store.draw();
      }}
    >
      <Field
        class="e-prompt"
        label="Prompt"
        testid="prompt"
        placeholder={info ? "A scene, a style, or nothing" : ""}
        value={info && fields.prompt}
        onText={(prompt) => set({ prompt })}
        note={notes && <Note text={notes.prompt} words={notes.words} />}
      />
      {store.offers("styles", true) && (
        <Field
          class="e-style"
          label="Style"
          title="How the picture looks; a style does not change where things are"
          testid="style"
          data-live
          placeholder={info ? "pixel art, sepia…" : ""}
          value={info && fields.style}
          onText={(style) => set({ style })}
          onEnter={restyle}
          note={notes && <Note text={notes.style} words={notes.words} />}
        />
      )}
      <Field
        class="e-seed"
        label="Seed"
        inputMode="numeric"
        testid="seed"
        value={info && fields.seed}
        check={(text) => (isSeed(text) ? "" : "Digits only, below 2⁶³")}
        onText={(text) => set({ seed: String(BigInt(text)) })}
      >
        <span class="e-inside">
          <IconButton
            icon="lock"
            label="Hold this seed"
            testid="hold-seed"
            isOn={held}
            onClick={toggle(draft.holdSeed)}
          />
          <IconButton
            icon="next"
            label={`Draw another picture: the next seed${loses(store)}`}
            testid="next-seed"
            disabled={drawing || held}
            onClick={() => {
              draft.nextSeed();
              store.draw();
            }}
          />
          <IconButton
            label={`Draw another picture: a random seed${loses(store)}`}
            testid="dice"
            disabled={drawing || held}
            onClick={() => {
              set({ seed: String(floor(Math.random() * 1e6)) });
              store.draw();
            }}
          />
        </span>
      </Field>
      <Field
        label="Steps"
        title={`Sampling steps, 1 to ${mostSteps}; the fewer, the faster to edit`}
        type="number"
        min={1}
        max={mostSteps}
        testid="steps"
        value={info && fields.n_steps}
        check={wholeUpTo(mostSteps)}
        onText={(text) => set({ n_steps: Number(text) })}
      />
      <Field
        label="Factors"
        title={`${fewer ? `${fewer}. ` : ""}How many factors to look for; a plain picture may have fewer. What you painted stays`}
        type="number"
        min={1}
        max={mostFactors}
        testid="n-factors"
        data-live
        value={info && fields.n_factors}
        readOnly={drawing}
        check={wholeUpTo(mostFactors)}
        onEnter={(text) => {
          const n_factors = Number(text);
          set({ n_factors });
          // If the prompt or the seed is new too, the number is for the scene that Draw will make.
          if (info && !isChanged && n_factors !== info.n_factors && store.offers("refit")) {
            store.variations.refit(n_factors);
          }
        }}
        note={
          fewer && (
            // An image, so that a screen reader says the sentence instead of the short text.
            <span data-testid="n-found" role="img" aria-label={fewer} title={fewer}>
              {`${info?.n_found} of ${info?.n_factors}`}
            </span>
          )
        }
      />
      <button
        type="submit"
        class={isChanged ? "e-primary" : "e-primary e-quiet"}
        data-testid="draw"
        aria-disabled={drawing || info === null}
        onPointerDown={() => draft.press(info)}
        title={`Draw a new scene (Enter). ${held ? "The seed is held" : "If nothing in the form has changed, the next seed is used"}${loses(store)}`}
      >
        {drawing ? "Drawing…" : "Draw"}
      </button>
    </form>
  );
}
