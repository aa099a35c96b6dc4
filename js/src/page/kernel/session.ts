/**
 * A session: one scene that is being painted, its history, and the loop that draws it; as
 * ember_widgets/widgets/paint/session.py. The loop takes the newest job, draws it and sends the picture.
 */

import type { Mask } from "../../paint/store/grid.ts";
import type { FrameMessage, StateMessage, StatusMessage } from "../../paint/transport/messages.ts";
import type { Painter } from "../model/painter.ts";
import type { Scene } from "../scene/scene.ts";
import { bounded, changed, creation, type Line, painted, scaled } from "../scene/to_python.ts";
import { transfer } from "../scene/transfer.ts";
import { Copied, changesNothing } from "./clipboard.ts";
import { History, State } from "./history.ts";
import { NewScene, Variation } from "./new_scenes.ts";
import type { PaletteEdit } from "./palette_edits.ts";
import { bmp, type Picture } from "./pictures.ts";
import { Queries, rendered, type Snapshot } from "./queries.ts";
import type { Transform } from "./refit.ts";
import { lastLine, NO_SENDER, nFound, type Send, type Sender, sentenceOf, stateReply } from "./replies.ts";
import { IdleTasks, LatestWins } from "./tasks.ts";

/** Draw a state, or make another scene first. */
interface Job {
  readonly sender: Sender;
  /** Of the scene that it was made for; an edit while a new scene is awaited makes it newer. */
  revision: number;
  readonly state: State;
  readonly final: boolean;
  readonly request?: NewScene | Variation;
  readonly since: number;
}

export interface SessionOptions {
  readonly painter: Painter;
  readonly transform: Transform;
  readonly send: Send;
  /** The text of panels.js. */
  readonly panels: string;
  readonly settleMs?: number;
}

/** What the worker may be doing. */
type Task = StatusMessage["task"];

export class Session {
  readonly queries: Queries;
  readonly history: History;
  private revision = 0;
  /** The oldest revision whose strengths and factors are laid out as today's; edits of it still fit. */
  private compatibleFrom = 0;
  /** The state that `picture` shows. */
  private pictured: State;
  private shown: FrameMessage["kind"] = "final";
  private task: Task = "";
  /** The job that makes a new scene, while it does. */
  private analysis: Job | null = null;
  private failed: Job | null = null;
  private fault: unknown = null;
  private lastError: unknown = null;
  private freeSince = performance.now();
  private copied: Copied | null = null;
  private readonly worker: LatestWins<Job>;

  /** `picture` is the picture of `state`. */
  constructor(
    private readonly options: SessionOptions,
    private state: State,
    private picture: Picture,
  ) {
    const { painter, transform, send, settleMs } = options;
    this.pictured = state;
    this.history = new History(state);
    const onError = (fault: unknown) => this.report(fault, NO_SENDER);
    this.worker = new LatestWins<Job>({
      work: (job) => this.work(job),
      settle: () => this.settle(),
      onDrop: ({ sender }) => this.acknowledge(sender),
      onError,
      ...(settleMs !== undefined && { settleMs }),
    });
    const idle = new IdleTasks(() => this.worker.free(), onError);
    const snapshot = (): Snapshot => {
      const { state, history, picture, pictured, fault } = this;
      return { state, history, picture, shown: pictured, fault };
    };
    this.queries = new Queries({ painter, transform, snapshot, send, idle, isWanted: () => this.worker.busy });
  }

  /** The scene as painted so far, without its sliders. */
  get scene(): Scene {
    return this.state.painted;
  }

  /** The painting, to go on from later. */
  get kept(): Pick<State, "painted" | "gains"> {
    const { painted, gains } = this.state;
    return { painted, gains };
  }

  get painter(): Painter {
    return this.options.painter;
  }

  /** Says that a request is done. */
  acknowledge({ client, seq }: Sender): void {
    if (client) this.options.send({ type: "ack", client, seq });
  }

  /** Keeps an error as the last one, and sends it; `retry`: it may help to try again. */
  report(fault: unknown, sender: Sender, retry = false): void {
    this.lastError = fault;
    const traceback = (fault instanceof Error && fault.stack) || String(fault);
    this.options.send({ type: "error", ...sender, message: sentenceOf(fault), traceback, retry });
  }

