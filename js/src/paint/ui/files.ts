/** What one takes along: files, the program, a sheet of pictures. */

import { signal } from "../../shared/signals.ts";
import { copied } from "../store/pictures.ts";
import type { FileForm, FileMessage, Request } from "../transport/messages.ts";

export class Files {
  /** What was done, as Python, while it is shown. */
  readonly program = signal<string | null>(null);
  /** A contact sheet, while it is shown. */
  readonly sheet = signal<{ name: string; address: string; keep: () => void } | null>(null);
  /** What is being made and takes its time. */
  readonly making = signal<FileForm | null>(null);

  constructor(
    private readonly ask: (request: Request) => number,
    private readonly save: (name: string, mime: string, bytes: Uint8Array) => void,
  ) {}

  want(form: FileForm, factor = 0): void {
    this.making.val = form;
    this.ask({ type: "export", form, factor });
  }

  received({ name, mime }: FileMessage, view: ArrayBufferView | undefined): void {
    this.making.val = null;
    if (!view) return;
    const bytes = copied(view);
    const keep = () => this.save(name, mime, bytes);
    if (name.endsWith(".py")) this.program.val = new TextDecoder().decode(bytes);
    else if (name.endsWith("-sweep.png")) {
      // As text: where pages are locked up, as in VS Code, pictures may not come from a blob.
      const reader = new FileReader();
      reader.onload = () => {
        this.sheet.val = { name, address: reader.result as string, keep };
      };
      reader.readAsDataURL(new Blob([bytes as BlobPart], { type: mime }));
    } else keep();
  }
}
