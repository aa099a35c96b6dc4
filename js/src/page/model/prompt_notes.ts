/** What the model does not read of a text, in words; see ember_widgets/painter/prompt_notes.py. */

import type { Cut } from "./tokenizer.ts";

const WORD = /[\p{L}\p{N}]+(?:['’][\p{L}\p{N}]+)*/gu;
/** So many unknown words are listed. */
const MOST_SHOWN = 10;
const LONGEST = 30;

/**
 * "" if all of a text is read.
 *
 * `known`: the words that the model knows; empty = any. `cut`: where it stops reading. `before`: what it reads before the
 * text.
 */
export function promptNotes(text: string, known: ReadonlySet<string>, cut: Cut | null, before = ""): string {
  const words = new Set(known.size ? text.toLowerCase().match(WORD) : []);
  const unknown = [...words].filter((word) => !known.has(word));
  const shown = unknown.slice(0, MOST_SHOWN).map((word) => {
    const letters = [...word];
    return letters.length > LONGEST ? `${letters.slice(0, LONGEST - 1).join("")}…` : word;
  });
  if (unknown.length > MOST_SHOWN) shown.push("…");
  const parts = shown.length ? [`not known here: ${shown.join(", ")}`] : [];
  if (cut) {
    const read = text.slice(0, Math.max(cut.end - before.length, 0)).match(/\P{White_Space}+/gu) ?? [];
    const what = read.length ? `everything after “${read.slice(-3).join(" ")}”` : "this text";
    parts.push(`only the first ${cut.n_tokens} tokens count: ${what} is ignored`);
  }
  return parts.join("; ");
}
