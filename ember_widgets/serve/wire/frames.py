"""Frames: what one message of the wire looks like.

A frame is one binary WebSocket message:

    4 bytes   length of the head, little-endian
    head      JSON object in UTF-8; "type" says what it is, "buffers" lists the sizes of the buffers
    buffers   one after the other

Reading a frame runs no code from it and unpacks nothing.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ember_widgets.util import files

PROTOCOL = 1
"""Both sides say it in their first frame; another number is refused in words."""
MAX_FRAME_BYTES = 2**22
"""Of a frame from a client. Frames from a server may be longer."""
MAX_BUFFERS = 64
MAX_HEAD_VALUES = 20_000
"""Numbers, texts, lists and objects in a head."""
_LENGTH = struct.Struct("<I")


class BadFrame(ValueError):
    """A frame that cannot be read; the message says why, in one sentence."""


@dataclass(frozen=True)
class Frame:
    """One message.

    Args:
        head: JSON object with a text "type".
        buffers: Raw bytes that the head refers to by their index.
    """

    head: Mapping[str, Any]
    buffers: Sequence[bytes] = ()

    @property
    def type(self) -> str:
        """What kind of message it is."""
        return str(self.head["type"])


def pack(head: Mapping[str, Any], buffers: Sequence[bytes] = ()) -> bytes:
    """The bytes of a frame."""
    content = {**head, "buffers": [len(one) for one in buffers]} if buffers else dict(head)
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    return b"".join((_LENGTH.pack(len(text)), text, *buffers))


def unpack(data: object, max_bytes: int | None = None) -> Frame:
    """Read a frame.

    Args:
        data: What arrived.
        max_bytes: How long it may be; None = any length.

    Raises:
        BadFrame: It is not a frame.
    """
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise BadFrame("the message is text; send binary frames: 4 bytes of length, JSON, buffers")
    if max_bytes is not None and len(data) > max_bytes:
        raise BadFrame(f"the frame has {len(data)} bytes; at most {max_bytes} are allowed")
    data = bytes(data)
    if len(data) < _LENGTH.size:
        raise BadFrame(f"the frame has {len(data)} bytes; it begins with the length of its head, 4 bytes")
    (length,) = _LENGTH.unpack_from(data)
    end = _LENGTH.size + length
    if end > len(data):
        raise BadFrame(f"the head should have {length} bytes, but only {len(data) - _LENGTH.size} follow")
    try:
        head = files.parsed(data[_LENGTH.size : end].decode(), MAX_HEAD_VALUES)
    except ValueError:
        raise BadFrame("the head is not JSON in UTF-8, or is too deep or too long") from None
    if not isinstance(head, dict) or not isinstance(head.get("type"), str):
        raise BadFrame('the head is not a JSON object with a text "type"')
    return Frame(head, _buffers(head.pop("buffers", []), data, end))


def _buffers(sizes: object, data: bytes, at: int) -> list[bytes]:
    is_list = isinstance(sizes, list) and all(type(size) is int and size >= 0 for size in sizes)
    if not isinstance(sizes, list) or not is_list or len(sizes) > MAX_BUFFERS:
        raise BadFrame(f'"buffers" is not a list of at most {MAX_BUFFERS} sizes')
    if sum(sizes) != len(data) - at:
        raise BadFrame(f"the buffers should have {sum(sizes)} bytes, but {len(data) - at} follow the head")
    found = []
    for size in sizes:
        found.append(data[at : at + size])
        at += size
    return found
