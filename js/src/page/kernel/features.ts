/** Rows of features: those of a factor, and those that a search finds; as ember_widgets/widgets/shared/feature_rows.py. */

import type { FeatureInfo, PartInfo } from "../../paint/transport/messages.ts";
import { sum, value } from "../scene/arrays.ts";
import type { Scene } from "../scene/scene.ts";

/** {feature: text}, best fits first. */
type Labels = ReadonlyMap<number, string>;

const [SHOWN, MAX_HITS] = [12, 30];

/** A factor's features, those that add most first, with their share of what all of them add. */
export function labelled(scene: Scene, factor: number, labels: Labels): PartInfo[] {
  const total = sum(Float64Array.from(scene.row(factor), Math.abs));
  return scene.weights(factor, SHOWN).map(([feature, weight]) => ({
    ...rowOf(feature, labels),
    weight,
    share: (Math.abs(weight) * value(scene.unit, feature)) / total,
  }));
}

const rowOf = (feature: number, labels: Labels): FeatureInfo => ({
  feature,
  label: labels.get(feature) ?? "",
  icon: keyOfFeature(feature),
});

/** The key of a feature's icon. */
export const keyOfFeature = (feature: number): string => `feature ${feature}`;

/** The feature whose icon has this key; null if it is the key of another kind of thumbnail. */
export function featureOf(key: string): number | null {
  const found = /^feature (\d{1,9})$/.exec(key);
  return found ? Number(found[1]) : null;
}

/** Features for a text: the one of that number first, then those whose label holds all its words. */
export function searchFeatures(text: string, nFeatures: number, labels: Labels): FeatureInfo[] {
  const number = /^#?\s*(\d{1,9})$/.exec(text.trim());
  const found = [...(number ? [Number(number[1])] : []), ...searchLabels(text, labels)];
  return [...new Set(found)]
    .filter((feature) => feature < nFeatures)
    .slice(0, MAX_HITS)
    .map((feature) => rowOf(feature, labels));
}

/**
 * Features whose label contains every word of a text, in any order and case: first labels that equal the text, then those
 * with its words, with words that start with them, with words that contain them; ties in the order of the labels.
 */
export function searchLabels(text: string, labels: Labels): number[] {
  const wanted = wordsOf(text);
  if (!wanted.length) return [];
  const whole = wanted.join(" ");
  const hits: { feature: number; isExact: boolean; points: number }[] = [];
  for (const [feature, label] of labels) {
    const words = wordsOf(label);
    const ranks = wanted.map((part) => words.reduce((most, word) => Math.max(most, rankOf(part, word)), 0));
    if (ranks.every((rank) => rank > 0))
      hits.push({ feature, isExact: words.join(" ") === whole, points: ranks.reduce((a, b) => a + b, 0) });
  }
  // Sorting keeps the order of equal ones.
  hits.sort((a, b) => Number(b.isExact) - Number(a.isExact) || b.points - a.points);
  return hits.map(({ feature }) => feature);
}

const rankOf = (part: string, word: string): number =>
  word === part ? 3 : word.startsWith(part) ? 2 : word.includes(part) ? 1 : 0;

/** Words in lower case, without the brackets and commas around them. */
const wordsOf = (text: string): string[] =>
  text
    .toLowerCase()
    .split(/\s+/)
    .map((word) => word.replace(/^[()[\]{},.;:!?"']+|[()[\]{},.;:!?"']+$/g, ""))
    .filter(Boolean);

/** Whether a text has words that the model does not know. */
export const hasUnknown = (text: string, known: readonly string[]): boolean =>
  known.length > 0 && (text.toLowerCase().match(WORD) ?? []).some((word) => !known.includes(word));

const WORD = /[\p{L}\p{N}]+(?:['’][\p{L}\p{N}]+)*/gu;
