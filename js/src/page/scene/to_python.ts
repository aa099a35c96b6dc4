/**
 * The history of a scene as a Python program, in the scene's own verbs. The same text as
 * ember_widgets/widgets/paint/to_python.py writes, but for the packing of arrays and scenes in it: these are packed only
 * when the program is wanted, because that takes time.
 */

import type { Mask, PaintMode } from "../../paint/store/grid.ts";
import { areasOf } from "../../paint/tools/areas.ts";
import { equal, value } from "./arrays.ts";
import { base64, bytesOf, packed } from "./bytes.ts";
import { toJson } from "./file.ts";
import { palette } from "./palette.ts";
import { Float, general, repr, reprFloat, reprText, shortFloat32, Tuple } from "./python.ts";
import type { Scene } from "./scene.ts";

/** A line of a program: text, and the arrays and scenes that it writes out. */
export type Line = readonly Piece[];
export type Piece = string | Scene | PackedArray;

/** An array in a program. */
export class PackedArray {
  constructor(
    readonly array: Float32Array | Float64Array,
    readonly shape: readonly number[],
  ) {}
}

/** What a program needs of a state; see history.ts. */
export interface Programmed {
  readonly painted: Scene;
  /** The sliders. */
  readonly gains: Float32Array;
  /** `painted` with the sliders multiplied in. */
  readonly scene: Scene;
  readonly code: readonly Line[];
}

/** The verbs that can express a stroke, and their arguments without the patches. */
const CALLS: Readonly<Record<string, readonly string[]>> = {
  paint: ["factor", "strength", "opacity", "mode"],
  erase: ["factor", "heal"],
  move: ["factor", "d_row", "d_col", "heal"],
  scale: ["factor", "gain"],
};

/** A soft edge with more shares than this is written as an array. */
const MAX_CALLS = 8;
/** A program of more lines or characters is cut; see `bounded`. */
const [MAX_LINES, MAX_CHARACTERS] = [1000, 300_000];

const CUT = ["# Earlier edits are not listed any more; this is the scene they led to."];

const OPENED = `def opened(text):
    """A scene as the widget wrote it."""
    return ember.Scene.from_bytes(zlib.decompress(base64.b64decode(text)))


`;
const ARRAY = `def array(text, *shape, dtype="<f4"):
    """An array as the widget wrote it."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype).reshape(shape)


`;

/**
 * Lines that make a scene which was not painted on yet: one as analysed is analysed again, any other is written out.
 * `isAnalyzedHere`: its names are those that the painter gives.
 */
export function creation(scene: Scene, isAnalyzedHere: boolean): Line[] {
  const original = scene.original();
  const { nFactors, names, colors, edit_steps } = scene;
  const isUntouched =
    nFactors > 0 &&
    nFactors === original.nFactors &&
    original.same(scene.replace({ names: original.names, colors: original.colors }));
  if (!isUntouched) return [["scene = ", ...opened(scene)]];
  if (scene.model.concepts)
    return [
      ["# This picture was taken apart in a bank of concepts that the painter does not have."],
      ["scene = ", ...opened(scene)],
    ];
  const fields = [
    ...(isAnalyzedHere ? [] : [`names=${repr(new Tuple(names))}`]),
    ...(String(colors) === String(palette(nFactors)) ? [] : [`colors=${repr(new Tuple(colors))}`]),
    ...(edit_steps ? [`edit_steps=${repr(new Tuple(edit_steps))}`] : []),
  ];
  return [
    [`scene = ${analyzed(scene, nFactors)}`],
    ...(fields.length ? [[`scene = scene.replace(${fields.join(", ")})`]] : []),
  ];
}

/**
 * A program, if it is short enough; else its end, after a scene that is written out. It is cut at the oldest state that
 * can be undone to; if it would be too long even so, only `scene` is left.
 */
export function bounded(
  code: readonly Line[],
  scene: Scene,
  oldest: Pick<Programmed, "code" | "painted">,
): readonly Line[] {
  if (isShort(code)) return code;
  const n = oldest.code.length;
  const recent = [CUT, ["scene = ", ...opened(oldest.painted)], ...code.slice(n)];
  const isContinued = oldest.code.every((line, i) => line === code[i]);
  return isContinued && isShort(recent) ? recent : [CUT, ["scene = ", ...opened(scene)]];
}

function isShort(code: readonly Line[]): boolean {
  // A scene that is written out is not counted: it cannot get shorter.
  const lines = code.filter((line) => !(line[0] === "scene = " && line[1] === OPENED_START));
  const length = lines.reduce((total, line) => total + line.reduce((sum, piece) => sum + lengthOf(piece), 0), 0);
  return lines.length <= MAX_LINES && length <= MAX_CHARACTERS;
}

