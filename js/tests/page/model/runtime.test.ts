import assert from "node:assert/strict";
import { test } from "node:test";
import { checkSimd, hasWebGpu } from "../../../src/page/model/runtime.ts";

test("a browser without SIMD is told what it lacks, in one sentence", () => {
  checkSimd();
  assert.throws(
    () => checkSimd(() => false),
    /^Error: This page computes with WebAssembly SIMD, which this browser does not have; open it in a current version/,
  );
});

test("what asks for SIMD is a valid module, but for its instruction", () => {
  let asked = new Uint8Array();
  checkSimd((code) => {
    asked = code;
    return true;
  });
  assert.ok(WebAssembly.validate(asked));
  // Without the prefix of all SIMD instructions it is none.
  assert.ok(!WebAssembly.validate(asked.map((byte) => (byte === 253 ? 252 : byte))));
});

test("WebGPU is used on a real GPU only", async () => {
  const gpu = (adapter: object | null) => ({ requestAdapter: async () => adapter });
  assert.equal(await hasWebGpu(gpu({ info: { isFallbackAdapter: false } }), true), true);
  assert.equal(await hasWebGpu(gpu({}), true), true);
  assert.equal(await hasWebGpu(gpu({ info: { isFallbackAdapter: true } }), true), false);
  assert.equal(await hasWebGpu(gpu(null), true), false);
  assert.equal(await hasWebGpu(gpu({}), false), false);
  assert.equal(await hasWebGpu({ requestAdapter: () => Promise.reject(new Error("blocked")) }, true), false);
});
