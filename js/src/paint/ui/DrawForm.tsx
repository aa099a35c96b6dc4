/** Prompt, style, seed, steps and number of factors: what a new scene is drawn from. */
import { clamp, floor } from "../../shared/numbers.ts";
import { toggle } from "../../shared/signals.ts";
import type { View } from "../store/view.ts";
import type { DrawRequest } from "../transport/messages.ts";
import { IconButton, submitOnEnter, TextField, textOf } from "./controls.tsx";

export function DrawForm({ view: { store } }: { view: View }) {
  const { draft } = store;
  const fields = draft.fields.value;
  const drawing = store.status.task.value === "draw";
  const info = store.painting.info.value;
  const isChanged = draft.differsFrom(info);
  const set = (change: Partial<DrawRequest>) => draft.set(change);
  const held = draft.holdSeed.value;
  const mostSteps = info?.most_steps ?? 4;
  const restyle = () => {
    const { style } = draft.fields.value;
    if (info && style !== info.style) store.palette.change("restyle", { style });
  };
  const digits = (text: string) =>
    text
      .replace(/\D/g, "")
      .replace(/^0+(?=\d)/, "")
      .slice(0, 19) || "0";
  const whole = (event: Event, most: number) => clamp(Number.parseInt(textOf(event), 10) || 1, 1, most);
  return (
    <form
      class="e-form"
      onKeyDown={submitOnEnter}
      onSubmit={(event) => {
        event.preventDefault();
        if (drawing) return;
        // Enter in a field may just have changed the draft, so it is compared again.
        if (!draft.differsFrom(info) && !held) draft.nextSeed();
        store.draw();
      }}
    >
      <label class="e-prompt">
        <span>Prompt</span>
        <TextField
          testid="prompt"
          placeholder="A scene, a style, or nothing"
          value={fields.prompt}
          onText={(prompt) => set({ prompt })}
        />
      </label>
      {store.offers("styles", true) && (
        <label class="e-style" title="How the picture looks; a style does not change where things are">
          <span>Style</span>
          <TextField
            testid="style"
            data-live
            placeholder="pixel art, sepia…"
            value={fields.style}
            onText={(style) => set({ style })}
            onChange={restyle}
          />
        </label>
      )}
      <label class="e-seed">
        <span>Seed</span>
        <span class="e-joined">
          <TextField
            inputMode="numeric"
            testid="seed"
            value={fields.seed}
            onText={(text) => set({ seed: digits(text) })}
          />
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
              label="Draw with the next seed"
              testid="next-seed"
              disabled={drawing || held}
              onClick={() => {
                draft.nextSeed();
                store.draw();
              }}
            />
            <IconButton
              label="Draw with a random seed"
              testid="dice"
              disabled={drawing || held}
              onClick={() => {
                set({ seed: String(floor(Math.random() * 1e6)) });
                store.draw();
              }}
            />
          </span>
        </span>
      </label>
      <label title={`Sampling steps, 1 to ${mostSteps}; the fewer, the faster to edit`}>
        <span>Steps</span>
        <input
          type="number"
          min={1}
          max={mostSteps}
          data-testid="steps"
          value={fields.n_steps}
          onChange={(event) => set({ n_steps: whole(event, mostSteps) })}
        />
      </label>
      <label title="How many factors to look for; a plain picture may have fewer. What you painted stays">
        <span>
          Factors
          {info && info.n_found < info.n_factors && fields.n_factors === info.n_factors && (
            <small
              data-testid="n-found"
              title={`You asked for ${info.n_factors} factors; this picture has ${info.n_found}`}
            >
              {` ${info.n_found} of ${info.n_factors}`}
            </small>
          )}
        </span>
        <input
          type="number"
          min={1}
          max={16}
          data-testid="n-factors"
          data-live
          value={fields.n_factors}
          disabled={drawing}
          onChange={(event) => {
            set({ n_factors: whole(event, 16) });
            const { n_factors } = draft.fields.value;
            // If the prompt or the seed is new too, the number is for the scene that Draw will make.
            if (info && !isChanged && n_factors !== info.n_factors && store.offers("refit")) {
              store.variations.refit(n_factors);
            }
          }}
        />
      </label>
      <button
        type="submit"
        class={isChanged ? "e-primary" : "e-primary e-quiet"}
        data-testid="draw"
        disabled={drawing || info === null}
        title="Draw a new scene (Enter). If nothing in the form has changed, the next seed is used. Undo restores this scene"
      >
        {drawing ? "Drawing…" : "Draw"}
      </button>
    </form>
  );
}
