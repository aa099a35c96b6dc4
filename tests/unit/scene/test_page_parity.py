"""The file that the page's scenes are compared with is what scenes do in Python now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ember_widgets.scene.scene import Scene
from tests.unit.scene.make_page_parity import PATH, parity

SCENES = ("start", "end", "before", "after", "to", "scene", "first", "last")


@pytest.fixture(scope="module")
def now() -> dict[str, Any]:
    """What Python does now, as JSON has it."""
    found: dict[str, Any] = json.loads(json.dumps(parity()))
    return found


def pairs(one: Any, other: Any) -> Iterator[tuple[str, Any, Any]]:
    """The entries of two lists of objects."""
    assert len(one) == len(other)
    for mine, theirs in zip(one, other, strict=True):
        assert mine.keys() == theirs.keys()
        yield from ((name, mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize("part", ["sequences", "transfers", "films"])
def test_the_pages_parity_file_is_up_to_date(part: str, now: dict[str, Any]) -> None:
    kept = json.loads(PATH.read_text("utf-8"))
    for name, mine, theirs in pairs(kept[part], now[part]):
        if name in SCENES:  # compressed, so other versions of zlib may write other bytes
            mine, theirs = (Scene.from_bytes(text.encode()) for text in (mine, theirs))
        if name == "maps":  # sums, whose last bit depends on the processor
            continue
        assert mine == theirs, "run: python tests/unit/scene/make_page_parity.py"
