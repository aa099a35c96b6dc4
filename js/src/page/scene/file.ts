/** Reads and writes scenes as files, as ember_widgets/scene/scene_file.py does: JSON, or a PNG with the same text in it. */

import type { Pixels } from "../model/painter.ts";
import { value } from "./arrays.ts";
import { type Bytes, base64, bytesOf, fromBase64, packed, unpacked } from "./bytes.ts";
import { isPng, png, textIn, withText } from "./png.ts";
import { shown } from "./python.ts";
import { firstOrigins, Scene, type SceneFields } from "./scene.ts";

const FORMAT = "ember-scene";
const VERSION = 1;
const MAX_FILE_BYTES = 2 ** 26;
/** Of all arrays together, unpacked. */
const MAX_ARRAY_BYTES = 2 ** 27;
const PLAIN_FIELDS = ["prompt", "seed", "n_steps", "names", "colors", "model"] as const;
const OPTIONAL_FIELDS = [
  "origins",
  "style",
  "guidance",
  "edit_steps",
  "image_strength",
  "sites",
  "factor_ids",
  "next_factor_id",
  "factor_steps",
] as const;
const ARRAY_FIELDS = ["strengths", "remainder", "basis", "base_strengths", "base_basis", "unit"] as const;
const OPTIONAL_ARRAYS = ["image"] as const;

interface PackedArray {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly zlib64: string;
}

/** A scene as the text of a file. What has its default value is left out. */
export async function toText(scene: Scene): Promise<string> {
  const { nBase, nFactors, factor_ids: ids } = scene;
  const isDefault = {
    origins: nBase <= nFactors && String(scene.origins) === String(firstOrigins(nBase, nFactors)),
    ids: ids.every((id, f) => id === f) && scene.next_factor_id === nFactors,
  };
  const shapes: Record<(typeof ARRAY_FIELDS)[number], readonly number[]> = {
    strengths: [scene.rows, scene.cols, nFactors],
    remainder: [scene.rows, scene.cols],
    basis: [nFactors, scene.nFeatures],
    base_strengths: [scene.rows, scene.cols, nBase],
    base_basis: [nBase, scene.nFeatures],
    unit: [scene.nFeatures],
  };
  const arrays = await Promise.all(
    ARRAY_FIELDS.map(async (name) => {
      const zlib64 = base64(await packed(bytesOf(scene[name])));
      return [name, { shape: shapes[name], dtype: "<f4", zlib64 }] as const;
    }),
  );
  const content = {
    format: FORMAT,
    version: VERSION,
    prompt: scene.prompt,
    seed: "seed",
    n_steps: scene.n_steps,
    names: scene.names,
    colors: scene.colors,
    model: scene.model,
    ...(isDefault.origins ? {} : { origins: scene.origins }),
    ...(scene.style && { style: scene.style }),
    ...(scene.edit_steps && { edit_steps: scene.edit_steps }),
    ...(scene.image_strength !== 0.5 && { image_strength: scene.image_strength }),
    ...(isDefault.ids ? {} : { factor_ids: ids, next_factor_id: scene.next_factor_id }),
    ...(scene.factor_steps && { factor_steps: scene.factor_steps }),
    arrays: Object.fromEntries(arrays),
  };
  // A seed may have more digits than a number of JavaScript.
  return `${JSON.stringify(content, null, 1).replace('\n "seed": "seed"', `\n "seed": ${scene.seed}`)}\n`;
}

/** A scene as a JSON file. */
export const toJson = async (scene: Scene): Promise<Bytes> => new TextEncoder().encode(await toText(scene));

/** A scene as a PNG of its picture, with the scene inside it. */
export const toPng = async (scene: Scene, picture: Pixels): Promise<Bytes> =>
  withText(await png(picture), FORMAT, await toText(scene));

/**
 * Reads a scene from the bytes of a file.
 *
 * Throws if it is foreign, damaged or of a newer version, or if it is a scene that only Python can draw; the message says
 * which.
 */
