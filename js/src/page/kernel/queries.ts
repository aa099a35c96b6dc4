/** Requests that change nothing: features, thumbnails, the unedited picture, files, scenes to borrow from. */

import type { Painter } from "../model/painter.ts";
import { Cancelled } from "../model/painter.ts";
import type { Bytes } from "../scene/bytes.ts";
import { editedPatches, pixelChange } from "../scene/difference.ts";
import { checkSamePicture } from "../scene/edit.ts";
import { toJson } from "../scene/file.ts";
import { shown } from "../scene/python.ts";
import type { Scene } from "../scene/scene.ts";
import { analyzed, type Line, program } from "../scene/to_python.ts";
import { featureOf, hasUnknown, labelled, searchFeatures } from "./features.ts";
import { Film, recorded } from "./film.ts";
import type { History, State } from "./history.ts";
import { NewScene, Variation } from "./new_scenes.ts";
import { dataUrl, mimeOf, Picture } from "./pictures.ts";
import type { Transform } from "./refit.ts";
import { lastLine, nFound, type Send, type Sender } from "./replies.ts";
import type { IdleTasks } from "./tasks.ts";
import { alone, isSamePicture, keysOfFactors, keysOfSeeds, runKey, Thumbnails } from "./thumbnails.ts";

/** The forms of files, and their media types. */
export const MIME = {
  png: "image/png",
  json: "application/json",
  py: "text/x-python",
  apng: "image/png",
} as const;

export type Form = keyof typeof MIME;

/** A session at one moment. */
export interface Snapshot {
  readonly state: State;
  readonly history: History;
  /** The last picture. */
  readonly picture: Picture;
  /** The state that it was drawn from; not `state` if a newer one waits or there is a fault. */
  readonly shown: State;
  readonly fault: unknown;
}

/** A scene whose factors can be borrowed, its title, and the Python expression that makes it. */
export interface BorrowSource {
  readonly scene: Scene;
  readonly name: string;
  readonly code: Line;
}

/** A factor of a scene, which may have another place, or none, in the scene that there is later. */
export interface FactorOf {
  readonly painted: Scene;
  readonly factor: number;
}

export async function rendered(painter: Painter, scene: Scene, cancelled?: () => boolean): Promise<Picture> {
  const began = performance.now();
  const pixels = await painter.render(scene.drawing(), cancelled);
  return new Picture(pixels, performance.now() - began, scene);
}

export interface QueriesOptions {
  readonly painter: Painter;
  readonly transform: Transform;
  readonly snapshot: () => Snapshot;
  readonly send: Send;
  readonly idle: IdleTasks;
  /** Whether something else wants to draw; thumbnails then give way, and are drawn later. */
  readonly isWanted: () => boolean;
}

export class Queries {
  source: BorrowSource | null = null;
  private readonly thumbnails = new Thumbnails();
  private unedited: { readonly run: string; readonly picture: Picture } | null = null;
  private readonly films = new Map<string, Film>();

  constructor(private readonly options: QueriesOptions) {}

  /** Sends the features that match a text. */
  search(text: string, sender: Sender): void {
    const { painter, send } = this.options;
    send({
      type: "found",
      ...sender,
      features: searchFeatures(text, painter.n_features, painter.labels),
      concepts: [],
    });
  }

  /** Sends these thumbnails, each as soon as it is drawn. */
  icons(keys: readonly string[]): void {
    for (const key of keys) {
      const url = this.thumbnails.get(key) ?? this.shipped(key);
      if (url) this.options.send({ type: "icon", key, url });
      // Icons of features are those of a drawer or a search that was just opened.
      else this.putIcon(key, featureOf(key) !== null);
    }
  }

  private putIcon(key: string, first: boolean): void {
    this.options.idle.put(key, () => this.sendIcon(key), first);
  }

  /** The icon that the page ships of a feature. */
  private shipped(key: string): string | null {
    const feature = featureOf(key);
    const { painter } = this.options;
    const file = feature !== null && feature < painter.n_features ? painter.icon(feature) : null;
    return file && dataUrl(mimeOf(file), file);
  }

