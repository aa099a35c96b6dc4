/** The controls below the picture: compare it with the unedited one, save it, go to another step of the history. */
import type { ComponentChildren } from "preact";
import { into, put, toggle } from "../../shared/signals.ts";
import type { Store } from "../store/store.ts";
import type { View } from "../store/view.ts";
import { Button, Choice, Field, IconButton, loses, pickFile, TextButton, TwiceButton } from "./controls.tsx";
import { open } from "./files.ts";
import { reveal } from "./focus.ts";
import { isPress } from "./keys.ts";
import { Robustness } from "./Robustness.tsx";

const COMPARE = [
  ["now", "Picture", "The edited picture"],
  ["split", "Split", "The unedited picture on the left"],
  ["difference", "Difference", "The difference from the unedited picture, 4 times as bright"],
] as const;

export function Picture({ view }: { view: View }) {
  const { store } = view;
  const hold = (on: boolean) => put(view.holding, on);
  return (
    <div class="e-below">
      <div class="e-line">
        <span class="e-line e-edits">
          <IconButton
            label="Undo (Ctrl+Z)"
            testid="undo"
            disabled={!store.history.canUndo.value}
            onClick={() => store.history.undo()}
          />
          <IconButton
            label="Redo (Shift+Ctrl+Z)"
            testid="redo"
            disabled={!store.history.canRedo.value}
            onClick={() => store.history.redo()}
          />
        </span>
        <TextButton
          title="Hold to see the unedited picture (C)"
          isOn={view.holding.value}
          testid="unedited"
          onPointerDown={hold(true)}
          onPointerUp={hold(false)}
          onPointerLeave={hold(false)}
          onKeyDown={({ key }) => isPress(key) && hold(true)()}
        >
          Compare
        </TextButton>
        <Choice
          label="What the picture shows"
          testid="compare"
          value={view.compare.value}
          options={COMPARE}
          onChoose={into(view.compare)}
        />
        <span class="e-gap" />
        <span class="e-line e-edits">
          {store.offers("reseed") && (
            <IconButton
              label="The same painting with other seeds"
              testid="seeds"
              isOn={store.variations.isOpen.value}
              onClick={toggle(store.variations.isOpen)}
            />
          )}
          {store.offers("robustness") && (
            <TextButton
              title="Draw this edit in the pictures of 8 other seeds: does it work there too?"
              testid="robustness"
              isOn={store.robustness.trial.value !== null}
              onClick={() => store.robustness.start()}
            >
              Try on 8 seeds
            </TextButton>
          )}
          <IconButton
            label={`Open a scene, or a picture that contains one; or drop it here${loses(store)}`}
            testid="open"
            onClick={() => pickFile((file) => void open(store, file))}
          />
          <IconButton
            label="Save as PNG; it contains the scene"
            testid="save"
            onClick={() => store.files.want("png")}
          />
          <IconButton
            icon="copy"
            label="Copy the picture"
            testid="copy-picture"
            onClick={() => void copyPicture(store)}
          />
          {store.offers("share") && (
            <IconButton
              icon="share"
              label="Share to the gallery"
              testid="share"
              isOn={store.clipboard.isSharing.value}
              onClick={toggle(store.clipboard.isSharing)}
            />
          )}
          <IconButton
            icon="film"
            label={`Save all steps as ${store.files.stepsForm === "gif" ? "a GIF" : "a moving PNG"}`}
            testid="record"
            disabled={store.files.making.value === store.files.stepsForm}
            onClick={() => store.files.want(store.files.stepsForm)}
          />
          <IconButton
            icon="code"
            label="Show the edits as Python"
            testid="python"
            onClick={() => store.files.want("py")}
          />
        </span>
      </div>
      <Share store={store} />
      <Steps store={store} />
      {store.variations.isOpen.value && store.offers("reseed") && (
        <ol class="e-strip e-seeds" aria-label="Seeds" data-opener="seeds" ref={reveal}>
          {store.variations.seeds.value.map(([seed, picture]) => (
            <Thumb
              key={seed}
              store={store}
              picture={picture}
              title={`Continue with seed ${seed}`}
              testid={`seed-${seed}`}
              onClick={() => store.variations.reseed(seed)}
            >
              <small>{seed}</small>
            </Thumb>
          ))}
        </ol>
      )}
      <Robustness store={store} />
    </div>
  );
}

