/**
 * The second file, static/panels.js: all controls. The first file, paint.js, is saved with every widget of a notebook, so
 * it is only what shows the picture and paints; the kernel sends this one when the widget is shown. A component of this
 * list is shown with <Late part="…" view={view} />; what it imports is in this file too, unless paint.js needs it.
 */

export { DrawForm } from "./DrawForm.tsx";
export { Keys } from "./Keys.tsx";
export { Picture } from "./Picture.tsx";
export { Film, Program, Sheet } from "./Sheets.tsx";
export { Side } from "./Side.tsx";
export { ViewControls } from "./ViewControls.tsx";
