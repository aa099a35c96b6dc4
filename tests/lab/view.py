"""One view of a PaintWidget in the page, used as a person would: by mouse, keyboard and eye."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.lab.notebook import Notebook

# (row, col); between two patches, or outside the grid, where the pointer goes there.
Patch = tuple[float, float]

# The settled picture shown and nothing stirring for this long: nothing is under way, here or in the kernel.
QUIET_MS = 250
SETTLED = """async ([root, quiet, limit]) => {
  const start = performance.now();
  let since = start, last = '';
  while (performance.now() - since < quiet) {
    const now = performance.now();
    const at = root.dataset;
    const state = [at.seq, at.kind, at.busy, at.revision].join();
    if (state !== last || at.busy !== 'false' || at.kind !== 'final') { since = now; last = state; }
    if (now - start > limit) throw new Error('not settled: seq, kind, busy, revision = ' + state);
    await new Promise(next => setTimeout(next, 20));
  }
}"""

PICTURE = """async element => {
  const canvas = document.createElement('canvas');
  if (element instanceof HTMLImageElement) { await element.decode(); }
  canvas.width = element.naturalWidth ?? element.width;
  canvas.height = element.naturalHeight ?? element.height;
  canvas.getContext('2d').drawImage(element, 0, 0);
  return canvas.toDataURL('image/png');
}"""


# The remainder counts as one factor more. The page computes with doubles, the kernel with floats.
COMPARE = """
import numpy as _test_np
_test_maps = [
    _test_np.concatenate([scene.strengths, scene.remainder[..., None]], axis=-1)
    for scene in (widget.scene, {scene})
]
_test_differences = _test_np.argwhere(~_test_np.isclose(*_test_maps, atol=1e-6)).tolist()
"""


CUT_OFF = """root => {
  const right = root.getBoundingClientRect().right + 0.5;
  const out = [...root.querySelectorAll('button, input, canvas, span, p, small, img, textarea, section')]
    .filter(element => element.checkVisibility() && !element.closest('.e-strip'))
    .filter(element => element.getBoundingClientRect().right > right);
  const short = [...root.querySelectorAll('button, span, p, small, label, summary, dt, dd')]
    .filter(element => element.checkVisibility() && element.textContent.trim())
    .filter(element => element.scrollWidth > element.clientWidth + 1 && element.clientWidth)
    .filter(element => getComputedStyle(element).textOverflow !== 'ellipsis');
  const all = [...out, ...short].map(element => element.outerHTML.slice(0, 100));
  return root.scrollWidth > root.clientWidth ? ['the widget itself', ...all] : all;
}"""


class PaintView:
    """The ``index``-th view of a PaintWidget in the notebook; in the kernel it is ``widget``."""

    # Rows and columns of patches; a test of another model sets its own.
    grid: tuple[int, int] = (16, 16)

    def __init__(self, notebook: Notebook | Page, index: int = 0) -> None:
        self.page = notebook if isinstance(notebook, Page) else notebook.page
        if isinstance(notebook, Notebook):  # a page that paints by itself has none
            self.notebook = notebook
        self.root = self.page.get_by_test_id("ember-paint").nth(index)

    def part(self, name: str) -> Locator:
        return self.root.get_by_test_id(name)

    def settle(self, limit_s: float = 60.0) -> None:
        """Wait until the picture is the settled one of the newest edit."""
        self.root.wait_for(timeout=limit_s * 1000)
        self.root.evaluate(
            "(root, [quiet, limit]) => (" + SETTLED + ")([root, quiet, limit])", [QUIET_MS, limit_s * 1000]
        )

    def differences_from(self, scene: str) -> list[list[int]]:
        """Where the widget's scene is not the one an expression in the kernel gives: [row, col, factor]."""
        self.settle()
        self.notebook.tell(COMPARE.format(scene=scene))
        differences: list[list[int]] = self.notebook.ask("_test_differences")
        return differences

    def picture(self) -> NDArray[np.int16]:
        """The pixels shown, (height, width, 3); signed, so that two pictures can be subtracted."""
        address: str = self.part("picture").evaluate(PICTURE)
        image = Image.open(io.BytesIO(base64.b64decode(address.split(",", 1)[1])))
        return np.asarray(image.convert("RGB"), dtype=np.int16)

    def patch_changes(self, before: NDArray[np.int16]) -> NDArray[np.float64]:
        """Mean absolute change of the picture since ``before`` in each patch, (rows, cols), 0..255."""
        change = np.abs(self.picture() - before).mean(axis=-1)
        height, width = change.shape
        rows, cols = self.grid
        patches = change.reshape(rows, height // rows, cols, width // cols)
        means: NDArray[np.float64] = patches.mean(axis=(1, 3))
        return means

    def cut_off(self) -> list[str]:
        """What the widget is too narrow for: it sticks out, or its text is cut and not by dots."""
        found: list[str] = self.root.evaluate(CUT_OFF)
        return found

    def pick(self, factor: int) -> None:
        row = self.part(f"factor-{factor}")
        row.click()
        expect(row).to_have_attribute("aria-pressed", "true")

    def use(self, tool: str, *, size: int | None = None) -> None:
        button = self.part(f"tool-{tool}")
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        if size is not None:
            self.part("brush-size").fill(str(size))

    def drag(self, patches: Sequence[Patch], *, release: bool = True) -> None:
        """Press on the first patch, pass over the others, release on the last."""
        self.part("grid").scroll_into_view_if_needed()
        self.page.mouse.move(*self.point(patches[0]))
        self.page.mouse.down()
        for patch in patches[1:]:
            self.page.mouse.move(*self.point(patch), steps=4)
        if release:
            self.page.mouse.up()

    def point(self, patch: Patch) -> tuple[float, float]:
        """Where the middle of a patch lies in the page; a patch may lie outside the grid."""
        box = self.part("grid").bounding_box()
        if box is None:
            raise RuntimeError("the grid is not shown")
        row, col = patch
        rows, cols = self.grid
        return box["x"] + (col + 0.5) * box["width"] / cols, box["y"] + (row + 0.5) * box["height"] / rows
