"""Files made to take memory or time are refused with one ValueError, within a second and 200 MB.

They are read in processes with little memory, so that a failure takes nothing else down.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ember_widgets.features.collection import Collection
from ember_widgets.features.collection_file import Record, packed
from ember_widgets.features.peaks import Peaks
from ember_widgets.util import png
from tests.unit.scene.scenes import make_scene

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="measures memory by /proc")

MEGABYTES = 200
SECONDS = 1.0
DEEP = "[" * 200_000 + "]" * 200_000

Read = Callable[[str, Path], dict[str, Any]]


@pytest.fixture(scope="module")
def read() -> Iterator[Read]:
    """Read a file by the name of its reader, in a process of its own."""
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("read_within_limits.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert server.stdin is not None
    assert server.stdout is not None

    def ask(reader: str, path: Path) -> dict[str, Any]:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps([reader, str(path)]) + "\n")
        server.stdin.flush()
        found: dict[str, Any] = json.loads(server.stdout.readline())
        return found

    yield ask
    server.stdin.close()
    server.wait(60)
    server.stdout.close()


def _zeros(n_bytes: int) -> bytes:
    """So many zeros, packed by zlib."""
    packer = zlib.compressobj(1)
    parts = [packer.compress(bytes(min(2**20, n_bytes - at))) for at in range(0, n_bytes, 2**20)]
    return b"".join([*parts, packer.flush()])


def _scene(**arrays: list[int]) -> dict[str, Any]:
    """A scene's file, with some arrays of these shapes, all zero."""
    content: dict[str, Any] = json.loads(make_scene().to_bytes())
    for name, shape in arrays.items():
        values = base64.b64encode(_zeros(4 * int(np.prod(shape)))).decode()
        content["arrays"][name] = {"shape": shape, "dtype": "<f4", "zlib64": values}
    return content


def _ones(n: int) -> dict[str, Any]:
    packed = base64.b64encode(zlib.compress(np.ones(n, "<f4").tobytes(), 1)).decode()
    return {"shape": [n], "dtype": "<f4", "zlib64": packed}


