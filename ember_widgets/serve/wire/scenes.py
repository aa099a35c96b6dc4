"""Scenes on the wire.

A stroke changes a scene's strengths and remainder mask; all other arrays stay as they are for as long as one
paints, and are the larger part. So these are sent once and named by their hashes. Strengths travel as exact
float32 bits, compressed after what they have in common with the analysed strengths is taken out (XOR), so
that patches that nobody painted take almost no space. A final picture must be exact, which float16 is not.

    {"prompt": "...", "seed": 3, ..., "arrays": {
        "basis": {"name": "3f2a..."},                                   sent before
        "strengths": {"shape": [16, 16, 5], "buffer": 0, "base": "77c1..."},
        "remainder": {"shape": [16, 16], "buffer": 1}}}
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ember_widgets.scene.scene import Scene
from ember_widgets.scene.scene_file import ARRAY_FIELDS, OPTIONAL_ARRAYS, OPTIONAL_FIELDS, PLAIN_FIELDS
from ember_widgets.serve.wire import arrays
from ember_widgets.serve.wire.frames import BadFrame
from ember_widgets.util.checks import FloatArray, shown

PAINTED = ("strengths", "remainder")
"""The arrays that a stroke changes."""


class MissingArrays(Exception):
    """The other side named arrays that are not here.

    Args:
        names: Their names.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"{len(names)} arrays are not here")
        self.names = tuple(names)


def kept_arrays(scene: Scene, name_of: Callable[[FloatArray], str] = arrays.name_of) -> dict[str, FloatArray]:
    """{name: array} of what a scene on the wire refers to by name; see `packed`."""
    found = (getattr(scene, field) for field in (*ARRAY_FIELDS, *OPTIONAL_ARRAYS) if field not in PAINTED)
    return {name_of(array): array for array in found if array is not None}


def packed(
    scene: Scene, buffers: list[bytes], name_of: Callable[[FloatArray], str] = arrays.name_of
) -> dict[str, Any]:
    """A scene as JSON.

    Args:
        scene: The scene.
        buffers: Its painted arrays are appended here; all others are named, see `kept_arrays`.
        name_of: Gives `arrays.name_of` of an array; one that remembers it saves time.
    """
    fields = scene.plain_fields()
    content = {name: fields[name] for name in (*PLAIN_FIELDS, *OPTIONAL_FIELDS) if name in fields}
    entries: dict[str, Any] = {}
    for field in (*ARRAY_FIELDS, *OPTIONAL_ARRAYS):
        if field not in fields:
            continue
        array = fields[field]
        if field not in PAINTED:
            entries[field] = {"name": name_of(array)}
            continue
        base = scene.base_strengths if field == "strengths" else None
        entry = {"shape": list(array.shape), "buffer": len(buffers)}
        buffers.append(arrays.deflated(array, None if base is None else _fitted(base, array.shape)))
        entries[field] = entry if base is None else entry | {"base": name_of(base)}
    return content | {"arrays": entries}


def packed_answer(scene: Scene, known: Collection[str], buffers: list[bytes]) -> dict[str, Any]:
    """A scene that a server answers with: the scene, and the arrays that the client may not have.

    Args:
        scene: The scene.
        known: Names of arrays that the client has: those that its call named.
        buffers: Buffers are appended here.
    """
    kept = kept_arrays(scene)
    new = [array for name, array in kept.items() if name not in known]
    return {"scene": packed(scene, buffers), "arrays": arrays.packed(new, buffers)}


def unpacked_answer(value: object, buffers: Sequence[bytes], known: Mapping[str, FloatArray]) -> Scene:
    """The scene that `packed_answer` was given.

    Args:
        value: JSON, as it came.
        buffers: Those of its frame.
        known: {name: array} of what the call named.

    Raises:
        BadFrame, MissingArrays, TypeError, ValueError: As `unpacked`.
    """
    if not isinstance(value, Mapping):
        raise BadFrame("an answer with a scene is not a JSON object")
    new = {arrays.name_of(array): array for array in arrays.unpacked(value.get("arrays"), buffers)}
    return unpacked(value.get("scene"), buffers, {**known, **new}.get)


