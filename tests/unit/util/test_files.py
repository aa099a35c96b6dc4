"""What cannot be written says which file, why, and what to do; a file is there whole or not at all."""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ember_widgets import SAE
from ember_widgets.dictionary.load import save_sae
from ember_widgets.features.collection import Collection
from ember_widgets.features.feature_map import make_map
from ember_widgets.features.icons import Icons
from ember_widgets.features.labels import Labels
from ember_widgets.util import files
from ember_widgets.util.user_folders import cache_folder, data_folder
from tests.unit.scene.scenes import make_scene


def _labels(file: Path) -> None:
    Labels(own_file=file).set(3, "tree")


def _icons(file: Path) -> None:
    made = Icons(4, lambda features: [Image.new("RGB", (64, 64))] * len(features), file=file)
    made.make([1], progress=False)


def _collection(folder: Path) -> None:
    collection = Collection.create(folder, 4, {"id": "x"})
    collection.add("a tree", 1, np.zeros((256, 4), np.float32), None)
    collection.flush()


def _sae(folder: Path) -> None:
    sae = SAE(
        W_enc=torch.ones(3, 4),
        b_enc=torch.ones(4),
        W_dec=torch.ones(4, 3),
        b_dec=torch.ones(3),
        activation="topk",
        k=2,
        threshold=None,
        target="update",
        site="down_blocks.2.attentions.1",
        unit=torch.ones(4),
    )
    save_sae(sae, folder)


SAVE: dict[str, tuple[Callable[[Path], Any], Callable[[], Path], str]] = {
    "labels": (_labels, data_folder, "set EMBER_WIDGETS_DATA to a folder that can be written to"),
    "icons": (_icons, cache_folder, "set EMBER_WIDGETS_CACHE to a folder that can be written to"),
    "collections": (_collection, cache_folder, "set EMBER_WIDGETS_CACHE to a folder that can be written to"),
    "scenes": (lambda path: make_scene().save(path), Path.cwd, "choose a folder that can be written to"),
    "SAEs": (_sae, Path.cwd, "choose a folder that can be written to"),
}
FAULTS = {
    "read-only": PermissionError(errno.EACCES, "Permission denied", "x"),
    "mounted read-only": OSError(errno.EROFS, "Read-only file system", "x"),
    "full": OSError(errno.ENOSPC, "No space left on device", "x"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", SAVE)
def test_a_disk_that_refuses_is_explained(
    kind: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, folder, advice = SAVE[kind]
    for variable in ("EMBER_WIDGETS_CACHE", "EMBER_WIDGETS_DATA"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.chdir(tmp_path)
    place = folder()
    place.mkdir(exist_ok=True)
    raised = FAULTS[fault]

    def refuse(source: Any, target: Any) -> None:
        raise raised

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(type(raised)) as caught:
        save(place / "kept.json")
    message = str(caught.value)
    assert message.startswith(f"cannot write {place / 'kept.json'}")
    assert str(raised.strerror) in message
    assert message.endswith(advice)
    assert caught.value.errno == raised.errno
    assert not list(place.rglob("*.tmp"))


@pytest.mark.parametrize("kind", ["labels", "icons", "collections", "SAEs"])
def test_a_folder_that_cannot_be_made_is_explained(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, *_ = SAVE[kind]
    for variable in ("EMBER_WIDGETS_CACHE", "EMBER_WIDGETS_DATA"):
        monkeypatch.setenv(variable, str(tmp_path / "file"))
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError, match=r"^cannot write .*file.*: Not a directory; free some space, or "):
        save(tmp_path / "file" / "folder" / "kept.json")


def test_a_label_that_cannot_be_kept_is_set_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    labels = Labels(own_file=tmp_path / "file" / "folder" / "own.json")
    with pytest.raises(OSError, match="cannot write"):
        labels.set(3, "tree")
    assert labels[3] == "tree"


def test_a_map_that_cannot_be_kept_is_shown_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    directions = np.eye(12, 4, dtype=np.float32)
    with pytest.warns(UserWarning, match="this map has to be made again next time: cannot write"):
        made = make_map(directions, "key", method="pca", cache=tmp_path / "file")
    assert len(made.positions) == 12
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_map(directions, "key", method="pca", cache=tmp_path)


def test_json_has_as_many_values_as_allowed() -> None:
    assert files.parsed("[1, 2, [3]]", 4) == [1, 2, [3]]
    with pytest.raises(ValueError, match="it has more than 3 values"):
        files.parsed("[1, 2, [3]]", 3)


@pytest.mark.parametrize("depth", [files.MOST_DEEP, files.MOST_DEEP + 1, 100_000])
@pytest.mark.parametrize("brackets", ["[]", '{"a":}'])
def test_json_that_is_nested_too_deeply_is_refused_by_every_python(depth: int, brackets: str) -> None:
    text = brackets[:-1] * depth + "1" + brackets[-1] * depth
    if depth <= files.MOST_DEEP:
        files.parsed(text, 10**6)
    else:
        with pytest.raises(ValueError, match="nested too deeply"):
            files.parsed(text, 10**6)


def test_a_file_at_the_limit_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1234")
    assert files.read(tmp_path / "a", 4) == b"1234"
    with pytest.raises(ValueError, match="a is larger than 3 bytes"):
        files.read(tmp_path / "a", 3)
    with pytest.raises(FileNotFoundError):
        files.read(tmp_path / "b", 3)
