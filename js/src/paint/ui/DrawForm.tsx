/** Prompt, seed, steps and number of factors: what a new scene is drawn from. */
import { clamp, floor } from "../../shared/numbers.ts";
import { toggle } from "../../shared/signals.ts";
import type { Store } from "../store/store.ts";
import type { DrawRequest } from "../transport/messages.ts";
import { IconButton, submitOnEnter, TextField, textOf } from "./controls.tsx";

export function DrawForm({ store }: { store: Store }) {
  const draft = store.draft.val;
  const drawing = store.task.val === "draw";
  const info = store.info.val;
  const isChanged = (draft: DrawRequest) =>
    info !== null && (["prompt", "seed", "n_steps"] as const).some((key) => info[key] !== draft[key]);
  const changed = isChanged(draft);
  const set = (change: Partial<DrawRequest>) => {
    store.draft.val = { ...store.draft.val, ...change };
  };
  const held = store.holdSeed.val;
  const mostSteps = info?.most_steps ?? 4;
  const restyle = () => {
    const { style } = store.draft.val;
    if (info && style !== info.style) store.palette.change("restyle", { style });
  };
  const next = () => set({ seed: String((BigInt(draft.seed) + 1n) % 2n ** 63n) });
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
        // Enter in a field may just have changed it.
        if (!isChanged(store.draft.val) && !held) next();
        store.draw();
      }}
    >
      <label class="e-prompt">
        <span>Prompt</span>
        <TextField
          testid="prompt"
          placeholder="A scene, a style, or nothing"
          value={draft.prompt}
          onText={(prompt) => set({ prompt })}
        />
      </label>
      <label class="e-style" title="How it looks: read only behind the grid, so that all stays where it is">
        <span>Style</span>
        <TextField
          testid="style"
          data-live
          placeholder="pixel art, sepia…"
          value={draft.style}
          onText={(style) => set({ style })}
          onChange={restyle}
        />
      </label>
      <label class="e-seed">
        <span>Seed</span>
        <span class="e-joined">
          <TextField
            inputMode="numeric"
            testid="seed"
            value={draft.seed}
            onText={(text) => set({ seed: digits(text) })}
          />
          <span class="e-inside">
            <IconButton
              icon="lock"
              label="Hold this seed"
              testid="hold-seed"
              isOn={held}
              onClick={toggle(store.holdSeed)}
            />
            <IconButton
              icon="next"
              label="Draw with the next seed"
              testid="next-seed"
              disabled={drawing || held}
              onClick={() => {
                next();
                store.draw();
              }}
            />
            <IconButton
              label="Draw with any other seed"
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
          value={draft.n_steps}
          onChange={(event) => set({ n_steps: whole(event, mostSteps) })}
        />
      </label>
      <label title="Factors to take the picture apart into, as far as there are; what was painted stays">
        <span>Factors</span>
        <input
          type="number"
          min={1}
          max={16}
          data-testid="n-factors"
          data-live
          value={draft.n_factors}
          disabled={drawing}
          onChange={(event) => {
            set({ n_factors: whole(event, 16) });
            const { n_factors } = store.draft.val;
            // Beside another prompt it belongs to the scene that Draw will make.
            if (info && !changed && n_factors !== info.n_factors && store.film.val.able.includes("refit")) {
              store.vary("refit", n_factors);
              // How many there are then is for the answer to say: a plain picture has few.
              set({ n_factors: info.n_factors });
            }
          }}
        />
      </label>
      <button
        type="submit"
        class={changed ? "e-primary" : "e-primary e-quiet"}
        data-testid="draw"
        disabled={drawing || info === null}
        title="Draw a new scene (Enter), of the next seed if nothing is new; undo brings this one back"
      >
        {drawing ? "Drawing…" : "Draw"}
      </button>
    </form>
  );
}
