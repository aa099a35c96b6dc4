import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

// The tests run as bundles in build/tests/page.
const read = (path: string) => readFileSync(fileURLToPath(new URL(`../../../${path}`, import.meta.url)));
const STATIC = "../ember_widgets/page/static";
const BUILDS = { wasm: "ort-wasm-simd-threaded", webgpu: "ort-wasm-simd-threaded.jspi" };

test("the runtime that ships is the one that the worker is built with", () => {
  const files = JSON.parse(read(`${STATIC}/runtime.json`).toString());
  for (const [backend, name] of Object.entries(BUILDS)) {
    const { script, binary } = files[backend];
    const dist = `node_modules/onnxruntime-web/dist/${name}`;
    const packed = read(`${STATIC}/${binary.file}`);
    assert.equal(packed.length, binary.bytes);
    assert.ok(gunzipSync(packed).equals(read(`${dist}.wasm`)), `${backend}: run  npm run runtime`);
    assert.ok(read(`${STATIC}/${script}`).equals(read(`${dist}.mjs`)), `${backend}: run  npm run runtime`);
  }
});
