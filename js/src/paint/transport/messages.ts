/**
 * The messages between browser and kernel: types only. ember_widgets/widgets/paint/messages.py is the other end;
 * tests/unit/widgets/paint/test_wire.py compares the names and fields of both.
 */
import type { FactorSteps, Layers } from "../store/grid.ts";
import type { Call } from "../tools/tool.ts";

/** The part of anywidget's model that is used here. */
export interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  send(content: unknown, callbacks?: unknown, buffers?: ArrayBuffer[]): void;
  on(event: string, callback: (...args: never[]) => void): void;
  off(event: string, callback: (...args: never[]) => void): void;
}

/** The trait `_left`: how the user left the tools, by the names of Settings. */
export interface Left {
  readonly [setting: string]: unknown;
  readonly factor?: string | undefined;
  /** The factor whose drawer is open. */
  readonly drawer?: string | undefined;
  /** It comes from another widget, which the same cell made before. */
  readonly again?: boolean;
}

export interface FeatureInfo {
  readonly feature: number;
  /** Empty if the feature has none. */
  readonly label: string;
  /** The key of its thumbnail. */
  readonly icon?: string;
  /** The short name of the site that it belongs to, if several are steered. */
  readonly site?: string;
  /** How well its label stands up, in a few words, if that is known. */
  readonly mark?: string;
  /** All that is known of its label, in lines. */
  readonly about?: string;
  /** Found by the meaning of its label, which has other words. */
  readonly similar?: boolean;
}

/** A concept of the painter's bank: features that belong together in many pictures. */
export interface ConceptInfo {
  readonly concept: string;
  /** The labels of its strongest features. */
  readonly label: string;
  readonly icon: string;
  readonly similar?: boolean;
}

export interface PartInfo extends FeatureInfo {
  /** 1 is the feature's typical activation. */
  readonly weight: number;
  /** Its share of what all features of the factor add, 0..1. */
  readonly share: number;
}

export interface SceneInfo {
  readonly revision: number;
  readonly prompt: string;
  readonly style: string;
  /** Text, because seeds go up to 2^63 - 1 and a JS number does not. */
  readonly seed: string;
  readonly n_steps: number;
  /** How many factors were asked for. */
  readonly n_factors: number;
  /** How many of them the picture has; a plain picture may have fewer. */
  readonly n_found: number;
  /** The largest number of steps: small for a distilled model, large with guidance. */
  readonly most_steps: number;
  readonly rows: number;
  readonly cols: number;
  /** Equal if and only if the unedited picture is the same: prompt, style, seed, steps, guidance and photograph. */
  readonly run: string;
  /** For each factor a number of its own, which stays when factors are renamed, reordered, added or removed. */
  readonly ids: readonly number[];
  readonly names: readonly string[];
  readonly colors: readonly string[];
  /** For each factor the largest strength that the model itself made; if it is stronger, the picture may break. */
  readonly seen: readonly number[];
  /** For each factor whether the analysis found it, so that it can be reset. */
  readonly analysed: readonly boolean[];
  /** For each factor the key of its thumbnail. */
  readonly icons: readonly string[];
  /** Of the factors the first thing, not sky or ground: what to paint with at first. */
  readonly first_thing: number;
  /** For each factor its strongest features. */
  readonly features: readonly (readonly PartInfo[])[];
  /** For each factor the number of its site; and the names of the sites. Both are empty if there is only one site. */
  readonly sites: readonly number[];
  readonly site_names: readonly string[];
  /** For each factor the steps that it acts at. Empty if every factor acts at all steps. */
  readonly factor_steps: readonly FactorSteps[];
}

