/**
 * Copies the selection, or all edits, to the kernel's clipboard, and pastes what is there: also from another widget.
 * Puts the picture into the gallery of the painter's server.
 */

import { batch, signal } from "@preact/signals-core";
import type { NoticeMessage, Request } from "../transport/messages.ts";
import type { Layers } from "./grid.ts";
import type { Painting } from "./painting.ts";
import type { Settings } from "./settings.ts";

export class Clipboard {
  /** What was copied, pasted or shared, or why it was not. */
  readonly notice = signal("");
  /** Where to look at it; "" = nowhere. */
  readonly link = signal("");
  /** The title is asked for with which the picture is shared. */
  readonly isSharing = signal(false);
  private before: Layers | null = null;

  constructor(
    private readonly ask: (request: Request) => number,
    private readonly painting: Painting,
    private readonly settings: Settings,
    private readonly cancelStroke: () => boolean,
    /** Shows words on the picture: the notice itself may be out of sight. */
    private readonly say: (text: string) => void,
  ) {}

  copy(): void {
    const patches = [...(this.settings.selection.value ?? [])].flatMap((on, p) => (on ? p : []));
    this.ask({ type: "copy", patches });
  }

  paste(): void {
    this.cancelStroke();
    this.before = this.painting.layers.value;
    this.ask({ type: "paste", revision: this.painting.revision });
  }

  share(title: string): void {
    this.ask({ type: "share", title });
  }

  receive({ text, patches, link }: NoticeMessage): void {
    const { settings, before } = this;
    batch(() => {
      // Not as soon as Enter is pressed: the button that gets the focus back would take the key for its own.
      this.isSharing.value = false;
      this.notice.value = text;
      this.link.value = /^https?:/.test(link) ? link : "";
      this.say(patches ? `${text} Drag it.` : text);
      if (!patches) return;
      const selection = this.painting.layers.value.remainder.map((_, p) => Number(patches.includes(p)));
      settings.selection.value = Uint8Array.from(selection);
      settings.tool.value = "move";
      settings.floating = before && { selection: settings.selection.value, under: before };
    });
  }
}
