import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import parity from "../../../../tests/unit/scene/page_parity.json" with { type: "json" };
import { editedPatches, isBlank, unedited } from "../../../src/page/scene/difference.ts";
import { SceneEdit } from "../../../src/page/scene/edit.ts";
import { fromBytes } from "../../../src/page/scene/file.ts";
import { firstThing } from "../../../src/page/scene/first_thing.ts";
import type { Scene } from "../../../src/page/scene/scene.ts";
import { transfer } from "../../../src/page/scene/transfer.ts";
import { tween } from "../../../src/page/scene/tween.ts";
import type { PaintMode } from "../../../src/paint/store/grid.ts";

interface Op {
  readonly verb: string;
  readonly args: Args;
  readonly gives?: string;
  readonly error?: string;
}

interface Args {
  readonly factor: number | string;
  readonly patches: readonly (readonly [number, number])[] | null;
  readonly strength: number;
  readonly opacity: number;
  readonly mode: PaintMode;
  readonly heal: boolean;
  readonly d_row: number;
  readonly d_col: number;
  readonly gain: number;
  readonly feature: number;
  readonly weight: number;
  readonly features: Record<string, number>;
  readonly name: string;
  readonly top: number;
  readonly order: readonly number[];
  readonly color: string;
  readonly style: string;
  readonly steps: readonly [number, number] | null;
}

interface Sequence {
  readonly start: string;
  readonly ops: readonly Op[];
  readonly end: string;
  readonly ids: readonly number[];
  readonly drawn: readonly ({ readonly bits: string; readonly analysed: readonly (readonly number[])[] } | null)[];
  readonly unedited: string;
  readonly edited: readonly number[];
  readonly first_thing: number;
  readonly is_blank: boolean;
  readonly weights: readonly (readonly (readonly [number, number])[])[];
  readonly description: readonly string[] | null;
}

interface Transferred {
  readonly before: string;
  readonly after: string;
  readonly patches: readonly number[] | null;
  readonly to: string;
  readonly description: readonly string[];
  readonly changed: readonly number[];
  readonly error?: string;
  readonly scene: string;
  readonly added: readonly string[];
  readonly notes: readonly string[];
}

interface Film {
  readonly first: string;
  readonly last: string;
  readonly maps: readonly (readonly [string, string, string])[];
  readonly names: readonly (readonly string[])[];
}

// The file is too long for the type that TypeScript would infer.
const { sequences, transfers, films } = parity as unknown as {
  readonly sequences: readonly Sequence[];
  readonly transfers: readonly Transferred[];
  readonly films: readonly Film[];
};

const read = (text: string): Promise<Scene> => fromBytes(new TextEncoder().encode(text));

function mask(scene: Scene, patches: NonNullable<Args["patches"]>): Uint8Array {
  const found = new Uint8Array(scene.nPatches);
  for (const [row, col] of patches) found[row * scene.cols + col] = 1;
  return found;
}

const VERBS: Record<string, (scene: Scene, args: Args) => Scene> = {
  paint: (s, a) => s.paint(a.factor, mask(s, a.patches ?? []), a.strength, a.opacity, a.mode),
  erase: (s, a) => s.erase(mask(s, a.patches ?? []), a.factor, a.heal),
  move: (s, a) => s.move(a.factor, a.d_row, a.d_col, a.patches && mask(s, a.patches), a.heal),
  scale: (s, a) => s.scale(a.factor, a.gain, a.patches && mask(s, a.patches)),
  set_weight: (s, a) => s.setWeight(a.factor, a.feature, a.weight),
  add_factor: (s, a) => s.addFactor(new Map(Object.entries(a.features).map(([f, w]) => [Number(f), w])), a.name),
  keep_top: (s, a) => s.keepTop(a.factor, a.top),
  reset_weights: (s, a) => s.resetWeights(a.factor),
  duplicate: (s, a) => s.duplicate(a.factor),
  remove: (s, a) => s.remove(a.factor),
  reorder: (s, a) => s.reorder(a.order),
  recolor: (s, a) => s.recolor(a.factor, a.color),
  rename: (s, a) => s.rename(a.factor, a.name),
  restyle: (s, a) => s.restyle(a.style),
  set_steps: (s, a) => s.setSteps(a.factor, a.steps),
  original: (s) => s.original(),
};

function digest(...arrays: Float32Array[]): string {
  const parts = createHash("sha256");
  // The sign of a zero does not count.
  for (const array of arrays) parts.update(new Uint8Array(array.map((number) => number + 0).buffer));
  return parts.digest("hex").slice(0, 12);
}

const indices = (flags: Uint8Array): number[] => [...flags.keys()].filter((p) => flags[p]);

