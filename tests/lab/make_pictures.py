"""The pictures of README and docs: `python -m tests.lab.make_pictures` writes notebooks/images."""

from __future__ import annotations

import importlib.util
import io
import tempfile
from pathlib import Path

from PIL import Image

import ember_widgets as ember
from ember_widgets.util.contact_sheet import contact_sheet
from tests.lab.browser import launch, new_context
from tests.lab.notebook import Notebook
from tests.lab.server import LabServer
from tests.lab.view import PaintView

REPOSITORY = Path(__file__).parents[2]
IMAGES = REPOSITORY / "notebooks" / "images"
CELLS = [
    "import ember_widgets as ember\n\npainter = ember.Painter.embedded()",
    """scene = painter.analyze("a sun and a pine in the snow", seed=13)
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


def draw(folder: Path) -> None:
    """The sheet of a feature, and one concept painted into four pictures."""
    painter = ember.Painter.embedded()
    things = ("cat", "dog", "lion", "castle", "house", "car", "sailboat", "pine", "sunflower", "sun", "moon")
    places = ("in a meadow", "in the snow at night", "on a beach at sunset", "on the sea", "on a road")
    pairs = [(one, other) for one in things for other in things if one != other]
    prompts = [f"a {one} and a {other} {places[i % 5]}" for i, (one, other) in enumerate(pairs)]
    collection = painter.collect(prompts, folder / "pictures")
    sheet = painter.label_sheet(painter.labels.search("castle")[0], collection)
    size = (1000, round(1000 * sheet.height / sheet.width))
    sheet.resize(size, Image.Resampling.LANCZOS).save(IMAGES / "label-sheet.jpg", quality=85)

    bank = collection.concepts(18, labels=painter.labels)
    wanted = (
        "a castle in the snow at night",
        "a sailboat on the sea at sunset",
        "a pine in a meadow",
        "a car",
    )
    scenes = [painter.analyze(prompt, basis=bank) for prompt in wanted]
    corner = [(row, col) for row in range(9, 14) for col in range(1, 6)]
    painted = [scene.add_factor(bank["cat"]).paint("cat", corner) for scene in scenes]
    rows = [[painter.render(scene) for scene in row] for row in (scenes, painted)]
    contact_sheet(rows, rows=["basis=bank", "the same cat"], side=160).save(
        IMAGES / "same-concept.jpg", quality=88
    )


def draw_gallery() -> None:
    """The twelve paintings of docs/site/gallery.md on one sheet: the page has no others in the repository."""
    spec = importlib.util.spec_from_file_location("build", REPOSITORY / "docs" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    _, pictures = build.gallery((REPOSITORY / "docs" / "site" / "gallery.md").read_text("utf-8"))
    paintings = [Image.open(io.BytesIO(picture)).convert("RGB") for picture in pictures.values()]
    rows = [paintings[start : start + 4] for start in range(0, len(paintings), 4)]
    contact_sheet(rows, side=192).save(IMAGES / "gallery.jpg", quality=88)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as light, tempfile.TemporaryDirectory() as dark:
        shoot(Path(light), dark=False)
        shoot(Path(dark), dark=True)
        draw(Path(light))
    draw_gallery()
