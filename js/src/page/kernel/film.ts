/** Moving pictures, drawn picture by picture, so that strokes need not wait for them. */

import type { Painter, Pixels } from "../model/painter.ts";
import type { Bytes } from "../scene/bytes.ts";
import { animatedPng } from "../scene/png.ts";
import type { Scene } from "../scene/scene.ts";
import { tween } from "../scene/tween.ts";
import type { State } from "./history.ts";
import type { Sender } from "./replies.ts";

const N_SCENES = 25;
/** How long each picture is shown: of the way between two steps, and of the steps one after the other. */
const [FILM_MS, STEPS_MS] = [80, 500];
/** The last picture stays so many times as long. */
const HOLD = 3;

/** The way between two steps of the history. */
export class Film {
  private scenes: readonly Scene[] | null = null;
  private readonly pictures: Pixels[] = [];

  constructor(
    private readonly ends: readonly [State, State],
    readonly sender: Sender,
  ) {}

  /** How many pictures it has. */
  readonly n = N_SCENES;

  get nDrawn(): number {
    return this.pictures.length;
  }

  /** Draws the next picture; false if all are drawn. */
  async draw(painter: Painter): Promise<boolean> {
    const [from, to] = this.ends;
    this.scenes ??= tween(from.scene, to.scene, this.n);
    const scene = this.scenes[this.nDrawn];
    if (!scene) return false;
    this.pictures.push(await painter.render(scene.drawing()));
    return true;
  }

  encoded(): Promise<Bytes> {
    return moving(this.pictures, FILM_MS);
  }
}

/** The pictures of some states, one after the other. */
export async function recorded(states: readonly State[], painter: Painter): Promise<Bytes> {
  const pictures: Pixels[] = [];
  for (const { scene } of states) pictures.push(await painter.render(scene.drawing()));
  return moving(pictures, STEPS_MS);
}

function moving(pictures: readonly Pixels[], ms: number): Promise<Bytes> {
  return animatedPng(
    pictures,
    pictures.map((_, i) => (i === pictures.length - 1 ? HOLD * ms : ms)),
  );
}