  sendStatus(): void {
    this.options.send({ type: "status", busy: this.task !== "", task: this.task });
  }

  sendPanels(sender: Sender): void {
    this.options.send({ type: "panels", ...sender, source: this.options.panels });
  }

  /** Sends everything to a page that has opened the widget. */
  async greet(sender: Sender): Promise<void> {
    this.sendStatus();
    this.sendState("hello", sender);
    if (this.lastError !== null) this.report(this.lastError, NO_SENDER, this.lastError === this.fault);
    await this.show(this.picture, "final", NO_SENDER);
  }

  // Edits

  /** The scene to edit; null if the revision is outdated, and then the sender gets the current state. */
  paintedAt(revision: number, sender: Sender): Scene | null {
    if (this.compatibleFrom <= revision && revision <= this.revision) return this.state.painted;
    // The scene was replaced during an edit (by undo, or a new one); the page continues from it.
    this.sendState("refused", sender);
    this.acknowledge(sender);
    return null;
  }

  /** Applies an edit of the grid. `commit`: it is a step of the history; `call`: the scene's verb that would do the same. */
  edit(
    [strengths, remainder, gains]: readonly [Float32Array, Float32Array, Float32Array],
    commit: boolean,
    call: unknown,
    sender: Sender,
  ): void {
    let state = this.state.edited(strengths, remainder, gains);
    if (commit) {
      const before = this.history.current;
      const code = [...before.code, ...painted(before.painted, state.painted, call)];
      state = state.withCode(bounded(code, state.painted, this.history.oldest));
      this.history.commit(state);
    }
    this.state = state;
    if (commit) this.sendState("edit", sender);
    this.drawEdited(sender, commit);
  }

  /** Applies an edit of the palette; `commit` is false while a slider is dragged. */
  changePalette(edit: PaletteEdit, commit: boolean, revision: number, sender: Sender): void {
    if (!this.paintedAt(revision, sender)) return;
    const before = this.history.current;
    const [source, expression] = [this.queries.source?.scene ?? null, this.queries.source?.code ?? []];
    const state = edit.apply(this.state, source);
    const lines = edit.lines(before, this.state, state, source, expression);
    this.adoptEdited(state.withCode(this.bounded([...before.code, ...lines], state.painted)));
    if (commit) this.history.commit(this.state);
    this.sendState("scene", NO_SENDER);
    this.drawEdited(sender, commit);
  }

  /** Copies what patches hold, by their numbers; without any, all that was done to the scene. */
  copy(patches: readonly number[], sender: Sender): void {
    const { scene } = this.state;
    const outside = patches.find((p) => p >= scene.nPatches);
    if (outside !== undefined)
      throw new Error(`patch ${outside} is outside the grid; patches go 0..${scene.nPatches - 1}`);
    const copied = Copied.of(scene, patches);
    if (copied) {
      this.copied = copied;
      this.notice(sender, `Copied ${copied}. Ready to paste.`);
    } else this.notice(sender, "Nothing is painted or selected here, so there is nothing to copy.");
  }

  /** Puts on the scene what was copied last. An edit that does not fit is refused in words: nothing broke. */
  paste(revision: number, sender: Sender): void {
    if (!this.paintedAt(revision, sender)) return;
    const { state: now } = this;
    let { copied } = this;
    if (!copied) {
      this.notice(sender, "Nothing was copied yet: select patches and copy them first.");
      return;
    }
    let done: ReturnType<typeof transfer>;
    try {
      done = transfer(copied.edit, now.painted);
      if (changesNothing(now.painted, done.scene)) {
        copied = copied.beside(now.painted);
        done = transfer(copied.edit, now.painted);
      }
    } catch (refused) {
      this.notice(sender, `Not pasted: ${lastLine(refused)}.`);
      return;
    }
    const before = this.history.current;
    const line: Line = ["scene = scene.apply(", ...copied.code, ")"];
    const code = [...before.code, ...changed(before.painted, now.painted), line];
    // Each slider stays at its factor.
    const gains = new Map(now.painted.factor_ids.map((id, f) => [id, now.gains[f] ?? 1]));
    const sliders = Float32Array.from(done.scene.factor_ids, (id) => gains.get(id) ?? 1);
    this.adoptEdited(now.with(done.scene, sliders).withCode(this.bounded(code, done.scene)));
    this.history.commit(this.state);
    this.sendState("scene", NO_SENDER);
    const added = done.added.length ? [`${done.added.join(", ")} added`] : [];
    this.notice(sender, `${[`Pasted ${copied}`, ...added, ...done.notes].join("; ")}.`, copied.patches);
    this.drawEdited(NO_SENDER, true);
  }

