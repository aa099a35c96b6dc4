import assert from "node:assert/strict";
import { test } from "node:test";
import { cover, Field, submitOnEnter } from "../../../src/paint/ui/controls.tsx";

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

test("Enter that takes an input method's word enters nothing, and submits nothing", (t) => {
  const entered: string[] = [];
  const field = new Field({ testid: "prompt", value: "", onEnter: (text) => entered.push(text) });
  const input = () => (field.render() as { props: Record<string, (event: object) => void> }[])[0]?.props ?? {};
  input().onInput?.({ currentTarget: { value: "neko" } });
  input().onKeyDown?.({ key: "Enter", isComposing: true });
  assert.deepEqual(entered, []);
  input().onKeyDown?.({ key: "Enter", isComposing: false });
  assert.deepEqual(entered, ["neko"]);

  class Input {
    readonly dataset = {};
    readonly ariaInvalid = "false";
  }
  t.after(() => Reflect.deleteProperty(globalThis, "HTMLInputElement"));
  Object.assign(globalThis, { HTMLInputElement: Input });
  let nSubmitted = 0;
  const enter = (isComposing: boolean) =>
    submitOnEnter({
      key: "Enter",
      isComposing,
      target: new Input(),
      currentTarget: { requestSubmit: () => nSubmitted++ },
      preventDefault: () => {},
    } as unknown as KeyboardEvent);
  enter(true);
  assert.equal(nSubmitted, 0);
  enter(false);
  assert.equal(nSubmitted, 1);
});

test("Escape in a field restores what was in force before it was typed in, and leaving the field then enters nothing", () => {
  const done: string[] = [];
  const props = {
    testid: "style",
    value: "sepia",
    onText: (text: string) => {
      done.push(`text ${text}`);
      props.value = text;
    },
    onEnter: (text: string) => done.push(`enter ${text}`),
  };
  const field = new Field(props);
  const input = () => (field.render() as { props: Record<string, (event: object) => void> }[])[0]?.props ?? {};
  const type = (value: string) => input().onInput?.({ currentTarget: { value } });
  type("p");
  type("pi");
  input().onKeyDown?.({ key: "Escape" });
  input().onBlur?.({});
  assert.deepEqual([done, input().value], [["text p", "text pi", "text sepia"], "sepia"]);
  type("oil");
  input().onBlur?.({});
  assert.equal(done.at(-1), "enter oil");
});
