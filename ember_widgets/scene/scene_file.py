"""Reads and writes scenes as JSON. A loaded scene equals the saved one bit by bit.

A file looks like this:

    {"format": "ember-scene", "version": 1, "prompt": "...", "seed": 3, "n_steps": 1,
     "names": ["sky", "lion"], "colors": ["#e69f00", "#56b4e9"], "model": {"id": "..."},
     "arrays": {"strengths": {"shape": [16, 16, 2], "dtype": "<f4", "zlib64": "..."}, ...}}

"zlib64" holds an array's values as little-endian float32 in C order, compressed with zlib and written in
base64. Entries of OPTIONAL_FIELDS and OPTIONAL_ARRAYS are left out if they have their default value, so a
scene that does not use them can also be read by older versions. A PNG holds the same text in a text chunk.

Reading runs no code from the file. An array is never unpacked to more bytes than its shape states.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ember_widgets.util import files, png
from ember_widgets.util.checks import FloatArray, shown

FORMAT = "ember-scene"
VERSION = 1
PLAIN_FIELDS = ("prompt", "seed", "n_steps", "names", "colors", "model")
OPTIONAL_FIELDS = (
    "origins",
    "style",
    "guidance",
    "edit_steps",
    "image_strength",
    "sites",
    "factor_ids",
    "next_factor_id",
    "factor_steps",
)
ARRAY_FIELDS = ("strengths", "remainder", "basis", "base_strengths", "base_basis", "unit")
OPTIONAL_ARRAYS = ("image",)

MAX_FILE_BYTES = 2**26
MAX_ARRAY_BYTES = 2**27
"""Of all arrays together, unpacked."""
MAX_VALUES = 100_000
"""Of the JSON outside of arrays."""
_PIECE = 2**20
_DTYPE = "<f4"


def text(fields: Mapping[str, Any]) -> str:
    """Write a scene's fields as the text of a file.

    Args:
        fields: all of ``PLAIN_FIELDS`` (JSON values) and ``ARRAY_FIELDS`` (float32 arrays), and any of
            ``OPTIONAL_FIELDS`` (JSON values) and ``OPTIONAL_ARRAYS`` (float32 arrays).

    Raises:
        ValueError: ``read`` would refuse the file, because the scene is too large.
    """
    content: dict[str, Any] = {"format": FORMAT, "version": VERSION}
    content |= {name: fields[name] for name in PLAIN_FIELDS}
    content |= {name: fields[name] for name in OPTIONAL_FIELDS if name in fields}
    arrays = ARRAY_FIELDS + tuple(name for name in OPTIONAL_ARRAYS if name in fields)
    n_bytes = sum(fields[name].nbytes for name in arrays)
    if n_bytes > MAX_ARRAY_BYTES:
        raise _too_large(f"its arrays have {n_bytes:,} bytes, and a file holds {MAX_ARRAY_BYTES:,}")
    content["arrays"] = {name: _encode(fields[name]) for name in arrays}
    found = json.dumps(content, indent=1) + "\n"
    if len(found) > MAX_FILE_BYTES:
        raise _too_large(f"its file would have {len(found):,} bytes, and {MAX_FILE_BYTES:,} can be read")
    return found


def _too_large(why: str) -> ValueError:
    return ValueError(f"the scene is too large to be saved: {why}; remove factors, or analyse into fewer")


def load(path: Path) -> bytes:
    """The bytes of a file that may be a scene.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it is a pipe or a device.
    """
    if not path.exists():
        raise FileNotFoundError(f"cannot load {path}: there is no such file")
    with files.opened(path) as stream:
        return stream.read(MAX_FILE_BYTES + 1)


def read(data: bytes) -> dict[str, Any]:
    """Read the fields of a scene from the bytes of a file.

    Args:
        data: text that ``text`` wrote, or a PNG that contains it.

    Returns:
        The fields that ``text`` was given. JSON values are not checked; arrays are float32.

    Raises:
        ValueError: the file is not a scene, is damaged, or is of a newer version. The message says which; it
            does not contain the name of the file.
    """
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"it is larger than {MAX_FILE_BYTES} bytes, so it is not a scene")
    content = _parse(data)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(
            f'it is not a scene (no "format": "{FORMAT}" in it); give a file written by scene.save'
        )
    version = content.get("version")
    if isinstance(version, int) and version > VERSION:
        raise ValueError(
            f"it is a scene of version {version}, and this ember_widgets reads up to {VERSION}; update it"
        )
    if version != VERSION or isinstance(version, bool):
        raise ValueError(f"its version is {shown(version)}; this ember_widgets reads {VERSION}")
    _check_keys(content, ("format", "version", *PLAIN_FIELDS, "arrays"), "the file", OPTIONAL_FIELDS)
    arrays = content["arrays"]
    if not isinstance(arrays, dict):
        raise ValueError("its arrays are not a JSON object; the file is damaged")
    _check_keys(arrays, ARRAY_FIELDS, "arrays", OPTIONAL_ARRAYS)
    fields = {name: content[name] for name in PLAIN_FIELDS + OPTIONAL_FIELDS if name in content}
    shapes = {name: _shape(name, entry) for name, entry in arrays.items()}
    if sum(4 * math.prod(shape) for shape in shapes.values()) > MAX_ARRAY_BYTES:
        raise ValueError(f"its arrays would be larger than {MAX_ARRAY_BYTES >> 20} MiB; the file is damaged")
    return fields | {name: _decode(name, shapes[name], entry["zlib64"]) for name, entry in arrays.items()}


def _parse(data: bytes) -> Any:
    if data.startswith(png.SIGNATURE):
        found = png.text_in(data, FORMAT)
        if found is None:
            raise ValueError("it is a picture without a scene in it; give one written by scene.save")
        data = found.encode("utf-8", "surrogatepass")
    try:
        return files.parsed(data.decode("utf-8"), MAX_VALUES)
    except ValueError:
        raise ValueError("it is not JSON, or cut off; give a file written by scene.save") from None


def _check_keys(
    found: Mapping[str, Any], wanted: tuple[str, ...], where: str, optional: tuple[str, ...] = ()
) -> None:
    missing = [name for name in wanted if name not in found]
    unknown = [name for name in found if name not in wanted + optional]
    if missing:
        raise ValueError(f"{where} lacks {', '.join(missing)}; the file is damaged")
    if unknown:
        raise ValueError(f"{where} has unknown entries: {shown(', '.join(unknown))}")


def _encode(array: FloatArray) -> dict[str, Any]:
    packed = zlib.compress(array.astype(_DTYPE, order="C").tobytes(), 6)
    return {"shape": list(array.shape), "dtype": _DTYPE, "zlib64": base64.b64encode(packed).decode("ascii")}


def _shape(name: str, entry: Any) -> tuple[int, ...]:
    """The shape of an array, once its entry was found to be in order."""
    if not isinstance(entry, dict) or set(entry) != {"shape", "dtype", "zlib64"}:
        raise ValueError(f"array {name} is not made of shape, dtype and zlib64; the file is damaged")
    shape = entry["shape"]
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape) or len(shape) > 3:
        raise ValueError(f"array {name} has no valid shape ({shown(shape)}); the file is damaged")
    if entry["dtype"] != _DTYPE:
        raise ValueError(f"array {name} is of type {shown(entry['dtype'])}; scenes hold {_DTYPE!r} only")
    if not isinstance(entry["zlib64"], str):
        raise ValueError(f"array {name} holds no text in zlib64; the file is damaged")
    return tuple(shape)


def _decode(name: str, shape: tuple[int, ...], packed: str) -> FloatArray:
    array = np.zeros(shape, _DTYPE)
    space = array.reshape(-1).view(np.uint8)
    unzip, filled = zlib.decompressobj(), 0
    try:
        rest = base64.b64decode(packed, validate=True)
        # In pieces, and into the array itself: it may take most of the memory there is.
        while filled <= len(space) and (piece := unzip.decompress(rest, _PIECE)):
            space[filled : filled + len(piece)] = np.frombuffer(piece, np.uint8)[: len(space) - filled]
            filled, rest = filled + len(piece), unzip.unconsumed_tail
    except (ValueError, zlib.error):
        raise ValueError(f"array {name} cannot be unpacked; the file is damaged") from None
    if filled != len(space) or not unzip.eof or unzip.unused_data:
        raise ValueError(
            f"array {name} does not have the {len(space)} bytes of its shape {list(shape)}; "
            "the file is damaged"
        )
    array.flags.writeable = False  # so that it is not copied once more
    return array
