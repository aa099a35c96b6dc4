// node page_runtime.mjs FOLDER   writes the files of ONNX Runtime that the page loads: for each build its script, and its
// WebAssembly packed with gzip; and runtime.json, which names them (js/src/page/model/runtime.ts reads it).
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

// "webgpu": the build that waits for the GPU by JavaScript Promise Integration is 2.5 MB smaller, packed, than the one
// that does it by Asyncify, which browsers without that have.
const BUILDS = { wasm: "ort-wasm-simd-threaded", webgpu: "ort-wasm-simd-threaded.jspi" };

const [folder] = process.argv.slice(2);
if (!folder) throw new Error("say where to write: node page_runtime.mjs FOLDER");
const dist = fileURLToPath(new URL("node_modules/onnxruntime-web/dist", import.meta.url));
mkdirSync(folder, { recursive: true });
const files = {};
for (const [backend, name] of Object.entries(BUILDS)) {
  copyFileSync(`${dist}/${name}.mjs`, `${folder}/${backend}.js`);
  const packed = gzipSync(readFileSync(`${dist}/${name}.wasm`), { level: 9 });
  writeFileSync(`${folder}/${backend}.wasm.gz`, packed);
  files[backend] = { script: `${backend}.js`, binary: { file: `${backend}.wasm.gz`, bytes: packed.length } };
}
writeFileSync(`${folder}/runtime.json`, JSON.stringify(files));