/** About how many letters a piece will have: painted maps are packed to a quarter, and base64 makes that a third. */
function lengthOf(piece: Piece): number {
  if (typeof piece === "string") return piece.length;
  if (piece instanceof PackedArray) return piece.array.byteLength / 3;
  return (piece.strengths.byteLength + piece.basis.byteLength) / 3;
}

const OPENED_START = "opened('";

/** An expression that has all of a scene in it. */
export const opened = (scene: Scene): Line => [OPENED_START, scene, "')"];

/** An expression that generates a scene's picture and takes it apart again. */
export function analyzed(scene: Scene, nFactors: number): string {
  const style = scene.style ? `, style=${reprText(scene.style)}` : "";
  const asked = `${reprText(scene.prompt)}, seed=${scene.seed}, n_steps=${scene.n_steps}, n_factors=${nFactors}`;
  return `painter.analyze(${asked}${style})`;
}

/** A stroke as the call that the browser names; if that gives another result, as the result itself. */
export function painted(before: Scene, after: Scene, call: unknown): readonly Line[] {
  try {
    for (const calls of callsOf(before, call)) {
      const scene = calls.reduce((now, one) => one.apply(now), before);
      if (scene.same(after)) return calls.map(({ verb, given }) => lineOf(before, verb, given));
    }
  } catch {
    // What a browser sends is not trusted.
  }
  return changed(before, after);
}

/** What leads from one scene to another, as the result itself; nothing if they are equal. */
export function changed(before: Scene, after: Scene): readonly Line[] {
  if (before.same(after)) return [];
  const isOther = before.rows !== after.rows || before.cols !== after.cols || before.nFactors !== after.nFactors;
  if (isOther || !before.withMaps(after).same(after)) return [["scene = ", ...opened(after)]];
  const { rows, cols, nFactors, strengths, remainder } = after;
  return [
    [
      "scene = scene.replace(strengths=",
      ...arrayOf(strengths, [rows, cols, nFactors]),
      ", remainder=",
      ...arrayOf(remainder, [rows, cols]),
      ")",
    ],
  ];
}

/** Arguments of a verb, in their order. */
export type Arguments = readonly (readonly [name: string, value: unknown])[];

/** A call of one of the scene's verbs as a line; `first` is an argument that is Python already. */
export function lineOf(scene: Scene, verb: string, given: Arguments, first?: Line): Line {
  const pieces: Piece[] = [`scene = scene.${verb}(`, ...(first ?? [])];
  for (const [i, [name, one]] of given.entries()) {
    pieces.push(i || first ? `, ${name}=` : `${name}=`);
    pieces.push(...(first ? [repr(one)] : literal(scene, name, one)));
  }
  return [...pieces, ")"];
}

/** The program that leads to a state, its sliders multiplied in; `committed` is the last state of the history. */
export function scaled(state: Programmed, committed: Programmed): readonly Line[] {
  const lines = [...committed.code, ...changed(committed.painted, state.painted)];
  const n = state.painted.nFactors;
  for (const [f, name] of state.painted.names.entries()) {
    const gain = value(state.gains, f);
    if (gain === 1) continue;
    const short = shortFloat32(gain);
    const { strengths } = state.painted.scale(f, short);
    const isSame = strengths.every((s, at) => at % n !== f || s === state.scene.strengths[at]);
    lines.push([`scene = scene.scale(${reprText(name)}, ${numberText(isSame ? short : gain)})`]);
  }
  return lines;
}

/** A program that ends with the scene of a state; it needs a `painter`. */
export async function program(state: Programmed, committed: Programmed): Promise<string> {
  const lines: string[] = [];
  for (const line of scaled(state, committed)) lines.push(await textOf(line));
  const text = [...lines, "painter.render(scene)", ""].join("\n");
  const [arrays, scenes] = [text.includes("=array("), text.includes("opened(")];
  const helpers = (arrays ? ARRAY : "") + (scenes ? OPENED : "");
  const standard = helpers ? "import base64\nimport zlib\n\n" : "";
  const numpy = arrays ? "import numpy as np\n\n" : "";
  return `${standard}${numpy}import ember_widgets as ember\n${helpers ? "\n\n" : "\n"}${helpers}${text}`;
}

/** A line with its arrays and scenes packed. */
export async function textOf(line: Line): Promise<string> {
  const texts = await Promise.all(
    line.map(async (piece) => {
      if (typeof piece === "string") return piece;
      const bytes = piece instanceof PackedArray ? bytesOf(piece.array) : await toJson(piece);
      return base64(await packed(bytes));
    }),
  );
  return texts.join("");
}

interface OneCall {
  readonly verb: string;
  readonly given: Arguments;
  apply(scene: Scene): Scene;
}

