"""The canvas: what each verb does to the scene, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ember_widgets.agent.canvas import Canvas, with_grid
from ember_widgets.features.labels import Labels
from ember_widgets.scene.scene import Scene
from tests.unit.scene.scenes import make_scene
from tests.unit.widgets.paint.paint_bench import FakePainter


class Labelled(FakePainter):
    labels = Labels({2: "pine (tree)", 5: "night sky"})


@pytest.fixture
def painter() -> Labelled:
    return Labelled()


@pytest.fixture
def canvas(painter: Labelled, tmp_path: Path) -> Canvas:
    canvas = Canvas(lambda: painter, tmp_path)
    canvas.analyze("a meadow", seed=3, n_factors=3)
    return canvas


def test_the_painter_is_opened_when_it_is_first_needed(tmp_path: Path) -> None:
    opened: list[FakePainter] = []

    def opens() -> FakePainter:
        opened.append(FakePainter())
        return opened[-1]

    canvas = Canvas(opens, tmp_path)
    with pytest.raises(ValueError, match="call analyze"):
        canvas.palette()
    assert opened == []
    canvas.analyze("x")
    canvas.render()
    assert len(opened) == 1


@pytest.mark.parametrize(
    ("verb", "arguments", "same"),
    [
        ("paint", (1, "left", 0.5), lambda scene: scene.paint(1, "left", 0.5)),
        ("paint", (1, "left", 2.0, 0.5, "add"), lambda s: s.paint(1, "left", 2.0, opacity=0.5, mode="add")),
        ("move", (0, 2, 1), lambda scene: scene.move(1, 0, 2)),
        ("move", (0, 2, None, "left"), lambda scene: scene.move(None, 0, 2, "left")),
        ("scale", (1, 1.5), lambda scene: scene.scale(1, 1.5)),
        ("scale", (1, 0.0, "left"), lambda scene: scene.scale(1, 0.0, "left")),
        ("erase", ("left",), lambda scene: scene.erase("left", heal=True)),
        ("erase", ("left", 1, False), lambda scene: scene.erase("left", 1)),
        ("set_weight", (1, 2, 0.5), lambda scene: scene.set_weight(1, 2, 0.5)),
        ("set_weight", (1, "pine", 0.5), lambda scene: scene.set_weight(1, 2, 0.5)),
        ("add_feature", (5,), lambda scene: scene.add_factor({5: 1.0}, "night sky")),
    ],
)
def test_each_verb_is_the_scenes_own_and_can_be_undone(
    canvas: Canvas, verb: str, arguments: tuple[Any, ...], same: Any
) -> None:
    before = canvas.scene
    answer = getattr(canvas, verb)(*arguments)
    assert canvas.scene == same(before)
    assert answer.text
    canvas.undo()
    assert canvas.scene == before
    canvas.redo()
    assert canvas.scene == same(before)


def test_edits_come_back_as_small_pictures(canvas: Canvas, painter: Labelled) -> None:
    answer = canvas.paint(0, "left")
    assert answer.picture is not None
    assert max(answer.picture.size) <= 256
    assert painter.rendered[-1] == canvas.scene


def test_a_scene_that_cannot_be_drawn_is_not_taken(canvas: Canvas, painter: Labelled) -> None:
    before = canvas.scene
    painter.fault = FloatingPointError("values are not finite; weaken the strengths")
    with pytest.raises(FloatingPointError):
        canvas.paint(0, "left")
    painter.fault = None
    assert canvas.scene == before


class OneSae(Labelled):
    """Draws scenes of its own SAE only."""

    def render(self, scene: Scene) -> Image.Image:
        if scene.n_features != 8:
            raise ValueError("this scene was made with another SAE")
        return super().render(scene)


def test_a_loaded_scene_that_cannot_be_drawn_is_not_taken(tmp_path: Path) -> None:
    canvas = Canvas(OneSae, tmp_path)
    make_scene(3, 9).save(tmp_path / "other.json")
    with pytest.raises(ValueError, match="another SAE"):
        canvas.load("other.json")
    with pytest.raises(ValueError, match="call analyze"):
        canvas.palette()
    canvas.analyze("a meadow", n_factors=3)
    before = canvas.scene
    with pytest.raises(ValueError, match="another SAE"):
        canvas.load("other.json")
    assert canvas.scene is before
    canvas.paint(0, "left")


def test_an_analysis_or_a_step_that_cannot_be_drawn_changes_nothing(
    canvas: Canvas, painter: Labelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    canvas.paint(0, "left")
    before = canvas.scene

    def fail(scene: Scene) -> Image.Image:
        raise FloatingPointError("values are not finite")

    with monkeypatch.context() as patched:
        patched.setattr(painter, "render", fail)
        verbs: list[Callable[[], object]] = [lambda: canvas.analyze("a lion"), canvas.undo]
        for verb in verbs:
            with pytest.raises(FloatingPointError):
                verb()
            assert canvas.scene is before
    canvas.undo()
    canvas.redo()
    assert canvas.scene is before


def test_what_changes_nothing_says_so(canvas: Canvas) -> None:
    assert canvas.move(0, 0, 1).text.startswith("Nothing changed")
    with pytest.raises(ValueError, match="nothing to redo"):
        canvas.redo()


def test_files_stay_in_the_folder(canvas: Canvas, tmp_path: Path) -> None:
    painted = canvas.scene
    canvas.save("lion.png")
    canvas.save("lion.json")
    assert Scene.load(tmp_path / "lion.png") == Scene.load(tmp_path / "lion.json") == painted
    (tmp_path / "out").symlink_to(tmp_path.parent)
    for path in ("../x.png", "/etc/x.json", "x.py", "out/x.png", "", "a\0.png"):
        with pytest.raises(ValueError):
            canvas.save(path)
        with pytest.raises((ValueError, FileNotFoundError)):
            canvas.load(path)
    canvas.paint(0, "left")
    canvas.load("lion.json")
    assert canvas.scene == painted


@pytest.mark.parametrize("name", ["package.json", "photo.png", "folder.json"])
def test_files_that_are_no_scenes_are_not_replaced(canvas: Canvas, tmp_path: Path, name: str) -> None:
    if name.startswith("folder"):
        (tmp_path / name).mkdir()
    elif name.endswith(".png"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    else:
        (tmp_path / name).write_text('{"name": "ours"}')
    before = None if (tmp_path / name).is_dir() else (tmp_path / name).read_bytes()
    with pytest.raises(ValueError, match=f"path='{name}': this file is there already, and is not a"):
        canvas.save(name)
    assert before is None or (tmp_path / name).read_bytes() == before


def test_a_scene_that_was_saved_is_replaced(canvas: Canvas, tmp_path: Path) -> None:
    for name in ("lion.json", "lion.png"):
        canvas.save(name)
        canvas.scale(0, 0.5)
        canvas.save(name)
        assert Scene.load(tmp_path / name) == canvas.scene


def test_searches_and_long_texts(canvas: Canvas) -> None:
    assert canvas.search_features("tree").text == "#2 pine (tree)"
    assert "try another word" in canvas.search_features("zebra").text
    with pytest.raises(ValueError, match="at most 1,000"):
        canvas.analyze("x" * 5000)


def test_the_grid_leaves_the_picture_whole(canvas: Canvas) -> None:
    picture = canvas.render().picture
    assert picture is not None
    lined = np.asarray(with_grid(picture, 16, 16))
    assert lined.shape[0] == lined.shape[1] > 600
    # The middle of a patch has the picture's colour, and the margin is white.
    side = (lined.shape[0] - 22) / 16
    middle = int(22 + 4.5 * side)
    near = np.asarray(picture.resize((640, 640))).astype(int)[middle - 22, middle - 22]
    assert np.abs(lined[middle, middle].astype(int) - near).max() < 12
    assert (lined[1, 1] == 255).all()
