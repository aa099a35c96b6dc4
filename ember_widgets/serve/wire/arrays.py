"""Arrays on the wire: each is sent once, and named by its hash from then on.

A server keeps the arrays that clients sent in an `ArrayStore`. A name is computed from the array itself, so
nobody can put other values under a name that someone else uses.
"""

from __future__ import annotations

import hashlib
import math
import re
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ember_widgets.serve.wire.frames import BadFrame
from ember_widgets.util.checks import FloatArray

MAX_ARRAY_BYTES = 2**26
"""Of one array, unpacked."""
LEVEL = 1
"""Of zlib: higher ones save a few percent and take several times as long."""
_NAME = re.compile("[0-9a-f]{32}")


def name_of(array: FloatArray) -> str:
    """The name of an array: a hash of its shape and its bits."""
    shape = ",".join(str(n) for n in array.shape)
    return hashlib.sha256(shape.encode() + b";" + _bits(array).tobytes()).hexdigest()[:32]


def is_name(value: object) -> bool:
    """Whether a value, as it came, may be the name of an array."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def deflated(array: FloatArray, base: FloatArray | None = None) -> bytes:
    """The bits of an array, compressed; exact.

    Args:
        array: float32.
        base: An array of the same shape that the other side has: only what differs from it takes space.
    """
    bits = _bits(array)
    return zlib.compress((bits if base is None else bits ^ _bits(base)).tobytes(), LEVEL)


def inflated(data: bytes, shape: Sequence[int], base: FloatArray | None = None) -> FloatArray:
    """The array that `deflated` was given; never unpacks more bytes than its shape has.

    Raises:
        BadFrame: It cannot be unpacked, or is not of this shape.
    """
    size = 4 * math.prod(shape)
    if size > MAX_ARRAY_BYTES:
        raise BadFrame(f"an array has {size} bytes; at most {MAX_ARRAY_BYTES} are allowed")
    unzip = zlib.decompressobj()
    try:
        raw = unzip.decompress(data, size + 1)
    except zlib.error:
        raise BadFrame("an array cannot be unpacked") from None
    if len(raw) != size or not unzip.eof or unzip.unused_data:
        raise BadFrame(f"an array does not have the {size} bytes of its shape {list(shape)}")
    bits = np.frombuffer(raw, "<u4").reshape(tuple(shape))
    if base is not None:
        bits = bits ^ _bits(base)
    # A copy that owns its memory and is read-only: scenes share it.
    found: FloatArray = np.array(bits.view("<f4"), dtype=np.float32, order="C")
    found.flags.writeable = False
    return found


def packed(arrays: Iterable[FloatArray], buffers: list[bytes]) -> list[dict[str, Any]]:
    """Arrays as JSON; each appends a buffer. This is what a `put` and the answer of a scene carry."""
    entries = []
    for array in arrays:
        entries.append({"shape": list(array.shape), "buffer": len(buffers)})
        buffers.append(deflated(array))
    return entries


def unpacked(
    entries: object,
    buffers: Sequence[bytes],
    check_shape: Callable[[tuple[int, ...]], None] | None = None,
) -> Iterator[FloatArray]:
    """The arrays that `packed` was given, one after the other.

    Args:
        entries: JSON, as it came.
        buffers: Those of its frame.
        check_shape: Raises BadFrame for shapes that are not wanted, before an array is unpacked.

    Raises:
        BadFrame: They are not arrays on the wire, or all together are too large.
    """
    if not isinstance(entries, list):
        raise BadFrame('"arrays" is not a list of arrays')
    n_bytes, places = 0, []
    for entry in entries:
        if not isinstance(entry, Mapping):
            raise BadFrame("an array is not a JSON object")
        shape = checked_shape(entry.get("shape"))
        if check_shape is not None:
            check_shape(shape)
        n_bytes += 4 * math.prod(shape)
        places.append((_buffer(entry, buffers), shape))
    if n_bytes > MAX_ARRAY_BYTES:
        raise BadFrame(f"these arrays have {n_bytes} bytes; at most {MAX_ARRAY_BYTES} are allowed")
    for data, shape in places:
        yield inflated(data, shape)


def _buffer(entry: Mapping[str, Any], buffers: Sequence[bytes]) -> bytes:
    index = entry.get("buffer")
    if type(index) is not int or not 0 <= index < len(buffers):
        raise BadFrame("an array names no buffer of its frame")
    return buffers[index]


def checked_shape(shape: object, n_axes: Sequence[int] = (1, 2, 3)) -> tuple[int, ...]:
    """A shape as it came.

    Raises:
        BadFrame: It is not a list of so many sizes, or is too large.
    """
    is_shape = isinstance(shape, list) and all(type(n) is int and 0 <= n < 2**26 for n in shape)
    if not isinstance(shape, list) or not is_shape or len(shape) not in n_axes:
        raise BadFrame("an array has no valid shape")
    if 4 * math.prod(shape) > MAX_ARRAY_BYTES:
        raise BadFrame(f"an array of shape {shape} is larger than {MAX_ARRAY_BYTES} bytes")
    return tuple(shape)


class ArrayStore:
    """Arrays by their names; the least recently used are forgotten. Any thread may use it.

    Args:
        max_bytes: How many bytes are kept.
    """

    def __init__(self, max_bytes: int = 2**28) -> None:
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._arrays: OrderedDict[str, FloatArray] = OrderedDict()
        self._n_bytes = 0

    @property
    def n_bytes(self) -> int:
        """How many bytes are kept now."""
        return self._n_bytes

    def put(self, array: FloatArray) -> str:
        """Keep an array; returns its name."""
        name = name_of(array)
        with self._lock:
            if name not in self._arrays:
                self._arrays[name] = array
                self._n_bytes += array.nbytes
            self._arrays.move_to_end(name)
            while self._n_bytes > self.max_bytes and len(self._arrays) > 1:
                _, forgotten = self._arrays.popitem(last=False)
                self._n_bytes -= forgotten.nbytes
        return name

    def get(self, name: str) -> FloatArray | None:
        """An array; None if it is not here."""
        with self._lock:
            array = self._arrays.get(name)
            if array is not None:
                self._arrays.move_to_end(name)
            return array


def _bits(array: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.uint32]]:
    return np.ascontiguousarray(array, "<f4").view("<u4")
