"""Files that the page writes open in Python, and Python's open in the page: bit by bit the same scene."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from ember_widgets.scene.scene import Scene
from tests.unit.scene.make_page_parity import edited, start
from tests.unit.scene.scenes import make_scene

JS = Path(__file__).parents[3] / "js"
ESBUILD = JS / "node_modules" / ".bin" / "esbuild"
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(
    NODE is None or not ESBUILD.exists(), reason="needs node, and the packages of js/ (npm install)"
)


def scenes() -> dict[str, Scene]:
    """Scenes with all that a scene of the page may have."""
    rng = np.random.default_rng(5)
    found = {f"edited-{kind}": edited(start(kind), rng, 6) for kind in range(4)}
    found["texts"] = make_scene(names=('it\'s "so"', "Löwe ✨", "a\\b\n\t\u2028"), prompt="\x7f é 狮子")
    found["no-base"] = make_scene().replace(
        base_strengths=np.zeros((16, 16, 0)), base_basis=np.zeros((0, 8)), origins=(-1, -1, -1)
    )
    found["layers"] = (
        make_scene(n_steps=4, edit_steps=(0, 2)).set_steps(0, (1, 3)).set_steps(1, (0, 2), "add")
    )
    found["blank"] = found["no-base"].remove(0).remove(0).remove(0)
    found["huge-seed"] = make_scene(seed=2**63 - 1, image_strength=0.25)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes as Python writes them, and as the page writes what it read of these."""
    place = tmp_path_factory.mktemp("page")
    picture = Image.new("RGB", (8, 8), "red")
    for i, (name, scene) in enumerate(scenes().items()):
        # Half of them travel inside a picture.
        (place / f"{name}.scene").write_bytes(scene.to_bytes(picture if i % 2 else None))
    script = place / "resave.mjs"
    source = JS / "tests" / "page" / "scene" / "resave.ts"
    bundle = (str(ESBUILD), str(source), "--bundle", "--platform=node", "--format=esm", f"--outfile={script}")
    subprocess.run((*bundle, "--log-level=error"), check=True)
    subprocess.run((str(NODE), str(script), str(place)), check=True)
    return place


@pytest.mark.parametrize("suffix", [".json", ".png"])
@pytest.mark.parametrize("name", scenes())
def test_a_scene_comes_back_from_the_page_as_it_was(name: str, suffix: str, folder: Path) -> None:
    before, after = scenes()[name], Scene.load(folder / f"{name}{suffix}")
    assert after == before
    assert (after.factor_ids, after.next_factor_id) == (before.factor_ids, before.next_factor_id)
    assert after.plain_fields().keys() == before.plain_fields().keys()


def drawn(k: int) -> np.ndarray:
    """The picture that resave.ts makes."""
    y, x, c = np.mgrid[:17, :23, :3]
    return np.asarray((x * x * (c + 1) + 7 * y + 50 * k) % 256, np.uint8)


def test_a_picture_that_the_page_writes_has_its_pixels(folder: Path) -> None:
    with Image.open(folder / "layers.png") as image:
        assert image.mode == "RGB"
        assert np.array_equal(np.asarray(image), drawn(0))


def test_a_moving_picture_that_the_page_writes_has_its_pictures_and_times(folder: Path) -> None:
    with Image.open(folder / "film.png") as film:
        frames = [
            (np.asarray(frame.convert("RGB")), frame.info["duration"])
            for frame in ImageSequence.Iterator(film)
        ]
        assert film.info["loop"] == 0
    assert [ms for _, ms in frames] == [80, 80, 240]
    for k, (pixels, _) in enumerate(frames):
        assert np.array_equal(pixels, drawn(k))
