"""A saved scene: exact, readable, whole or not there at all; and what loading says about any other file."""

from __future__ import annotations

import base64
import copy
import json
import os
import stat
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ember_widgets.scene import scene_file
from ember_widgets.scene.scene import Scene
from tests.unit.scene.scenes import filled, make_scene


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scene.json"


def packed(data: bytes) -> str:
    """Bytes as an array's "zlib64" has them."""
    return base64.b64encode(zlib.compress(data)).decode()


class TestRoundTrip:
    def test_is_exact(self, path: Path) -> None:
        awkward = filled(0, 16, 16, 3)
        awkward[0, 0] = [-0.0, 1e-45, np.finfo(np.float32).max]
        scene = make_scene(strengths=awkward, seed=2**63 - 1).add_factor({1: -0.1}).paint(3, [(1, 2)], -0.3)
        scene.save(path)
        loaded = Scene.load(path)
        assert loaded == scene
        assert loaded.strengths.tobytes() == scene.strengths.tobytes()

    def test_of_a_palette_in_another_order_with_one_factor_gone(self, path: Path) -> None:
        scene = make_scene().reorder([2, 0, 1]).remove("sky").duplicate("lion")
        scene.save(path)
        assert Scene.load(path) == scene
        assert json.loads(path.read_text(encoding="utf-8"))["origins"] == [2, 1, 1]

    @pytest.mark.parametrize("removed", [("meadow",), ("lion", "meadow"), ("sky", "lion", "meadow")])
    def test_of_a_palette_without_its_last_factors(self, path: Path, removed: tuple[str, ...]) -> None:
        scene = make_scene()
        for name in removed:
            scene = scene.remove(name)
        scene.save(path)
        assert Scene.load(path) == scene
        assert copy.deepcopy(scene) == scene

    def test_what_could_not_be_read_is_not_written(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        scene = make_scene()
        scene.save(path)
        size = len(path.read_bytes())
        n_bytes = sum(getattr(scene, name).nbytes for name in scene_file.ARRAY_FIELDS)
        for name, most, reason in (
            ("MAX_ARRAY_BYTES", n_bytes, f"its arrays have {n_bytes:,} bytes"),
            ("MAX_FILE_BYTES", size, f"its file would have {size:,} bytes"),
        ):
            with monkeypatch.context() as patch:
                patch.setattr(scene_file, name, most)
                scene.save(path)
                assert Scene.load(path) == scene
                patch.setattr(scene_file, name, most - 1)
                with pytest.raises(ValueError, match=f"^the scene is too large to be saved: {reason}, and"):
                    scene.save(path)
        assert Scene.load(path) == scene, "the file that was there stays"

    def test_the_usual_palette_needs_no_word_about_it(self, path: Path) -> None:
        make_scene().add_factor({1: 1.0}).save(path)
        assert "origins" not in json.loads(path.read_text(encoding="utf-8"))

    def test_of_a_blank_canvas(self, path: Path) -> None:
        blank = make_scene(n_factors=0)
        blank.save(path)
        assert Scene.load(path) == blank

    @pytest.mark.parametrize("prompt", ["", "ein Löwe, 獅子", 'a "quoted"\nline'])
    def test_of_any_text(self, path: Path, prompt: str) -> None:
        scene = make_scene(prompt=prompt, names=("sky", "Löwe", "\U0001f981"))
        scene.save(path)
        assert Scene.load(path) == scene

    def test_of_an_image_strength_without_an_image(self, path: Path) -> None:
        scene = make_scene(image_strength=0.7)
        scene.save(path)
        assert Scene.load(path) == scene

    def test_loaded_arrays_are_read_only(self, path: Path) -> None:
        make_scene().save(path)
        assert not Scene.load(path).strengths.flags.writeable

    def test_takes_paths_as_text(self, path: Path) -> None:
        make_scene().save(str(path))
        assert Scene.load(str(path)) == make_scene()


def png() -> Image.Image:
    return Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))