def names_in(content: object) -> list[str]:
    """The names of the arrays that a scene on the wire refers to, each once.

    Raises:
        BadFrame: It is not a scene on the wire, or a name is not an array's.
    """
    entries = content.get("arrays") if isinstance(content, Mapping) else None
    if not isinstance(entries, Mapping):
        raise BadFrame("a scene is not a JSON object with arrays")
    if unknown := entries.keys() - {*ARRAY_FIELDS, *OPTIONAL_ARRAYS}:
        raise BadFrame(f"a scene has unknown arrays: {shown(', '.join(sorted(unknown)))}")
    found: dict[str, None] = {}
    for field, entry in entries.items():
        if not isinstance(entry, Mapping):
            raise BadFrame(f"array {field} is not a JSON object")
        for key in entry.keys() & {"name", "base"}:
            if not arrays.is_name(entry[key]):
                raise BadFrame(f"the {key} of array {field} is not the name of an array")
            found[entry[key]] = None
    return list(found)


def unpacked(
    content: object,
    buffers: Sequence[bytes],
    get: Callable[[str], FloatArray | None],
    largest: Mapping[str, tuple[int, ...]] | None = None,
) -> Scene:
    """The scene that `packed` was given; equal bit by bit.

    Args:
        content: JSON, as it came.
        buffers: Those of its frame.
        get: An array by its name; None if it is not here.
        largest: {field: the largest shape that its array may have}, checked before arrays are unpacked;
            None = any.

    Raises:
        BadFrame: It is not a scene on the wire.
        MissingArrays: It names arrays that are not here.
        TypeError, ValueError: A field of the scene is not valid.
    """
    if not isinstance(content, Mapping):
        raise BadFrame("a scene is not a JSON object with arrays")
    names = names_in(content)
    known = {*PLAIN_FIELDS, *OPTIONAL_FIELDS, "arrays"}
    if unknown := content.keys() - known:
        raise BadFrame(f"a scene has unknown entries: {shown(', '.join(sorted(unknown)))}")
    entries = content["arrays"]
    if missing := {*ARRAY_FIELDS} - entries.keys() | {*PLAIN_FIELDS} - content.keys():
        raise BadFrame(f"a scene lacks {', '.join(sorted(missing))}")
    found = {name: get(name) for name in names}
    if absent := [name for name, array in found.items() if array is None]:
        raise MissingArrays(absent)
    fields = {name: content[name] for name in (*PLAIN_FIELDS, *OPTIONAL_FIELDS) if name in content}
    for field, entry in entries.items():
        fields[field] = _array(field, entry, buffers, found, None if largest is None else largest[field])
    return Scene(**fields)


def _array(
    field: str,
    entry: Mapping[str, Any],
    buffers: Sequence[bytes],
    found: Mapping[str, FloatArray | None],
    largest: tuple[int, ...] | None,
) -> FloatArray:
    """An array of a scene: named, or in a buffer."""
    named = found.get(str(entry.get("name")))
    if named is not None:
        _check_size(field, named.shape, largest)
        return named
    index = entry.get("buffer")
    if type(index) is not int or not 0 <= index < len(buffers):
        raise BadFrame(f"array {field} names neither an array nor a buffer of its frame")
    shape = arrays.checked_shape(entry.get("shape"))
    _check_size(field, shape, largest)
    base = found.get(str(entry.get("base")))
    if base is not None and (base.ndim != len(shape) or base.shape[:-1] != shape[:-1]):
        raise BadFrame(f"array {field} of shape {list(shape)} has a base of shape {list(base.shape)}")
    return arrays.inflated(buffers[index], shape, None if base is None else _fitted(base, shape))


def _check_size(field: str, shape: tuple[int, ...], largest: tuple[int, ...] | None) -> None:
    """Refuse an array that cannot be of a scene here."""
    if largest is None:
        return
    fits = len(shape) == len(largest) and all(n <= most for n, most in zip(shape, largest, strict=True))
    if not fits:
        raise BadFrame(
            f"array {field} has shape {list(shape)}, but scenes of this painter have at most {list(largest)}"
        )


def _fitted(base: FloatArray, shape: Sequence[int]) -> FloatArray:
    """Analysed strengths with so many factors: the last are left out, or zeros are added."""
    n_factors = shape[-1]
    fitted = np.zeros((*base.shape[:-1], n_factors), np.float32)
    n = min(n_factors, base.shape[-1])
    fitted[..., :n] = base[..., :n]
    return fitted