export async function fromBytes(data: Bytes): Promise<Scene> {
  if (data.length > MAX_FILE_BYTES) throw new Error(`it is larger than ${MAX_FILE_BYTES} bytes, so it is not a scene`);
  const content = await parsed(data);
  if (!isObject(content) || content.format !== FORMAT)
    throw new Error(`it is not a scene (no "format": "${FORMAT}" in it); give a file written by scene.save`);
  const { version } = content;
  if (typeof version === "number" && version > VERSION)
    throw new Error(`it is a scene of version ${version}, and this page reads up to ${VERSION}; update it`);
  if (version !== VERSION) throw new Error(`its version is ${shown(version)}; this page reads ${VERSION}`);
  checkKeys(content, ["format", "version", ...PLAIN_FIELDS, "arrays"], "the file", OPTIONAL_FIELDS);
  const { arrays } = content;
  if (!isObject(arrays)) throw new Error("its arrays are not a JSON object; the file is damaged");
  checkKeys(arrays, ARRAY_FIELDS, "arrays", OPTIONAL_ARRAYS);
  refuseWhatOnlyPythonDraws(content, arrays);
  const entries = ARRAY_FIELDS.map((name) => [name, checkedArray(name, arrays[name])] as const);
  const bytes = entries.reduce((total, [, { shape }]) => total + 4 * sizeOf(shape), 0);
  if (bytes > MAX_ARRAY_BYTES) throw new Error("its arrays would be larger than 128 MiB; the file is damaged");
  const found = await Promise.all(
    entries.map(async ([name, entry]) => [name, await unpackedArray(name, entry)] as const),
  );
  return new Scene(fieldsOf(content, Object.fromEntries(entries), Object.fromEntries(found)));
}

type ByArray<T> = Readonly<Record<(typeof ARRAY_FIELDS)[number], T>>;

function fieldsOf(
  content: Record<string, unknown>,
  entries: Record<string, PackedArray>,
  arrays: Record<string, Float32Array>,
): SceneFields {
  const { strengths, remainder, basis, base_strengths, base_basis, unit } = entries as ByArray<PackedArray>;
  const [rows = 0, cols = 0] = strengths.shape;
  if (strengths.shape.length !== 3 || !rows || !cols)
    throw new Error(`strengths has shape (${strengths.shape.join(", ")}); give one patch or more`);
  const [n, nBase, nFeatures] = [value(basis.shape, 0), value(base_basis.shape, 0), value(unit.shape, 0)];
  const wanted: [string, PackedArray, number[]][] = [
    ["strengths", strengths, [rows, cols, n]],
    ["remainder", remainder, [rows, cols]],
    ["basis", basis, [n, nFeatures]],
    ["base_strengths", base_strengths, [rows, cols, nBase]],
    ["base_basis", base_basis, [nBase, nFeatures]],
    ["unit", unit, [nFeatures]],
  ];
  for (const [name, { shape }, fits] of wanted)
    if (String(shape) !== String(fits))
      throw new Error(`${name} has shape (${shape.join(", ")}); give an array of shape (${fits.join(", ")})`);
  const given = Object.fromEntries(
    [...PLAIN_FIELDS, ...OPTIONAL_FIELDS].filter((name) => name in content).map((name) => [name, content[name]]),
  );
  // Version 0.1 left origins out also where the last of the analysed factors were removed.
  const origins = nBase > n && !("origins" in given) ? { origins: firstOrigins(nBase, n) } : {};
  return { rows, cols, ...origins, ...given, ...arrays } as unknown as SceneFields;
}

function refuseWhatOnlyPythonDraws(content: Record<string, unknown>, arrays: Record<string, unknown>): void {
  const why =
    "image" in arrays
      ? "starts from a photograph"
      : "sites" in content
        ? `steers several sites (${Object.keys(Object(content.sites)).join(", ")})`
        : content.guidance
          ? `has guidance ${content.guidance}`
          : "";
  if (why) throw new Error(`it ${why}, which this page cannot draw; open it with ember_widgets in Python`);
}

