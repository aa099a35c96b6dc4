import paint from "../src/paint/paint.tsx";
import { MockModel } from "./mock.ts";

const query = new URLSearchParams(location.search);
document.body.dataset.jpThemeLight = String(query.get("theme") !== "dark");

/** "24x16" has 24 rows and 16 columns. */
function gridOf(text: string) {
  const [rows = 16, cols = rows] = text.split("x").map(Number);
  return { rows, cols };
}

const model = new MockModel({
  fault: query.has("fault"),
  silent: query.has("silent"),
  ...(query.has("grid") ? { grid: gridOf(query.get("grid") ?? "") } : {}),
  ...(query.has("steps") ? { steps: [null, [2, 4], [0, 2], [3, 4], [8, 9]] } : {}),
  ...(query.has("plain") ? { capabilities: [] } : {}),
  ...(query.has("blank") ? { names: [] } : {}),
});
const widget = paint();
widget.initialize({ model });
widget.render({ el: document.getElementById("here") as HTMLElement });
