"""Scenes saved by the version before grids, spaces and factor ids load unchanged.

The files were written by version 0.1.0 (commit 28933c4); the numbers are what that version read back.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ember_widgets.scene.feature_space import FeatureSpace
from ember_widgets.scene.grid import Grid
from ember_widgets.scene.scene import Scene

FILES = Path(__file__).parent / "files"
DOWN, UP = "down_blocks.2.attentions.1", "up_blocks.0.attentions.1"


@pytest.mark.parametrize(
    ("file", "names", "strengths", "remainder", "origins", "basis"),
    [
        ("blank.json", ("feature 1",), 52, 0, (-1,), 2),
        ("painted.json", ("sky", "lion", "meadow", "lantern"), 16.8607, 153, (0, 1, 2, -1), 112),
        ("painted.png", ("sky", "lion", "meadow", "lantern"), 16.8607, 153, (0, 1, 2, -1), 112),
        ("photograph.json", ("sky", "lion", "meadow"), 119.5, 256, (0, 1, 2), 30),
        ("rearranged.json", ("lantern", "grass", "sky", "sky 2"), 7, 153, (-1, 2, 0, 0), 170),
        ("two-sites.json", ("sky", "lion", "meadow"), 227.5, 256, (0, 1, 2), 24),
    ],
)
def test_a_file_of_version_0_1_loads_unchanged(
    file: str,
    names: tuple[str, ...],
    strengths: float,
    remainder: float,
    origins: tuple[int, ...],
    basis: float,
    tmp_path: Path,
) -> None:
    scene = Scene.load(FILES / file)
    assert scene.names == names
    assert scene.strengths.sum() == pytest.approx(strengths, abs=1e-3)
    assert scene.remainder.sum() == pytest.approx(remainder)
    assert scene.origins == origins
    # Each feature counts differently, so that none may change places.
    assert (scene.basis * np.arange(1, 9)).sum() == pytest.approx(basis)
    assert scene.grid == Grid(16, 16)
    assert scene.factor_ids == tuple(range(len(names)))
    scene.save(tmp_path / "again.json")
    assert Scene.load(tmp_path / "again.json") == scene


def test_a_file_that_needs_nothing_new_is_written_as_before(tmp_path: Path) -> None:
    Scene.load(FILES / "painted.json").save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (FILES / "painted.json").read_bytes()


def test_all_else_that_old_files_say_is_kept() -> None:
    photograph, two = Scene.load(FILES / "photograph.json"), Scene.load(FILES / "two-sites.json")
    assert photograph.image is not None
    assert (photograph.image.shape, photograph.image_strength) == ((4, 8, 8), 0.75)
    assert Scene.load(FILES / "rearranged.json").style == "pixel art"
    assert (two.guidance, two.n_steps, two.edit_steps) == (6.0, 25, (0, 10))
    assert two.space == FeatureSpace((DOWN, UP), (5, 3))
    assert [two.site(f) for f in range(3)] == [DOWN, DOWN, UP]
