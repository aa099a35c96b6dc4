import assert from "node:assert/strict";
import { test } from "node:test";
import { checkSimd } from "../../../src/page/model/runtime.ts";

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