  /** Keeps the picture of a state as a thumbnail, if the state is the current step of the history. */
  async settled(state: State, picture: Picture): Promise<void> {
    const { history } = this.options.snapshot();
    const key = history.keyOf(history.step);
    if (state === history.current && !this.thumbnails.get(key)) await this.thumbnails.keep(key, picture);
  }

  /** Sends the unedited picture. */
  original(sender: Sender): void {
    const { idle, painter, snapshot, send } = this.options;
    idle.put(`original ${sender.client}`, async () => {
      const { painted } = snapshot().state;
      const picture = await rendered(painter, painted.original());
      this.unedited = { run: runKey(painted), picture };
      const now = snapshot();
      const change = this.change(now.shown.scene, now.picture);
      send({ type: "original", ...sender, change }, [await picture.png()]);
    });
  }

  /** How far a scene's picture is from the unedited one, if that was asked for. */
  change(scene: Scene, picture: Picture): readonly [number, number] | null {
    if (this.unedited?.run !== runKey(scene)) return null;
    return pixelChange(this.unedited.picture.pixels, picture.pixels, editedPatches(scene), scene.grid);
  }

  /** Sends the picture with only one factor's strongest feature in it. */
  top({ painted, factor }: FactorOf, sender: Sender): void {
    const { idle, painter, snapshot, send } = this.options;
    idle.put(`top ${sender.client}`, async () => {
      const { state } = snapshot();
      const id = painted.factor_ids[factor];
      const index = isSamePicture(painted, state.painted)
        ? state.painted.factor_ids.findIndex((one) => one === id)
        : -1;
      if (index < 0) {
        const text = `${shown(painted.names[factor])} is not in the picture any more.`;
        send({ type: "notice", ...sender, text, patches: null, link: "" });
        return;
      }
      const picture = await rendered(painter, state.scene.keepTop(index));
      send({ type: "top", ...sender }, [await picture.png()]);
    });
  }

  /** Sends the scene as a file. */
  export(form: Form, sender: Sender): void {
    this.options.idle.put(`export ${form} ${sender.client}`, () => this.sendFile(form, sender));
  }

  /** Draws the way from a step of the history to the current one, and sends it as a file. */
  film(step: number, sender: Sender): void {
    const { history } = this.options.snapshot();
    history.check(step);
    const [from, to] = [history.state(step), history.current];
    if (!from) return;
    checkSamePicture(from.scene, to.scene);
    this.putFilm(new Film([from, to], sender));
  }

  private putFilm(film: Film): void {
    const { client } = film.sender;
    this.films.set(client, film);
    this.options.idle.put(`film ${client}`, () => this.drawFilm(film));
  }

  /** Draws no more of a film, and forgets it. */
  stopFilm({ client }: Sender): void {
    this.films.delete(client);
  }

  /** Generates a picture of a prompt, so that its factors can be borrowed. */
  findSource(prompt: string, sender: Sender): void {
    const { idle, painter, snapshot } = this.options;
    idle.put(`borrow_source ${sender.client}`, async () => {
      const { state } = snapshot();
      const { seed, n_steps } = state.painted;
      const n_factors = state.asked ?? nFound(state.painted);
      const scene = await NewScene.checked({ prompt, seed, n_steps, n_factors }, painter).madeBy(painter);
      this.setSource({ scene, name: prompt, code: [analyzed(scene, n_factors)] }, sender);
    });
  }

  /** Shows factors to borrow; null: no longer. Throws if they are of another SAE. */
  setSource(source: BorrowSource | null, sender: Sender): void {
    const { painter, send, snapshot } = this.options;
    if (source) snapshot().state.painted.checkLender(source.scene);
    this.source = source;
    const shown = source && {
      name: source.name,
      factors: keysOfFactors(source.scene).map((icon, f) => ({
        name: source.scene.names[f] ?? "",
        color: source.scene.colors[f] ?? "",
        icon,
        label: labelled(source.scene, f, painter.labels)
          .slice(0, 3)
          .flatMap(({ label }) => label || [])
          .join(", "),
      })),
    };
    send({ type: "borrow_source", ...sender, source: shown });
  }

