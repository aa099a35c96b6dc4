"""The gestures of PatchInspector: point, pin, compare and drag, by pointer or keyboard."""

from __future__ import annotations

from typing import Any

from ember_widgets.widgets.inspect.canvas import Box, Patch
from ember_widgets.widgets.inspect.layout import Parts

MOVES = {"ArrowUp": (-1, 0), "ArrowDown": (1, 0), "ArrowLeft": (0, -1), "ArrowRight": (0, 1)}


class Gestures:
    """Sets the traits of an inspector when the pointer or a key is used.

    Args:
        inspector: the inspector.

    Attributes:
        parts: its buttons.
    """

    parts: Parts

    def __init__(self, inspector: Any) -> None:
        self._of = inspector

    def point(self, patch: Patch | None) -> None:
        """Handle a move: to a patch, or (None) away from the picture."""
        self._of.hovered = patch

    def click(self, patch: Patch) -> None:
        """Handle a click: pin, unpin or compare."""
        of = self._of
        compares, self.parts.compare.value = self.parts.compare.value, False
        if compares and of.patch is not None:
            of.compared = None if patch == of.patch else patch
        else:
            was = of.patch
            self._release()
            of.patch = None if patch == was else patch

    def drag(self, box: Box, done: bool) -> None:
        """Handle a drag: select a region."""
        of = self._of
        if not done or box != of.region:
            of.patch = of.compared = of.hovered = None
            of.region = box

    def pick(self, row: int) -> None:
        """Handle a click in the list: select or deselect its feature."""
        if 0 <= row < len(self._of.features):
            feature = self._of.features[row]
            self._of.selected_feature = None if feature == self._of.selected_feature else feature

    def key(self, key: str, shift: bool) -> None:
        """Handle a key."""
        of, parts = self._of, self.parts
        if key in MOVES:
            rows, cols = of.inspection.grid.shape
            row, col = of.hovered or of.patch or (rows // 2, cols // 2)
            d_row, d_col = MOVES[key]
            self.point((min(rows - 1, max(0, row + d_row)), min(cols - 1, max(0, col + d_col))))
        elif key in ("Enter", " ") and of.hovered is not None:
            self.click(of.hovered)
        elif key == "Escape":
            parts.compare.value = False
            self._release()
        elif key == "Shift":
            # ipycanvas does not report modifiers with a click, only that the key was pressed.
            parts.compare.value = of.patch is not None
        elif key.isdecimal() and key != "0":
            self.pick(int(key) - 1)
        elif key == "Tab":
            # ipycanvas swallows every key, so Tab would never leave the canvas.
            (parts.layers if shift else parts.find).focus()

    def _release(self) -> None:
        self._of.region = self._of.compared = self._of.patch = None
