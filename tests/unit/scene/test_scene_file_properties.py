"""Scene, file, scene: whatever the scene is and however it was edited, nothing is lost or changed."""

from __future__ import annotations

import copy
import dataclasses
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from ember_widgets.scene.scene import Scene
from tests.unit.properties import tries
from tests.unit.scene.scene_strategies import edited, edits, scenes

pixels = arrays.arrays(np.uint8, st.tuples(st.integers(1, 4), st.integers(1, 4), st.just(3)))


@st.composite
def edited_scenes(draw: st.DrawFn) -> Scene:
    scene = draw(scenes())
    for _ in range(draw(st.integers(0, 4))):
        scene = edited(scene, *draw(edits(scene)))
    return scene


def content(scene: Scene) -> dict[str, Any]:
    """Every field, arrays as shape and bytes, mappings with their order."""

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return value.shape, value.dtype.str, value.tobytes()
        return list(value.items()) if isinstance(value, Mapping) else value

    return {field.name: plain(getattr(scene, field.name)) for field in dataclasses.fields(scene)}


def check(again: Scene, scene: Scene) -> None:
    assert again == scene
    assert content(again) == content(scene)
    assert again.to_bytes() == scene.to_bytes()


@given(edited_scenes())
@tries(100)
def test_a_saved_scene_comes_back_exactly(scene: Scene) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, second = Path(folder) / "scene.json", Path(folder) / "again.json"
        scene.save(path)
        loaded = Scene.load(path)
        check(loaded, scene)
        loaded.save(second)
        assert second.read_bytes() == path.read_bytes()


@given(edited_scenes(), pixels)
@tries(60)
def test_a_scene_in_a_picture_comes_back_exactly_and_the_picture_too(scene: Scene, image: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, second = Path(folder) / "scene.png", Path(folder) / "again.png"
        scene.save(path, Image.fromarray(image))
        check(Scene.load(path), scene)
        with Image.open(path) as picture:
            np.testing.assert_array_equal(np.asarray(picture), image)
            Scene.load(path).save(second, picture)
        assert second.read_bytes() == path.read_bytes()


@given(edited_scenes())
@tries(60)
def test_copies_and_replacing_nothing_are_exact(scene: Scene) -> None:
    for again in (copy.deepcopy(scene), copy.copy(scene), scene.replace()):
        check(again, scene)


@given(st.data())
@tries(100)
def test_an_edit_gives_a_valid_scene_or_is_refused_and_changes_nothing(data: st.DataObject) -> None:
    scene = data.draw(scenes())
    before = content(scene)
    after = edited(scene, *data.draw(edits(scene)))
    assert content(scene) == before
    check(Scene(**{field.name: getattr(after, field.name) for field in dataclasses.fields(after)}), after)
    assert len(set(after.factor_ids or ())) == after.n_factors
