/** Files from the kernel: pictures, scenes, the program, a sheet of pictures. */

import { signal } from "@preact/signals-core";
import { copied } from "../transport/buffers.ts";
import type { FileForm, FileMessage, FilmForm, FilmMessage, Request } from "../transport/messages.ts";

/** The film from a step of the history to the one that is shown. */
export interface Film {
  readonly step: number;
  readonly nDrawn: number;
  readonly n: number;
  /** Once it is drawn. */
  readonly url?: string;
  readonly keep?: () => void;
}

/** What is being done for a film that is not there yet. */
export const saidOf = ({ nDrawn, n }: Film): string =>
  nDrawn < n ? `Drawing picture ${nDrawn + 1} of ${n}` : n ? "Making the film" : "Drawing the film";

export class Files {
  readonly film = signal<Film | null>(null);
  /** The edits as Python, while they are shown. */
  readonly program = signal<string | null>(null);
  /** A contact sheet, while it is shown. */
  readonly sheet = signal<{ name: string; url: string; keep: () => void } | null>(null);
  /** The file that the kernel is making. */
  readonly making = signal<FileForm | null>(null);
  /** The sequence numbers of the last requests for a file and for a film. */
  private fileSeq = 0;
  private filmSeq = 0;

  constructor(
    private readonly ask: (request: Request) => number,
    private readonly save: (name: string, mime: string, bytes: Uint8Array) => void,
    private readonly revision: () => number,
    /** Whether moving pictures are animated PNG files. */
    private readonly isApng: () => boolean,
  ) {}

  /** The forms of a film; the first is the one that is shown. */
  get filmForms(): readonly [FilmForm, ...FilmForm[]] {
    return this.isApng() ? ["apng"] : ["webp", "gif", "mp4"];
  }

  /** The form of all steps as a moving picture. */
  get stepsForm(): FileForm {
    return this.isApng() ? "apng" : "gif";
  }

  want(form: FileForm, factor = 0): void {
    this.making.value = form;
    this.fileSeq = this.ask({ type: "export", form, factor, revision: this.revision() });
  }

  wantFilm(step: number, form: FilmForm = this.filmForms[0]): void {
    if (form === this.filmForms[0]) this.film.value = { step, nDrawn: 0, n: 0 };
    this.filmSeq = this.ask({ type: "film", step, form });
  }

  /** A request failed; `isIt` says of a sequence number whether that may be its own. */
  fail(isIt: (seq: number) => boolean): void {
    const film = this.film.value;
    if (isIt(this.fileSeq)) this.making.value = null;
    if (film && !film.url && isIt(this.filmSeq)) this.stopFilm();
  }

  readonly stopFilm = (): void => {
    this.film.value = null;
    this.ask({ type: "stop_film" });
  };

  receiveFilm({ n_drawn, n }: FilmMessage): void {
    const film = this.film.value;
    if (film && !film.url) this.film.value = { ...film, nDrawn: n_drawn, n };
  }

  receive({ name, mime }: FileMessage, view: ArrayBufferView | undefined): void {
    this.making.value = null;
    if (!view) return;
    const bytes = copied(view);
    const keep = () => this.save(name, mime, bytes);
    if (name.endsWith(".py")) this.program.value = new TextDecoder().decode(bytes);
    else if (name.endsWith("-sweep.png"))
      withDataUrl(bytes, mime, (url) => {
        this.sheet.value = { name, url, keep };
      });
    else if (/-film\.(webp|png)$/.test(name))
      withDataUrl(bytes, mime, (url) => {
        if (this.film.value) this.film.value = { ...this.film.value, url, keep };
      });
    else keep();
  }
}

// A data URL, because some front ends, such as VS Code, do not allow pictures from a blob.
function withDataUrl(bytes: Uint8Array, type: string, use: (url: string) => void): void {
  const reader = new FileReader();
  reader.onload = () => use(reader.result as string);
  reader.readAsDataURL(new Blob([bytes as BlobPart], { type }));
}