export interface StateMessage extends SceneInfo {
  readonly type: "state";
  /**
   * Why it was sent. "hello" and "refused" answer one client, "edit" is new to all the others, and "kept" says only that a
   * step of the history got a name.
   */
  readonly why: "hello" | "edit" | "refused" | "scene" | "kept";
  readonly client: string;
  readonly gains: readonly number[];
  readonly can_undo: boolean;
  readonly can_redo: boolean;
  /** Whether there is a painting, which another picture would replace. */
  readonly edited: boolean;
  /** Whether this picture has just replaced a painting; undo brings it back. */
  readonly replaced: boolean;
  /** All steps of the history, the keys of their thumbnails, and the names of those that are kept. */
  readonly steps: readonly (readonly [step: number, key: string, name: string])[];
  readonly step: number;
  /** The steps from which a film leads to this one: those with a name that are of the same picture. */
  readonly film_from: readonly number[];
  /** The next seeds, each with the key of a thumbnail: the same painting with that seed. */
  readonly seeds: readonly (readonly [seed: string, key: string])[];
  /**
   * What this painter offers besides analyze and render: names of CAPABILITIES in ember_widgets/painter/protocol.py; and
   * "apng", if moving pictures are animated PNG files.
   */
  readonly capabilities: readonly string[];
  /** In a saved page: there is no kernel, and nothing can be changed. */
  readonly frozen?: boolean;
}

/** Mean difference of colour values from the unedited picture, 0..255; null if not requested, or if nothing is edited. */
export type PixelChange = readonly [inEdit: number, beyond: number] | null;

export interface FrameMessage {
  readonly type: "frame";
  readonly client: string;
  readonly seq: number;
  readonly ms: number;
  /** How long the edit had waited when the kernel's worker became free, in ms; negative if the worker waited for it. */
  readonly waited_ms: number;
  readonly kind: "preview" | "final";
  /** Drawn with the small decoder, so colours are slightly off. */
  readonly reduced?: boolean;
  readonly change?: PixelChange;
  readonly width: number;
  readonly height: number;
}

export interface AckMessage {
  readonly type: "ack";
  readonly client: string;
  readonly seq: number;
}

export interface ErrorMessage {
  readonly type: "error";
  readonly client: string;
  readonly seq: number;
  readonly message: string;
  readonly traceback: string;
  /** Whether it may help to try again. */
  readonly retry: boolean;
}

export interface StatusMessage {
  readonly type: "status";
  readonly busy: boolean;
  /** "draw" while a new scene is made, "render" while the picture follows an edit. */
  readonly task: "" | "draw" | "render";
}

/** How the connection to the server is that has the model, if there is one. */
export interface ConnectionMessage {
  readonly type: "connection";
  readonly state: "connected" | "reconnecting" | "closed";
}

export interface FoundMessage {
  readonly type: "found";
  readonly client: string;
  readonly seq: number;
  readonly features: readonly FeatureInfo[];
  /** Empty if none were asked for. */
  readonly concepts: readonly ConceptInfo[];
}

/** A scene whose factors can be borrowed. */
export interface SourceScene {
  readonly name: string;
  readonly factors: readonly {
    readonly name: string;
    readonly color: string;
    /** The key of its thumbnail. */
    readonly icon: string;
    /** The labels of its strongest features. */
    readonly label: string;
  }[];
}

export interface SourceMessage {
  readonly type: "borrow_source";
  readonly client: string;
  readonly seq: number;
  readonly source: SourceScene | null;
}

/** What the model does not read of the prompt and of the style, in words; and the words that it knows. */
export interface NotesMessage {
  readonly type: "notes";
  readonly client: string;
  readonly seq: number;
  readonly prompt: string;
  readonly style: string;
  readonly words: readonly string[];
}

export interface IconMessage {
  readonly type: "icon";
  readonly key: string;
  /** A JPEG as a data URL. */
  readonly url: string;
}

/** The unedited picture, as PNG in the buffer. */
export interface OriginalMessage {
  readonly type: "original";
  readonly change?: PixelChange;
  readonly client: string;
  readonly seq: number;
}

/** The picture in which one factor is only its strongest feature, as PNG in the buffer. */
export interface TopMessage {
  readonly type: "top";
  readonly client: string;
  readonly seq: number;
}

/** Asks every page that shows the widget how many views it has. */
export interface ViewsMessage {
  readonly type: "views";
}

/** The text of panels.js. */
export interface PanelsMessage {
  readonly type: "panels";
  readonly client: string;
  readonly seq: number;
  readonly source: string;
}

/** A file in the buffer. */
export interface FileMessage {
  readonly type: "file";
  readonly client: string;
  readonly seq: number;
  readonly name: string;
  readonly mime: string;
}

/** How many pictures of a film are drawn. */
export interface FilmMessage {
  readonly type: "film";
  readonly client: string;
  readonly seq: number;
  readonly n_drawn: number;
  readonly n: number;
}