function assertSame(actual: Scene, expected: Scene): void {
  const bare = (field: unknown) => (field instanceof Float32Array ? field.map((number) => number + 0) : field);
  const plain = ({ fields }: Scene) =>
    Object.entries(fields).map(([name, field]) => [name, name.endsWith("_id") || name.endsWith("_ids") || bare(field)]);
  assert.deepEqual(plain(actual), plain(expected));
  assert.ok(actual.same(expected));
}

for (const [i, sequence] of sequences.entries())
  test(`sequence ${i} of verbs gives the same as in Python`, async () => {
    const first = await read(sequence.start);
    let scene = first;
    for (const [k, op] of sequence.ops.entries()) {
      const verb = VERBS[op.verb] ?? assert.fail(`no verb called ${op.verb}`);
      const said = `${k}: ${op.verb} ${JSON.stringify(op.args)}`;
      if (op.error !== undefined) {
        assert.throws(() => verb(scene, op.args), { message: op.error }, said);
        continue;
      }
      scene = verb(scene, op.args);
      assert.equal(digest(scene.strengths, scene.remainder, scene.basis), op.gives, said);
    }
    assertSame(scene, await read(sequence.end));
    assert.deepEqual([...scene.factor_ids, scene.next_factor_id], sequence.ids);
    const drawing = scene.drawing();
    for (const [step, want] of sequence.drawn.entries()) {
      const drawn = drawing.at(step);
      const got = drawn && {
        bits: digest(drawn.strengths, drawn.remainder, drawn.basis),
        analysed: [...drawn.analysed].sort(([a], [b]) => a - b),
      };
      assert.deepEqual(got, want, `drawn at step ${step}`);
    }
    assert.equal(digest(unedited(scene)), sequence.unedited);
    assert.deepEqual(indices(editedPatches(scene)), sequence.edited);
    assert.equal(firstThing(scene), sequence.first_thing);
    assert.equal(isBlank(scene), sequence.is_blank);
    assert.deepEqual(
      scene.names.map((_, f) => scene.weights(f)),
      sequence.weights,
    );
    if (sequence.description) assert.deepEqual(SceneEdit.between(first, scene).describe(), sequence.description);
  });

test("in the original a factor keeps a name that a removed one would get", async () => {
  const starts = await Promise.all(sequences.map(({ start }) => read(start)));
  const scene = starts.find(({ nBase }) => nBase > 1)?.original() ?? assert.fail("no scene has two analysed factors");
  const [, ...kept] = scene.names;
  const { names } = scene.remove(0).rename(0, "factor 1").original();
  assert.deepEqual(names, ["factor 1 2", "factor 1", ...kept.slice(1)]);
});

test("the parity file has every verb", () => {
  const verbs = sequences.flatMap(({ ops }) => ops.filter(({ gives }) => gives).map(({ verb }) => verb));
  assert.deepEqual(new Set(verbs), new Set(Object.keys(VERBS)));
});

for (const [i, one] of transfers.entries())
  test(`edit ${i} comes out on another scene as in Python`, async () => {
    const [before, after, to] = await Promise.all([read(one.before), read(one.after), read(one.to)]);
    const patches =
      one.patches && Uint8Array.from({ length: after.nPatches }, (_, p) => Number(one.patches?.includes(p)));
    const edit = patches ? SceneEdit.ofPatches(after, patches) : SceneEdit.between(before, after);
    assert.deepEqual(edit.describe(), one.description);
    assert.deepEqual(indices(edit.patches), one.changed);
    if (one.error !== undefined) {
      assert.throws(() => transfer(edit, to), { message: one.error });
      return;
    }
    const result = transfer(edit, to);
    assert.deepEqual([result.added, result.notes], [one.added, one.notes]);
    assertSame(result.scene, await read(one.scene));
  });

const floats = (text: string): Float32Array => new Float32Array(Uint8Array.from(Buffer.from(text, "base64")).buffer);

for (const [i, film] of films.entries())
  test(`the scenes of film ${i} are those of Python`, async () => {
    const [first, last] = await Promise.all([read(film.first), read(film.last)]);
    const way = tween(first, last, film.names.length);
    assert.deepEqual(
      way.map(({ names }) => names),
      film.names,
    );
    assert.ok(way[0] === first && way.at(-1) === last);
    for (const [k, maps] of film.maps.entries()) {
      const scene = way[k + 1];
      assert.ok(scene);
      for (const [m, got] of [scene.strengths, scene.remainder, scene.basis].entries()) {
        const want = floats(maps[m] ?? "");
        assert.equal(got.length, want.length);
        for (const [at, number] of want.entries())
          assert.ok(
            Math.abs((got[at] ?? 0) - number) < 2e-6,
            `scene ${k + 1}, map ${m}, at ${at}: ${got[at]}, not ${number}`,
          );
      }
    }
  });
