/** The palette's side of the wire: changes one after the other, features found, thumbnails as they come. */
import { signal } from "../../shared/signals.ts";
import type { FeatureInfo, FoundMessage, IconMessage, Loan, Request } from "../transport/messages.ts";

/** So many of the features found are seen without scrolling. */
const SEEN = 6;

interface Change {
  readonly verb: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly commit: boolean;
}

export class Palette {
  /** Addresses of thumbnails by their keys. */
  readonly icons = signal<Readonly<Record<string, string>>>({});
  readonly found = signal<readonly FeatureInfo[]>([]);
  /** A scene whose factors may be borrowed, while they are shown. */
  readonly loan = signal<Loan | null>(null);
  /** The prompt whose factors are being sought. */
  readonly fetching = signal("");
  private readonly asked = new Set<string>();
  private queue: Change[] = [];
  private flying: number | null = null;
  private searched: number | null = null;
  private picking: ((feature: FeatureInfo) => void) | null = null;

  constructor(
    private readonly ask: (request: Request, buffers?: ArrayBuffer[]) => number,
    private readonly revision: () => number,
  ) {}

  /**
   * Uses one of the scene's verbs on it. A change belongs to the scene as the last one left it, so each waits for its
   * answer; of a slider on its way (`commit` false) only the newest waits.
   */
  change(verb: string, args: Change["arguments"], commit = true): void {
    if (this.queue.at(-1)?.commit === false) this.queue.pop();
    this.queue.push({ verb, arguments: args, commit });
    this.next();
  }

  /** Finds features of one site, or ("") of all. */
  search(text: string, site = ""): void {
    this.picking = null;
    this.searched = text.trim() ? this.ask({ type: "search", text, site }) : null;
    if (this.searched === null) this.found.val = [];
  }

  /** Has the factors of a prompt's picture, or of the scene in a file, shown; of neither: no longer. */
  lend(prompt: string, file = "", bytes: ArrayBuffer[] = []): void {
    this.fetching.val = prompt;
    this.ask({ type: "lend", prompt, file }, bytes);
  }

  lent(loan: Loan | null): void {
    this.fetching.val = "";
    this.loan.val = loan;
  }

  /** False while what was found is the answer to an earlier text. */
  get isFound(): boolean {
    return this.searched === null;
  }

  /** Keeps these thumbnails and those of features, and asks for what nobody has asked for yet. */
  want(keys: readonly string[]): void {
    const isOld = (key: string) => !keys.includes(key) && !key.startsWith("feature");
    const kept = Object.entries(this.icons.val).filter(([key]) => !isOld(key));
    if (kept.length < Object.keys(this.icons.val).length) this.icons.val = Object.fromEntries(kept);
    for (const key of this.asked) if (isOld(key)) this.asked.delete(key);
    this.lookAt(keys);
  }

  /** Asks for thumbnails that nobody has asked for yet. */
  lookAt(keys: readonly string[]): void {
    const missing = keys.filter((key) => key && !this.asked.has(key));
    for (const key of missing) this.asked.add(key);
    if (missing.length) this.ask({ type: "icons", keys: missing });
  }

  /** Takes the best of what is found, now or, of a text whose answer is under way, as soon as it comes. */
  pickFirst(pick: (feature: FeatureInfo) => void): void {
    this.picking = pick;
    if (this.isFound) this.pickNow();
  }

  foundFor({ seq, features }: FoundMessage): void {
    if (seq !== this.searched) return;
    this.searched = null;
    this.found.val = features;
    this.lookAt(features.slice(0, SEEN).map(({ icon = "" }) => icon));
    this.pickNow();
  }

  private pickNow(): void {
    const [first] = this.found.val;
    const pick = this.picking;
    this.picking = null;
    if (first) pick?.(first);
  }

  received({ key, address }: IconMessage): void {
    this.icons.val = { ...this.icons.val, [key]: address };
  }

  answered(seq: number): void {
    if (this.flying === null || seq < this.flying) return;
    this.flying = null;
    this.next();
  }

  /** The kernel is gone: nothing will be answered, and what it never drew may be asked for again. */
  forget(): void {
    this.flying = null;
    this.fetching.val = "";
    this.queue = [];
    this.asked.clear();
    for (const key of Object.keys(this.icons.val)) this.asked.add(key);
  }

  private next(): void {
    const change = this.flying === null ? this.queue.shift() : undefined;
    if (change) this.flying = this.ask({ type: "palette", revision: this.revision(), ...change });
  }
}
