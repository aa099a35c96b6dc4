/** The sheet of keys. */
import { KEYS } from "../keys.ts";
import { TOOLS } from "../tools/index.ts";
import type { View } from "../view.ts";
import { IconButton } from "./controls.tsx";

export function Keys({ view }: { view: View }) {
  const tools = Object.values(TOOLS).map(({ key, label }) => [key, label] as const);
  return (
    <section class="e-keys" aria-label="Keys" data-testid="keys">
      <IconButton
        icon="close"
        label="Close (Esc)"
        testid="keys-close"
        onClick={() => {
          view.help.val = false;
        }}
      />
      <dl>
        {[...tools, ...KEYS].map(([keys, what]) => (
          <div key={keys}>
            <dt>{keys}</dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