def _npz(path: Path, entries: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in entries.items():
            archive.writestr(f"{name}.npy", data)


def _npy(array: np.ndarray[Any, Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _claims(shape: tuple[int, ...]) -> bytes:
    """An array's file that claims a shape, and holds nothing."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"shape": shape, "fortran_order": False, "descr": "<f4"})
    return stream.getvalue()


# Scenes


def seven_enormous_arrays(folder: Path) -> Path:
    large = [256, 256, 1024]
    names = ("strengths", "remainder", "basis", "base_strengths", "base_basis", "unit", "image")
    content = _scene()
    entry = {"shape": large, "dtype": "<f4", "zlib64": base64.b64encode(_zeros(2**28)).decode()}
    content["arrays"] = dict.fromkeys(names, entry)
    (folder / "scene.json").write_text(json.dumps(content))
    return folder / "scene.json"


def an_array_that_unpacks_to_more(folder: Path) -> Path:
    content = _scene()
    content["arrays"]["unit"]["zlib64"] = base64.b64encode(_zeros(2**28)).decode()
    (folder / "scene.json").write_text(json.dumps(content))
    return folder / "scene.json"


def a_text_in_a_picture(folder: Path) -> Path:
    stream = io.BytesIO()
    Image.new("RGB", (16, 16)).save(stream, "PNG")
    (folder / "scene.png").write_bytes(png.with_text(stream.getvalue(), "ember-scene", " " * 2**28))
    return folder / "scene.png"


def twenty_thousand_factors(folder: Path) -> Path:
    n = 20_000
    content = _scene(
        strengths=[1, 1, n], basis=[n, 8], remainder=[1, 1], base_strengths=[1, 1, 0], base_basis=[0, 8]
    )
    content |= {"names": [f"factor {i}" for i in range(n)], "colors": ["#e69f00"] * n}
    (folder / "scene.json").write_text(json.dumps(content))
    return folder / "scene.json"


def a_long_prompt(folder: Path) -> Path:
    (folder / "scene.json").write_text(json.dumps(_scene() | {"prompt": "a " * 2**20}))
    return folder / "scene.json"


def a_long_name(folder: Path) -> Path:
    (folder / "scene.json").write_text(json.dumps(_scene() | {"names": ["a " * 2**20, "b", "c"]}))
    return folder / "scene.json"


def many_sites(folder: Path) -> Path:
    n = 30_000
    content = _scene(basis=[3, n], base_basis=[3, n]) | {"sites": {f"s{i}": 1 for i in range(n)}}
    content["arrays"]["unit"] = _ones(n)
    (folder / "scene.json").write_text(json.dumps(content))
    return folder / "scene.json"


def many_lists(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_text("[" + ",".join(["[]"] * 10_000_000) + "]")
        return folder / name

    return make


def deep(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_text(DEEP)
        return folder / name

    return make


def a_pipe(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        os.mkfifo(folder / name)
        return folder / name

    return make


# Tensors


def repeated_tensors(folder: Path) -> Path:
    """A stride of 0 survives torch.save."""
    repeated = torch.zeros(1).expand(2**20, 2**12)
    torch.save({"W_enc": repeated, "W_dec": repeated.T}, folder / "sae.pt")
    return folder / "sae.pt"


def a_compressed_archive(folder: Path) -> Path:
    """torch unpacks what torch.save never packs."""
    torch.save({"W_enc": torch.zeros(2**16, 2**10)}, folder / "plain.pt")
    with (
        zipfile.ZipFile(folder / "plain.pt") as plain,
        zipfile.ZipFile(folder / "sae.pt", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as small,
    ):
        for entry in plain.infolist():
            small.writestr(entry.filename, plain.read(entry))
    (folder / "plain.pt").unlink()
    return folder / "sae.pt"


def lists_in_lists(folder: Path) -> Path:
    inside: Any = torch.zeros(1)
    for _ in range(60):
        inside = [inside, inside]
    torch.save({"state_dict": {"W_enc": torch.zeros(2, 2)}, "more": inside}, folder / "sae.pt")
    return folder / "sae.pt"


def a_list_in_itself(folder: Path) -> Path:
    inside: list[Any] = []
    inside.append(inside)
    torch.save({"state_dict": {"W_enc": torch.zeros(2, 2)}, "more": inside}, folder / "sae.pt")
    return folder / "sae.pt"


def an_enormous_header(folder: Path) -> Path:
    (folder / "sae.safetensors").write_bytes((2**40).to_bytes(8, "little") + b"{" * 100)
    return folder / "sae.safetensors"


# Arrays, labels, pictures


def a_shard_with(**changed: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        codes = np.zeros((256, 12), np.float32)
        codes[::9, 3] = 1
        collection = Collection.create(folder, 12, {"id": "x"})
        entries = {name: _npy(array) for name, array in packed([Record.of("a", 1, codes, None)]).items()}
        _npz(folder / "shard-00000.npz", entries | changed)
        return collection.folder / "shard-00000.npz"

    return make


def a_bank_with(shape: list[int], **changed: bytes) -> Callable[[Path], Path]:
    """A bank of two concepts that claims a shape."""

    def make(folder: Path) -> Path:
        facts = {"format": "ember-concepts", "version": 1, "shape": shape, "names": ["a", "b"], "site": "x"}
        facts |= {"hits": [[], []], "sae": "", "model": {}, "folder": "", "ignore": []}
        entries = {
            "facts": _npy(np.frombuffer(json.dumps(facts).encode(), np.uint8)),
            "rows": _npy(np.arange(2, dtype=np.int32)),
            "features": _npy(np.arange(2, dtype=np.int32)),
            "values": _npy(np.ones(2, np.float32)),
            "strengths": _npy(np.ones((1, 2), np.float32)),
            "stability": _npy(np.ones(2, np.float32)),
        }
        _npz(folder / "concepts.npz", entries | changed)
        return folder / "concepts.npz"

    return make


def a_million_rows(folder: Path) -> Path:
    (folder / "labels.csv").write_text("feature,label\n" + "".join(f"{i},a\n" for i in range(3_000_000)))
    return folder / "labels.csv"


def labels_that_unpack_to_more(folder: Path) -> Path:
    with gzip.open(folder / "labels.jsonl.gz", "wb", compresslevel=1) as stream:
        for _ in range(128):
            stream.write(b" " * 2**20)
    return folder / "labels.jsonl.gz"


def labels_cut_short(folder: Path) -> Path:
    packed = gzip.compress(b'{"feature": 1, "label": "tree"}\n' * 1000)
    (folder / "labels.jsonl.gz").write_bytes(packed[:-20])
    return folder / "labels.jsonl.gz"


def a_long_cell(folder: Path) -> Path:
    (folder / "labels.csv").write_text("feature,label\n1," + "a" * 200_000)
    return folder / "labels.csv"


def an_infinite_feature(folder: Path) -> Path:
    (folder / "labels.jsonl").write_text('{"feature": Infinity, "label": "tree"}')
    return folder / "labels.jsonl"


def an_enormous_photograph(folder: Path) -> Path:
    Image.new("1", (13_000, 13_000)).save(folder / "photo.png")
    return folder / "photo.png"


def no_pixels(folder: Path) -> Path:
    np.save(folder / "photo.npy", np.zeros((0, 0, 3), np.uint8))
    return folder / "photo.npy"


REFUSED: dict[str, tuple[str, Callable[[Path], Path], str]] = {
    "seven enormous arrays": ("scene", seven_enormous_arrays, "its arrays would be larger than 128 MiB"),
    "an array that unpacks to more": (
        "scene",
        an_array_that_unpacks_to_more,
        "array unit does not have the 32 bytes",
    ),
    "a text in a picture": ("scene", a_text_in_a_picture, "the text in it is damaged"),
    "20,000 factors": (
        "scene",
        twenty_thousand_factors,
        "basis has 20,000 rows; a scene has up to 4,096 factors",
    ),
    "a long prompt": ("scene", a_long_prompt, "prompt has 2,097,152 characters; 10,000 are the most"),
    "a long name": ("scene", a_long_name, "names has 2,097,152 characters; 10,000 are the most"),
    "many sites": ("scene", many_sites, "sites names 30,000 sites; 256 are the most"),
    "a scene of lists": ("scene", many_lists("scene.json"), "it is not JSON, or cut off"),
    "a deep scene": ("scene", deep("scene.json"), "it is not JSON, or cut off"),
    "a scene in a pipe": ("scene", a_pipe("scene.json"), "is not a regular file, but a pipe or a device"),
    "repeated tensors": ("sae", repeated_tensors, "its tensors claim 34,359,738,368"),
    "a compressed archive": ("sae", a_compressed_archive, "its archive is compressed"),
    "lists in lists": ("sae", lists_in_lists, "sae.pt"),
    "a list in itself": ("sae", a_list_in_itself, "sae.pt"),
    "an enormous header": ("sae", an_enormous_header, "is not a readable safetensors file"),
    "a shard's large array": (
        "collection",
        a_shard_with(total=_npy(np.zeros(2**26))),
        "its arrays would take",
    ),
    "a shard's claim": ("collection", a_shard_with(seeds=_claims((2**38,))), "cannot reshape"),
    "a shard's index": (
        "collection",
        a_shard_with(features=_npy(np.array([-1]))),
        "it holds indices that are not below 12",
    ),
    "a shard's ends": (
        "collection",
        a_shard_with(ends=_npy(np.append(np.zeros(256, np.uint32), np.uint32(2**31)))),
        "its codes and its patches do not fit together",
    ),
    "a shard's prompts": (
        "collection",
        a_shard_with(prompts=_npy(np.frombuffer(DEEP.encode(), np.uint8))),
        "is damaged (RecursionError",
    ),
    "a bank's shape": ("concepts", a_bank_with([2, 2**24]), "its basis would have 2 × 16777216 numbers"),
    "a bank's indices": (
        "concepts",
        a_bank_with([2, 9], features=_npy(np.array([0, -1]))),
        "it holds indices that are not below 9",
    ),
    "a bank's large array": (
        "concepts",
        a_bank_with([2, 9], strengths=_npy(np.zeros((2**24, 2), np.float32))),
        "its arrays would take",
    ),
    "a bank of objects": (
        "concepts",
        a_bank_with([2, 9], values=_npy(np.array([None, {}], object))),
        "is damaged",
    ),
    "a bank of deep lists": (
        "concepts",
        a_bank_with([2, 9], facts=_npy(np.frombuffer(DEEP.encode(), np.uint8))),
        "is damaged",
    ),
    "a bank of something else": (
        "concepts",
        a_bank_with([2, 9], facts=_npy(np.frombuffer(b'{"format": "map", "version": 1}', np.uint8))),
        "it is not a bank of concepts",
    ),
    "a bank in a pipe": ("concepts", a_pipe("concepts.npz"), "is not a regular file, but a pipe or a device"),
    "a deep collection": ("collection", deep("collection.json"), "is not a collection's"),
    "labels of lists": ("labels", many_lists("labels.json"), "is not a label file"),
    "deep labels": ("labels", deep("labels.json"), "is not a label file"),
    "deep lines of labels": ("labels", deep("labels.jsonl"), "is not a label file"),
    "labels in a pipe": ("labels", a_pipe("labels.json"), "is not a regular file, but a pipe or a device"),
    "millions of labels": ("labels", a_million_rows, "has more than 524,288 lines"),
    "labels that unpack to more": (
        "labels",
        labels_that_unpack_to_more,
        "unpacks to more than 67,108,864 bytes",
    ),
    "labels cut short": ("labels", labels_cut_short, "cannot be unpacked"),
    "explanations of lists": ("labels", many_lists("explanations.json"), "is not a label file"),
    "a long cell": (
        "labels",
        a_long_cell,
        "cannot be read as a table (field larger than field limit (131072))",
    ),
    "an infinite feature": ("labels", an_infinite_feature, "has inf as a feature"),
    "an enormous photograph": ("photo", an_enormous_photograph, "image has 13000×13000 pixels"),
    "a photograph in a pipe": ("photo", a_pipe("photo.png"), "is not a regular file, but a pipe or a device"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused_by_name_in_little_time_and_memory(name: str, tmp_path: Path, read: Read) -> None:
    reader, make, reason = REFUSED[name]
    path = make(tmp_path)
    found = read(reader, path)
    assert found["error"] == "ValueError", found
    assert str(path) in found["message"]
    assert reason in found["message"]
    assert found["seconds"] < SECONDS, found
    assert found["megabytes"] < MEGABYTES, found


def a_map_with(name: str, data: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        text = {"method": _npy(np.array("pca")), "key": _npy(np.array("key")), "n_images": _npy(np.array(1))}
        arrays = {"positions": _npy(np.zeros((4, 2), np.float32))}
        arrays |= dict.fromkeys(("frequency", "typical"), _npy(np.zeros(4, np.float32)))
        _npz(folder / "map.npz", text | arrays | {name: data})
        return folder / "map.npz"

    return make


def peaks_with(name: str, data: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / "peaks.npz"
        Peaks(12, 256).save(path)
        assert Peaks.load(path, 12, 256) is not None
        with zipfile.ZipFile(path) as archive:
            entries = {entry.removesuffix(".npy"): archive.read(entry) for entry in archive.namelist()}
        _npz(path, entries | {name: data})
        return path

    return make


def large_icons(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "icons.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.comment = b"key"
        archive.writestr("1.webp", b"RIFF\0\0\0\0WEBP" + bytes(2**28))
    return folder / "icons.zip"


def locked_icons(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "icons.zip", "w") as archive:
        archive.comment = b"key"
        archive.writestr("1.webp", b"RIFF")
    data = bytearray((folder / "icons.zip").read_bytes())
    data[6] |= 1  # the mark of an encrypted entry, in both places
    data[data.index(b"PK\1\2") + 8] |= 1
    (folder / "icons.zip").write_bytes(data)
    return folder / "icons.zip"


CACHES: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "a large map": ("map", a_map_with("positions", _npy(np.zeros((2**26, 2), np.float32)))),
    "a map's claim": ("map", a_map_with("positions", _claims((2**38, 2)))),
    "large statistics": ("statistics", a_map_with("frequency", _npy(np.zeros(2**27, np.float32)))),
    "large peaks": ("peaks", peaks_with("strong_values", _npy(np.zeros(2**25, np.float32)))),
    "a peak's claim": ("peaks", peaks_with("strong_values", _claims((2**38,)))),
    "counts of peaks": ("peaks", peaks_with("strong_features", _npy(np.full(12, 2**31)))),
    "a deep header of peaks": ("peaks", peaks_with("header", _npy(np.frombuffer(DEEP.encode(), np.uint8)))),
    "peaks in a pipe": ("peaks", a_pipe("peaks.npz")),
    "large icons": ("icons", large_icons),
    "locked icons": ("icons", locked_icons),
    "a map in a pipe": ("map", a_pipe("map.npz")),
    "icons in a pipe": ("icons", a_pipe("icons.zip")),
}


@pytest.mark.parametrize("name", CACHES)
def test_a_cache_that_cannot_be_read_is_passed_over(name: str, tmp_path: Path, read: Read) -> None:
    reader, make = CACHES[name]
    found = read(reader, make(tmp_path))
    assert found["error"] == "", found
    assert found["seconds"] < SECONDS, found
    assert found["megabytes"] < MEGABYTES, found


def test_the_largest_scene_takes_little_more_than_its_arrays(tmp_path: Path, read: Read) -> None:
    n = 7 * 2**20  # three factors and the unit: 112 MiB
    content = _scene(basis=[3, n], base_basis=[0, n], base_strengths=[16, 16, 0])
    content["arrays"]["unit"] = _ones(n)
    (tmp_path / "scene.json").write_text(json.dumps(content))
    found = read("scene", tmp_path / "scene.json")
    assert found["error"] == "", found
    assert found["megabytes"] < MEGABYTES, found
