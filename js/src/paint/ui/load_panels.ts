/** Makes components of the text of panels.js. */
import type { Components } from "../store/panels.ts";
import { common } from "./common.ts";

/**
 * Imports the text as a module, from a blob, as anywidget imports the widget's own text: where that was possible, this is
 * too.
 */
export async function loadPanels(source: string): Promise<Components> {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  try {
    return (await import(url)).default(() => common);
  } finally {
    URL.revokeObjectURL(url);
  }
}
