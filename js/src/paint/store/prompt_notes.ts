/** What the model does not read of the prompt and the style in the form. */

import { signal } from "@preact/signals-core";
import type { NotesMessage, Request } from "../transport/messages.ts";

export class PromptNotes {
  readonly now = signal<NotesMessage | null>(null);
  private asked = "";
  private pending = 0;

  constructor(private readonly ask: (request: Request) => number) {}

  /** Asks about these texts, unless it did so last. */
  want(prompt: string, style: string): void {
    const asked = JSON.stringify([prompt, style]);
    if (asked === this.asked) return;
    this.asked = asked;
    this.pending = this.ask({ type: "notes", prompt, style });
  }

  receive(message: NotesMessage): void {
    if (message.seq === this.pending) this.now.value = message;
  }
}
