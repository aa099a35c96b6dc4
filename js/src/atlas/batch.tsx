/** Labelling the features that are listed: what it takes, a yes, its progress, and a stop. */
import { useEffect, useRef } from "preact/hooks";
import type { Ask, Labelling } from "./traits.ts";

export function Batch({ n, now, ask }: { n: number; now: Labelling; ask: (content: Ask) => void }) {
  const { stage, text, share, fault } = now;
  const block = useRef<HTMLDivElement>(null);
  const hadFocus = useRef(false);
  // The button that was pressed gives way to others: the focus stays here, on none of them, so that a key pressed
  // twice starts nothing.
  useEffect(() => {
    if (hadFocus.current && document.activeElement === document.body) block.current?.focus();
  }, [stage]);
  if (stage === "idle" && !n) return null;
  const button = (title: string, action: "forecast" | "start_labels" | "stop_labels" | "dismiss", isMain = false) => (
    <button
      type="button"
      class={isMain ? "a-main" : ""}
      data-testid={action}
      disabled={stage === "stopping"}
      onClick={() => ask({ do: action })}
    >
      {title}
    </button>
  );
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset cannot hold the focus
    <div
      class="a-batch"
      role="group"
      aria-label="Labelling"
      data-testid="batch"
      data-stage={stage}
      tabIndex={-1}
      ref={block}
      onFocusCapture={() => {
        hadFocus.current = true;
      }}
      onFocusOut={(event) => {
        // A button that is removed takes the focus with it, which then goes nowhere.
        if (event.relatedTarget) hadFocus.current = false;
      }}
    >
      {stage !== "idle" && (
        <p role="status" data-testid="batch-text">
          {text}
        </p>
      )}
      {(stage === "running" || stage === "stopping") && (
        <progress value={share} max={1} aria-label="Features done" data-testid="batch-share" />
      )}
      {fault && (
        <p class="a-advice" data-testid="batch-fault">
          {fault}
        </p>
      )}
      <div class="a-row a-actions">
        {stage === "idle" && button(`Label ${n.toLocaleString("en")} feature${n === 1 ? "" : "s"}`, "forecast")}
        {stage === "asking" && [button("Start", "start_labels", true), button("Not now", "dismiss")]}
        {(stage === "running" || stage === "stopping") && button("Stop", "stop_labels")}
        {stage === "done" && button("Close", "dismiss")}
      </div>
    </div>
  );
}