class TestPictures:
    def test_hold_the_scene_they_were_drawn_from(self, tmp_path: Path) -> None:
        path = tmp_path / "boat.PNG"
        scene = make_scene(prompt="ein Löwe, 獅子").paint(0, [(1, 2)], 0.3)
        scene.save(path, png())
        assert Scene.load(path) == scene
        with Image.open(path) as picture:
            assert np.array_equal(np.asarray(picture), np.asarray(png()))
            assert json.loads(picture.text["ember-scene"])["prompt"] == "ein Löwe, 獅子"

    def test_without_a_scene_say_so(self, path: Path) -> None:
        png().save(path, "PNG")
        assert message_of_loading(path) == (
            "it is a picture without a scene in it; give one written by scene.save"
        )

    def test_that_were_cut_off_or_damaged_say_so(self, path: Path) -> None:
        data = make_scene().to_bytes(png())
        at = data.index(b"ember-scene\0") + 20
        packed = make_scene().to_bytes(png())[33:]  # what comes after the header
        (length,) = struct.unpack(">I", packed[:4])
        text = packed[4 : 8 + length - 30]
        shorter = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
        for broken, message in [
            (data[:33] + shorter + packed[12 + length :], "the text in it is damaged"),
            (data[: at + 50], "it is a PNG that was cut off"),
            (data[:at] + b"\xff\xff\xff" + data[at + 3 :], "the text in it is damaged"),
        ]:
            path.write_bytes(broken)
            assert message_of_loading(path) == message

    @pytest.mark.parametrize(("name", "picture"), [("scene.png", None), ("scene.json", png())])
    def test_go_into_a_png_and_nothing_else_does(self, tmp_path: Path, name: str, picture: Any) -> None:
        with pytest.raises(ValueError) as caught:
            make_scene().save(tmp_path / name, picture)
        assert str(caught.value) == (
            f"cannot save to {tmp_path / name}: a .png, and nothing else, holds a picture; "
            "use scene.save('scene.json') or scene.save('scene.png', painter.render(scene))"
        )
        assert not (tmp_path / name).exists()

    def test_bytes_are_what_a_file_holds(self, path: Path) -> None:
        make_scene().save(path)
        assert make_scene().to_bytes() == path.read_bytes()
        assert Scene.from_bytes(path.read_bytes()) == make_scene()