async function parsed(data: Bytes): Promise<unknown> {
  let text: string | null;
  if (isPng(data)) {
    text = await textIn(data, FORMAT);
    if (text === null) throw new Error("it is a picture without a scene in it; give one written by scene.save");
  } else text = null;
  try {
    text ??= new TextDecoder("utf-8", { fatal: true }).decode(data);
    return parsedText(text);
  } catch {
    throw new Error("it is not JSON, or cut off; give a file written by scene.save");
  }
}

const MARK = "\u0000bigint ";
/** A whole number that may have more digits than a number of JavaScript; or digits behind a point, which are none. */
const LONG = /\.\d+|-?\b\d{16,}\b(?![.eE])/g;

/** JSON whose whole numbers may have more digits than a number of JavaScript: those become bigints. */
function parsedText(text: string): unknown {
  let marked = "";
  for (let at = 0; at < text.length; ) {
    const quote = text.indexOf('"', at);
    const start = quote < 0 ? text.length : quote;
    marked += text.slice(at, start).replace(LONG, (found) => (found[0] === "." ? found : JSON.stringify(MARK + found)));
    const end = quote < 0 ? text.length : endOfText(text, quote);
    marked += text.slice(start, end);
    at = end;
  }
  return JSON.parse(marked, (_, one: unknown) =>
    typeof one === "string" && one.startsWith(MARK) ? BigInt(one.slice(MARK.length)) : one,
  );
}

/** Where a text in JSON ends that begins with the quote at `start`. */
function endOfText(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let slashes = 0;
    while (text[end - 1 - slashes] === "\\") slashes++;
    if (slashes % 2 === 0) return end + 1;
  }
  return text.length;
}

const isObject = (found: unknown): found is Record<string, unknown> =>
  typeof found === "object" && found !== null && !Array.isArray(found);

function checkKeys(
  found: Record<string, unknown>,
  wanted: readonly string[],
  where: string,
  optional: readonly string[],
): void {
  const missing = wanted.filter((name) => !(name in found));
  const unknown = Object.keys(found).filter((name) => !wanted.includes(name) && !optional.includes(name));
  if (missing.length) throw new Error(`${where} lacks ${missing.join(", ")}; the file is damaged`);
  if (unknown.length) throw new Error(`${where} has unknown entries: ${shown(unknown.join(", "))}`);
}

function checkedArray(name: string, entry: unknown): PackedArray {
  const keys = isObject(entry) ? Object.keys(entry).sort().join() : "";
  if (!isObject(entry) || keys !== "dtype,shape,zlib64")
    throw new Error(`array ${name} is not made of shape, dtype and zlib64; the file is damaged`);
  const { shape, dtype, zlib64 } = entry;
  const isShape = Array.isArray(shape) && shape.every((n) => Number.isInteger(n) && n >= 0) && shape.length <= 3;
  if (!isShape) throw new Error(`array ${name} has no valid shape (${shown(shape)}); the file is damaged`);
  if (dtype !== "<f4") throw new Error(`array ${name} is of type ${shown(dtype)}; scenes hold '<f4' only`);
  if (typeof zlib64 !== "string") throw new Error(`array ${name} holds no text in zlib64; the file is damaged`);
  return { shape: shape as number[], dtype, zlib64 };
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** An array is never unpacked to more bytes than its shape states. */
async function unpackedArray(name: string, { shape, zlib64 }: PackedArray): Promise<Float32Array> {
  const length = 4 * sizeOf(shape);
  let bytes: Bytes;
  try {
    bytes = await unpacked(fromBase64(zlib64), length);
  } catch (fault) {
    if (!String(fault).includes("longer than"))
      throw new Error(`array ${name} cannot be unpacked; the file is damaged`);
    bytes = new Uint8Array(length + 1);
  }
  if (bytes.length !== length)
    throw new Error(
      `array ${name} does not have the ${length} bytes of its shape [${shape.join(", ")}]; the file is damaged`,
    );
  return new Float32Array(bytes.buffer);
}
