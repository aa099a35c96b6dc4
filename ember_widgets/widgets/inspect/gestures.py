"""The gestures of PatchInspector: point, pin, compare and drag, by pointer or keyboard."""

from __future__ import annotations

from typing import Any

from ember_widgets.util.worker import Worker
from ember_widgets.widgets.inspect.canvas import Box, Patch
from ember_widgets.widgets.inspect.layout import Parts

MOVES = {"ArrowUp": (-1, 0), "ArrowDown": (1, 0), "ArrowLeft": (0, -1), "ArrowRight": (0, 1)}
SHIFT_S = 2.0
"""For how long after Shift was pressed a click is one with Shift.

ipycanvas reports no modifiers with a click, and does not report that a key is released. On most systems a key
that is held is reported again and again; then it counts until it is released.
"""


class Gestures:
    """Sets the traits of an inspector when the pointer or a key is used.

    Args:
        inspector: the inspector.

    Attributes:
        parts: its buttons.
    """

    parts: Parts

    def __init__(self, inspector: Any) -> None:
        self._inspector = inspector
        self._by_shift = False  # whether Shift has turned "Compare" on
        self._later = Worker("ember-shift")

    def point(self, patch: Patch | None) -> None:
        """Handle a move: to a patch, or (None) away from the picture."""
        self._inspector.hovered = patch

    def click(self, patch: Patch) -> None:
        """Handle a click: pin, unpin or compare."""
        inspector = self._inspector
        compares, self.parts.compare.value, self._by_shift = self.parts.compare.value, False, False
        if compares and inspector.patch is not None:
            inspector.compared = None if patch == inspector.patch else patch
        else:
            was = inspector.patch
            self._release()
            inspector.patch = None if patch == was else patch

    def drag(self, box: Box, done: bool) -> None:
        """Handle a drag: select a region."""
        inspector = self._inspector
        if not done or box != inspector.region:
            inspector.patch = inspector.compared = inspector.hovered = None
            inspector.region = box

    def pick(self, row: int) -> None:
        """Handle a click in the list: select or deselect its feature."""
        if 0 <= row < len(self._inspector.features):
            feature = self._inspector.features[row]
            self._inspector.selected_feature = (
                None if feature == self._inspector.selected_feature else feature
            )

    def key(self, key: str, shift: bool) -> None:
        """Handle a key."""
        inspector, parts = self._inspector, self.parts
        if not shift and key != "Shift":
            self._end_shift()
        if key in MOVES:
            rows, cols = inspector.inspection.grid.shape
            row, col = inspector.hovered or inspector.patch or (rows // 2, cols // 2)
            d_row, d_col = MOVES[key]
            self.point((min(rows - 1, max(0, row + d_row)), min(cols - 1, max(0, col + d_col))))
        elif key in ("Enter", " ") and inspector.hovered is not None:
            self.click(inspector.hovered)
        elif key == "Escape":
            parts.compare.value = False
            self._release()
        elif key == "Shift":
            if inspector.patch is not None and not parts.compare.value:
                parts.compare.value = self._by_shift = True
            if self._by_shift:
                self._later.put("end", self._end_shift, after_s=SHIFT_S)
        elif key.isdecimal():
            self.pick((int(key) or 10) - 1)

    def _end_shift(self) -> None:
        """Shift is up again: turn "Compare" off, unless its button has turned it on."""
        if self._by_shift:
            self._by_shift = self.parts.compare.value = False

    def _release(self) -> None:
        self._inspector.region = self._inspector.compared = self._inspector.patch = None
