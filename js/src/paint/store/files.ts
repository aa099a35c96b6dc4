/** Files from the kernel: pictures, scenes, the program, a sheet of pictures. */

import { signal } from "@preact/signals-core";
import { copied } from "../transport/buffers.ts";
import type { FileForm, FileMessage, Request } from "../transport/messages.ts";

export class Files {
  /** The edits as Python, while they are shown. */
  readonly program = signal<string | null>(null);
  /** A contact sheet, while it is shown. */
  readonly sheet = signal<{ name: string; url: string; keep: () => void } | null>(null);
  /** The file that the kernel is making. */
  readonly making = signal<FileForm | null>(null);

  constructor(
    private readonly ask: (request: Request) => number,
    private readonly save: (name: string, mime: string, bytes: Uint8Array) => void,
  ) {}

  want(form: FileForm, factor = 0): void {
    this.making.value = form;
    this.ask({ type: "export", form, factor });
  }

  receive({ name, mime }: FileMessage, view: ArrayBufferView | undefined): void {
    this.making.value = null;
    if (!view) return;
    const bytes = copied(view);
    const keep = () => this.save(name, mime, bytes);
    if (name.endsWith(".py")) this.program.value = new TextDecoder().decode(bytes);
    else if (name.endsWith("-sweep.png")) {
      // As a data URL: some front ends, such as VS Code, do not allow pictures from a blob.
      const reader = new FileReader();
      reader.onload = () => {
        this.sheet.value = { name, url: reader.result as string, keep };
      };
      reader.readAsDataURL(new Blob([bytes as BlobPart], { type: mime }));
    } else keep();
  }
}
