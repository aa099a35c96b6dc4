"""Damage small real files in every way that disks, networks and editors do."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

LONG_NUMBERS = pytest.mark.skipif(
    not hasattr(sys, "get_int_max_str_digits"), reason="Python 3.10 before 3.10.7 reads numbers of any length"
)
ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 1.5, 2**70, float("inf"), float("nan"), "", "x", "9" * 5000),
    *([], {}, [[]], [None], {"a": {}}, "\ud800", ["x", 1], "16"),
)
"""Values that are put in place of others in a JSON file."""


def _cut(data: bytes, random: np.random.Generator) -> bytes:
    return data[: int(random.integers(0, len(data)))]


def _flipped(data: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for at in random.integers(0, len(data), int(random.integers(1, 4))):
        changed[at] ^= 1 << int(random.integers(0, 8))
    return bytes(changed)


def _part(data: bytes, random: np.random.Generator) -> tuple[int, int]:
    begin = int(random.integers(0, len(data)))
    return begin, min(len(data), begin + int(random.integers(1, 1 + max(1, len(data) // 4))))


def _zeroed(data: bytes, random: np.random.Generator) -> bytes:
    begin, end = _part(data, random)
    return data[:begin] + bytes(end - begin) + data[end:]


def _doubled(data: bytes, random: np.random.Generator) -> bytes:
    begin, end = _part(data, random)
    return data[:end] + data[begin:]


def _shortened(data: bytes, random: np.random.Generator) -> bytes:
    begin, end = _part(data, random)
    return data[:begin] + data[end:]


def _noise(data: bytes, random: np.random.Generator) -> bytes:
    begin, end = _part(data, random)
    return data[:begin] + random.bytes(end - begin) + data[end:]


DAMAGE: tuple[Callable[[bytes, np.random.Generator], bytes], ...] = (
    *(_cut, _flipped, _zeroed, _doubled, _shortened, _noise),
)


def damaged(data: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """The file damaged in `count` ways, the same ones each time."""
    random = np.random.default_rng([seed, len(data) % 7])
    for i in range(count):
        yield DAMAGE[i % len(DAMAGE)](data, random)


def odd_json(data: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """A JSON file with one value replaced, or one entry missing."""
    random = np.random.default_rng(seed)
    for i in range(count):
        content = json.loads(data)
        places = list(_places(content))
        holder, key = places[int(random.integers(len(places)))]
        if i % 8 == 0 and isinstance(holder, dict):
            del holder[key]
        else:
            holder[key] = ODD[int(random.integers(len(ODD)))]
        yield json.dumps(content).encode()


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in a JSON value."""
    entries = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in list(entries):
        yield content, key
        if isinstance(value, (dict, list)):
            yield from _places(value)
