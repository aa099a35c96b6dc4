import assert from "node:assert/strict";
import { test } from "node:test";
import { batch, effect, signal } from "../src/shared/signals.ts";

test("an effect runs at once, and again when what it read changes", () => {
  const [a, b] = [signal(1), signal(10)];
  const seen: number[] = [];
  effect(() => seen.push(a.val));
  a.val = 2;
  a.val = 2;
  b.val = 20;
  assert.deepEqual(seen, [1, 2]);
});

test("what it does not read any more does not wake it", () => {
  const [which, a, b] = [signal(true), signal("a"), signal("b")];
  const seen: string[] = [];
  effect(() => seen.push(which.val ? a.val : b.val));
  which.val = false;
  a.val = "A";
  b.val = "B";
  assert.deepEqual(seen, ["a", "b", "B"]);
});

test("a stopped effect stays still", () => {
  const a = signal(1);
  let runs = 0;
  const stop = effect(() => {
    runs += a.val;
  });
  stop();
  a.val = 5;
  assert.equal(runs, 1);
});

test("a batch is one change, a batch in a batch too, and a fault in it loses nothing", () => {
  const [a, b] = [signal(1), signal(1)];
  const seen: number[] = [];
  effect(() => seen.push(a.val + b.val));
  batch(() => {
    a.val = 2;
    batch(() => {
      b.val = 2;
    });
    a.val = 3;
  });
  assert.deepEqual(seen, [2, 5]);
  assert.throws(() =>
    batch(() => {
      a.val = 0;
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
        inner += b.val;
      });
    a.val;
  });
  b.val = 2;
  assert.deepEqual([outer, inner], [1, 3]);
  a.val = 2;
  assert.equal(outer, 2);
});

test("an effect that changes what another one reads wakes it", () => {
  const [a, b] = [signal(1), signal(0)];
  const seen: number[] = [];
  effect(() => {
    seen.push(b.val);
  });
  effect(() => {
    b.val = 2 * a.val;
  });
  a.val = 2;
  assert.deepEqual(seen, [0, 2, 4]);
});
