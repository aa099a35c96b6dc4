import assert from "node:assert/strict";
import { test } from "node:test";
import blank from "../../../../tests/unit/scene/files/blank.json" with { type: "json" };
import { Copied } from "../../../src/page/kernel/clipboard.ts";
import { fromBytes } from "../../../src/page/scene/file.ts";

test("of a blank canvas what is painted is copied, and not the emptiness around it", async () => {
  const painted = await fromBytes(new TextEncoder().encode(JSON.stringify(blank)));
  const { strengths, nFactors, nPatches } = painted;
  const held = [...Array(nPatches).keys()].filter((p) =>
    strengths.slice(p * nFactors, (p + 1) * nFactors).some(Boolean),
  );
  assert.ok(held.length > 0 && held.length < nPatches);
  const copied = Copied.of(painted, []);
  assert.ok(copied?.patches);
  assert.deepEqual(
    [...copied.patches.keys()].filter((p) => copied.patches?.[p]),
    held,
  );
  assert.equal(String(copied), String(Copied.of(painted, held)));
  const empty = painted.replace({ strengths: new Float32Array(strengths.length) });
  assert.equal(Copied.of(empty, []), null);
});
