/** The list that `?` opens, without the keys of the tools. */
export const KEYS: readonly (readonly [keys: string, what: string])[] = [
  ["[ ]", "Brush size"],
  ["1 … 9", "Pick a factor"],
  ["+ −", "Make the picked factor stronger or weaker"],
  ["H S K", "Hide it, show only it, or lock it"],
  ["Delete", "Erase the selection"],
  ["Esc", "Cancel the stroke, or remove the selection"],
  ["Ctrl Z", "Undo; with Shift: redo"],
  ["Ctrl C", "Copy the selection, or else all edits"],
  ["Ctrl V", "Paste, in this or another widget"],
  ["Hold C", "Show the unedited picture"],
  ["Shift drag", "Straight line; with Alt: a box"],
  ["Alt click", "Eyedropper"],
  ["Arrows", "Move the cursor on the grid"],
  ["Space", "Paint one dab; start or end a move or selection"],
  ["Enter", "Start or end a stroke; with Shift: a straight line"],
];
