/** Below the picture: compare it with the unedited one, take it along, go back to an earlier step. */
import { toggle } from "../signals.ts";
import type { Store } from "../store.ts";
import type { View } from "../view.ts";
import { Choice, IconButton, pickFile } from "./controls.tsx";

const COMPARE = [
  ["now", "Picture", "The picture as it is painted"],
  ["split", "Split", "The unedited picture on the left"],
  ["difference", "Difference", "What is not as in the unedited picture, four times as bright"],
] as const;

export function Picture({ view }: { view: View }) {
  const { store } = view;
  const hold = (on: boolean) => () => {
    view.holding.val = on;
  };
  return (
    <div class="e-below">
      <div class="e-line">
        <span class="e-line e-edits">
          <IconButton
            icon="undo"
            label="Undo (Ctrl+Z)"
            testid="undo"
            disabled={!store.canUndo.val}
            onClick={() => store.undo()}
          />
          <IconButton
            icon="redo"
            label="Redo (Shift+Ctrl+Z)"
            testid="redo"
            disabled={!store.canRedo.val}
            onClick={() => store.redo()}
          />
        </span>
        <button
          type="button"
          class="e-button e-labelled"
          title="Hold to see the picture that nobody edited (C)"
          aria-pressed={view.holding.val}
          data-testid="unedited"
          onPointerDown={hold(true)}
          onPointerUp={hold(false)}
          onPointerLeave={hold(false)}
          onKeyDown={({ key }) => " Enter".includes(key) && hold(true)()}
        >
          Unedited
        </button>
        <Choice
          label="What the picture shows"
          testid="compare"
          value={view.compare.val}
          options={COMPARE}
          onChoose={(compare) => {
            view.compare.val = compare;
          }}
        />
        <span class="e-gap" />
        <span class="e-line e-edits">
          {store.film.val.able.includes("reseed") && (
            <IconButton
              icon="dice"
              label="The same painting with other seeds"
              testid="seeds"
              pressed={store.seedsOpen.val}
              onClick={toggle(store.seedsOpen)}
            />
          )}
          <IconButton
            icon="open"
            label="Open a scene, or a picture with one in it; dropping it here does the same"
            testid="open"
            onClick={() => pickFile((file) => void open(store, file))}
          />
          <IconButton
            icon="save"
            label="Save as PNG with the scene in it"
            testid="save"
            onClick={() => store.files.want("png")}
          />
          <IconButton
            icon="copy"
            label="Copy the picture"
            testid="copy-picture"
            onClick={() => void copyPicture(store)}
          />
          <IconButton
            icon="film"
            label="Record all steps as a GIF"
            testid="record"
            disabled={store.files.making.val === "gif"}
            onClick={() => store.files.want("gif")}
          />
          <IconButton
            icon="code"
            label="Show what was done as Python"
            testid="python"
            onClick={() => store.files.want("py")}
          />
        </span>
      </div>
      {view.compare.val === "split" && (
        <input
          type="range"
          class="e-split"
          aria-label="Where the unedited picture ends"
          data-testid="split"
          min={0}
          max={1}
          step={0.01}
          value={view.split.val}
          onInput={(event) => {
            view.split.val = event.currentTarget.valueAsNumber;
          }}
        />
      )}
      <Film store={store} />
      {store.seedsOpen.val && (
        <ol class="e-film e-seeds" aria-label="Seeds">
          {store.film.val.seeds.map(([seed, key]) => (
            <li key={seed}>
              <button
                type="button"
                title={`Go on with seed ${seed}`}
                data-testid={`seed-${seed}`}
                onClick={() => store.vary("reseed", seed)}
              >
                {store.palette.icons.val[key] && <img src={store.palette.icons.val[key]} alt="" />}
                <small>{seed}</small>
              </button>
            </li>
          ))}
        </ol>
      )}
    </div>
  );
}

async function copyPicture(store: Store): Promise<void> {
  const bitmap = store.pictures.picture.val?.bitmap;
  if (!bitmap) return;
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
  try {
    await navigator.clipboard.write([new ClipboardItem({ "image/png": canvas.convertToBlob() })]);
  } catch {
    store.error.val = {
      message: "The browser does not allow to copy pictures here; save it instead.",
      traceback: "",
    };
  }
}

function Film({ store }: { store: Store }) {
  const { steps, step: now } = store.film.val;
  if (steps.length < 2) return null;
  return (
    <ol class="e-film" aria-label="Steps">
      {steps.map(([step, key], i) => (
        <li key={step}>
          <button
            type="button"
            title={`Step ${i}`}
            aria-label={`Step ${i}`}
            aria-current={step === now ? "step" : undefined}
            data-testid={`step-${i}`}
            ref={(button) => {
              const film = button?.closest("ol");
              if (button && film && step === now) film.scrollLeft = button.offsetLeft - film.clientWidth / 2;
            }}
            onClick={() => store.go(step)}
          >
            {store.palette.icons.val[key] && <img src={store.palette.icons.val[key]} alt="" />}
          </button>
        </li>
      ))}
    </ol>
  );
}

async function open(store: Store, file: File | undefined): Promise<void> {
  if (file) store.openFile(await file.arrayBuffer());
}

/** Files may be dropped anywhere on the widget. */
export function listenToFiles(root: HTMLElement, store: Store, signal: AbortSignal): void {
  for (const kind of ["dragover", "drop"] as const)
    root.addEventListener(
      kind,
      (event) => {
        if (!event.dataTransfer?.types.includes("Files")) return;
        event.preventDefault();
        event.stopPropagation();
        if (kind === "drop") void open(store, event.dataTransfer.files[0]);
      },
      { signal },
    );
}
