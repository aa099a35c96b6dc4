/** The steps that a factor acts at: cells to click or drag over, and for the keyboard a handle at each end. */

import { clamp, floor, max, min } from "../../shared/numbers.ts";
import type { View } from "../store/view.ts";
import type { SceneInfo } from "../transport/messages.ts";

const KEYS: Record<string, number> = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, Home: -1e3, End: 1e3 };

export function StepBar({ view, factor, info }: { view: View; factor: number; info: SceneInfo }) {
  const { store, steps: chosen } = view;
  const { n_steps } = info;
  const own = info.factor_steps[factor] ?? [0, n_steps];
  // A choice that the kernel has not answered yet; it belongs to the state that it was made from. An answer to the choice
  // before does not end it, neither while the pointer is down nor while it waits to be sent.
  const now = chosen.value?.factor === factor ? chosen.value : null;
  const choice = now && (now.info === info || now.anchor !== null || !store.palette.isIdle) ? now : null;
  const range = choice?.range ?? own;
  const [start, stop] = [min(range[0], n_steps), min(range[1], n_steps)];
  const show = (from: number, to: number, anchor: number | null = null) => {
    chosen.value = { info, factor, range: [from, to], anchor };
  };
  const commit = (from: number, to: number) => {
    show(from, to);
    const isAll = !from && to === n_steps;
    if (from !== own[0] || to !== own[1] || !store.palette.isIdle)
      store.palette.change("set_steps", { factor, steps: isAll ? null : [from, to] });
  };
  const cellAt = (event: PointerEvent) => {
    const { left, width } = (event.currentTarget as Element).getBoundingClientRect();
    return clamp(floor(((event.clientX - left) / width) * n_steps), 0, n_steps - 1);
  };
  const first = min(start, n_steps - 1);
  const isAll = !start && stop === n_steps;
  const count = stop - start;
  const text = isAll
    ? "all sampling steps"
    : count > 1
      ? `sampling steps ${start + 1}–${stop} of ${n_steps}`
      : count
        ? `sampling step ${stop} of ${n_steps}`
        : `none of this picture’s ${n_steps} sampling steps`;
  const handle = (end: 0 | 1) => (
    <span
      role="slider"
      // Only the picked factor's, so that the keyboard reaches the next row soon.
      tabIndex={store.factors.picked.value === factor ? 0 : -1}
      aria-label={end ? "Last sampling step" : "First sampling step"}
      aria-valuemin={1}
      aria-valuemax={n_steps}
      aria-valuenow={end ? stop : first + 1}
      aria-valuetext={`Acts at ${text}`}
      data-testid={`${end ? "last" : "first"}-step-${factor}`}
      style={{ left: `${(100 * (end ? stop : start)) / n_steps}%` }}
      onKeyDown={(event) => {
        const by = KEYS[event.key];
        if (!by || !store.isEditable) return;
        event.preventDefault();
        if (end) commit(first, clamp(stop + by, first + 1, n_steps));
        else commit(clamp(start + by, 0, stop - 1), stop);
      }}
    />
  );
  return (
    <fieldset
      class={isAll ? "e-steps e-all" : "e-steps"}
      aria-label={`Sampling steps of ${info.names[factor]}`}
      title={`Acts at ${text}; only what you paint or change with it. Early steps compose, late ones draw details`}
      data-testid={`steps-${factor}`}
      data-value={isAll ? "all" : `${start}-${stop}`}
      style={{ "--n": n_steps, "--from": start / n_steps, "--to": stop / n_steps }}
      onPointerDown={(event) => {
        if (!store.isEditable || event.button) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        const cell = cellAt(event);
        show(cell, cell + 1, cell);
      }}
      onPointerMove={(event) => {
        const anchor = choice?.anchor ?? null;
        if (anchor !== null) show(min(anchor, cellAt(event)), max(anchor, cellAt(event)) + 1, anchor);
      }}
      onPointerUp={() => {
        if (!choice || choice.anchor === null) return;
        // A click on the only step that was on gives all of them back.
        if (start === own[0] && stop === own[1]) commit(0, n_steps);
        else commit(start, stop);
      }}
      onPointerCancel={() => {
        chosen.value = null;
      }}
    >
      {handle(0)}
      {handle(1)}
      {!count && <small>at no step here</small>}
    </fieldset>
  );
}
