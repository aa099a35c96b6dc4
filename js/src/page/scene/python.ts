/** Values as Python writes them: in programs, and in messages that are the same as Python's. */

/** Half of a surrogate pair, which no file can hold. */
export const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

const ESCAPES: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** `repr` of a text. */
export function reprText(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let written = quote;
  for (const letter of text)
    if (letter === quote) written += `\\${quote}`;
    else if (letter in ESCAPES) written += ESCAPES[letter];
    // What Python does not print as it is: controls, separators other than a space, halves of surrogate pairs.
    else if (letter !== " " && /[\p{C}\p{Z}]/u.test(letter)) written += escaped(letter.codePointAt(0) ?? 0);
    else written += letter;
  return written + quote;
}

function escaped(code: number): string {
  const [letter, width] = code < 0x100 ? ["x", 2] : code < 0x10000 ? ["u", 4] : ["U", 8];
  return `\\${letter}${code.toString(16).padStart(width as number, "0")}`;
}

/** `repr` of a float: with a point, or an exponent where Python writes one. */
export function reprFloat(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (Object.is(value, -0)) return "-0.0";
  const [mantissa = "0", exponent = "0"] = value.toExponential().split("e");
  const power = Number(exponent);
  if (power < -4 || power >= 16) return `${mantissa}e${power < 0 ? "-" : "+"}${padded(power)}`;
  // From 1e-4 to 1e-7, JavaScript writes the digits that Python writes.
  const text = power < 0 ? value.toFixed(decimalsOf(mantissa) - power) : String(value);
  return text.includes(".") ? text : `${text}.0`;
}

const padded = (power: number): string => String(Math.abs(power)).padStart(2, "0");

const decimalsOf = (mantissa: string): number => mantissa.split(".")[1]?.length ?? 0;

/** `repr` of a number that JSON has brought: a whole one is an int. */
export const reprNumber = (value: number): string =>
  Number.isInteger(value) && !Object.is(value, -0) && Math.abs(value) < 1e21 ? String(value) : reprFloat(value);

/** `repr` of a tuple. */
export const reprTuple = (items: readonly unknown[]): string =>
  items.length === 1 ? `(${repr(items[0])},)` : `(${items.map(repr).join(", ")})`;

/** A sequence that is a tuple in Python. */
export class Tuple {
  constructor(readonly items: readonly unknown[]) {}
}

/** A number that is a float in Python, also if it is whole. */
export class Float {
  constructor(readonly value: number) {}
}

/** `repr` of what JSON can hold, of tuples and of floats. */
export function repr(value: unknown): string {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return reprNumber(value);
  if (typeof value === "bigint") return String(value);
  if (typeof value === "string") return reprText(value);
  if (value instanceof Float) return reprFloat(value.value);
  if (value instanceof Tuple) return reprTuple(value.items);
  if (Array.isArray(value)) return `[${value.map(repr).join(", ")}]`;
  if (value instanceof Map) return `{${[...value].map(([k, v]) => `${repr(k)}: ${repr(v)}`).join(", ")}}`;
  return `{${Object.entries(value)
    .map(([k, v]) => `${reprText(k)}: ${repr(v)}`)
    .join(", ")}}`;
}

const [MOST_LETTERS, MOST_ITEMS, MOST_ENTRIES] = [60, 6, 4];

/** `repr`, shortened for messages. */
export function shown(value: unknown): string {
  if (typeof value === "string") return shortened(reprText(value.slice(0, MOST_LETTERS)), value);
  const list = value instanceof Tuple ? value.items : Array.isArray(value) ? value : null;
  if (list) {
    const items = [...list.slice(0, MOST_ITEMS).map(shown), ...(list.length > MOST_ITEMS ? ["..."] : [])].join(", ");
    if (Array.isArray(value)) return `[${items}]`;
    return list.length === 1 ? `(${items},)` : `(${items})`;
  }
  if (typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    const some = entries.slice(0, MOST_ENTRIES).map(([name, one]) => `${shown(name)}: ${shown(one)}`);
    return `{${[...some, ...(entries.length > MOST_ENTRIES ? ["..."] : [])].join(", ")}}`;
  }
  const text = repr(value);
  return text.length > MOST_LETTERS ? cut(text) : text;
}

function shortened(text: string, whole: string): string {
  if (text.length <= MOST_LETTERS) return text;
  const [start, end] = ends();
  return cut(reprText(whole.slice(0, start) + whole.slice(whole.length - end)));
}

const ends = (): readonly [number, number] => {
  const start = Math.floor((MOST_LETTERS - 3) / 2);
  return [start, MOST_LETTERS - 3 - start];
};

function cut(text: string): string {
  const [start, end] = ends();
  return `${text.slice(0, start)}...${text.slice(text.length - end)}`;
}

/** The count in words: 1 factor, 5 factors, no factors. */
export const plural = (count: number, noun: string): string => `${count || "no"} ${noun}${count === 1 ? "" : "s"}`;

/** A float as `f"{value:g}"` writes it: six digits. */
export function general(value: number): string {
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const [mantissa = "0", exponent = "0"] = value.toExponential(5).split("e");
  const power = Number(exponent);
  const bare = (digits: string) => (digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits);
  if (power < -4 || power >= 6) return `${bare(mantissa)}e${power < 0 ? "-" : "+"}${padded(power)}`;
  return bare(value.toFixed(5 - power));
}

/** The fewest digits that identify a float32. */
export function shortFloat32(value: number): number {
  for (let digits = 1; digits < 10; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}
