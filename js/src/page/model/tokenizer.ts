/** CLIP's tokenizer, as transformers runs it from a tokenizer.json. */

/** What is read of a tokenizer.json. */
export interface TokenizerFile {
  readonly added_tokens: readonly { readonly id: number; readonly content: string }[];
  readonly model: {
    readonly vocab: Readonly<Record<string, number>>;
    /** Pairs; the one that is joined first comes first. */
    readonly merges: readonly (readonly string[])[];
    readonly end_of_word_suffix: string;
  };
}

/** What is read of a tokenizer_config.json. */
export interface TokenizerConfig {
  readonly bos_token: string;
  readonly eos_token: string;
  readonly pad_token: string;
  /** Tokens of a text at most, the first and the last included. */
  readonly model_max_length: number;
}

const SPACES = /\p{White_Space}+/gu;
/** CLIP's own pattern: words, single digits, and runs of all else. */
const PIECES = /<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\p{White_Space}\p{L}\p{N}]+/gu;
/** GPT-2's pattern, which splits these pieces once more. They hold no spaces. */
const PARTS = /'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}+|[^\p{L}\p{N}]+/gu;
/** The tokens that are put around a text. */
const N_SPECIAL = 2;

/** Where a text is cut because it has too many tokens. */
export interface Cut {
  /** Tokens of the text that are read. */
  readonly n_tokens: number;
  /** Where the last word that is read ends; 0 if none is. */
  readonly end: number;
}

export class Tokenizer {
  readonly maxLength: number;
  private readonly vocab: ReadonlyMap<string, number>;
  private readonly ranks: ReadonlyMap<string, number>;
  private readonly suffix: string;
  private readonly special: RegExp;
  private readonly ends: { readonly bos: number; readonly eos: number; readonly pad: number };

  constructor({ model, added_tokens }: TokenizerFile, config: TokenizerConfig) {
    this.maxLength = config.model_max_length;
    this.vocab = new Map([
      ...Object.entries(model.vocab),
      ...added_tokens.map(({ id, content }) => [content, id] as const),
    ]);
    this.ranks = new Map(model.merges.map(([left, right], rank) => [`${left} ${right}`, rank]));
    this.suffix = model.end_of_word_suffix;
    this.special = new RegExp(`(${added_tokens.map(({ content }) => escaped(content)).join("|")})`, "g");
    this.ends = { bos: this.id(config.bos_token), eos: this.id(config.eos_token), pad: this.id(config.pad_token) };
  }

  /** The ids of a text, `maxLength` in number: what is too long is cut, what is short is padded. */
  encode(text: string): number[] {
    const { bos, eos, pad } = this.ends;
    const ids = [bos, ...this.idsOf(text).slice(0, this.maxLength - N_SPECIAL), eos];
    return [...ids, ...Array<number>(this.maxLength - ids.length).fill(pad)];
  }

  /** Where a text is cut; null if all of it is read. */
  cut(text: string): Cut | null {
    const most = this.maxLength - N_SPECIAL;
    const fits = (part: string): boolean => this.idsOf(part).length <= most;
    if (fits(text)) return null;
    const ends = [...text.matchAll(/\P{White_Space}+/gu)].map((word) => word.index + word[0].length);
    // The first word that does not fit, by halving.
    let [low, high] = [0, ends.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (fits(text.slice(0, ends[middle]))) low = middle + 1;
      else high = middle;
    }
    return { n_tokens: most, end: low ? (ends[low - 1] ?? 0) : 0 };
  }

  /** The ids of all of a text, without those that are put around it. */
  private idsOf(text: string): number[] {
    // Special tokens are found as they stand; what lies between them is made lower-case and split.
    return text
      .split(this.special)
      .flatMap((part, i) => (i % 2 ? [this.id(part)] : this.piecesOf(part).flatMap((piece) => this.joined(piece))));
  }

  private piecesOf(text: string): string[] {
    const plain = text.normalize("NFC").replace(SPACES, " ");
    // Letter by letter: the form of a letter does not depend on its place in the word.
    const lower = Array.from(plain, (letter) => letter.toLowerCase()).join("");
    return (lower.match(PIECES) ?? []).flatMap((piece) => piece.match(PARTS) ?? []);
  }

  /** Byte-pair encoding of one piece. */
  private joined(piece: string): number[] {
    const parts = Array.from(new TextEncoder().encode(piece), (byte) => BYTES[byte] ?? "");
    parts.push((parts.pop() ?? "") + this.suffix);
    for (;;) {
      let [best, at] = [Infinity, -1];
      for (let i = 0; i + 1 < parts.length; i++) {
        const rank = this.ranks.get(`${parts[i]} ${parts[i + 1]}`) ?? Infinity;
        if (rank < best) [best, at] = [rank, i];
      }
      if (at < 0) return parts.map((part) => this.id(part));
      parts.splice(at, 2, `${parts[at]}${parts[at + 1]}`);
    }
  }

  private id(token: string): number {
    const id = this.vocab.get(token);
    if (id === undefined) throw new Error(`the tokenizer has no token ${JSON.stringify(token)}: its files do not fit`);
    return id;
  }
}

const escaped = (text: string): string => text.replace(/[^\w\s]/g, "\\$&");

/** A letter for every byte, those of GPT-2: printable ones stand for themselves. */
const BYTES: readonly string[] = (() => {
  let next = 256;
  const isPrinted = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte < 256 && byte !== 173);
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isPrinted(byte) ? byte : next++));
})();