/** The calls that may make up a stroke, the shortest first; none if the browser's makes no sense. */
function callsOf(scene: Scene, call: unknown): readonly (readonly OneCall[])[] {
  if (typeof call !== "object" || call === null) return [];
  const sent = call as Record<string, unknown>;
  const names = typeof sent.verb === "string" && Object.hasOwn(CALLS, sent.verb) ? CALLS[sent.verb] : undefined;
  if (!names || !Array.isArray(sent.shares) || sent.shares.length !== scene.nPatches) return [];
  if (!names.every((name) => name in sent)) return [];
  const verb = String(sent.verb);
  const asked = new Map(names.map((name) => [name, sent[name]]));
  const factor = asked.get("factor") as number | null;
  if (typeof factor === "number" && scene.names[factor] !== undefined) asked.set("factor", scene.names[factor]);
  const shares = Float32Array.from(sent.shares as number[]);
  const patches = Uint8Array.from(shares, (share) => (share > 0 ? 1 : 0));
  if (verb !== "paint") {
    const given = [...asked, ["patches", patches] as const];
    return [[{ verb, given, apply: (now) => simple(now, verb, asked, factor, patches) }]];
  }
  const { strength, mode } = sent as { strength: number; mode: PaintMode };
  const full = sent.opacity as number;
  const opacities = Float64Array.from(shares, (share) => full * share);
  const steps = [...new Set(opacities)].filter((share) => share > 0).sort((a, b) => a - b);
  const given = (opacity: unknown, where: Mask): Arguments => [
    ...new Map(asked).set("opacity", opacity),
    ["patches", where],
  ];
  if (steps.length > MAX_CALLS) {
    // As the pressure of a pen gives.
    const array = new PackedArray(opacities, [scene.rows, scene.cols]);
    const apply = (now: Scene) => now.paint(factor ?? "", shares, strength, full, mode);
    return [[{ verb, given: given(array, patches), apply }]];
  }
  // One call for each share of its soft edge; all digits only where fewer would give another result.
  return [rounded, (step: number) => step].map((written) =>
    steps.map((step): OneCall => {
      const where = Uint8Array.from(opacities, (share) => (share === step ? 1 : 0));
      const opacity = written(step);
      const apply = (now: Scene) => now.paint(factor ?? "", where, strength, opacity, mode);
      return { verb, given: given(new Float(opacity), where), apply };
    }),
  );
}

function simple(
  scene: Scene,
  verb: string,
  asked: ReadonlyMap<string, unknown>,
  factor: number | null,
  patches: Mask,
): Scene {
  const number = (name: string) => asked.get(name) as number;
  const heal = asked.get("heal");
  if (verb === "scale") return scene.scale(factor ?? "", number("gain"), patches);
  if (typeof heal !== "boolean") throw new Error("heal is neither true nor false");
  if (verb === "erase") return scene.erase(patches, factor, heal);
  return scene.move(factor, number("d_row"), number("d_col"), patches, heal);
}

/** Rounded to six digits after the point, halves to the even one, as Python's `round`. */
function rounded(share: number): number {
  const exact = share.toFixed(60);
  const isHalf = /^5?0*$/.test(exact.slice(-54)) && exact.at(-54) === "5";
  const below = Number(exact.slice(0, -54));
  return isHalf && Number(exact.at(-55)) % 2 === 0 ? below : Number(share.toFixed(6));
}

/** A number as Python writes it, whole ones without a point. */
const numberText = (number: number): string =>
  Number(general(number)) === number ? general(number) : reprFloat(number);

function literal(scene: Scene, name: string, one: unknown): Line {
  if (name === "patches") return [patchesOf(scene, one as Mask)];
  if (one instanceof PackedArray) return arrayOf(one.array, one.shape);
  if (name === "factor" && typeof one === "number" && scene.names[one] !== undefined)
    return [reprText(scene.names[one] ?? "")];
  return [repr(one)];
}

/** Patches as an argument of a verb. */
export function patchesOf({ grid }: Scene, mask: Mask): string {
  for (const [name, area] of Object.entries(areasOf(grid))) if (equal(mask, area)) return reprText(name);
  const pairs = [...mask.keys()].filter((p) => mask[p]).map((p) => `(${Math.floor(p / grid.cols)}, ${p % grid.cols})`);
  return `[${pairs.join(", ")}]`;
}

function arrayOf(array: Float32Array | Float64Array, shape: readonly number[]): Line {
  const single = Float32Array.from(array);
  const isExact = equal(single, array);
  const data = new PackedArray(isExact ? single : array, shape);
  return ["array('", data, `', ${shape.join(", ")}${isExact ? "" : ", dtype='<f8'"})`];
}
