/** Below the picture: compare it with the unedited one, take it along, go back to an earlier step. */
import type { ComponentChildren } from "preact";
import { into, put, toggle } from "../../shared/signals.ts";
import type { Store } from "../store/store.ts";
import type { View } from "../store/view.ts";
import { Button, Choice, IconButton, pickFile, submitOnEnter, TextButton, TextField, textOf } from "./controls.tsx";
import { isPress } from "./keys.ts";

const COMPARE = [
  ["now", "Picture", "The picture as it is painted"],
  ["split", "Split", "The unedited picture on the left"],
  ["difference", "Difference", "What is not as in the unedited picture, 4 × as bright"],
] as const;

export function Picture({ view }: { view: View }) {
  const { store } = view;
  const hold = (on: boolean) => put(view.holding, on);
  return (
    <div class="e-below">
      <div class="e-line">
        <span class="e-line e-edits">
          <IconButton label="Undo (Ctrl+Z)" testid="undo" disabled={!store.canUndo.val} onClick={() => store.undo()} />
          <IconButton
            label="Redo (Shift+Ctrl+Z)"
            testid="redo"
            disabled={!store.canRedo.val}
            onClick={() => store.redo()}
          />
        </span>
        <TextButton
          title="Hold to see the picture that nobody edited (C)"
          isOn={view.holding.val}
          testid="unedited"
          onPointerDown={hold(true)}
          onPointerUp={hold(false)}
          onPointerLeave={hold(false)}
          onKeyDown={({ key }) => isPress(key) && hold(true)()}
        >
          Unedited
        </TextButton>
        <Choice
          label="What the picture shows"
          testid="compare"
          value={view.compare.val}
          options={COMPARE}
          onChoose={into(view.compare)}
        />
        <span class="e-gap" />
        <span class="e-line e-edits">
          {store.film.val.able.includes("reseed") && (
            <IconButton
              icon="dice"
              label="The same painting with other seeds"
              testid="seeds"
              isOn={store.seedsOpen.val}
              onClick={toggle(store.seedsOpen)}
            />
          )}
          <IconButton
            label="Open a scene, or a picture with one in it; or drop it here"
            testid="open"
            onClick={() => pickFile((file) => void open(store, file))}
          />
          <IconButton label="Save as PNG with the scene in it" testid="save" onClick={() => store.files.want("png")} />
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
          {store.film.val.seeds.map(([seed, picture]) => (
            <Thumb
              key={seed}
              store={store}
              picture={picture}
              title={`Go on with seed ${seed}`}
              testid={`seed-${seed}`}
              onClick={() => store.vary("reseed", seed)}
            >
              <small>{seed}</small>
            </Thumb>
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
      message: "This browser copies no pictures; save it instead.",
      traceback: "",
    };
  }
}

function Film({ store }: { store: Store }) {
  const { steps, step: now } = store.film.val;
  if (steps.length < 2) return null;
  const [, , kept = ""] = steps.find(([step]) => step === now) ?? [];
  return (
    <div class="e-line">
      <ol class="e-film" aria-label="Steps">
        {steps.map(([step, picture, name], i) => (
          <Thumb
            key={step}
            store={store}
            picture={picture}
            title={name || `Step ${i}`}
            testid={`step-${i}`}
            current={step === now}
            onClick={() => store.go(step)}
          >
            {name && <small>{name}</small>}
          </Thumb>
        ))}
      </ol>
      <TextField
        class="e-keep"
        aria-label="Name of this step, to keep it"
        placeholder="Name it to keep it"
        testid="keep"
        value={kept}
        maxLength={60}
        data-live
        onKeyDown={submitOnEnter}
        onChange={(event) => store.keep(textOf(event).trim())}
      />
    </div>
  );
}

function Thumb(props: {
  store: Store;
  /** Its key. */
  picture: string;
  title: string;
  testid: string;
  current?: boolean;
  onClick: () => void;
  children?: ComponentChildren;
}) {
  const { store, picture, title, testid, current, onClick, children } = props;
  const address = store.palette.icons.val[picture];
  const show = (item: HTMLElement | null) => {
    const film = item?.parentElement;
    if (film && current)
      requestAnimationFrame(() => {
        film.scrollLeft = item.offsetLeft - film.clientWidth / 2;
      });
  };
  return (
    <li ref={show}>
      <Button
        title={title}
        aria-label={title}
        aria-current={current ? "step" : undefined}
        testid={testid}
        onClick={onClick}
      >
        {address && <img src={address} alt="" />}
        {children}
      </Button>
    </li>
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
