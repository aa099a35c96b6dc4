"""What a hand on PatchInspector means: pointing, pinning, comparing, dragging, and the same by keys."""

from __future__ import annotations

from typing import Any

from ember_widgets.scene.scene import GRID
from ember_widgets.widgets.inspect.canvas import Box, Patch
from ember_widgets.widgets.inspect.layout import Parts

MOVES = {"ArrowUp": (-1, 0), "ArrowDown": (1, 0), "ArrowLeft": (0, -1), "ArrowRight": (0, 1)}


class Gestures:
    """Turns what the hand does into traits of an inspector.

    Args:
        inspector: the inspector.

    Attributes:
        parts: its buttons.
    """

    parts: Parts

    def __init__(self, inspector: Any) -> None:
        self._of = inspector

    def point(self, patch: Patch | None) -> None:
        """It went to a patch, or left the picture."""
        self._of.hovered = patch

    def click(self, patch: Patch) -> None:
        """It pins, lets go, or compares."""
        of = self._of
        compares, self.parts.compare.value = self.parts.compare.value, False
        if compares and of.patch is not None:
            of.compared = None if patch == of.patch else patch
        else:
            was = of.patch
            self._release()
            of.patch = None if patch == was else patch

    def drag(self, box: Box, done: bool) -> None:
        """It takes a region."""
        of = self._of
        if not done or box != of.region:
            of.patch = of.compared = of.hovered = None
            of.region = box

    def pick(self, row: int) -> None:
        """It clicks a feature of the list."""
        if row < len(self._of.features):
            feature = self._of.features[row]
            self._of.selected_feature = None if feature == self._of.selected_feature else feature

    def key(self, key: str, shift: bool) -> None:
        """It presses a key."""
        of, parts = self._of, self.parts
        if key in MOVES:
            row, col = of.hovered or of.patch or (GRID // 2, GRID // 2)
            d_row, d_col = MOVES[key]
            self.point((min(GRID - 1, max(0, row + d_row)), min(GRID - 1, max(0, col + d_col))))
        elif key in ("Enter", " ") and of.hovered is not None:
            self.click(of.hovered)
        elif key == "Escape":
            parts.compare.value = False
            self._release()
        elif key == "Shift":
            # ipycanvas tells of no modifiers with a click; that the key went down is all there is to go by.
            parts.compare.value = of.patch is not None
        elif key.isdecimal() and key != "0":
            self.pick(int(key) - 1)
        elif key == "Tab":
            # ipycanvas swallows every key, so the focus would never get out again.
            (parts.layers if shift else parts.find).focus()

    def _release(self) -> None:
        self._of.region = self._of.compared = self._of.patch = None