  /** Says in words what came of a request. */
  notice({ client, seq }: Sender, text: string, where: Mask | null = null): void {
    const patches = where && [...where.keys()].filter((p) => where[p]);
    this.options.send({ type: "notice", client, seq, text, patches, link: "" });
  }

  /** Continues with another scene. */
  assign(scene: Scene, sender: Sender): void {
    const found = nFound(scene);
    // How many factors were asked for is not known; the number asked for here does not shrink.
    const { painted, code, gains } = newState(scene, null);
    this.adopt(new State(painted, gains, code, Math.max(found, this.state.asked ?? found)));
    this.history.commit(this.state, true);
    this.sendState("scene", NO_SENDER);
    this.submit(sender, true);
  }

  /** Makes a new scene, or a variation of this one, and continues with it when it is made. */
  make(request: NewScene | Variation, sender: Sender): void {
    const job = { ...this.job(sender, true), request };
    this.analysis = job;
    this.put(job);
  }

  /** Repeats what failed. */
  retry(sender: Sender): void {
    const { failed } = this;
    // A new scene is being made; a picture of this one would push it out.
    if (this.analysis) this.acknowledge(sender);
    else if (failed?.request && failed.revision === this.revision) this.make(failed.request, sender);
    else this.submit(sender, true);
  }

  // History

  /** Undoes (-1) or redoes (1). During a stroke: back to where it began. */
  step(by: -1 | 1, sender: Sender): void {
    const isCommitted = this.state.same(this.history.current);
    this.go(isCommitted ? this.history.beside(by) : by < 0 ? this.history.step : null, sender);
  }

  /** Goes to a step of the history, if there is one of that number. */
  go(step: number | null, sender: Sender): void {
    if (step === null || !this.history.state(step)) {
      this.acknowledge(sender);
      return;
    }
    this.adopt(this.history.go(step));
    this.sendState("scene", NO_SENDER);
    this.submit(sender, true);
  }

  /** Gives a step a name, under which it is kept; "" removes the name. */
  keep(name: string, step: number): void {
    this.history.keep(step, name);
    this.sendState("kept", NO_SENDER);
  }

  /** Forgets a step, or (null) all steps but the current one and those that have a name. */
  forget(step: number | null, sender: Sender): void {
    const before = this.history.current;
    if (step === null) this.history.clear();
    else this.history.forget(step);
    if (this.history.current === before) {
      this.sendState("kept", NO_SENDER);
      this.acknowledge(sender);
      return;
    }
    this.adopt(this.history.current);
    this.sendState("scene", NO_SENDER);
    this.submit(sender, true);
  }

  // Drawing

  private async work(job: Job): Promise<void> {
    const waitedMs = this.freeSince - job.since;
    try {
      const current = await this.withNewScene(job);
      if (!current) {
        this.acknowledge(job.sender);
        return;
      }
      const picture = await rendered(this.painter, current.state.scene);
      this.picture = picture;
      this.pictured = current.state;
      this.fault = this.failed = this.lastError = null;
      const kind = job.final && !this.worker.waiting ? "final" : "preview";
      await this.show(picture, kind, job.sender, waitedMs);
      if (kind === "final") await this.queries.settled(current.state, picture);
    } catch (fault) {
      if (job.request && this.state !== this.pictured) await this.drawPainted();
      this.fail(job, fault);
    } finally {
      this.freeSince = performance.now();
    }
  }

  /** Draws what was painted while a new scene was awaited that does not come. The error is said after that, so that it stays. */
  private async drawPainted(): Promise<void> {
    const { state } = this;
    try {
      const picture = await rendered(this.painter, state.scene);
      this.picture = picture;
      this.pictured = state;
      await this.show(picture, "final", NO_SENDER);
    } catch {
      // The error that is said then is that of the new scene; what was painted is not lost.
    }
  }

