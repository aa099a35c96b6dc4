/** The steps of the history, and how to go back and forth in them. */

import { signal } from "@preact/signals-core";
import type { Request, StateMessage } from "../transport/messages.ts";

export class History {
  readonly canUndo = signal(false);
  readonly canRedo = signal(false);
  /** Whether there is a painting, which another picture would replace. */
  readonly isEdited = signal(false);
  /** Whether the picture has just replaced a painting, which undo brings back. */
  readonly hasReplaced = signal(false);
  readonly steps = signal<StateMessage["steps"]>([]);
  /** The step that is shown. */
  readonly step = signal(0);
  /** The steps from which a film leads to it. */
  readonly filmFrom = signal<StateMessage["steps"]>([]);

  constructor(
    private readonly ask: (request: Request) => void,
    /** Cancels the stroke in progress, if there is one. */
    private readonly cancelStroke: () => boolean,
    /** Takes back the last change that waits to be sent, if there is one. */
    private readonly takeBack: () => boolean,
  ) {}

  take(
    state: Pick<StateMessage, "can_undo" | "can_redo" | "edited" | "replaced" | "steps" | "step" | "film_from">,
  ): void {
    this.canUndo.value = state.can_undo;
    this.canRedo.value = state.can_redo;
    this.isEdited.value = state.edited;
    this.hasReplaced.value = state.replaced;
    this.steps.value = state.steps;
    this.step.value = state.step;
    this.filmFrom.value = state.steps.filter(([step]) => state.film_from.includes(step));
  }

  // Both are requested even if nothing is known to undo or redo: what was just done may be on its way to the kernel.

  undo(): void {
    if (!this.cancelStroke() && !this.takeBack()) this.ask({ type: "undo" });
  }

  redo(): void {
    this.ask({ type: "redo" });
  }

  go(step: number): void {
    this.cancelStroke();
    if (step !== this.step.value) this.ask({ type: "go", step });
  }

  /** Deletes the step that is shown, or all others but those that have a name. */
  forget(others: boolean): void {
    this.cancelStroke();
    this.ask({ type: "forget", step: others ? null : this.step.value });
  }

  /** Names the step that is shown, so that the history keeps it; "" removes the name. */
  keep(name: string): void {
    this.ask({ type: "keep", step: this.step.value, name });
  }
}
