/** Default names and colours of factors, as ember_widgets/scene/palette.py gives them. */

import { MAX_TEXT } from "./checks.ts";

export const PALETTE = [
  "#e69f00",
  "#56b4e9",
  "#009e73",
  "#cc79a7",
  "#f0e442",
  "#7a4dff",
  "#d55e00",
  "#88ffaa",
  "#0072b2",
  "#b01030",
] as const;

/** Colours of so many factors. After ten they repeat. */
export const palette = (n: number): string[] => [...Array(n).keys()].map((i) => PALETTE[i % PALETTE.length] ?? "");

/** The first colour of the palette that is not taken. If all are taken, they repeat. */
export const nextColor = (taken: readonly string[]): string =>
  PALETTE.find((color) => !taken.includes(color)) ?? PALETTE[taken.length % PALETTE.length] ?? "";

/** `name`, or "name 2", "name 3", ... if that is taken. */
export function freeName(name: string, taken: readonly string[]): string {
  let candidate = name;
  for (let count = 2; taken.includes(candidate); count++) candidate = withEnding(name, ` ${count}`);
  return candidate;
}

/** A name and what tells it apart from others; a name that is too long with it is cut. */
export const withEnding = (name: string, ending: string): string =>
  [...name].slice(0, MAX_TEXT - ending.length).join("") + ending;

/** `name`, or one like it that is not taken: "lion 2" for "lion", but "factor 6" for "factor 5". */
export function freeFactorName(name: string, taken: readonly string[]): string {
  const numbered = /^((?:.* )?factor )(\d+)$/s.exec(name);
  if (!numbered) return freeName(name, taken);
  for (let count = Number(numbered[2]); ; count++) {
    const candidate = `${numbered[1]}${count}`;
    if (!taken.includes(candidate)) return candidate;
  }
}
