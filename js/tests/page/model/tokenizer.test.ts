import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { promptNotes } from "../../../src/page/model/prompt_notes.ts";
import { Tokenizer } from "../../../src/page/model/tokenizer.ts";
import { parity } from "./parity.ts";

// The tests run in js/build/tests.
const read = (name: string) =>
  JSON.parse(readFileSync(`../../../ember_widgets/embedded/assets/pipeline/tokenizer/${name}`, "utf8"));
const tokenizer = new Tokenizer(read("tokenizer.json"), read("tokenizer_config.json"));

test("texts get the ids that transformers gives them", () => {
  for (const [i, text] of parity.tokens.texts.entries())
    assert.deepEqual(tokenizer.encode(text), parity.tokens.ids[i], JSON.stringify(text));
});

test("notes about prompts and styles are Python's", () => {
  const known = new Set(parity.tokens.known);
  for (const [i, [prompt = "", style = ""]] of parity.tokens.pairs.entries()) {
    const before = prompt && style ? `${prompt}, ` : "";
    const notes = [
      promptNotes(prompt, known, tokenizer.cut(prompt)),
      promptNotes(style, known, style ? tokenizer.cut(before + style) : null, before),
    ];
    assert.deepEqual(notes, parity.tokens.notes[i], JSON.stringify([prompt, style]));
  }
});
