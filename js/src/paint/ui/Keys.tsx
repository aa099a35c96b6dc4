/** The list of keys. */

import { put } from "../../shared/signals.ts";
import type { View } from "../store/view.ts";
import { TOOLS } from "../tools/index.ts";
import { Over } from "./controls.tsx";
import { KEYS } from "./key_list.ts";

export function Keys({ view }: { view: View }) {
  const tools = Object.values(TOOLS).map(({ key, label }) => [key, label] as const);
  return (
    <Over label="Keys" testid="keys" onClose={put(view.help, false)}>
      <dl data-testid="keys">
        {[...tools, ...KEYS].map(([keys, what]) => (
          <div key={keys}>
            <dt>{keys}</dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Over>
  );
}
