/**
 * Which factor is picked, which ones are hidden, locked or shown alone. All of it is stored by key, not by index, so
 * that it stays right when factors are renamed, reordered, added or removed.
 */

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import { clamp } from "../../shared/numbers.ts";
import type { SceneInfo } from "../transport/messages.ts";

/** Names one factor as long as the widget lives. */
export type FactorKey = string;

type Keys = ReadonlySet<FactorKey>;
type Known = Pick<SceneInfo, "ids" | "run" | "features" | "first_thing">;

export class Factors {
  /** One key per factor, in the order of the palette. */
  readonly keys = signal<readonly FactorKey[]>([]);
  readonly solo: Signal<FactorKey | null> = signal(null);
  /** The factor whose drawer is open. */
  readonly drawer: Signal<FactorKey | null> = signal(null);
  private readonly pickedKey = signal<FactorKey>("");
  private readonly hiddenKeys = signal<Keys>(new Set());
  private readonly lockedKeys = signal<Keys>(new Set());
  /** The index of the picked factor. */
  readonly picked = computed(() => this.indexOf(this.pickedKey.value) ?? 0);
  /** Indices of factors without a tint on the grid. */
  readonly hidden = this.indices(this.hiddenKeys);
  /** Indices of factors that no tool changes. */
  readonly locked = this.indices(this.lockedKeys);
  /** The index of the only factor with a tint; null if all have one. */
  readonly soloIndex = computed(() => this.indexOf(this.solo.value));
  private known: Known | null = null;
  private nScenes = 0;

  /** Null if the factor does not exist any more. */
  indexOf(key: FactorKey | null): number | null {
    const index = key === null ? -1 : this.keys.value.indexOf(key);
    return index < 0 ? null : index;
  }

  pick(factor: number): void {
    const { keys } = this;
    this.pickedKey.value = keys.value[clamp(factor, 0, keys.value.length - 1)] ?? "";
  }

  toggle(what: "hidden" | "locked", factor: number): void {
    const keys = what === "hidden" ? this.hiddenKeys : this.lockedKeys;
    const key = this.keys.value[factor] ?? "";
    const next = new Set(keys.value);
    if (!next.delete(key)) next.add(key);
    keys.value = next;
  }

  toggleSolo(factor: number): void {
    const key = this.keys.value[factor] ?? null;
    this.solo.value = this.solo.value === key ? null : key;
  }

  follow(next: Known): void {
    const before = this.keys.value;
    const isNew = !this.known || !isSameScene(this.known, next);
    const picked = isNew ? next.first_thing : this.picked.value;
    if (isNew) this.nScenes++;
    this.known = next;
    const now = next.ids.map((id) => `${this.nScenes}/${id}`);
    this.keys.value = now;
    // A factor that was just added is picked, because it was added to paint with it.
    const added = before.length && now.length > before.length ? now.findIndex((key) => !before.includes(key)) : -1;
    if (added >= 0 && now.some((key) => before.includes(key))) this.pick(added);
    else if (!now.includes(this.pickedKey.value)) this.pick(picked);
  }

  private indices(keys: Signal<Keys>): ReadonlySignal<ReadonlySet<number>> {
    return computed(() => {
      const found = new Set<number>();
      for (const [factor, key] of this.keys.value.entries()) if (keys.value.has(key)) found.add(factor);
      return found;
    });
  }
}

/**
 * Ids name factors within a scene, and another scene may use the same ids. Another style or seed changes the run but not
 * what the factors are made of.
 */
export const isSameScene = (one: Known, other: Known): boolean =>
  one.run === other.run || contents(one.features) === contents(other.features);

const contents = (features: Known["features"]): string => JSON.stringify(features, ["feature", "weight"]);

/** The short name of a factor's site; empty if there is only one site. */
export const siteOf = ({ sites, site_names }: SceneInfo, factor: number): string =>
  site_names[sites[factor] ?? -1] ?? "";
