"""Text inside PNG files, so that a picture can carry the scene it was drawn from.

Pillow can do this too, but it refuses texts of more than 1 MiB, which the scene of a large SAE exceeds, and
scenes depend on numpy only.
"""

from __future__ import annotations

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_TEXT_BYTES = 2**22
MAX_GROWTH = 8
"""A packed text has up to `MAX_TEXT_BYTES`, or this many times as many bytes as it takes in the file."""


def with_text(png: bytes, key: str, text: str) -> bytes:
    """A PNG with a text in it, as a compressed international text chunk (iTXt) before the pixels.

    Args:
        png: A PNG file.
        key: Name of the text, 1..79 Latin-1 characters.
        text: Any text.
    """
    _, end = _chunk_at(png, len(SIGNATURE))  # the header, which has to stay first
    packed = zlib.compress(text.encode("utf-8", "surrogatepass"), 6)
    data = key.encode("latin-1") + b"\0\1\0\0\0" + packed
    chunk = struct.pack(">I", len(data)) + b"iTXt" + data
    return png[:end] + chunk + struct.pack(">I", zlib.crc32(chunk[4:])) + png[end:]


def text_in(png: bytes, key: str) -> str | None:
    """The text that ``with_text`` put into a PNG under this key; None if there is none.

    Raises:
        ValueError: The file is not a PNG or cut off, or its text cannot be read.
    """
    if not png.startswith(SIGNATURE):
        raise ValueError("it is not a PNG")
    at, start = len(SIGNATURE), key.encode("latin-1") + b"\0"
    while at < len(png):
        kind, end = _chunk_at(png, at)
        data = png[at + 8 : end - 4]
        if kind == b"iTXt" and data.startswith(start):
            return _read(data[len(start) :])
        at = end
    return None


def _chunk_at(png: bytes, at: int) -> tuple[bytes, int]:
    """The kind of the chunk that begins there, and where it ends."""
    head = png[at : at + 8]
    end = at + 12 + (struct.unpack(">I", head[:4])[0] if len(head) == 8 else 0)
    if len(head) < 8 or end > len(png):
        raise ValueError("it is a PNG that was cut off")
    return head[4:], end


def _read(data: bytes) -> str:
    try:
        flags, (_, _, packed) = data[:2], data[2:].split(b"\0", 2)
        if flags == b"\1\0":
            unzip = zlib.decompressobj()
            packed = unzip.decompress(packed, max(MAX_TEXT_BYTES, MAX_GROWTH * len(packed)))
            if not unzip.eof:
                raise ValueError
        return packed.decode("utf-8", "surrogatepass")
    except (ValueError, zlib.error):
        raise ValueError("the text in it is damaged") from None
