import paint from "../src/paint/paint.tsx";
import { MockModel } from "./mock.ts";

const query = new URLSearchParams(location.search);
document.body.dataset.jpThemeLight = String(query.get("theme") !== "dark");

const model = new MockModel({
  fault: query.has("fault"),
  silent: query.has("silent"),
  ...(query.has("blank") ? { names: [] } : {}),
});
const widget = paint();
widget.initialize({ model });
widget.render({ el: document.getElementById("here") as HTMLElement });
