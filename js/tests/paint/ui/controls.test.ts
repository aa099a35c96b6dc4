import assert from "node:assert/strict";
import { test } from "node:test";
import { cover } from "../../../src/paint/ui/controls.tsx";

test("under a sheet nothing can be reached, and only the sheet on top can be used", () => {
  const part = (isSheet = false) => ({ matches: () => isSheet, inert: false });
  const [form, body, program, keys] = [part(), part(), part(true), part(true)];
  const inert = (children: object[], closed?: object) => {
    const top = cover({ children } as unknown as Element, closed as Element | undefined);
    return [[form, body, program, keys].map((one) => one.inert), top];
  };
  assert.deepEqual(inert([form, body, program]), [[true, true, false, false], program]);
  assert.deepEqual(inert([form, body, program, keys]), [[true, true, true, false], keys]);
  assert.deepEqual(inert([form, body, program, keys], keys), [[true, true, false, true], program]);
  assert.deepEqual(inert([form, body, program], program), [[false, false, false, true], undefined]);
});