class TestSave:
    def test_writes_json_that_says_what_it_is(self, path: Path) -> None:
        make_scene().save(path)
        content = json.loads(path.read_text(encoding="utf-8"))
        assert list(content)[:5] == ["format", "version", "prompt", "seed", "n_steps"]
        assert (content["format"], content["version"]) == ("ember-scene", 1)
        assert content["arrays"]["strengths"]["shape"] == [16, 16, 3]
        assert content["arrays"]["strengths"]["dtype"] == "<f4"

    def test_writes_the_same_scene_as_the_same_bytes(self, tmp_path: Path) -> None:
        make_scene().save(tmp_path / "a.json")
        make_scene().save(tmp_path / "b.json")
        assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()

    def test_that_fails_leaves_the_old_file_and_nothing_else(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_scene().save(path)

        def disk_full(descriptor: int) -> None:
            raise OSError("no space left on device")

        monkeypatch.setattr(os, "fsync", disk_full)
        with pytest.raises(OSError, match="no space left"):
            make_scene(seed=4).save(path)
        assert Scene.load(path).seed == 3
        assert list(path.parent.iterdir()) == [path]

    @pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
    def test_follows_the_umask_like_any_file(self, path: Path) -> None:
        old = os.umask(0o022)
        try:
            make_scene().save(path)
        finally:
            os.umask(old)
        assert stat.S_IMODE(path.stat().st_mode) == 0o644

    def test_into_no_folder_says_so(self, tmp_path: Path) -> None:
        path = tmp_path / "missing" / "scene.json"
        with pytest.raises(FileNotFoundError) as caught:
            make_scene().save(path)
        assert str(caught.value) == (
            f"cannot save to {path}: the folder {path.parent} does not exist; make it first"
        )

    def test_onto_a_folder_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(IsADirectoryError) as caught:
            make_scene().save(tmp_path)
        assert str(caught.value) == (
            f"cannot save to {tmp_path}: it is a folder; add a file name, for example scene.json"
        )


def message_of_loading(path: Path) -> str:
    """What Scene.load says, after the name of the file."""
    with pytest.raises(ValueError) as caught:
        Scene.load(path)
    start = f"cannot load {path}: "
    assert str(caught.value).startswith(start)
    return str(caught.value).removeprefix(start)


def test_loading_what_is_not_there_says_so(path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        Scene.load(path)
    assert str(caught.value) == f"cannot load {path}: there is no such file"


NOT_JSON = "it is not JSON, or cut off; give a file written by scene.save"
NOT_A_SCENE = 'it is not a scene (no "format": "ember-scene" in it); give a file written by scene.save'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", NOT_JSON),
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "it is a PNG that was cut off"),
        (b"[" * 100_000, NOT_JSON),
        (b"[1, 2]", NOT_A_SCENE),
        (b'{"cells": [], "nbformat": 4}', NOT_A_SCENE),
        (b'{"format": "other", "version": 1}', NOT_A_SCENE),
    ],
    ids=["empty", "picture", "deep", "list", "notebook", "other format"],
)
def test_loading_a_foreign_file_says_so(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    assert message_of_loading(path) == message


def test_loading_half_a_file_says_so(path: Path) -> None:
    make_scene().save(path)
    path.write_bytes(path.read_bytes()[:700])
    assert message_of_loading(path) == NOT_JSON


def test_loading_a_file_too_large_to_be_a_scene_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_scene().save(path)
    monkeypatch.setattr(scene_file, "MAX_FILE_BYTES", 2**10)
    assert message_of_loading(path) == "it is larger than 1024 bytes, so it is not a scene"


def change(*keys: str, to: Any) -> Callable[[dict[str, Any]], None]:
    """A change of one entry of the file, named by its keys from the outside in."""

    def apply(content: dict[str, Any]) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = to

    return apply


def without(*keys: str) -> Callable[[dict[str, Any]], None]:
    def apply(content: dict[str, Any]) -> None:
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return apply


STRENGTHS = ("arrays", "strengths")
DAMAGED: list[tuple[str, Callable[[dict[str, Any]], None], str]] = [
    (
        "newer",
        change("version", to=2),
        "it is a scene of version 2, and this ember_widgets reads up to 1; update it",
    ),
    ("version a text", change("version", to="1"), "its version is '1'; this ember_widgets reads 1"),
    ("version true", change("version", to=True), "its version is True; this ember_widgets reads 1"),
    ("no seed", without("seed"), "the file lacks seed; the file is damaged"),
    ("one more field", change("shade", to=1), "the file has unknown entries: 'shade'"),
    ("no basis", without("arrays", "basis"), "arrays lacks basis; the file is damaged"),
    ("arrays a list", change("arrays", to=[]), "its arrays are not a JSON object; the file is damaged"),
    (
        "array a list",
        change(*STRENGTHS, to=[0.5]),
        "array strengths is not made of shape, dtype and zlib64; the file is damaged",
    ),
    (
        "shape negative",
        change(*STRENGTHS, "shape", to=[16, -16, 3]),
        "array strengths has no valid shape ([16, -16, 3]); the file is damaged",
    ),
    (
        "shape true",
        change(*STRENGTHS, "shape", to=[16, 16, True]),
        "array strengths has no valid shape ([16, 16, True]); the file is damaged",
    ),
    (
        "type",
        change(*STRENGTHS, "dtype", to="|O"),
        "array strengths is of type '|O'; scenes hold '<f4' only",
    ),
    (
        "no base64",
        change(*STRENGTHS, "zlib64", to="Löwe"),
        "array strengths cannot be unpacked; the file is damaged",
    ),
    (
        "no zlib",
        change(*STRENGTHS, "zlib64", to="AAAA"),
        "array strengths cannot be unpacked; the file is damaged",
    ),
    (
        "zlib64 a number",
        change(*STRENGTHS, "zlib64", to=7),
        "array strengths holds no text in zlib64; the file is damaged",
    ),
    (
        "too few values",
        change(*STRENGTHS, "zlib64", to=packed(bytes(3071))),
        "array strengths does not have the 3072 bytes of its shape [16, 16, 3]; the file is damaged",
    ),
    (
        "too many values",
        change(*STRENGTHS, "zlib64", to=packed(bytes(2**20))),
        "array strengths does not have the 3072 bytes of its shape [16, 16, 3]; the file is damaged",
    ),
    (
        "cut-off values",
        change(*STRENGTHS, "zlib64", to=base64.b64encode(zlib.compress(bytes(3072))[:-3]).decode()),
        "array strengths does not have the 3072 bytes of its shape [16, 16, 3]; the file is damaged",
    ),
    (
        "enormous",
        change(*STRENGTHS, "shape", to=[16, 16, 10**9]),
        "its arrays would be larger than 128 MiB; the file is damaged",
    ),
    (
        "shapes that do not fit",
        change(*STRENGTHS, to={"shape": [16, 16, 2], "dtype": "<f4", "zlib64": packed(bytes(2048))}),
        "strengths has shape (16, 16, 2); give an array of shape (16, 16, 3)",
    ),
    (
        "values that are none",
        change(*STRENGTHS, "zlib64", to=packed(filled(np.nan, 16, 16, 3).tobytes())),
        "strengths holds nan at (0, 0, 0); give finite numbers only",
    ),
    (
        "steps out of range",
        change("n_steps", to=99),
        "n_steps=99 is outside 1..4; the model is made for 1 to 4 steps (1 is the fastest to edit)",
    ),
    ("prompt a number", change("prompt", to=5), "prompt=5 is not text; give a str"),
]


@pytest.mark.parametrize(
    ("damage", "message"), [case[1:] for case in DAMAGED], ids=[case[0] for case in DAMAGED]
)
def test_loading_a_damaged_scene_says_what_is_wrong(
    path: Path, damage: Callable[[dict[str, Any]], None], message: str
) -> None:
    make_scene().save(path)
    content = json.loads(path.read_text(encoding="utf-8"))
    damage(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    assert message_of_loading(path) == message


def test_a_style_is_kept_and_files_without_one_say_nothing_of_it(tmp_path: Path) -> None:
    plain, styled = make_scene(), make_scene(style="in sepia")
    for name, scene in (("plain", plain), ("styled", styled)):
        scene.save(tmp_path / f"{name}.json")
        assert Scene.load(tmp_path / f"{name}.json") == scene
    assert "style" not in (tmp_path / "plain.json").read_text()
