"""The README's pictures of the widget: `python -m tests.lab.make_pictures` writes notebooks/images."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.lab.browser import launch, new_context
from tests.lab.notebook import Notebook
from tests.lab.server import LabServer
from tests.lab.view import PaintView

IMAGES = Path(__file__).parents[2] / "notebooks" / "images"
CELLS = [
    "import ember_widgets as ember\n\npainter = ember.Painter.embedded()",
    """scene = painter.analyze("a pine and a sun in the snow", seed=30)
widget = ember.PaintWidget(painter, scene)
widget""",
]


def shoot(folder: Path, *, dark: bool) -> None:
    """The widget in JupyterLab, a second pine painted by hand on the left."""
    with (
        LabServer(folder, dark=dark) as server,
        launch() as browser,
        new_context(browser, dark=dark) as context,
    ):
        notebook = Notebook(
            context.new_page(), server.address(server.write_notebook("pictures.ipynb", CELLS))
        )
        notebook.run_all()
        view = PaintView(notebook)
        view.settle()
        view.pick(view.notebook.ask("scene.names.index('pine')"))
        view.use("paint", size=3)
        view.drag([(row, col) for row in (11, 13) for col in (3, 4, 5)])
        view.settle()
        view.root.screenshot(path=IMAGES / f"paint-{'dark' if dark else 'light'}.png")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as light, tempfile.TemporaryDirectory() as dark:
        shoot(Path(light), dark=False)
        shoot(Path(dark), dark=True)
