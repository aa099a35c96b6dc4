"""The canvas of PatchInspector: a picture, a layer over it, marks on patches, and the pointer's events.

ipycanvas keeps no drawing: a page that is reloaded starts with an empty canvas. `on_ready` is called then,
and everything has to be drawn again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from ipycanvas import Canvas, MultiCanvas, hold_canvas
from ipywidgets import Layout
from numpy.typing import NDArray
from PIL import Image

from ember_widgets.scene.grid import Grid
from ember_widgets.widgets.inspect.layers import Layer

SIDE = 512  # pixels of the canvas: SDXL-Turbo's own size
SHOWN = 400  # pixels on the page

FIRST, SECOND, POINTER = "#2b8bc6", "#e08214", "#ffffff"

Patch = tuple[int, int]
Box = tuple[int, int, int, int]
"""Top, left, bottom, right, all included."""


@contextmanager
def drawing() -> Iterator[None]:
    """Send all drawing at once. Unlike with bare `hold_canvas`, an error inside does not block it."""
    fault: Exception | None = None
    with hold_canvas():
        try:
            yield
        except Exception as error:
            fault = error
    if fault is not None:
        raise fault


def box_of(one: Patch, other: Patch) -> Box:
    """The box that has two patches for its corners."""
    (top, bottom), (left, right) = sorted((one[0], other[0])), sorted((one[1], other[1]))
    return top, left, bottom, right


@dataclass(frozen=True)
class Handlers:
    """Handlers of the pointer's and the keyboard's events; each is called in the comm's thread.

    Args:
        point: the pointer moved to another patch, or (None) left the picture.
        click: a patch was clicked.
        drag: a box is being dragged, or (True) was released.
        key: a key was pressed, and whether Shift was down.
    """

    point: Callable[[Patch | None], None]
    click: Callable[[Patch], None]
    drag: Callable[[Box, bool], None]
    key: Callable[[str, bool], None]


class PatchCanvas:
    """The picture on the left.

    Attributes:
        grid: the rows and columns of patches that are drawn and pointed at.

    Args:
        handlers: what to call.
        on_ready: called when a page shows the canvas and it is empty there.
    """

    def __init__(self, handlers: Handlers, on_ready: Callable[[], None]) -> None:
        self._handlers = handlers
        self.grid = Grid()
        self._pointed: Patch | None = None
        self._pressed: Patch | None = None
        # Without a size of its own the canvas would stretch with the notebook.
        size = Layout(width=f"{SHOWN}px", height=f"{SHOWN}px", flex="0 0 auto")
        self.widget = MultiCanvas(3, width=SIDE, height=SIDE, layout=size)
        self.widget.add_class("ember-canvas")
        self.widget.on_mouse_move(self._move)
        self.widget.on_mouse_down(self._press)
        self.widget.on_mouse_up(self._release)
        self.widget.on_mouse_out(lambda x, y: self._leave())
        self.widget.on_touch_start(lambda touches: self._press(*touches[0]) if touches else None)
        self.widget.on_touch_move(lambda touches: self._move(*touches[0]) if touches else None)
        self.widget.on_touch_end(lambda touches: self._lift())
        self.widget.on_touch_cancel(lambda touches: self._leave())
        self.widget.on_key_down(lambda key, shift, ctrl, meta: self._handlers.key(key, shift))
        self.widget.on_client_ready(on_ready)

    def draw_picture(self, picture: Image.Image) -> None:
        """Draw the picture below everything else."""
        pixels = np.asarray(picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC))
        self.widget[0].put_image_data(pixels)

    def draw_layer(self, layer: Layer) -> None:
        """Draw a layer in place of the one before."""
        canvas = self.widget[1]
        canvas.clear()
        if layer.dim:
            canvas.global_alpha = layer.dim
            canvas.fill_style = "#14161c"
            canvas.fill_rect(0, 0, SIDE, SIDE)
            canvas.global_alpha = 1
        seen = layer.alphas > 0
        if seen.any():
            rows, cols = np.nonzero(seen)
            x, y = edges(self.grid.cols), edges(self.grid.rows)
            canvas.fill_styled_rects(
                x[cols],
                y[rows],
                x[cols + 1] - x[cols],
                y[rows + 1] - y[rows],
                layer.colors[seen],
                layer.alphas[seen].astype(np.float64),
            )

    def draw_marks(self, boxes: list[tuple[Box, str]]) -> None:
        """Outline patches in place of those outlined before, the last on top."""
        canvas = self.widget[2]
        canvas.clear()
        x, y = edges(self.grid.cols).tolist(), edges(self.grid.rows).tolist()
        for (top, left, bottom, right), color in boxes:
            frame = x[left] + 4, y[top] + 4
            size = x[right + 1] - x[left] - 8, y[bottom + 1] - y[top] - 8
            for width, style in ((7, "#000000b0"), (3, color)):
                canvas.line_width, canvas.stroke_style = width, style
                canvas.stroke_rect(*frame, *size)

    def _move(self, x: float, y: float) -> None:
        patch = self._patch(x, y)
        if patch == self._pointed:
            return
        self._pointed = patch
        if self._pressed is not None and patch != self._pressed:
            self._handlers.drag(box_of(self._pressed, patch), False)
        else:
            self._handlers.point(patch)

    def _press(self, x: float, y: float) -> None:
        self._pressed = self._pointed = self._patch(x, y)

    def _release(self, x: float, y: float) -> None:
        self._pointed = self._patch(x, y)
        self._lift()

    def _lift(self) -> None:
        pressed, self._pressed = self._pressed, None
        if pressed is None or self._pointed is None:
            return
        if self._pointed == pressed:
            self._handlers.click(pressed)
        else:
            self._handlers.drag(box_of(pressed, self._pointed), True)

    def _leave(self) -> None:
        self._pointed = self._pressed = None
        self._handlers.point(None)

    def _patch(self, x: float, y: float) -> Patch:
        return _cell(y, self.grid.rows), _cell(x, self.grid.cols)


def edges(n: int) -> NDArray[np.int64]:
    """(n + 1,) whole pixels between which n rows or columns lie: gaps or overlaps would be visible."""
    pixels: NDArray[np.int64] = np.linspace(0, SIDE, n + 1).round().astype(np.int64)
    return pixels


def _cell(pixel: float, n: int) -> int:
    return min(n - 1, max(0, int(np.searchsorted(edges(n), pixel, side="right")) - 1))


class RowCanvas:
    """A transparent canvas over rows of text that listens for clicks: HTML in ipywidgets does not.

    Args:
        rows: how many.
        height: of one, in pixels.
        click: called with the number of the row that was clicked.
        key: see ``Handlers``.
    """

    def __init__(
        self, rows: int, height: int, click: Callable[[int], None], key: Callable[[str, bool], None]
    ) -> None:
        self._height = height
        self._pointed: int | None = None
        self._used = 0
        self.widget = Canvas(width=64, height=rows * height, layout=Layout(height=f"{rows * height}px"))
        self.widget.add_class("ember-clickable")
        self.widget.on_mouse_move(lambda x, y: self._point(int(y // height)))
        self.widget.on_mouse_out(lambda x, y: self._point(None))
        self.widget.on_mouse_down(lambda x, y: click(int(y // height)))
        self.widget.on_touch_start(lambda touches: click(int(touches[0][1] // height)) if touches else None)
        self.widget.on_key_down(lambda name, shift, ctrl, meta: key(name, shift))

    def use(self, rows: int) -> None:
        """Set how many of the rows are in use."""
        self._used = rows

    def _point(self, row: int | None) -> None:
        row = row if row is not None and 0 <= row < self._used else None
        if row == self._pointed:
            return
        self._pointed = row
        with drawing():
            self.widget.clear()
            if row is not None:
                self.widget.fill_style = "rgba(128, 128, 128, 0.16)"
                self.widget.fill_rect(0, row * self._height, 64, self._height)
