/**
 * How the user left the tools: a trait, so that it is the same after the page is reloaded. A widget that a cell makes
 * when it is run again gets it from the one before, whose factors may have had other places; so it names them.
 */

import { clamp } from "../../shared/numbers.ts";
import { TOOLS } from "../tools/index.ts";
import type { Left } from "../transport/messages.ts";
import { MAX_BRUSH, type Settings } from "./settings.ts";

const NAMES = ["tool", "size", "strength", "opacity", "soft", "mode", "gain", "eraseOnlyFactor", "heal"] as const;

export const leftIn = (settings: Settings): Left =>
  Object.fromEntries(NAMES.map((name) => [name, settings[name].value]));

/** What is missing or wrong stays as it is. */
export function takeLeft(settings: Settings, left: Left): void {
  for (const name of NAMES) {
    const value = left[name];
    const isKnown = name !== "tool" || Object.hasOwn(TOOLS, String(value));
    if (isKnown && typeof value === typeof settings[name].value) settings[name].value = value as never;
  }
  settings.size.value = clamp(settings.size.value, 1, MAX_BRUSH);
}
