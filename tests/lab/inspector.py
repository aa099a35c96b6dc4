"""A PatchInspector in a notebook, as a hand sees it."""

from __future__ import annotations

import base64
import io
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import expect

from tests.lab.notebook import LIMIT_MS, Notebook

CELLS = [
    """import ember_widgets as ember
from tests.unit.widgets.inspect.inspect_bench import StillPainter

painter = StillPainter()""",
    """scene = painter.analyze("a lion", n_steps=2)
brush = ember.PaintWidget(painter, scene)
inspector = ember.PatchInspector(painter, scene, brush=brush)
inspector""",
]


class InspectorView:
    """The inspector in the notebook; in the kernel it is ``inspector``."""

    def __init__(self, notebook: Notebook, *, within: str = "") -> None:
        """``within``: what the source of its cell has in it, where there are several."""
        self.notebook = notebook
        self.page = notebook.page
        cell = self.page.locator(".jp-Cell", has_text=within) if within else self.page
        self.root = cell.locator(".ember-inspect").first
        self.canvas = self.root.locator("canvas.ember-canvas")
        self.list = self.root.locator(".ember-list")
        self.rows = self.list.locator(".ember-row")
        self.card = self.root.locator(".ember-card")
        self.canvas.wait_for(timeout=LIMIT_MS)
        self.canvas.scroll_into_view_if_needed()

    def point(self, row: float, col: float) -> tuple[float, float]:
        box = self.canvas.bounding_box()
        if box is None:
            raise RuntimeError("the picture is not shown")
        return box["x"] + (col + 0.5) * box["width"] / 16, box["y"] + (row + 0.5) * box["height"] / 16

    def hover(self, row: int, col: int) -> None:
        self.page.mouse.move(*self.point(row, col))
        self.says(f"Patch ({row}, {col})")

    def hover_free(self, row: int, col: int) -> None:
        """Point at a patch while another is pinned."""
        self.page.mouse.move(*self.point(row, col))

    def click(self, row: int, col: int) -> None:
        self.page.mouse.click(*self.point(row, col))

    def click_row(self, row: int) -> None:
        for _ in range(50):  # the list is written anew as icons come in
            self.rows.nth(row).wait_for()
            box = self.rows.nth(row).bounding_box()
            if box is not None:
                self.page.mouse.click(box["x"] + 60, box["y"] + box["height"] / 2)
                return
        raise RuntimeError("the row is not shown")

    def says(self, title: str) -> None:
        expect(self.list.locator(".ember-head b")).to_have_text(title)

    def button(self, name: str) -> None:
        # Not by role and name: the glyph of an icon counts as part of a button's name.
        self.root.locator("button", has_text=re.compile(rf"^\s*{name}\s*$")).click()

    def ask(self, expression: str) -> Any:
        return self.notebook.ask(expression)

    def pixels(self) -> NDArray[np.uint8]:
        """What the canvas holds, (512, 512, 4)."""
        address: str = self.canvas.evaluate("canvas => canvas.toDataURL('image/png')")
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",", 1)[1]))).convert("RGBA"))

    def settle(self) -> None:
        """Wait until the kernel has handled all and nothing is drawn any more."""
        before = None
        for _ in range(100):
            self.ask("0")
            now = (self.pixels().tobytes(), self.list.inner_html())
            if now == before:
                return
            before = now
            self.page.wait_for_timeout(60)
        raise RuntimeError("the inspector does not come to rest")

    def text(self) -> str:
        return re.sub(r"\s+", " ", self.list.inner_text())
