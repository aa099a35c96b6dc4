/** All tools: names, keys, what they do, and which settings they use. */
import { type Act, brushTool, eraseOn, paintOn, scaleOn } from "./brushes.ts";
import { fillTool, pickTool } from "./click.ts";
import { moveTool } from "./move.ts";
import { lassoTool, rectTool } from "./select.ts";
import type { Tool } from "./tool.ts";

export type ToolName = "paint" | "erase" | "move" | "rect" | "lasso" | "fill" | "pick" | "gain";

type Setting = "size" | "strength" | "opacity" | "soft" | "mode" | "gain" | "scope" | "heal";

interface ToolKind {
  readonly key: string;
  readonly label: string;
  readonly hint: string;
  /** What keys change, for those who have a keyboard. */
  readonly keys?: string;
  readonly uses: readonly Setting[];
  readonly start: () => Tool;
  /** What the tool does to a whole area; tools without it select the area. */
  readonly act?: Act;
  /** With the keyboard, one key press starts such a tool and another ends it. Other tools paint one dab per press. */
  readonly drags?: true;
}

const SHAPES = "Shift: straight line, Alt+Shift: box.";
const ADDS = "Shift adds to the selection.";

export const TOOLS: Readonly<Record<ToolName, ToolKind>> = {
  paint: {
    key: "B",
    label: "Brush",
    hint: "Drag to paint.",
    keys: SHAPES,
    uses: ["size", "strength", "opacity", "mode", "soft"],
    start: brushTool(paintOn, ({ brush }) => brush.soft),
    act: paintOn,
  },
  erase: {
    key: "E",
    label: "Eraser",
    hint: "Drag to erase.",
    keys: SHAPES,
    uses: ["size", "scope", "heal"],
    start: brushTool(eraseOn),
    act: eraseOn,
  },
  move: {
    key: "M",
    label: "Move",
    hint: "Drag an object or the selection.",
    uses: ["heal"],
    start: moveTool,
    drags: true,
  },
  rect: {
    key: "R",
    label: "Rectangle",
    hint: "Drag to select.",
    keys: ADDS,
    uses: [],
    start: rectTool,
    drags: true,
  },
  lasso: {
    key: "L",
    label: "Lasso",
    hint: "Draw a line around what you select.",
    keys: ADDS,
    uses: [],
    start: lassoTool,
    drags: true,
  },
  fill: {
    key: "F",
    label: "Fill",
    hint: "Click to paint the area of the strongest factor.",
    uses: ["strength", "opacity", "mode"],
    start: fillTool,
    act: paintOn,
  },
  gain: {
    key: "G",
    label: "Gain",
    hint: "Drag to make the factor stronger or weaker.",
    keys: SHAPES,
    uses: ["size", "gain"],
    start: brushTool(scaleOn),
    act: scaleOn,
  },
  pick: {
    key: "I",
    label: "Eyedropper",
    hint: "Click to pick the strongest factor of a patch.",
    uses: [],
    start: pickTool,
  },
};
