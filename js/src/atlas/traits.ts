/** The messages between kernel and panel; `ember_widgets/widgets/atlas/panel.py` has the same names. */

export interface Tile {
  feature: number;
  label: string;
  /** A short note, such as the similarity. */
  note: string;
  /** How well the label stands up, in a few words; empty if nothing is known. */
  mark: string;
  /** All that is known of the label, in lines. */
  about: string;
  trusted: boolean;
  dead: boolean;
}

export interface Labelling {
  /** "asking" shows a forecast and waits for a yes. */
  stage: "idle" | "counting" | "asking" | "running" | "stopping" | "done";
  text: string;
  /** Of the features that are done, 0..1. */
  share: number;
  /** The last thing that went wrong. */
  fault: string;
}

export interface Details {
  feature: number;
  label: string;
  /** Where the label comes from. */
  source: string;
  /** All that is known of the label, in lines. */
  about: string;
  /** What the author of the label was unsure about. */
  comment: string;
  facts: [string, string][];
  /** Pictures in which the feature is strongest, as data URLs. */
  pictures: string[];
  /** How to get such pictures, if there are none. */
  advice: string;
}

export interface Legend {
  /** Colours from low to high; empty for kinds. */
  ramp: string[];
  low: string;
  high: string;
  kinds: { name: string; color: string; count: number }[];
}

export interface State {
  query: string;
  color_by: string;
  color_modes: [string, string][];
  legend: Legend;
  filters: string[];
  filter_choices: { key: string; title: string; count: number; advice: string }[];
  /** The filter, title and number of labels of each category. */
  categories: [string, string, number][];
  /** The name of each concept that was found, or of all without a query, and what it is made of. */
  concepts: [string, string][];
  /** How many of the features listed can be labelled; 0 if this atlas cannot label. */
  n_to_label: number;
  labelling: Labelling;
  title: string;
  tiles: Tile[];
  more: number;
  icons: Record<string, string>;
  details: Details | null;
  status: string;
  notice: string;
  has_paint: boolean;
  height: number;
  /** Under this name the map says which part of it is in view. */
  map_id: string;
}

export type Ask =
  | { do: "look" | "brush" | "like" | "show"; feature: number }
  | { do: "label"; feature: number; text: string }
  | { do: "clear" | "all" | "forecast" | "start_labels" | "stop_labels" | "dismiss" }
  | { do: "concept"; name: string }
  | { do: "view"; x: number[]; y: number[] };

export interface Model {
  get<K extends keyof State>(key: K): State[K];
  set(key: "query" | "color_by" | "filters" | "ground", value: unknown): void;
  save_changes(): void;
  send(content: Ask): void;
  on(event: string, callback: () => void): void;
  off(event: string, callback: () => void): void;
}

export const KEYS: (keyof State)[] = [
  ...(["query", "color_by", "color_modes", "legend", "filters", "filter_choices", "title", "tiles", "more"] as const),
  ...(["categories", "concepts", "n_to_label", "labelling"] as const),
  ...(["icons", "details", "status", "notice", "has_paint", "height"] as const),
];