/** What was copied, pasted or shared, or why it was not; after a paste, the patches to select. */
export interface NoticeMessage {
  readonly type: "notice";
  readonly client: string;
  readonly seq: number;
  readonly text: string;
  readonly patches: readonly number[] | null;
  /** An address to look at; "" = none. */
  readonly link: string;
}

/** An edit on other seeds: one more of them is drawn, or all are, or it was stopped. */
export interface RobustnessMessage {
  readonly type: "robustness";
  readonly client: string;
  readonly seq: number;
  /** How many seeds there are. */
  readonly n: number;
  /** The seed that was drawn, and the pictures without and with the edit as data URLs. */
  readonly pair: readonly [seed: string, before: string, after: string] | null;
  /** Where the pictures changed so far, as a data URL; empty: as before. */
  readonly map: string;
  /** The result, or why there is none; empty as long as more will come. */
  readonly text: string;
  /** The scene changed meanwhile; no more will come. */
  readonly outdated: boolean;
}

export type KernelMessage =
  | FilmMessage
  | RobustnessMessage
  | OriginalMessage
  | TopMessage
  | FileMessage
  | ViewsMessage
  | StateMessage
  | FrameMessage
  | AckMessage
  | ErrorMessage
  | StatusMessage
  | ConnectionMessage
  | FoundMessage
  | SourceMessage
  | NotesMessage
  | PanelsMessage
  | NoticeMessage
  | IconMessage;

export interface DrawRequest {
  readonly prompt: string;
  readonly style: string;
  readonly seed: string;
  readonly n_steps: number;
  readonly n_factors: number;
}

export type FileForm = "png" | "py" | "sweep" | "gif" | "apng";

/** "apng" is an animated PNG, which the page without a kernel writes instead of the others. */
export type FilmForm = "webp" | "gif" | "mp4" | "apng";

export type Request =
  | { readonly type: "film"; readonly step: number; readonly form: FilmForm }
  | { readonly type: "stop_film" }
  | { readonly type: "robustness"; readonly on: boolean }
  | ({ readonly type: "analyze" } & DrawRequest)
  | { readonly type: "undo" | "redo" | "retry" | "hello" | "original" | "open" | "panels" }
  | { readonly type: "views"; readonly n: number }
  | { readonly type: "go"; readonly step: number }
  | { readonly type: "keep"; readonly step: number; readonly name: string }
  | { readonly type: "forget"; readonly step: number | null }
  | { readonly type: "vary"; readonly verb: "refit" | "reseed" | "reseed_edit"; readonly value: number | string }
  | { readonly type: "borrow_source"; readonly prompt: string; readonly file: string }
  | { readonly type: "export"; readonly form: FileForm; readonly factor: number; readonly revision: number }
  | { readonly type: "top"; readonly factor: number; readonly revision: number }
  | { readonly type: "notes"; readonly prompt: string; readonly style: string }
  | { readonly type: "copy"; readonly patches: readonly number[] }
  | { readonly type: "share"; readonly title: string }
  | { readonly type: "paste"; readonly revision: number }
  | { readonly type: "search"; readonly text: string; readonly site: string; readonly concepts: boolean }
  | { readonly type: "icons"; readonly keys: readonly string[] }
  | {
      readonly type: "palette";
      readonly revision: number;
      readonly verb: string;
      readonly arguments: Readonly<Record<string, unknown>>;
      readonly commit: boolean;
    };

/** The edit as a call in Python: a verb of the scene, its arguments, and a share per patch. */
export interface CallInfo {
  readonly verb: "paint" | "erase" | "move" | "scale";
  readonly shares: readonly number[];
  readonly [argument: string]: unknown;
}

/** Strengths and remainder come in two buffers. */
export type EditRequest = {
  readonly type: "edit";
  readonly revision: number;
  readonly gains: readonly number[];
  readonly commit: boolean;
  readonly call?: CallInfo;
};

/** Asks for a status; the only request without a sequence number. */
export type PingRequest = { readonly type: "ping" };

export interface Edit {
  readonly gains: readonly number[];
  readonly revision: number;
  readonly commit: boolean;
  readonly layers: Layers;
  /** The same edit as a call in Python, if a tool made it. */
  readonly call?: Call;
}
