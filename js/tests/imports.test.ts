import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

// The tests run as bundles in build/tests.
const SOURCE = fileURLToPath(new URL("../../src", import.meta.url));
const IMPORT = /^(?:import|export)\b[^;]*?from "(\.[^"]+)"|^import "(\.[^"]+)"/gm;

type Imports = ReadonlyMap<string, readonly string[]>;

/** Per file of js/src the files that it imports; types count too. */
function readImports(): Imports {
  const files = readdirSync(SOURCE, { recursive: true, encoding: "utf8" }).filter((name) => /\.tsx?$/.test(name));
  return new Map(
    files.map((file) => {
      const text = readFileSync(join(SOURCE, file), "utf8");
      return [file, [...text.matchAll(IMPORT)].map(([, from, alone]) => join(dirname(file), from ?? alone ?? ""))];
    }),
  );
}

/** Files that import each other in a cycle; null if there is no cycle. */
function cycleIn(imports: Imports): readonly string[] | null {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): readonly string[] | null => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return null;
    for (const other of imports.get(file) ?? []) {
      const cycle = visit(other, [...path, file]);
      if (cycle) return cycle;
    }
    done.add(file);
    return null;
  };
  for (const file of imports.keys()) {
    const cycle = visit(file, []);
    if (cycle) return cycle;
  }
  return null;
}

test("a cycle of imports is found", () => {
  const cycle = cycleIn(new Map(Object.entries({ a: ["b"], b: ["c"], c: ["b"] })));
  assert.deepEqual(cycle, ["b", "c", "b"]);
});

test("no files import each other in a cycle, not even types", () => {
  const imports = readImports();
  assert.ok(imports.get("paint/store/stroke.ts")?.includes("paint/store/grid.ts"));
  assert.equal(cycleIn(imports), null);
});

test("the shared files import no file of a widget", () => {
  for (const [file, imported] of readImports())
    if (file.startsWith("shared/"))
      assert.deepEqual(
        imported.filter((name) => !name.startsWith("shared/")),
        [],
        file,
      );
});
