/** The messages between kernel and panel; `ember_widgets/widgets/atlas/panel.py` has the same names. */

export interface Tile {
  feature: number;
  label: string;
  /** A short note, such as the similarity. */
  note: string;
  dead: boolean;
}

export interface Details {
  feature: number;
  label: string;
  /** Where the label comes from and how well it fits. */
  source: string;
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
  | { do: "clear" | "all" }
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
  ...(["icons", "details", "status", "notice", "has_paint", "height"] as const),
];
