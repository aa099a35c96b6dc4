/** What ember_widgets/page/export.py writes as manifest.json. */

import type { SAE } from "./sae.ts";
import type { Schedule } from "./scheduler.ts";
import type { TokenizerConfig } from "./tokenizer.ts";

export interface ModelFile {
  /** Its name in the folder. */
  readonly file: string;
  /** What is fetched. */
  readonly bytes: number;
  /** How many bytes it has when it is unpacked, if that is known. */
  readonly unpacked?: number;
}

export interface Manifest {
  readonly format: number;
  readonly files: Readonly<Record<string, ModelFile>>;
  readonly facts: Readonly<Record<string, string>>;
  /** Rows and columns of patches. */
  readonly grid: readonly [rows: number, cols: number];
  readonly side: number;
  /** Shape of the latents. */
  readonly latents: readonly number[];
  /** Sizes that SDXL reads beside the text. */
  readonly time_ids: readonly number[];
  /** For 1, 2, 3, ... steps. */
  readonly schedules: readonly Schedule[];
  readonly sae: Pick<SAE, "d_model" | "n_features" | "activation" | "target"> & {
    readonly k: number | null;
    readonly positional: readonly number[];
  };
  readonly labels: Readonly<Record<string, string>>;
  readonly known_words: readonly string[];
  /** One for each of the two text encoders. */
  readonly tokenizers: readonly (TokenizerConfig & { readonly file: string })[];
}

/** The version of manifest.json that this code reads. */
export const FORMAT = 2;