const begin = (line: HTMLElement | null) => {
  reveal(line);
  line?.querySelector("input")?.focus();
};

/** Asks for the title with which the picture is put into the gallery. */
function Share({ store: { clipboard } }: { store: Store }) {
  if (!clipboard.isSharing.value) return null;
  return (
    <div class="e-line" data-opener="share" ref={begin}>
      <Field
        class="e-share"
        aria-label="Title of the picture in the gallery, may be empty"
        placeholder="Title, or none; Enter shares it with everyone in the gallery"
        testid="share-title"
        value=""
        most={80}
        onEnter={(title) => clipboard.share(title.trim())}
      />
    </div>
  );
}

async function copyPicture(store: Store): Promise<void> {
  const bitmap = store.pictures.picture.value?.bitmap;
  if (!bitmap) return;
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
  try {
    await navigator.clipboard.write([new ClipboardItem({ "image/png": canvas.convertToBlob() })]);
    store.status.say("Copied");
  } catch {
    store.status.fail("This browser cannot copy pictures; save the picture instead.");
  }
}

function Steps({ store }: { store: Store }) {
  const steps = store.history.steps.value;
  const now = store.history.step.value;
  if (steps.length < 2) return null;
  const [, , kept = ""] = steps.find(([step]) => step === now) ?? [];
  const [from, , fromName] = store.history.filmFrom.value.at(-1) ?? [];
  return (
    <div class="e-line">
      <ol class="e-strip" aria-label="Steps">
        {steps.map(([step, picture, name], i) => (
          <Thumb
            key={step}
            store={store}
            picture={picture}
            title={name || `Step ${i}`}
            testid={`step-${i}`}
            current={step === now}
            onClick={() => store.history.go(step)}
          >
            {name && <small>{name}</small>}
          </Thumb>
        ))}
      </ol>
      <Field
        class="e-keep"
        aria-label="Name of this step; a named step is kept"
        placeholder="Name it to keep it"
        testid="keep"
        value={kept}
        most={60}
        check={(text) =>
          steps.some(([step, , name]) => step !== now && name && name === text.trim())
            ? "Another step has this name"
            : ""
        }
        onEnter={(text) => store.history.keep(text.trim())}
      />
      <IconButton
        icon="tween"
        label={
          from !== undefined
            ? `Film from “${fromName}” to this step`
            : kept
              ? `Choose another step of this picture, then make a film from “${kept}” to it`
              : "Name a step of this picture first: a film leads from it to another"
        }
        testid="film-make"
        disabled={from === undefined}
        onClick={() => from !== undefined && store.files.wantFilm(from)}
      />
      <TwiceButton
        icon="remove"
        label="Delete this step"
        question="Delete it?"
        testid="step-delete"
        onTwice={() => store.history.forget(false)}
      />
      <TwiceButton
        icon="removeOthers"
        label="Delete all other steps without a name"
        question="Delete the others?"
        testid="steps-clear"
        onTwice={() => store.history.forget(true)}
      />
    </div>
  );
}

function Thumb(props: {
  store: Store;
  /** The key of its thumbnail. */
  picture: string;
  title: string;
  testid: string;
  current?: boolean;
  onClick: () => void;
  children?: ComponentChildren;
}) {
  const { store, picture, title, testid, current, onClick, children } = props;
  const url = store.thumbnails.urls.value[picture];
  const show = (item: HTMLElement | null) => {
    const strip = item?.parentElement;
    if (strip && current)
      requestAnimationFrame(() => {
        strip.scrollLeft = item.offsetLeft - strip.clientWidth / 2;
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
        {url && <img src={url} alt="" />}
        {children}
      </Button>
    </li>
  );
}