  /** Sends what the model does not read of a prompt and a style, and the words that it knows if one is unknown. */
  notes(prompt: string, style: string, sender: Sender): void {
    const { painter, send } = this.options;
    const { known_words } = painter;
    const words = [prompt, style].some((text) => hasUnknown(text, known_words)) ? known_words : [];
    send({ type: "notes", ...sender, ...painter.notes(prompt, style), words });
  }

  private async sendIcon(key: string): Promise<void> {
    let url = this.thumbnails.get(key);
    try {
      url ??= await this.drawn(key);
    } catch (fault) {
      if (fault instanceof Cancelled) this.putIcon(key, true);
      // Otherwise the factor keeps its colour; what is wrong shows with the picture itself.
    }
    if (url) this.options.send({ type: "icon", key, url });
  }

  /** A thumbnail's data URL, drawn now; undefined if there is nothing of this key any more. */
  private async drawn(key: string): Promise<string | undefined> {
    const { painter, isWanted } = this.options;
    const scene = await this.sceneOf(key);
    return scene ? this.thumbnails.keep(key, await rendered(painter, scene, isWanted)) : undefined;
  }

  /** The scene that a thumbnail shows. */
  private async sceneOf(key: string): Promise<Scene | null> {
    const { painter, transform, snapshot } = this.options;
    const { state, history } = snapshot();
    const feature = featureOf(key);
    if (feature !== null) {
      const scene = state.painted.addFactor(new Map([[feature, 1]]));
      return alone(scene, scene.nFactors - 1);
    }
    for (const scene of [state.painted, ...(this.source ? [this.source.scene] : [])]) {
      const f = keysOfFactors(scene).indexOf(key);
      if (f >= 0) return alone(scene, f);
    }
    for (const step of history.steps) if (history.keyOf(step) === key) return history.state(step)?.scene ?? null;
    const found = keysOfSeeds(history).find(([, name]) => name === key);
    if (!found) return null;
    const variation = Variation.checked("reseed", String(found[0]), state.painted.nPatches);
    return variation.madeBy(painter, transform, history.current.scene);
  }

  /** Draws one picture, or sends the file. In between, the painter is free for a stroke. */
  private async drawFilm(film: Film): Promise<void> {
    const { painter, send } = this.options;
    const { client } = film.sender;
    const isCurrent = () => this.films.get(client) === film;
    if (!isCurrent()) return;
    try {
      const isMore = await film.draw(painter);
      if (!isCurrent()) return;
      if (isMore) this.putFilm(film);
      send({ type: "film", ...film.sender, n_drawn: film.nDrawn, n: film.n });
      if (isMore) return;
      this.stopFilm(film.sender); // its pictures are many
      this.sendBytes(await film.encoded(), "apng", film.sender, "film");
    } catch (fault) {
      this.stopFilm(film.sender);
      throw fault;
    }
  }

  private async sendFile(form: Form, sender: Sender): Promise<void> {
    const { state, history, shown, picture, fault } = this.options.snapshot();
    const { painter } = this.options;
    if (form === "py") this.sendBytes(new TextEncoder().encode(await program(state, history.current)), form, sender);
    else if (form === "json") this.sendBytes(await toJson(state.scene), form, sender);
    else if (form === "apng") {
      const states = history.steps.flatMap((step) => history.state(step) ?? []);
      this.sendBytes(await recorded(states, painter), form, sender, "steps");
    } else if (fault)
      throw new Error(`there is no picture to export (${lastLine(fault)}); export the scene without it, as .json`);
    else if (shown !== state)
      this.export(form, sender); // it was painted on meanwhile
    else this.sendBytes(await picture.png(), form, sender);
  }

  private sendBytes(data: Bytes, form: Form, sender: Sender, kind = ""): void {
    const { scene } = this.options.snapshot().state;
    const words = scene.prompt.match(/[\p{L}\p{N}_]+/gu)?.slice(0, 6) ?? ["scene"];
    const parts = [words.join("-").slice(0, 60), String(scene.seed), ...(kind ? [kind] : [])];
    const name = `${parts.join("-")}.${form === "apng" ? "png" : form}`;
    this.options.send({ type: "file", ...sender, name, mime: MIME[form] }, [data]);
  }
}