  private fail(job: Job, fault: unknown): void {
    this.fault = fault;
    this.failed = job;
    this.report(fault, job.sender, true);
    this.acknowledge(job.sender);
  }

  /** The job to draw, with its new scene adopted if it asks for one; null if it is outdated. */
  private async withNewScene(job: Job): Promise<Job | null> {
    const { request } = job;
    if (!request) return job.revision === this.revision ? job : null;
    try {
      for (;;) {
        const before = this.state;
        const state = await this.made(request, before);
        if (this.analysis !== job) return null; // another scene was assigned or requested meanwhile
        if (request instanceof Variation && this.state !== before) continue; // an edit in between would be lost
        this.adopt(state);
        this.history.commit(this.state, request instanceof NewScene);
        this.sendState("scene", NO_SENDER);
        this.announce("render");
        return this.job(job.sender, true);
      }
    } finally {
      if (this.analysis === job) this.analysis = null;
    }
  }

  private async made(request: NewScene | Variation, before: State): Promise<State> {
    if (request instanceof NewScene) return newState(await request.madeBy(this.painter), request.nFactors);
    const scene = await request.madeBy(this.painter, this.options.transform, before.scene);
    const code = this.bounded([...scaled(before, this.history.current), request.line], scene);
    return State.of(scene, code, request.nFactors ?? before.asked);
  }

  private async settle(): Promise<void> {
    if (this.shown !== "final" && this.fault === null) {
      await this.show(this.picture, "final", NO_SENDER);
      await this.queries.settled(this.pictured, this.picture);
    }
    if (!this.worker.waiting) this.announce("");
  }

  /** Sends the last picture. */
  private async show(picture: Picture, kind: FrameMessage["kind"], sender: Sender, waitedMs = 0): Promise<void> {
    const change = kind === "final" ? this.queries.change(this.pictured.scene, picture) : null;
    const data = kind === "final" ? await picture.png() : bmp(picture.pixels);
    if (picture !== this.picture) return; // a newer one was sent while this one was written
    const { width, height } = picture.pixels;
    const [ms, waited_ms] = [picture.ms, waitedMs].map((time) => Math.round(10 * time) / 10) as [number, number];
    this.shown = kind;
    this.options.send({ type: "frame", ...sender, kind, ms, waited_ms, reduced: false, change, width, height }, [data]);
  }

  private bounded(code: readonly Line[], scene: Scene): readonly Line[] {
    return bounded(code, scene, this.history.oldest);
  }

  private adopt(state: State): void {
    this.state = state;
    this.compatibleFrom = ++this.revision;
    this.analysis = null;
  }

  /** Continues with an edit of the scene. A new scene that is awaited still comes, and then replaces it. */
  private adoptEdited(state: State): void {
    const { state: before, compatibleFrom, analysis } = this;
    this.adopt(state);
    const [was, is] = [before.painted, state.painted];
    const isLaidOutAlike = String(was.factor_ids) === String(is.factor_ids);
    if (isLaidOutAlike && was.strengths === is.strengths && was.remainder === is.remainder)
      this.compatibleFrom = compatibleFrom;
    if (!analysis) return;
    analysis.revision = this.revision;
    this.analysis = analysis;
  }

  /** Draws an edit, unless a new scene is awaited: then a picture of this one would come too late. */
  private drawEdited(sender: Sender, final: boolean): void {
    if (this.analysis) this.acknowledge(sender);
    else this.submit(sender, final);
  }

  private job(sender: Sender, final: boolean): Job {
    return { sender, revision: this.revision, state: this.state, final, since: performance.now() };
  }

  private submit(sender: Sender, final: boolean): void {
    this.put(this.job(sender, final));
  }

  private put(job: Job): void {
    this.announce(job.request ? "draw" : "render");
    this.worker.submit(job);
  }

  private announce(task: Task): void {
    if (task === this.task) return;
    this.task = task;
    this.sendStatus();
  }

  private sendState(why: StateMessage["why"], sender: Sender): void {
    this.options.send(...stateReply(why, sender, this.revision, this.state, this.history, this.painter));
  }
}

/** `asked`: how many factors were asked for, if the scene was just analysed; null if it comes from elsewhere. */
export const newState = (scene: Scene, asked: number | null): State =>
  State.of(scene, creation(scene, asked !== null), asked);
