import assert from "node:assert/strict";
import { test } from "node:test";
import { batch, effect, signal } from "../src/signals.ts";

test("an effect runs at once, and again when what it read changes", () => {
  const [a, b] = [signal(1), signal(10)];
  const seen: number[] = [];
  effect(() => seen.push(a.value));
  a.value = 2;
  a.value = 2;
  b.value = 20;
  assert.deepEqual(seen, [1, 2]);
});

test("what it does not read any more does not wake it", () => {
  const [which, a, b] = [signal(true), signal("a"), signal("b")];
  const seen: string[] = [];
  effect(() => seen.push(which.value ? a.value : b.value));
  which.value = false;
  a.value = "A";
  b.value = "B";
  assert.deepEqual(seen, ["a", "b", "B"]);
});

test("a stopped effect stays still", () => {
  const a = signal(1);
  let runs = 0;
  const stop = effect(() => {
    runs += a.value;
  });
  stop();
  a.value = 5;
  assert.equal(runs, 1);
});

test("a batch is one change, a batch in a batch too, and a fault in it loses nothing", () => {
  const [a, b] = [signal(1), signal(1)];
  const seen: number[] = [];
  effect(() => seen.push(a.value + b.value));
  batch(() => {
    a.value = 2;
    batch(() => {
      b.value = 2;
    });
    a.value = 3;
  });
  assert.deepEqual(seen, [2, 5]);
  assert.throws(() =>
    batch(() => {
      a.value = 0;
      throw new Error("broken");
    }),
  );
  assert.deepEqual(seen, [2, 5, 2]);
});

test("an effect in an effect reads for itself", () => {
  const [a, b] = [signal(1), signal(1)];
  let outer = 0;
  let inner = 0;
  effect(() => {
    outer++;
    if (outer === 1)
      effect(() => {
        inner += b.value;
      });
    a.value;
  });
  b.value = 2;
  assert.deepEqual([outer, inner], [1, 3]);
  a.value = 2;
  assert.equal(outer, 2);
});

test("an effect that changes what another one reads wakes it", () => {
  const [a, b] = [signal(1), signal(0)];
  const seen: number[] = [];
  effect(() => {
    seen.push(b.value);
  });
  effect(() => {
    b.value = 2 * a.value;
  });
  a.value = 2;
  assert.deepEqual(seen, [0, 2, 4]);
});
