"""The moving picture of the README: `python -m tests.lab.make_film` records strokes in a real JupyterLab.

A screenshot of the widget is taken after each short way of the pointer. A pointer is drawn into it, since a
browser without a screen shows none.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageDraw

from tests.lab.browser import launch, new_context
from tests.lab.make_pictures import CELLS, IMAGES
from tests.lab.notebook import Notebook
from tests.lab.server import LabServer
from tests.lab.view import PaintView, Patch

FRAME_MS, HOLD_MS = 90, 1400
ARROW = ((0, 0), (0, 17), (4, 13), (7, 19), (10, 18), (7, 12), (12, 12))


class Film:
    """Frames of a widget, with the pointer."""

    def __init__(self, view: PaintView) -> None:
        self.view, self.frames, self.times = view, list[Image.Image](), list[int]()

    def shoot(self, at: tuple[float, float] | None = None, ms: int = FRAME_MS) -> None:
        """Add the widget as it is now, with the pointer at a place of the page."""
        image = Image.open(io.BytesIO(self.view.root.screenshot())).convert("RGB")
        box = self.view.root.bounding_box()
        if at is not None and box is not None:
            tip = at[0] - box["x"], at[1] - box["y"]
            corners = [(tip[0] + x, tip[1] + y) for x, y in ARROW]
            ImageDraw.Draw(image).polygon(corners, fill="black", outline="white")
        self.frames.append(image)
        self.times.append(ms)

    def stroke(self, patches: Sequence[Patch], between: int = 3) -> None:
        """Press on the first patch, pass over the others frame by frame, release on the last."""
        mouse, points = self.view.page.mouse, [self.view.point(patch) for patch in patches]
        mouse.move(*points[0])
        self.shoot(points[0], 400)
        mouse.down()
        for (x0, y0), (x1, y1) in pairwise(points):
            for i in range(1, between + 1):
                at = x0 + (x1 - x0) * i / between, y0 + (y1 - y0) * i / between
                mouse.move(*at)
                self.view.page.wait_for_timeout(60)  # the model draws while the pointer moves
                self.shoot(at)
        mouse.up()
        self.view.settle()
        self.shoot(points[-1], HOLD_MS)

    def save(self, path: Path) -> None:
        """Write an animated WebP. The widget grows while it is used; every frame has room for all of it."""
        size = max(f.width for f in self.frames), max(f.height for f in self.frames)
        ground = self.frames[0].getpixel((4, self.frames[0].height // 2))
        frames = [Image.new("RGB", size, ground) for _ in self.frames]
        for whole, frame in zip(frames, self.frames, strict=True):
            whole.paste(frame, (0, 0))
        frames[0].save(
            path, save_all=True, append_images=frames[1:], duration=self.times, loop=0, quality=82, method=5
        )
        print(f"{path}: {len(frames)} frames, {path.stat().st_size / 1e6:.2f} MB")


def record(folder: Path, *, dark: bool) -> None:
    """A second pine is painted, then the sun is dragged across the sky; the model draws along."""
    with (
        LabServer(folder, dark=dark) as server,
        launch() as browser,
        new_context(browser, dark=dark) as context,
    ):
        notebook = Notebook(context.new_page(), server.address(server.write_notebook("film.ipynb", CELLS)))
        notebook.run_all()
        view = PaintView(notebook)
        view.settle()
        view.part("grid").scroll_into_view_if_needed()
        film = Film(view)
        film.shoot(None, HOLD_MS)
        view.pick(notebook.ask("scene.names.index('pine')"))
        view.use("paint", size=3)
        film.stroke([(10, 3), (11, 4), (12, 3), (13, 4), (13, 3)])
        view.pick(notebook.ask("scene.names.index('sun')"))
        view.use("move")
        film.stroke([(3, 3), (2, 6), (2, 9), (3, 12)])
        film.save(IMAGES / f"paint-{'dark' if dark else 'light'}.webp")


if __name__ == "__main__":
    for dark in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            record(Path(folder), dark=dark)
