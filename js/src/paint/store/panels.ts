/** The components of the second file, panels.js, which the kernel sends as text. */

import { signal } from "@preact/signals-core";
import type { PanelsMessage, Request } from "../transport/messages.ts";

/** Components by their names; ui/panels.tsx says what they are. */
export type Components = Readonly<Record<string, unknown>>;

export class Panels {
  readonly components = signal<Components | null>(null);
  /** The browser does not allow to load them. */
  readonly isRefused = signal(false);
  private isRequested = false;

  constructor(
    private readonly ask: (request: Request) => void,
    private readonly load: (source: string) => Promise<Components>,
  ) {}

  /** Requests them, once. */
  want(): void {
    if (this.isRequested) return;
    this.isRequested = true;
    this.ask({ type: "panels" });
  }

  async receive({ source }: PanelsMessage): Promise<void> {
    this.isRequested = true;
    try {
      this.components.value ??= await this.load(source);
    } catch {
      this.isRefused.value = true;
    }
  }

  /** The kernel is lost: a request that has not been answered has to be sent again. */
  forget(): void {
    this.isRequested = this.components.peek() !== null;
  }
}
